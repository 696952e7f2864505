"""Reads the calls that change the file system without opening anything.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.recorder import location, memory, refusal
from buildperm.tracer.recorder.decoding import RESTARTING
from buildperm.tracer.recorder.location import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import Enter, Leave, Observer, Seen, Stopped
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import ChangeLayout

_AT_SYMLINK_NOFOLLOW = 0x100


def handler(observer: Observer, _name: str, layout: ChangeLayout) -> tuple[Enter, Leave]:
    """Return what reads a call with such a layout."""
    change, place, other_place = layout.change, layout.path, layout.other
    resume = observer.resume
    follows, flags_at = layout.follows, layout.flags
    is_text = change == "symlinked"
    # Only of these it matters which two went together; looking twice costs as much again.
    has_two = change in ("renamed", "linked")

    def copied(tid: int, stopped: Stopped, where: tuple[int, int]) -> tuple[int, bytes | None]:
        start = stopped[where[0] + 1] if where[0] >= 0 else AT_FDCWD
        if where[1] < 0 or not stopped[where[1] + 1]:
            return start, None  # by descriptor: utimensat(2) with no path
        return start, observer.outer(memory.text(tid, stopped[where[1] + 1]) or b"")

    def named(tid: int, pid: int, arguments: Seen) -> tuple[bytes, bytes]:
        target, other, is_followed = arguments
        path = _changed_path(tid, pid, target, is_followed)
        if is_text or other[1] is None:
            return path, other[1] or b""
        return path, _changed_path(tid, pid, other, False)

    def arguments(tid: int, stopped: Stopped) -> Seen:
        is_followed = follows or (
            flags_at >= 0 and not stopped[flags_at + 1] & _AT_SYMLINK_NOFOLLOW
        )
        other = (AT_FDCWD, None) if other_place[1] < 0 else copied(tid, stopped, other_place)
        return copied(tid, stopped, place), other, is_followed

    def differs(
        tid: int, given: Seen, now: tuple[bytes, bytes], stopped: Stopped, before: Seen
    ) -> bool:
        try:
            return now != before or arguments(tid, stopped) != given
        except OSError:
            return False  # gone

    def enter(tid: int, process: Process, stopped: Stopped) -> Seen:
        given = arguments(tid, stopped)
        # What the filter answers is not made by the script: nothing can come between.
        if stopped[7] or not has_two:
            return given, None
        return given, (stopped, named(tid, process.pid, given))

    def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
        given, before = seen
        raced = False
        if given is None:  # See `changed`.
            path, origin = before
        else:
            path, origin = named(tid, process.pid, given)
            if before is not None and result >= 0:
                raced = differs(tid, given, (path, origin), *before)
        if not refused and (
            -result in refusal.SUSPECT
            or observer.is_hidden(result, path)
            or (origin and not is_text and observer.is_hidden(result, origin))
        ):
            refused = not observer.crosses(result, path, origin) and refusal.may_change(
                change, path, origin
            )
        resume(tid)
        if path.startswith(b"/") and -result < RESTARTING:
            observer.writer.changed(process, change, path, origin, -min(result, 0), refused, raced)

    return enter, leave


def changed(path: bytes) -> Seen:
    """Return what an `enter` would keep of a change whose file is known for certain."""
    return None, (path, b"")


def _changed_path(tid: int, pid: int, target: tuple[int, bytes | None], is_followed: bool) -> bytes:
    start, path = target
    if not path:  # None, or empty with AT_EMPTY_PATH
        return location.directory(tid, start)
    wanted = location.absolute(pid, tid, start, path)
    return location.resolved(wanted) if is_followed else location.parent_resolved(wanted)
