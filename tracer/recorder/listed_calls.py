"""Calls after which the lists of tools are gone, or mean something else: `listed_opens`.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat

from buildperm.tracer.recorder import location, memory
from buildperm.tracer.syscall_table import ChangeLayout, ExecutionLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from buildperm.tracer.recorder.asked_paths import AskedPaths
    from buildperm.tracer.recorder.observation import Decoded, Handler, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

    class Lists(Protocol):
        """The lists of all tools."""

        is_over: bool

        def tell(self, process: Process) -> None:
            """Read that of a process."""

        def end(self) -> None:
            """Have nothing listed from now on."""


INCOMPLETE = "one of its tools has not told all that it asked for"
"""Why a run is not kept, as a clause about it."""

_SHARED = "its processes share their current folder"
_WITH_FLAGS, _NOREPLACE = "renameat2", 1  # As mv(1) calls it.
_MOVING = ("rename", "renameat", _WITH_FLAGS)
_NOTHING, _FILE, _FOLDER = range(3)  # What is moved.


class ListedCalls:
    """Looks at these calls before they are made."""

    def __init__(self, listed: Lists, asked: AskedPaths) -> None:
        """Prepare to end `listed`; `asked` is told why the run cannot be kept."""
        self._listed = listed
        self._asked = asked

    def handlers(self, calls: dict[int, str], known: dict[int, Handler]) -> dict[int, Handler]:
        """Return handlers for them, by number."""
        made: dict[int, Handler] = {}
        executions = of(ExecutionLayout)
        for number, name in calls.items():
            if name in executions and number in known:
                made[number] = self._executing(known[number])
            elif name in ("symlink", "symlinkat") and number in known:
                made[number] = self._linking(known[number])
            elif name in _MOVING and number in known:
                made[number] = self._moving(known[number], of(ChangeLayout)[name])
            elif name == "clone":
                made[number] = self._at_clone, lambda *_: None
        return made

    def _executing(self, handler: Handler) -> Handler:
        begin, end = handler

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            self._listed.tell(process)
            if process.light is not None and len(process.threads) > 1:
                self._asked.reason = self._asked.reason or INCOMPLETE
            return begin(tid, process, syscall)

        return on_entry, end

    def _linking(self, handler: Handler) -> Handler:
        begin, end = handler

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            text = memory.c_string(tid, syscall[1]) or b""
            is_beside = text and b"/" not in text and text not in (b".", b"..")
            # Another thread could change the text before the kernel reads it.
            if not is_beside or len(process.threads) > 1:
                self._listed.end()
            return begin(tid, process, syscall)

        return on_entry, end

    def _moving(self, handler: Handler, layout: ChangeLayout) -> Handler:
        begin, end = handler
        start_at, path_at = (index + 1 for index in layout.other)
        absent: set[int] = set()  # Threads of which the call can but fail.

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            absent.discard(tid)
            if not self._listed.is_over:
                start = syscall[start_at] if start_at else location.AT_FDCWD
                path = memory.c_string(tid, syscall[path_at]) or b""
                path = location.absolute(process.pid, tid, start, path)
                # Another thread could change the text. renameat2(2) may exchange the two.
                is_sure = len(process.threads) == 1 and not _flags(syscall, layout) & ~_NOREPLACE
                moved = _moved(process.pid, path) if is_sure else _FOLDER
                if moved == _FOLDER:
                    self._listed.end()
                elif moved == _NOTHING:
                    absent.add(tid)
            decoded = begin(tid, process, syscall)
            if decoded is None and tid in absent:
                self._listed.end()  # Nobody will see its exit.
            return decoded

        def on_exit(
            tid: int, process: Process, decoded: Decoded, result: int, refused: bool
        ) -> None:
            if tid in absent and result >= 0:  # Somebody has put something there meanwhile.
                self._asked.reason = self._asked.reason or INCOMPLETE
                self._listed.end()
            absent.discard(tid)
            end(tid, process, decoded, result, refused)

        return on_entry, on_exit

    def _at_clone(self, _tid: int, _process: Process, _syscall: SyscallInfo) -> None:
        self._asked.reason = self._asked.reason or _SHARED


def _flags(syscall: SyscallInfo, layout: ChangeLayout) -> int:
    """Return the flags of renameat2(2); the other calls have none, and anything in their place."""
    return syscall[5] if layout is of(ChangeLayout)[_WITH_FLAGS] else 0


def _moved(pid: int, path: bytes) -> int:
    """Say what a process is about to move: a folder, unless it is certain that it is none."""
    if not path.startswith(b"/") or path.startswith((b"/proc/", b"/dev/")):
        return _FOLDER  # The latter means something else here.
    try:
        about = os.lstat(b"/proc/%d/root%b" % (pid, path))
    except (FileNotFoundError, NotADirectoryError):
        return _NOTHING
    except (OSError, ValueError):
        return _FOLDER
    return _FOLDER if stat.S_ISDIR(about.st_mode) else _FILE
