"""The result of one run of Cargo under buildperm, before it takes the form of a report."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import WithheldRule
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.role import SCRIPT_ALONE, Role, SubjectKind, named
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import is_settled, is_unlisted
from buildperm.report.build_failure import BuildFailure

LOST = "a run of it was not recorded to its end, so that nobody knows what it did"
"""How a run fails whose supervisor was killed, or could not write."""

IN_PLACE, EQUAL, DIFFERS, NOT_TRIED = "in-place", "equal", "differs", "not-tried"
"""What came of a run where it was to be as WASI; the native run counts in all but the first."""

_TOGETHER = (Kind.NET, Kind.SYSTEM)  # Judged beside what else a script does, even where they fail.


@dataclass(frozen=True, slots=True, order=True)
class IneffectiveGrant:
    """A grant that does not open what a link leads to: see `rules.containment`."""

    rule: Rule
    leads_to: str  # Portable.

    def is_about(self, access: Access) -> bool:
        """Tell whether an access is one that the grant would be taken to allow."""
        inside = access.target == self.leads_to or access.target.startswith(f"{self.leads_to}/")
        return inside and access.kind is self.rule.kind

    def __str__(self) -> str:
        return (
            f"`{self.rule.kind} {self.rule.pattern}` does not open `{self.leads_to}`: a link leads "
            "there, out of the folder that the grant is about"
        )

    @property
    def remedy(self) -> str:
        """Return a sentence that says what to do about it."""
        below = "/**" if self.rule.pattern.endswith("/**") else ""
        return (
            f"Find out who made the link. If it is meant, grant `{self.leads_to}{below}` by its "
            "own path."
        )


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What ran of one package: its build script, its macros, a compiler on its code."""

    crate: str  # Key in Cargo.toml.
    version: str
    source: str  # Cargo's source string; empty for a path.
    way: tuple[str, ...]  # How the crate got into the graph, from a workspace member on.
    events: int  # With repetitions.
    accesses: int
    duration_ns: int
    findings: tuple[Proposal, ...]  # What it did or tried beyond its grants.
    failure: str = ""  # Why buildperm itself ended or failed the script; empty if it did not.
    failed: bool = False  # One of its runs did not end well, whoever is to blame.
    dropped: int = 0  # Events beyond the recorder's cap.
    programs: tuple[str, ...] = ()  # Executable files that it left, in notation, from OUT_DIR on.
    programs_unlisted: int = 0  # How many more there are.
    everything: tuple[Access, ...] = ()  # All that it did or tried; empty where nobody asks.
    left_out: tuple[IneffectiveGrant, ...] = ()  # What its grants do not open; sorted.
    withheld: tuple[WithheldRule, ...] = ()  # Its grants that are not in force.
    unopened: tuple[Access, ...] = ()  # What was refused though its grants cover it.
    denied: tuple[Access, ...] = ()  # What was refused to a run that failed, because it is denied.
    habitual: tuple[Access, ...] = ()  # Likewise, because nobody may; most programs do without it.
    roles: tuple[Role, ...] = SCRIPT_ALONE  # What of it ran, and for whom; sorted.
    restored: tuple[tuple[int, str], ...] = ()  # Of each result put back: when, by whom recorded.
    remote: tuple[tuple[str, str, bool], ...] = ()  # For an engine: its address, why not, if kept.
    wasi: tuple[tuple[str, str, int], ...] = ()  # Of each run for WASI: outcome, why, when.
    is_light: bool = False  # Which files compilers have read is not known, of a run at least.

    @property
    def subjects(self) -> tuple[SubjectKind, ...]:
        """What of it ran."""
        return tuple(dict.fromkeys(role.subject for role in self.roles))

    @property
    def who(self) -> str:
        """Name it, and what of it ran: `a 1.0.0`, `a 1.0.0 (procedural macro, for crate b)`."""
        return named(self.crate, self.version, self.roles)

    @property
    def told(self) -> tuple[str, ...]:
        """Metadata for its dependents that leads outside of its own folders: `root=/opt/x`."""
        mark = "metadata="
        return tuple(
            access.target[len(mark) :]
            for access in self.everything
            if access.kind is Kind.DIRECTIVE and access.target.startswith(mark)
        )

    @property
    def worst(self) -> int:
        """The highest risk among the findings; -1 where there is none."""
        return max((finding.risk for finding in self.findings), default=-1)


@dataclass(frozen=True, slots=True)
class BuildRun:
    """One run of Cargo."""

    runtime: str
    landlock_abi: int
    kernel: str
    left_open: tuple[str, ...]  # What this runtime does not prevent, in sentences.
    scripts: tuple[ScriptRun, ...]
    cargo_exit: int
    compiling: str = ""  # How compiling is held: hold, watch or off; empty if it is not known.
    macros: str = ""  # Where macros ran: outside or inside of compilers; empty if not held.
    lacking: str = ""  # For want of what compiling was not held, if nobody turned that off.
    failure: BuildFailure | None = None  # Why Cargo failed; None where it did not.
    root: str = ""  # Digest of what scripts saw as the system; empty: the machine's own.

    @property
    def offenders(self) -> tuple[ScriptRun, ...]:
        """The crates that went beyond their grants, were failed by buildperm, or found less there.

        A granted folder that could not be listed seems empty: what is built lacks what is in it.
        """
        return tuple(
            run
            for run in self.scripts
            if run.findings or run.failure or any(map(is_unlisted, run.unopened))
        )


def evidence(script: ScriptRun) -> tuple[Access, ...]:
    """Return the accesses from which the proposals about a script can be made again elsewhere.

    That is all that is beyond the baseline, whether it is granted here or not, and what makes the
    rest worse: programs that were looked for, secrets that were reached for, programs made by the
    script. What was allowed for a reason of this run alone is left out. Nothing that was refused
    is, not even what programs try out of habit and nobody is asked about: `/dev/tty`.
    """
    run = {access.target for access in script.everything if access.kind is Kind.EXEC}
    return tuple(
        access
        for access in script.everything
        if not is_settled(access)
        or access.outcome is Outcome.REFUSED
        or access.sensitive
        or access.kind in _TOGETHER
        or (access.kind is Kind.EXEC and not access.is_free)
        or (access.kind is Kind.WRITE and access.target in run)
    )
