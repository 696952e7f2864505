"""What `buildperm doctor` has found out: about the machine, each runtime, and what is required."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from buildperm.sandbox.canaries import Proof
from buildperm.sandbox.canary import CANARIES, KERNELS, Canary, CanaryOutcome, Status
from buildperm.sandbox.compile_canaries import CompileProof
from buildperm.sandbox.machine_facts import MachineFacts

_PATH = re.compile(r"(?<![\w.])/[^\s`'\",;:()]+")
_HIDDEN = "[...]"


@dataclass(frozen=True, slots=True)
class RuntimeDiagnosis:
    """One runtime on this machine."""

    name: str
    unavailable: str  # Why this machine cannot run it; empty where it can.
    proof: Proof | None  # None where it cannot be run.
    left_open: tuple[str, ...]  # What it says of itself, a sentence each.

    @property
    def reason(self) -> str:
        """Return why it does not hold build scripts here; empty where it does."""
        return self.unavailable or (self.proof.reason if self.proof else "")


@dataclass(frozen=True, slots=True)
class Requirement:
    """What has to be enforced, and whether it is."""

    runtime: str  # The weakest that will do.
    wanted: str  # The one that is asked for, or `auto`.
    chosen: str  # The one that a build here uses; empty where there is none.
    is_declared: bool  # By the workspace that this was called in, if only by saying nothing.
    reason: str  # Why it is not met; empty if it is.
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that this machine lacks, and what a build script can do because of that."""

    what: str
    possible: tuple[str, ...]  # Attempts, in the infinitive.
    remedy: str  # The narrowest there is.
    stops: bool = False  # No build script is run at all without it.


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything."""

    surroundings: MachineFacts
    cargo: str  # Its version; empty where there is none.
    rustc: str
    runtimes: tuple[RuntimeDiagnosis, ...]  # The strongest last.
    required: Requirement
    exit_code: int
    compiling: CompileProof = field(default_factory=CompileProof)
    root: str = ""  # What is known of the root of build scripts; empty where none is wanted.

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing, the worst first."""
        yield from _of_machine(self.surroundings)
        yield from _of_compiling(self.compiling)
        yield from _of_kernel(self.runtimes)
        for index, one in enumerate(self.runtimes):
            weaker = [each for each in self.runtimes[:index] if not each.unavailable]
            if one.unavailable and weaker:
                possible = _differing(weaker[-1], one.name)
                yield Gap(f"the runtime `{one.name}`", possible, one.unavailable)

    def anonymous(self, names: Iterable[str]) -> Diagnosis:
        """Return it without any path, and without `names`, wherever a message may hold them.

        The facts cannot hold any: see `sandbox.machine_facts`.
        """
        hidden = sorted({name for name in names if name}, key=len, reverse=True)

        def clean(text: str) -> str:
            for name in hidden:
                text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _HIDDEN, text)
            return _PATH.sub(_HIDDEN, text)

        return replace(
            self,
            surroundings=replace(self.surroundings, kernel=clean(self.surroundings.kernel)),
            runtimes=tuple(
                replace(
                    one,
                    unavailable=clean(one.unavailable),
                    proof=one.proof and replace(one.proof, failure=clean(one.proof.failure)),
                )
                for one in self.runtimes
            ),
            required=replace(self.required, reason=clean(self.required.reason)),
            compiling=replace(
                self.compiling,
                reason=clean(self.compiling.reason),
                hint=clean(self.compiling.hint),
                why=clean(self.compiling.why),
            ),
        )


def _of_machine(here: MachineFacts) -> Iterator[Gap]:
    facts = here.facts
    if facts.landlock_abi < 1:
        yield Gap(
            "Landlock",
            ("read, write, list and remove files outside", "run any program"),
            "Use Linux 5.13 or newer with `landlock` in its `lsm=` list; in a container, let its "
            "seccomp profile allow landlock_create_ruleset, landlock_add_rule and "
            "landlock_restrict_self.",
            stops=True,
        )
    if facts.seccomp_errno:
        yield Gap(
            "seccomp filters",
            ("connect to anywhere", "trace your other processes", "mount file systems"),
            "Use a kernel with CONFIG_SECCOMP_FILTER.",
            stops=True,
        )
    if facts.ptrace_errno:
        remedy = "In a container, add the capability SYS_PTRACE: `--cap-add SYS_PTRACE`."
        if facts.ptrace_scope in ("2", "3"):
            remedy = "Set kernel.yama.ptrace_scope to 1, which lets a process trace its children."
        yield Gap("ptrace", ("do anything without being recorded",), remedy, stops=True)
    if here.hosts:
        yield Gap(
            "an egress proxy to granted hosts",
            (),
            "Build scripts that were granted hosts (`net`) are not run here. In a container, let "
            "its seccomp profile allow pidfd_getfd, or add the capability SYS_PTRACE.",
        )


def _of_compiling(proof: CompileProof) -> Iterator[Gap]:
    possible = ("do what you may, in a macro or through a compiler, when a crate is compiled",)
    if proof.reason and proof.hint:
        yield Gap(f"holding compilers and macros ({proof.reason})", possible, proof.hint)
    elif not proof.reason and not proof.is_hosted:
        yield Gap(
            f"macros in processes of their own ({proof.why})",
            ("use what was granted to other macros of the same crate",),
            "They run in the compiler, which is held. Use a stable tool chain.",
        )


def _of_kernel(runtimes: tuple[RuntimeDiagnosis, ...]) -> Iterator[Gap]:
    """Yield what this machine's runtime leaves open and a newer kernel would close."""
    proofs = [each.proof for each in runtimes if each.proof is not None]
    if not proofs:
        return
    proof = proofs[-1]
    for version, kernel in KERNELS.items():
        if version <= proof.landlock_abi:
            continue
        possible = tuple(
            result.canary.attempt
            for result in proof.results
            if result.status is Status.OPEN
            and result.canary.others.get(proof.runtime, result.canary.since) == version
        )
        if possible:
            yield Gap(f"Landlock ABI {version}", possible, f"Use Linux {kernel} or newer.")


def _differing(weaker: RuntimeDiagnosis, stronger: str) -> tuple[str, ...]:
    if weaker.proof is None:
        return ()
    abi = weaker.proof.landlock_abi
    return tuple(
        canary.attempt
        for canary in CANARIES
        if not canary.is_harmless and _differs(canary, weaker.name, stronger, abi)
    )


def _differs(canary: Canary, weaker: str, stronger: str, abi: int) -> bool:
    outcomes = canary.expected(weaker, abi), canary.expected(stronger, abi)
    return outcomes == (CanaryOutcome.ALLOWED, CanaryOutcome.REFUSED)
