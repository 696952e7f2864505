"""Turns the two stops of a system call into an event.

At the entry, only what the process may overwrite is copied. At the exit, the kernel's answer is
read. Each `on_exit` resumes the process as soon as nothing more has to be read from it, so that it
runs while the event is written down.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import EPERM, EXDEV

from buildperm.tracer.recorder import (
    change_calls,
    exec_calls,
    location,
    look_calls,
    open_calls,
    refusal,
    socket_calls,
)
from buildperm.tracer.syscall_table import (
    CALLS,
    CORE_LIMIT,
    ChangeLayout,
    CoreLimitLayout,
    ExecutionLayout,
    LookLayout,
    OpenLayout,
    SocketLayout,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any, Protocol, TypeAlias

    from buildperm.tracer.recorder.light_opens import LightOpens
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer

    SyscallInfo: TypeAlias = tuple[int, ...]
    """Number, six arguments and filter data: `ptrace.seccomp_stop_info`."""
    Decoded: TypeAlias = tuple[Any, ...]
    """The arguments that an `on_entry` has read for its `on_exit`; None: nothing to record."""
    OnEntry: TypeAlias = Callable[[int, Process, SyscallInfo], Decoded | None]
    OnExit: TypeAlias = Callable[[int, Process, Decoded, int, bool], None]
    """Takes the result (-errno for a failure) and whether the filter refused the call."""
    Handler: TypeAlias = tuple[OnEntry, OnExit]

    class Repeats(Protocol):
        """Counts calls that repeat one that has been recorded."""

        def note(self, found: bytes, entry: list[int] | None) -> None:
            """Note that the last call is in the recording, and that all like it are counted there.

            Args:
                found: The file that was opened; empty if the call has failed.
                entry: See `Writer.opened`; None also where others like it may be other events.
            """


class Observer:
    """Maps each call number to its handler, and holds what all handlers share."""

    def __init__(
        self,
        writer: Writer,
        calls: dict[int, str],
        resume: Callable[[int], None],
        threads: Container[int],
    ) -> None:
        self.writer = writer
        self.resume = resume  # Resumes a stopped thread.
        self.threads = threads  # Those of the tree that are alive.
        self.paths = open_calls.OpenedPaths()
        self.repeats: Repeats | None = None
        self.hides: Callable[[bytes], bool] | None = None  # See Recorder.expect_wrapper.
        self.is_written: Callable[[bytes], bool] | None = None  # Likewise.
        self.looks: look_calls.Looks | None = None  # See Recorder.observe_looks.
        self.by_namespace_pid: dict[int, int] | None = None  # See ProcessTree.
        self.light: LightOpens | None = None  # See Recorder.observe_lightly.
        self.handlers: dict[int, Handler] = {}
        for number, name in calls.items():
            layout = CALLS.get(name)
            make = _HANDLERS.get(type(layout))
            if make is not None:
                self.handlers[number] = make(self, name, layout)

    def host_path(self, path: bytes) -> bytes:
        """Return `path` with the N of `/proc/N` as it is in this PID namespace."""
        if self.by_namespace_pid is None or not path.startswith(b"/proc/"):
            return path
        number, slash, rest = path[6:].partition(b"/")
        pid = self.by_namespace_pid.get(int(number)) if number.isdigit() else None
        return path if pid is None else b"/proc/%d" % pid + slash + rest

    def is_hidden(self, result: int, wanted: bytes) -> bool:
        """Tell whether a call failed because the wrapper does not show what `wanted` names outside.

        ENOENT or ENOTDIR, where the kernel outside knows better: the one case in which "it is not
        there" is the sandbox's answer.
        """
        return bool(self.hidden(result, wanted))

    def hidden(self, result: int, wanted: bytes) -> bytes:
        """Return what the wrapper does not show where `is_hidden`: where `wanted` leads, or a link.

        What a link leads to may be shown, and the link itself not.
        """
        if self.hides is None or -result not in refusal.ABSENCE_ERRNOS:
            return b""
        led = location.resolved(wanted)
        if self.hides(led):
            return led
        is_link = b"/.." not in wanted and os.path.lexists(wanted) and self.hides(wanted)
        return wanted if is_link else b""

    def crosses(self, result: int, path: bytes, origin: bytes) -> bool:
        """Tell whether a rename or link only failed because its two paths are on different mounts.

        Both may be written. rename(2), EXDEV: on many machines, that is how a rename between the
        temporary folder and any other folder ends.
        """
        if self.is_written is None or -result != EXDEV or not origin:
            return False
        return self.is_written(path) and self.is_written(origin)


def _core_limit_handler(observer: Observer, name: str, _layout: CoreLimitLayout) -> Handler:
    """Return the handler of a call that sets the limit of core dumps."""
    resume = observer.resume

    def on_entry(_tid: int, _process: Process, syscall: SyscallInfo) -> Decoded:
        return ()

    def on_exit(tid: int, process: Process, _decoded: Decoded, result: int, refused: bool) -> None:
        resume(tid)
        if refused:  # By the filter: it was another process's.
            observer.writer.call(process, name, -result)
        elif result == -EPERM:  # setrlimit(2): above what the script was left with.
            observer.writer.call(process, CORE_LIMIT, EPERM)

    return on_entry, on_exit


_HANDLERS: dict[type[object], Callable[[Observer, str, Any], Handler]] = {
    OpenLayout: open_calls.handler,
    LookLayout: look_calls.handler,
    ChangeLayout: change_calls.handler,
    ExecutionLayout: exec_calls.handler,
    SocketLayout: socket_calls.handler,
    CoreLimitLayout: _core_limit_handler,
}
