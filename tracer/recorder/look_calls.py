"""Reads the calls that only look at a path, to find out what was looked at and not shown.

stat(2), access(2), readlink(2), getxattr(2), statfs(2) and chdir(2) fail where a sandbox wrapper
does not show what is there. Nothing else would tell that: to a script it is missing. So they stop
where there is a wrapper, and where everything is observed, as what is learnt has to hold within
one. They also stop where a script has folders of its own: `OwnFolders` then moves those at what is
in these, which is never hidden.

Nearly all of them ask about what is shown, or is nowhere. These go on at once, without a second
stop: the inner loop sees to that, or `Looks` where there is none. What is looked up for it is only
named, by O_PATH: a script decides where the path leads, and gets no answer.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import ENOENT

from buildperm.tracer.recorder import location, memory, refusal
from buildperm.tracer.recorder.location import AT_FDCWD
from buildperm.tracer.syscall_table import NOT_FOLLOWED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.recorder.observation import Decoded, Handler, Observer, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import LookLayout

WHOLE, ITSELF, CLOSED = 1, 2, 3
"""What is shown at a path: all below it, only what is there itself, or an empty cover."""

_LEADS_ON = (b"/root/", b"/cwd/")  # proc_pid_root(5): `/proc/PID/root/etc` is `/etc`.


class Looks:
    """What looks are recorded: those at what is not shown, or would not be without a grant."""

    def __init__(
        self,
        shown: Mapping[bytes, int],
        hides: Callable[[bytes], bool] | None,
        covers: Callable[[bytes], bool] | None,
        lacks: Callable[[bytes], bool] | None,
        would_hide: Callable[[bytes], bool] | None,
    ) -> None:
        """Take what is known of a run.

        Args:
            shown: What is shown, by path without links. What is neither in it nor below what is
                shown as a whole is looked at more closely.
            hides: Tells of a path without links whether it is not there within although it is
                outside; None where everything is.
            covers: Tells of one whether something else is shown in its place; None likewise.
            lacks: Tells whether not all is shown that is in a folder; None likewise.
            would_hide: Tells whether it would not be there if nothing had been granted, and asks
                for a grant; None where nobody wants to know.
        """
        self.shown = shown
        self._hides = hides
        self._covers = covers
        self._would_hide = would_hide
        self.lacks = lacks or (lambda _: False)

    def is_asked_about(self, wanted: bytes, *, follows: bool) -> bool:
        """Tell whether a look at `wanted` may have to be recorded: see `answered`.

        Args:
            wanted: Absolute; links are kept.
            follows: A last link is followed.
        """
        if wanted.startswith(b"/proc/") and not any(part in wanted for part in _LEADS_ON):
            return False
        real = _led(wanted, follows=follows)
        if self._covers is not None and self._covers(real):
            return True
        asked = (self._hides, self._would_hide)
        return any(hides and _concealed(wanted, real, hides) for hides in asked)

    def named(self, wanted: bytes) -> tuple[bytes, bool]:
        """Return what a look at `wanted` would be at, as `answered` does."""
        real = location.resolved(wanted)
        for hides, refused in ((self._hides, True), (self._would_hide, False)):
            found = _concealed(wanted, real, hides) if hides else b""
            if found:
                return found, refused
        return b"", False

    def is_wanted(self, found: bytes) -> bool:
        """Tell whether it takes a grant that what is at `found`, without links, can be seen."""
        return self._would_hide is not None and self._would_hide(found)

    def answered(self, wanted: bytes, result: int, *, follows: bool) -> tuple[bytes, bool]:
        """Return what a look was at, and whether it was refused; nothing if it is not recorded."""
        real = _led(wanted, follows=follows)
        if -result in refusal.ABSENCE_ERRNOS and self._hides is not None:
            return _concealed(wanted, real, self._hides), True
        if result < 0:
            return b"", False
        if self._covers is not None and self._covers(real):
            return real, True
        if self._would_hide is not None:
            return _concealed(wanted, real, self._would_hide), False
        return b"", False


def handler(observer: Observer, _name: str, layout: LookLayout) -> Handler:
    """Return the handler of a call with this layout."""
    start_at, path_at = (index + 1 for index in layout.path)
    flags_at, fixed_flags = layout.flags + 1, layout.fixed_flags
    writer, resume, threads = observer.writer, observer.resume, observer.threads

    def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
        looks = observer.looks
        if looks is None:
            return None  # It stops as the script has folders of its own: `OwnFolders`.
        path = observer.host_path(memory.c_string(tid, syscall[path_at]) or b"")
        if not path:
            return None
        start = syscall[start_at] if start_at else AT_FDCWD
        flags = syscall[flags_at] if flags_at else fixed_flags
        # Now: chdir(2) changes where it starts from.
        wanted = location.absolute(process.pid, tid, start, path)
        follows = not flags & NOT_FOLLOWED
        return (wanted, follows) if looks.is_asked_about(wanted, follows=follows) else None

    def on_exit(tid: int, process: Process, decoded: Decoded, result: int, refused: bool) -> None:
        resume(tid)
        wanted, follows = decoded
        if observer.looks is None:
            return
        found, refused = observer.looks.answered(wanted, result, follows=follows)
        if found:
            found = location.with_proc_self(threads, found)
            error = -min(result, 0)
            is_folder = os.path.isdir(found)
            writer.opened(process, found, "look", False, error, refused, False, is_folder)

    return on_entry, on_exit


def record_named(observer: Observer, process: Process, argv: tuple[bytes, ...]) -> None:
    """Record looks at what the arguments of a tool name, whose own looks nobody sees."""
    looks = observer.looks
    if looks is None:
        return
    for argument in argv[1:]:
        for path in _paths(argument):
            wanted = location.absolute(process.pid, process.pid, AT_FDCWD, path)
            if wanted.startswith(b"/") and looks.is_asked_about(wanted, follows=True):
                found, refused = looks.named(wanted)
                if found:
                    error = ENOENT if refused else 0
                    is_folder = os.path.isdir(found)
                    observer.writer.opened(
                        process, found, "look", False, error, refused, False, is_folder
                    )


def _paths(argument: bytes) -> tuple[bytes, ...]:
    """Return what of an argument may be a path: `-I/x`, `--sysroot=/x`, `x`."""
    if not argument.startswith(b"-"):
        return (argument,) if b"\0" not in argument else ()
    value = argument.partition(b"=")[2]
    return tuple(path for path in (argument[2:], value) if b"/" in path)


def _led(wanted: bytes, *, follows: bool) -> bytes:
    return location.resolved(wanted) if follows else location.parent_resolved(wanted)


def _is_passed_by(wanted: bytes, real: bytes) -> bool:
    """Tell whether a look goes through a link of the system's to a setting of the machine.

    Who looks through /usr/lib for a library, as clang-sys does, follows each: on Debian
    `/usr/lib/environment.d/99-environment.conf` leads to `/etc/environment`.
    """
    if not real.startswith(b"/etc/"):
        return False
    return os.path.normpath(wanted).startswith((b"/usr/lib", b"/usr/share/", b"/lib"))


def _concealed(wanted: bytes, real: bytes, hides: Callable[[bytes], bool]) -> bytes:
    """Return what of a path is there and hidden: where it leads, or else a link on its way."""
    if not os.path.lexists(real) or _is_passed_by(wanted, real):
        return b""
    if hides(real):
        return real
    return wanted if b"/.." not in wanted and hides(wanted) else b""
