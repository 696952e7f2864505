"""The verdict on a run that has ended: whether Cargo may use what came of it.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules import baseline, containment, left_behind, limits, sensitive, tier, variables
from buildperm.rules.pattern import locate, matches
from buildperm.supervisor import out_dir
from buildperm.supervisor.outward_links import OutwardLinks
from buildperm.supervisor.run_notices import quoted
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.run_end import StdoutLost, script_end, sentence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.directive_gate import DirectiveGate
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.tracer.recorder.loop import Recorder
    from buildperm.tracer.recorder.run_end import LimitExceeded
    from buildperm.tracer.recorder.writer import Writer

_FAILED = 1
_MOST_NAMED = 10
_BY_VALUE = (
    "name it in `env` of its grants, with a `reason`, or deny it there, or take the secret out of "
    "the value"
)
REVIEW = "the end of the build says what it wanted, and how to decide"


class RunVerdict:
    """Why a run fails, even where what was run exits with success."""

    def __init__(self, wait_status: int) -> None:
        self.status = script_end(wait_status).exit_status  # Its own.
        self.failure = ""  # Everything that is wrong, in a sentence each; empty if nothing is.
        self.hint = ""
        self.is_answerable = True  # Nothing has failed that no answer of a person changes.
        self.notes: list[str] = []  # What is said although the run does not fail for it.
        self.voided = ""  # Why the recording cannot be relied on; empty if it can.
        self.programs: list[str] = []  # Executable files in OUT_DIR.
        self.programs_unlisted = 0
        self._wait_status = wait_status

    @property
    def exit_status(self) -> int:
        """What the supervisor exits with."""
        return (self.status or _FAILED) if self.failure else self.status

    def fail(self, reason: str, hint: str = "") -> None:
        """Add a reason to fail; the first hint stays."""
        self.failure = f"{self.failure}; {reason}" if self.failure else reason
        self.hint = self.hint or hint
        self.is_answerable = self.is_answerable and hint == REVIEW

    def end(self, recorder: Recorder | None) -> dict[str, object]:
        """Return the last line of the recording; there was no recorder where there was no need."""
        return {
            "status": self._wait_status,
            "exit": self.exit_status,
            "left_running": 0 if recorder is None else recorder.left_running,
            "tokens": 0 if recorder is None else recorder.tokens.returned,
            "voided": self.voided,
            "failure": self.failure,
            "unseen": "" if recorder is None else recorder.environment.unseen,
            "programs": list[object](self.programs),
            "programs_unlisted": self.programs_unlisted,
        }


def of_script(ended: EndedRun, gate: DirectiveGate) -> RunVerdict:
    """Judge a build script that has ended and whose output `gate` has read."""
    run, watch = ended.run, ended.watch
    verdict = _of_tree(ended)
    if gate.denied:
        verdict.notes.append(kept_from_cargo(gate.denied))
    if gate.withheld:
        _directives(verdict, gate.withheld, learning=run.learning)
    outward = OutwardLinks(run, lambda *link: ended.writer.led_out(ended.recorder.script, *link))
    left = out_dir.scan(run.places["OUT_DIR"], outward.why)
    verdict.programs, verdict.programs_unlisted = left.programs, left.unlisted
    if left.found:
        told = _listed(left.found)
        verdict.fail(f"it left in its output folder {told}", left_behind.way_on(told))
    delivery = run.delivery
    if delivery is not None and not verdict.failure and not verdict.exit_status:
        wrong = delivery.deliver(outward.why_beside, lambda: bool(outward.undecided))
        if wrong:
            told = _listed(wrong)
            verdict.fail(f"it left beside programs {told}", left_behind.way_on(told))
    if outward.undecided:
        own = [each.startswith("$OUT_DIR") for each in outward.undecided]
        where = "in its output folder" if any(own) else "beside programs"
        where += "" if all(own) or not any(own) else " and beside programs"
        verdict.fail(
            f"it left {where} links to what it was not allowed to read: "
            f"{_listed(outward.undecided)}",
            REVIEW,
        )
    most = [limits.value(run.limits, name) for name in ("output_bytes", "output_files")]
    excess = left.usage.excess(most[0], most[1])
    if excess is not None and watch.stop_cause is None:
        _limit(verdict, run, excess)
    _attempts(verdict, ended)
    return verdict


def kept_from_cargo(denied: list[str]) -> str:
    """Say which directives Cargo did not get, as a person has denied them."""
    return f"kept from Cargo, as was decided: {_listed(denied)}"


def of_macros(ended: EndedRun) -> RunVerdict:
    """Judge a host of macros that has ended; how, its compiler has noticed itself."""
    verdict = _of_tree(ended)
    verdict.status = 0
    _attempts(verdict, ended)
    return verdict


def of_quiet_macros(wait_status: int) -> RunVerdict:
    """Judge a host of macros that has done nothing for which it could be refused anything."""
    verdict = RunVerdict(wait_status)
    verdict.status = 0
    return verdict


def _of_tree(ended: EndedRun) -> RunVerdict:
    """Begin a verdict with what is the same whatever was run."""
    run, recorder = ended.run, ended.recorder
    verdict = RunVerdict(ended.wait_status)
    for cause in (ended.watch.stop_cause, ended.output.stop_cause, recorder.stop_cause):
        if isinstance(cause, StdoutLost):
            verdict.fail(sentence(cause))
        elif cause is not None:
            _limit(verdict, run, cause)
    if recorder.met_file_limit:
        _met_file_limit(verdict, run)
    verdict.voided = recorder.voided or _lost(ended.writer)
    if verdict.voided:
        reason = f"the recording is not complete: {verdict.voided}"
        if run.learning:
            verdict.notes.append(f"warning: {reason}")
        else:
            verdict.fail(reason, left_behind.DISTRUST)
    for grant, real in containment.report_line(run.left_out).items():
        verdict.notes.append(
            f"warning: `{grant}` does not open `{real}`: a link leads there, out of the folder "
            "that the grant is about"
        )
    if recorder.left_running:
        number = recorder.left_running
        plural = "" if number == 1 else "es"
        verdict.notes.append(f"warning: ended {number} process{plural} that it left running")
    if recorder.tokens.returned:
        number = recorder.tokens.returned
        tokens = "a token" if number == 1 else f"{number} tokens"
        verdict.notes.append(f"warning: put back {tokens} of Cargo's job server that it had kept")
    return verdict


REVIEW_LATER = (
    "`buildperm pending` lists what it wanted, and `buildperm review` lets you decide; "
    "`buildperm disable` switches this off"
)
"""A hint where no command of ours tells at the end of the build."""


def hint_of(verdict: RunVerdict, run: Run) -> str:
    """Return the way on after a failure: no command of ours tells at the end of Cargo's own."""
    return REVIEW_LATER if run.session.get("standing") and verdict.hint == REVIEW else verdict.hint


def refusals(ended: EndedRun) -> str:
    """Say what a run was refused, but for what programs look at out of habit; mostly empty."""
    run = ended.run
    said: list[str] = []
    for verb, what in ended.writer.refused_attempts():
        target = encode(what) if verb == "reach" else locate(what, run.places)
        habits = {"read": baseline.QUIET, "write": baseline.QUIET_WRITES}.get(verb, ())
        if not any(matches(pattern, target) for pattern in habits):
            said.append(f"{verb} {target}")
    return f"it was refused to {_listed(said)}" if said else ""


def _attempts(verdict: RunVerdict, ended: EndedRun) -> None:
    """Fail for what was attempted, whatever came of it."""
    run, recorder = ended.run, ended.recorder
    if not run.learning:
        _denied_writes(verdict, run, ended.writer)
        _sensitive(verdict, run, ended.writer, recorder.pids, recorder.environment.secrets)
        if run.session.get("standing") and not verdict.exit_status:
            _unshown(verdict, run, ended.writer, recorder.script.chain)


def _unshown(verdict: RunVerdict, run: Run, writer: Writer, own: int) -> None:
    """Fail where a run may have gone another way: what is not shown seems not to be there.

    A command of ours fails for it by itself, and says more. `own` is the script's own chain.
    """
    found = []
    for chain, path in writer.unshown_reads():
        target = locate(path, run.places)
        quiet = any(matches(pattern, target) for pattern in baseline.QUIET)
        if quiet and chain == own:  # Only programs look there out of habit.
            quiet = not any(matches(pattern, target) for pattern in baseline.OF_PROGRAMS)
        if not quiet and target not in baseline.PASSED_BY and not _is_denied(run, "read", target):
            found.append(f"read {target}")
    if found:  # Begins as `refusals` does, so that nothing is said twice.
        verdict.fail(
            f"it was refused to {_listed(found)}, and could not tell that from what is not there",
            REVIEW,
        )


def _limit(verdict: RunVerdict, run: Run, cause: LimitExceeded) -> None:
    """Fail for a limit: which one, its value, and how to raise it."""
    said, hint = _of_limit(run, cause.limit, sentence(cause))
    verdict.fail(said, hint)


def _met_file_limit(verdict: RunVerdict, run: Run) -> None:
    """Say what may have made the script fail; if it succeeded, only warn."""
    said, hint = _of_limit(run, "file_bytes", "it tried to write a file that is too large")
    if verdict.status:
        verdict.fail(said, hint)
    else:
        verdict.notes.append(f"warning: {said}")


def _of_limit(run: Run, name: str, excess: str) -> tuple[str, str]:
    key = run.package["crate"]
    is_bare = all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in key)
    table = f"limits.crates.{key if is_bare else quoted(key)}"
    held = limits.in_words(name, limits.value(run.limits, name))
    return (
        f"{excess}: the limit is `{held}`",
        f"if it has to, raise `{name}` in `[workspace.metadata.buildperm.{table}]` of Cargo.toml",
    )


def _directives(verdict: RunVerdict, withheld: list[str], *, learning: bool) -> None:
    if learning:
        verdict.notes.append(f"warning: kept from Cargo: {_listed(withheld)}")
    else:
        verdict.fail(f"it printed directives that it was not granted: {_listed(withheld)}", REVIEW)


def _lost(writer: Writer) -> str:
    """Say that refused attempts did not fit: a flood of others may be meant to hide one."""
    if not writer.dropped_refusals:
        return ""
    attempts = "attempt" if writer.dropped_refusals == 1 else "attempts"
    return f"{writer.dropped_refusals:,} refused {attempts} did not fit"


def _denied_writes(verdict: RunVerdict, run: Run, writer: Writer) -> None:
    """Fail for writes to what was denied and did not exist: Landlock has no rule against that."""
    if not run.denied_writes:
        return
    texts = (encode(path) for path in writer.written_paths())
    found = [text for text in texts if any(matches(rule, text) for rule in run.denied_writes)]
    if found:
        verdict.fail(f"it made what it was denied to write: {_listed(found)}", left_behind.DISTRUST)
    elif writer.dropped_writes:
        verdict.fail(
            "it may have made what it was denied to write: it wrote more than fits into a "
            "recording",
            left_behind.DISTRUST,
        )


def _sensitive(
    verdict: RunVerdict, run: Run, writer: Writer, own: set[int], secrets: Mapping[bytes, str]
) -> None:
    """Fail for refused reads of the sensitive tier, whatever the script's exit status."""
    reads = []
    for path in writer.refused_reads():
        if path.startswith(b"/proc/"):
            number = path[6:].partition(b"/")[0]
            if number.isdigit() and int(number) in own:
                continue  # Its own, or a child's: refused, but no secret.
        target = locate(path, run.places)
        why = sensitive.why(target, writing=False) or _found(path, run)
        if why and target not in baseline.PASSED_BY and not _is_denied(run, "read", target):
            reads.append(f"{target} ({why})")
    if reads:
        verdict.fail(f"it tried to read {_listed(reads)}", left_behind.DISTRUST)
    names = {encode(name): secrets.get(name, "") for name in writer.withheld_names()}
    asked = [
        f"{name} ({why})" if why else name
        for name, why in names.items()
        if (why or variables.looks_secret(name)) and not _is_denied(run, "env", name)
    ]
    if asked:
        hint = _BY_VALUE if any(names.values()) else REVIEW
        noun = "variable" if len(asked) == 1 else "variables"
        verdict.fail(f"it asked for the environment {noun} {_listed(asked)}", hint)
        verdict.is_answerable = False  # What looks secret is never asked about.


def _found(path: bytes, run: Run) -> str:
    """Say why a refused file is in the tier, by what was found on this machine."""
    real = os.path.realpath(path)
    return tier.why(path, run.held, run.held_longest) or tier.why(real, run.held, run.held_longest)


def _is_denied(run: Run, kind: str, target: str) -> bool:
    """Tell whether a person has denied `target` to the script."""
    return any(matches(rule, target) for rule in run.package["deny"].get(kind, ()))


def _listed(items: list[str]) -> str:
    unique = sorted(set(items))
    text = ", ".join(unique[:_MOST_NAMED])
    return f"{text} and {len(unique) - _MOST_NAMED} more" if len(unique) > _MOST_NAMED else text
