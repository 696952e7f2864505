"""Runs the canaries without a sandbox and in a runtime, and compares.

The runtime has the same supervisor, filter and rules as for any build script. That an attempt
fails there means something only because it succeeds without them.
"""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import selftest, stub
from buildperm.sandbox.canary import CANARIES, RECORDER, Canary, CanaryOutcome, CanaryResult, Status
from buildperm.sandbox.canary_fixture import CanaryFixture
from buildperm.sandbox.runtime import Runtime, RuntimeSetup
from buildperm.supervisor import landlock, session
from buildperm.tracer import syscall_numbers

_Profile: TypeAlias = Literal["enforcing", "learning"]

_PROFILES: tuple[_Profile, ...] = ("enforcing", "learning")
_TIMEOUT_S = 60
_PERMISSION = frozenset({errno.EPERM, errno.EACCES})
_LONGEST = 300
_UNDONE = -1  # In the place of an errno: nothing failed, but what was tried has not come about.


class _EarlyError(Exception):
    """The program that makes the attempts has ended early."""


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """One run of the canaries."""

    errors: Mapping[str, int]  # By attempt; 0 where it did what it tried.
    recording: Sequence[Mapping[str, Any]]  # The lines; empty where it was not recorded.
    ports: Mapping[str, int]

    def is_allowed(self, canary: Canary) -> bool:
        """Tell whether the attempt succeeded."""
        return self.errors.get(canary.tried) == 0

    def error(self, canary: Canary) -> str:
        """Return the name of the errno with which it failed; empty if it did not."""
        code = self.errors.get(canary.tried, _UNDONE)
        return errno.errorcode.get(code, str(code)) if code > 0 else ""

    def outcome(self, canary: Canary) -> CanaryOutcome:
        """Return what became of it in this run alone."""
        if self.is_allowed(canary):
            return CanaryOutcome.ALLOWED
        is_forbidden = self.errors.get(canary.tried) in _PERMISSION
        return CanaryOutcome.REFUSED if is_forbidden else CanaryOutcome.ABSENT

    def is_recorded(self, canary: Canary) -> bool:
        """Tell whether the recorder has seen that it was refused."""
        kind, *texts = canary.seen
        texts = [
            text.format(**{name: f":{port}" for name, port in self.ports.items()}) for text in texts
        ]
        return any(
            line["type"] == kind
            and (_was_refused(line) or (canary.is_hidden and line.get("errno")))
            and all(any(text in str(value) for value in line.values()) for text in texts)
            for line in self.recording
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What one runtime was seen to enforce on this machine."""

    runtime: str
    landlock_abi: int
    results: tuple[CanaryResult, ...] = ()
    failure: str = ""  # Why nothing could be tried.

    def of(self, status: Status) -> tuple[CanaryResult, ...]:
        """Return the results of one status."""
        return tuple(result for result in self.results if result.status is status)

    @property
    def reason(self) -> str:
        """Return why no build script should be trusted to it, in a sentence; empty if it holds."""
        if self.failure:
            return self.failure
        broken = self.of(Status.BROKEN)
        harmful = [each.canary.attempt for each in broken if not each.canary.is_harmless]
        harmless = [each.canary.attempt for each in broken if each.canary.is_harmless]
        parts = []
        if harmful:
            parts.append(f"a build script can {'; '.join(harmful)}")
        if harmless:
            parts.append(f"a build script cannot {'; '.join(harmless)}")
        return ", and ".join(parts)


def limited_to_abi(runtime: Runtime, cap: int) -> Runtime:
    """Return `runtime`, or the one inside it, limited to the Landlock ABI `cap`."""
    if cap == landlock.NEWEST:
        return runtime
    fields: Any = getattr(runtime, "__dataclass_fields__", {})
    changed: dict[str, object] = {"cap": cap} if "cap" in fields else {}
    if "inside" in fields:
        changed["inside"] = limited_to_abi(cast("Any", runtime).inside, cap)
    older: Runtime = replace(cast("Any", runtime), **changed)
    return older


def run_unconfined(scratch: Path | None = None) -> CanaryRun:
    """Run the canaries without a sandbox.

    Raises:
        CannotEnforceError: They cannot be run.
    """
    try:
        with CanaryFixture(scratch, syscall_numbers.table()) as fixture:
            ended = fixture.run(fixture.child, {}, _TIMEOUT_S)
            return _canary_run(fixture, ended, [])
    except (OSError, KeyError, ValueError, subprocess.TimeoutExpired, _EarlyError) as error:
        raise CannotEnforceError(
            f"the canaries could not be run: {error}",
            hint="Set TMPDIR to a folder in which programs may be run.",
        ) from error


def prove(chosen: Runtime, free: CanaryRun, scratch: Path | None = None) -> Proof:
    """Run the canaries in `chosen`; `free` is the run without a sandbox.

    Raises:
        CannotEnforceError: This machine cannot run it.
    """
    prepared = chosen.prepare()
    try:
        with ThreadPoolExecutor(len(_PROFILES)) as pool:
            held, learning = pool.map(lambda each: _within(prepared, scratch, each), _PROFILES)
    except (OSError, subprocess.TimeoutExpired, CannotEnforceError, _EarlyError) as error:
        failure = f"the canaries could not be run: {error}"
        return Proof(prepared.runtime, prepared.landlock_abi, failure=failure)
    results = judge(prepared.runtime, prepared.landlock_abi, free, held, learning)
    return Proof(prepared.runtime, prepared.landlock_abi, results)


def judge(
    runtime: str, landlock_abi: int, free: CanaryRun, held: CanaryRun, learning: CanaryRun
) -> tuple[CanaryResult, ...]:
    """Compare two runs with what `runtime` promises for this Landlock ABI."""
    results = [
        _result(
            canary,
            canary.expected(runtime, landlock_abi),
            learning if canary.learns else held,
            free,
        )
        for canary in CANARIES
        if canary is not RECORDER
    ]
    unseen = any(result.is_recorded is False for result in results)
    recorded = CanaryOutcome.ALLOWED if unseen else CanaryOutcome.REFUSED
    recorder = CanaryResult(RECORDER, CanaryOutcome.REFUSED, recorded, "", CanaryOutcome.ALLOWED)
    at = CANARIES.index(RECORDER)
    return (*results[:at], recorder, *results[at:])


def _result(
    canary: Canary, expected: CanaryOutcome, held: CanaryRun, free: CanaryRun
) -> CanaryResult:
    alone = free.outcome(canary)
    if held.is_allowed(canary):
        return CanaryResult(canary, expected, CanaryOutcome.ALLOWED, "", alone)
    is_recorded = held.is_recorded(canary) if canary.seen else None
    outcome = CanaryOutcome.REFUSED
    if alone is CanaryOutcome.ABSENT and not is_recorded:
        outcome, is_recorded = CanaryOutcome.ABSENT, None
    if alone is CanaryOutcome.REFUSED and not is_recorded and canary.seen[:1] == ("call",):
        # Of several filters the one that refuses is obeyed, and not the one that would have stopped
        # the call for the recorder: seccomp(2). A container's own says nothing about ours.
        is_recorded = None
    return CanaryResult(canary, expected, outcome, held.error(canary), alone, is_recorded)


def _within(prepared: RuntimeSetup, scratch: Path | None, profile: _Profile) -> CanaryRun:
    with CanaryFixture(scratch, syscall_numbers.table()) as fixture:
        placed, path = fixture.folder / "stub", fixture.folder / "session"
        placed.write_bytes(stub.stub(b"/nowhere") + b"# real: child\n")
        placed.chmod(0o700)
        held = selftest.bare_session(fixture.folder, fixture.package, prepared)
        held["profile"] = profile
        path.write_bytes(session.dump(held))
        ended = fixture.run(placed, {"BUILDPERM_SESSION": str(path)}, _TIMEOUT_S)
        recorded = fixture.unit / "buildperm/recording.jsonl"
        lines = recorded.read_text(encoding="utf-8").splitlines() if recorded.exists() else []
        return _canary_run(fixture, ended, [json.loads(line) for line in lines])


def _canary_run(
    fixture: CanaryFixture,
    ended: subprocess.CompletedProcess[bytes],
    recording: list[dict[str, Any]],
) -> CanaryRun:
    errors = fixture.attempts()
    if errors.pop("done", None) is None:
        talk = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2][-_LONGEST:]
        raise _EarlyError(
            f"the program that makes the attempts ended early, with status {ended.returncode}: "
            f"{talk or 'nothing was said'}"
        )
    effects = fixture.effects()
    effects["directive"] = b"LD_PRELOAD" in ended.stdout
    if recording:
        failure = str(recording[-1].get("failure", ""))
        effects["link"] = effects["link"] and "$OUT_DIR/link" not in failure
        # The run has failed by now for other reasons, so nothing is passed on to Cargo at all.
        effects["directive"] |= not any(_was_refused(line) for line in _directives(recording))
    # What happened counts, not the errno that the child saw.
    for name, happened in effects.items():
        errors[name] = 0 if happened else errors.get(name) or _UNDONE
    return CanaryRun(errors, recording, fixture.ports())


def _directives(recording: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in recording if line["type"] == "directive"]


def _was_refused(line: Mapping[str, Any]) -> bool:
    """Tell whether a line of a recording is about something that was refused, or hidden."""
    if line["type"] == "directive":
        return line["verdict"] in ("refused", "forbidden")
    return line["type"] == "call" or bool(line.get("refused")) or line.get("errno") == errno.ENOENT
