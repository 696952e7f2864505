"""Records which variables a build script asks libc for, by breakpoints in its program.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder import breakpoint as breakpoints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer


class EnvironmentReads:
    """Watches one program wherever it is executed, and knows what was done to its environment."""

    def __init__(self, writer: Writer) -> None:
        self.withheld: frozenset[bytes] = frozenset()  # Names kept from the script's environment.
        self.secrets: Mapping[bytes, str] = {}  # By name, what of a value was kept from it.
        self.provided: frozenset[bytes] = frozenset()  # Names that buildperm has set: not recorded.
        self.unseen = ""  # Why environment reads could not be seen; empty if they could.
        self.at_entry: Callable[[Process], None] = lambda _: None
        """Called with a process that is about to begin the program."""

        self._writer = writer
        self._program = (0, 0)

    def watch(self, program: bytes) -> None:
        """Watch the file `program`."""
        self._program = file_identity(program)

    def at_exec(self, process: Process) -> None:
        """Insert the breakpoints, if `process` has just executed the program."""
        process.breakpoints = None
        if process.program and file_identity(b"/proc/%d/exe" % process.pid) == self._program:
            process.breakpoints = breakpoints.insert_at_entry(process.pid)

    def at_sigtrap(self, tid: int, process: Process) -> bool:
        """Record what a breakpoint has stopped for; say whether the SIGTRAP is of a breakpoint.

        Raises:
            OSError: The process is gone or unreadable.
        """
        points = process.breakpoints
        if points is None:
            return False
        had_begun = points.has_begun
        try:
            name = points.handle_trap(process.pid, tid)
        except ProcessLookupError:
            raise
        except OSError:
            self.unseen = points.unseen
            raise
        self.unseen = points.unseen
        if points.has_begun and not had_begun:
            self.at_entry(process)
        if name:
            self.file(process, name, name in points.names)
        return name is not None

    def file(self, process: Process, name: bytes, present: bool, count: int = 1) -> None:
        """Record that `process` has asked for a variable, so many times."""
        if name in self.provided:
            return
        self._writer.environment(
            process,
            name,
            present,
            name in self.withheld,
            self.secrets.get(name, ""),
            count=count,
        )

    def take_over(self, process: Process) -> None:
        """Insert the breakpoints into `process`, which has been running for a while.

        Raises:
            OSError: It is gone or unreadable.
        """
        process.breakpoints = breakpoints.Breakpoints(0)
        process.breakpoints.find(process.pid, process.pid)
        self.unseen = process.breakpoints.unseen


def file_identity(path: bytes) -> tuple[int, int]:
    """Return device and inode of what is at `path`; zeros where nothing is."""
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino
