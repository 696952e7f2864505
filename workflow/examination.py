"""What `doctor` does: finds out by trying what this machine enforces."""

from __future__ import annotations

import dataclasses
import getpass
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from buildperm.cargo import root_choice, toolchain
from buildperm.cargo.toolchain import Toolchain
from buildperm.errors import BuildpermError, CannotEnforceError, ExitCode
from buildperm.policy import manifest
from buildperm.policy.grants import HOLD, Policy
from buildperm.policy.runtime_table import WEAKEST
from buildperm.report.diagnosis import Diagnosis, Requirement, RuntimeDiagnosis
from buildperm.sandbox import canaries, compile_canaries, machine, machine_facts
from buildperm.sandbox.canaries import CanaryRun
from buildperm.sandbox.compile_canaries import CompileProof
from buildperm.sandbox.runtime import Runtime, choose
from buildperm.sandbox.runtime import runtimes as all_runtimes

_TIMEOUT_S = 30
_SHORTEST = 3  # Hiding a shorter name would spoil every other word.
_SEE = "What is missing, and the way out, is said above."


def examine(*, landlock_abi: int) -> Diagnosis:
    """Find out by trying what this machine enforces, with no newer Landlock ABI than this.

    Raises:
        BuildpermError: The grants of this workspace are broken.
    """
    chain = _toolchain()
    policy = _policy(chain) if chain else None
    free, failure = _without()
    runtimes = tuple(
        _tried(canaries.limited_to_abi(one, landlock_abi), free, failure)
        for one in all_runtimes().values()
    )
    required = _required(policy, runtimes)
    compiling = _compiling(chain, required)
    required = _with_compiling(required, compiling, policy)
    required, root = _with_root(required, policy)
    here = machine_facts.collect(free, os.environ)
    capped = min(here.facts.landlock_abi, landlock_abi)
    here = dataclasses.replace(here, facts=dataclasses.replace(here.facts, landlock_abi=capped))
    return Diagnosis(
        surroundings=here,
        cargo=chain.cargo_version if chain else "",
        rustc=chain.rustc_version if chain else "",
        runtimes=runtimes,
        required=required,
        exit_code=ExitCode.CANNOT_ENFORCE if required.reason else ExitCode.OK,
        compiling=compiling,
        root=root,
    )


def _without() -> tuple[CanaryRun | None, str]:
    """Run the canaries unconfined; if they cannot run, say why."""
    if machine.probe().failure:
        return None, ""  # The runtimes tell why.
    try:
        return canaries.run_unconfined(), ""
    except CannotEnforceError as error:
        return None, f"{error.args[0]} ({error.hint})"


def _tried(runtime: Runtime, free: CanaryRun | None, failure: str) -> RuntimeDiagnosis:
    reason = runtime.unavailable() or failure
    if reason or free is None:
        return RuntimeDiagnosis(runtime.name, reason or "the canaries could not be run", None, ())
    try:
        proof = canaries.prove(runtime, free)
    except CannotEnforceError as error:
        return RuntimeDiagnosis(runtime.name, error.args[0], None, ())
    return RuntimeDiagnosis(runtime.name, "", proof, runtime.left_open(proof.landlock_abi))


def _required(policy: Policy | None, runtimes: tuple[RuntimeDiagnosis, ...]) -> Requirement:
    """Tell whether the runtime that builds use here works, and is strong enough."""
    weakest, wanted = (policy.require, policy.runtime) if policy else (WEAKEST, WEAKEST)
    is_declared = policy is not None
    try:
        chosen = choose(wanted, weakest).name
    except CannotEnforceError as error:
        return Requirement(weakest, wanted, "", is_declared, error.args[0], error.hint)
    (one,) = (each for each in runtimes if each.name == chosen)
    if one.unavailable:
        return Requirement(weakest, wanted, "", is_declared, one.unavailable, _SEE)
    hint = "Do not build untrusted crates on this machine." if one.reason else ""
    return Requirement(weakest, wanted, chosen, is_declared, one.reason, hint)


def _compiling(chain: Toolchain | None, required: Requirement) -> CompileProof:
    if not required.chosen:
        return CompileProof("there is no runtime for macros")
    runtime = all_runtimes()[required.chosen]
    return compile_canaries.prove(
        chain.rustc if chain else None, chain.sysroot if chain else None, runtime
    )


def _with_compiling(
    required: Requirement, proof: CompileProof, policy: Policy | None
) -> Requirement:
    """Add what compiling lacks: what is not as promised, or cannot be held although it has to."""
    reason, hint = proof.broken, "Do not build untrusted crates on this machine."
    asked = [policy.compile, *(each.compile for each in policy.crates.values())] if policy else []
    if not reason and proof.reason and HOLD in asked:
        reason, hint = f'`compile = "hold"` cannot be done: {proof.reason}', proof.hint
    if required.reason or not reason:
        return required
    return dataclasses.replace(required, reason=reason, hint=hint)


def _with_root(required: Requirement, policy: Policy | None) -> tuple[Requirement, str]:
    """Add what hinders the root that Cargo.toml wants; say whether it can be used."""
    if policy is None or not policy.root_digest:
        return required, ""
    try:
        root_choice.check_here(policy, os.environ, policy.manifest.parent, required.chosen)
    except CannotEnforceError as error:
        said = f"{policy.root_digest}: cannot be used"
        if required.reason:
            return required, said
        return dataclasses.replace(required, reason=error.args[0], hint=error.hint), said
    return required, f"{policy.root_digest}: is here, and can be entered"


def _toolchain() -> Toolchain | None:
    """Find the tool chain; rustup does not install one for this."""
    try:
        folder = Path.cwd()
        environment = dict(os.environ) | {"RUSTUP_AUTO_INSTALL": "0"}
        return toolchain.resolve(folder, environment)
    except (BuildpermError, OSError):
        return None


def _policy(chain: Toolchain) -> Policy | None:
    """Read the grants of the workspace in the current folder; None if there is no workspace.

    Raises:
        BuildpermError: The grants are broken.
    """
    command = [str(chain.cargo), "locate-project", "--workspace", "--message-format", "plain"]
    try:
        told = subprocess.run(
            command,
            env=chain.environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        path = Path(os.fsdecode(told.stdout.rstrip(b"\n")))
        if told.returncode != 0 or not path.is_absolute():
            return None
        return manifest.read(path.read_bytes(), path)
    except (OSError, subprocess.TimeoutExpired):
        return None


def private_words() -> Iterator[str]:
    """Yield what a report must not tell: names of the user, the machine and the folder."""
    found = [os.uname().nodename, os.uname().nodename.partition(".")[0]]
    for ask in (getpass.getuser, lambda: str(Path.home())):
        try:
            found.append(ask())
        except (KeyError, OSError, RuntimeError, ImportError):
            pass  # A user without a name, or without a home.
    try:
        found.append(str(Path.cwd()))
    except OSError:
        pass
    yield from (name for name in found if len(name) >= _SHORTEST)
    yield from (value for value in os.environ.values() if len(value) > 2 * _SHORTEST)
