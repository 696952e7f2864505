"""Reads the calls that change the file system without opening anything.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.recorder import location, memory, refusal
from buildperm.tracer.recorder.decoding import RESTARTING
from buildperm.tracer.recorder.location import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import (
        Decoded,
        Handler,
        Observer,
        SyscallInfo,
    )
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import ChangeLayout

_AT_SYMLINK_NOFOLLOW = 0x100


def handler(observer: Observer, _name: str, layout: ChangeLayout) -> Handler:
    """Return the handler of a call with this layout."""
    change, place, other_place = layout.change, layout.path, layout.other
    resume = observer.resume
    follows, flags_at = layout.follows, layout.flags
    is_text = change == "symlinked"
    # Only for these two does it matter which paths went together; looking twice doubles the cost.
    has_two = change in ("renamed", "linked")

    def copied(tid: int, syscall: SyscallInfo, where: tuple[int, int]) -> tuple[int, bytes | None]:
        start = syscall[where[0] + 1] if where[0] >= 0 else AT_FDCWD
        if where[1] < 0 or not syscall[where[1] + 1]:
            return start, None  # By descriptor: utimensat(2) without a path.
        return start, observer.host_path(memory.c_string(tid, syscall[where[1] + 1]) or b"")

    def named(tid: int, pid: int, arguments: Decoded) -> tuple[bytes, bytes]:
        target, other, is_followed = arguments
        path = _changed_path(tid, pid, target, is_followed)
        if is_text or other[1] is None:
            return path, other[1] or b""
        return path, _changed_path(tid, pid, other, False)

    def arguments(tid: int, syscall: SyscallInfo) -> Decoded:
        is_followed = follows or (
            flags_at >= 0 and not syscall[flags_at + 1] & _AT_SYMLINK_NOFOLLOW
        )
        other = (AT_FDCWD, None) if other_place[1] < 0 else copied(tid, syscall, other_place)
        return copied(tid, syscall, place), other, is_followed

    def differs(
        tid: int, given: Decoded, now: tuple[bytes, bytes], syscall: SyscallInfo, before: Decoded
    ) -> bool:
        try:
            return now != before or arguments(tid, syscall) != given
        except OSError:
            return False  # gone

    def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded:
        given = arguments(tid, syscall)
        # The script does not make a call that the filter answers: nothing can come in between.
        if syscall[7] or not has_two:
            return given, None
        return given, (syscall, named(tid, process.pid, given))

    def on_exit(tid: int, process: Process, decoded: Decoded, result: int, refused: bool) -> None:
        given, before = decoded
        raced = False
        if given is None:  # See `changed`.
            path, origin = before
        else:
            path, origin = named(tid, process.pid, given)
            if before is not None and result >= 0:
                raced = differs(tid, given, (path, origin), *before)
        if not refused and (
            -result in refusal.SANDBOX_ERRNOS
            or observer.is_hidden(result, path)
            or (origin and not is_text and observer.is_hidden(result, origin))
        ):
            refused = not observer.crosses(result, path, origin) and refusal.may_change(
                change, path, origin
            )
        resume(tid)
        if path.startswith(b"/") and -result < RESTARTING:
            observer.writer.changed(process, change, path, origin, -min(result, 0), refused, raced)

    return on_entry, on_exit


def changed(path: bytes) -> Decoded:
    """Return what `on_entry` would return for a change of a file that is known for certain."""
    return None, (path, b"")


def _changed_path(tid: int, pid: int, target: tuple[int, bytes | None], is_followed: bool) -> bytes:
    start, path = target
    if not path:  # None, or empty with AT_EMPTY_PATH
        return location.directory(tid, start)
    wanted = location.absolute(pid, tid, start, path)
    return location.resolved(wanted) if is_followed else location.parent_resolved(wanted)
