"""Says what a run depended on, by its recording and all that it asked for, or why nobody can say.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from errno import EACCES

from buildperm.cache.run_inputs import RunInputs, is_plain_device
from buildperm.rules import refused_habits
from buildperm.supervisor import own_links
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.writer import refused_attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.cache.input_kind import Input
    from buildperm.cache.known_digests import KnownDigests
    from buildperm.cache.path_tokens import PathTokens
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.supervisor.verdict import RunVerdict
    from buildperm.tracer.recorder.writer import Writer

_MOVES = ("renamed", "linked")


def why_not_kept(
    ended: EndedRun,
    verdict: RunVerdict,
    tokens: PathTokens,
    began_ns: int,
    known: KnownDigests | None,
    *,
    is_staged: bool = False,
) -> tuple[str, list[Input]]:
    """Return why a run cannot be kept, nothing if it can, and what it depended on.

    Args:
        ended: The run.
        verdict: What was found of it.
        tokens: Its places.
        began_ns: When it began: time.time_ns.
        known: Of files that need not be read.
        is_staged: See `RunInputs`.
    """
    why = _end(ended, verdict, tokens)
    if why:
        return why, []
    run, asked = ended.run, ended.run.asked
    assert asked is not None
    if asked.reason:
        return asked.reason, []
    # The program is part of the key, and has just been linked.
    own = (run.places["OUT_DIR"], run.places["TMP"], run.subject.program)
    made = own_links.of(ended.writer.events())
    if made is None:
        return "it has moved links too often", []
    if not own_links.lead_out((text for texts in made.values() for text in texts), own):
        made = {}  # What they lead to is its own.
    collector = RunInputs(tokens, own, began_ns, known, is_staged=is_staged, made=made)
    for key in ended.writer.events():
        why = _event(key, own, collector)
        if why:
            return why, []
    for path in sorted(asked.opened):
        collector.add_opened(path)
    for path in sorted(asked.looked):
        collector.add_looked(path)
    for path in sorted(asked.read_links):
        collector.add_read_link(path)
    for path in sorted(asked.executed):
        collector.add_executed(path)
    return collector.reason, collector.inputs()


def _end(ended: EndedRun, verdict: RunVerdict, tokens: PathTokens) -> str:
    """Say why a run cannot be kept for how it has ended."""
    recorder, writer = ended.recorder, ended.writer
    if verdict.failure or verdict.exit_status:
        return "it failed"
    if verdict.voided or recorder.voided:
        return "its recording is not complete"
    if writer.dropped or writer.dropped_refusals or writer.dropped_writes:
        return "not all that it did fits into a recording"
    if refusal := _refusal(writer, recorder.script.chain, tokens):
        return refusal
    if recorder.left_running:
        return "it left something running"
    if recorder.tokens.returned:
        return "it kept tokens of Cargo's job server"
    if recorder.met_file_limit:
        return "it met a limit"
    return ""


def _refusal(writer: Writer, own: int, tokens: PathTokens) -> str:
    """Say what the run was refused, if that was more than habits."""
    habits = {key for key in writer.events() if _is_habit(key, own, tokens)}
    if writer.refused == sum(map(writer.times, habits)):
        return ""
    for key in writer.events():
        attempt = None if key in habits else refused_attempt(key)
        if attempt is not None:
            return f"it was refused to {attempt[0]} {encode(attempt[1])}"
        if key[0] == "call" and key not in habits:
            return f"it was refused the call {key[2]}"
    return "it was refused something"


def _is_habit(key: tuple[object, ...], own: int, tokens: PathTokens) -> bool:
    """Tell whether an event is a refusal that no run with the same grants can do without.

    `own` is the script's own chain of programs.
    What is at the path of an open, or that nothing is, is an input: `AskedPaths.looked` has it.
    """
    match key:
        case ("opened", chain, bytes(path), "read", False, int(errno), True, False, _):
            is_habit = refused_habits.is_read(path, tokens.places, is_direct=chain == own)
            return errno == EACCES and is_habit
        case ("opened", _, bytes(path), "write" | "read-write", False, int(errno), True, False, _):
            return errno == EACCES and encode(path) in refused_habits.WRITES
        case ("socket", _, "connected", "unix", str(address), int(errno), True, *_):
            return errno == EACCES and refused_habits.is_socket(address)
        case ("call", _, str(name), _):
            return name in refused_habits.CALLS
        case _:
            return False


def _event(key: tuple[object, ...], own: tuple[bytes, ...], collector: RunInputs) -> str:
    """Add what one event tells; say why the run cannot be kept for it."""
    match key:
        case ("opened", _, bytes(path), str(mode), _, int(errno), _, raced, _):
            if raced:
                return f"it opened something else than it named: {encode(path)}"
            return _opened(path, mode, errno, own, collector)
        case ("changed", _, str(change), bytes(path), bytes(other), int(errno), _, raced):
            if raced or change == "led-out":
                return f"it made a link that leads elsewhere: {encode(path)}"
            paths = [path, other] if change in _MOVES else [path]
            outside = [each for each in paths if not _is_own(each, own)]
            if outside and not errno:
                return f"it changed {encode(outside[0])}"
            for each in outside:
                collector.add_looked(each)
        case ("executed", _, bytes(path), _, _, 0, *_):
            collector.add_executed(path)
        case ("socket", _, str(use), _, address, _, False, *_):  # What is refused is a habit.
            if use != "created":
                return f"it used a socket: {use} {address}"
        case ("call", _, str(name), *_) if name not in refused_habits.CALLS:
            return f"it was refused the call {name}"
        case ("environment", _, bytes(name), _, True, *_):
            return f"it asked for a variable that is withheld: {encode(name)}"
        case _:
            pass
    return ""


def _opened(
    path: bytes, mode: str, errno: int, own: tuple[bytes, ...], collector: RunInputs
) -> str:
    if errno or _is_own(path, own):
        return ""
    if path.startswith(b"/proc/") and path[6:7].isdigit():
        return f"it read about a process that is not its own: {encode(path)}"
    if "write" in mode:
        is_harmless = is_plain_device(path) or path.startswith(b"/proc/self/")
        return "" if is_harmless else f"it wrote {encode(path)}"
    if mode == "read":
        collector.add_opened(path)
    else:
        collector.add_looked(path)
    return ""


def _is_own(path: bytes, own: tuple[bytes, ...]) -> bool:
    return any(path == each or path.startswith(each + b"/") for each in own)
