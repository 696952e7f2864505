"""Records a process tree: a loop over the stops of ptrace(2), one thread, no state elsewhere.

    running ──filter──▶ seccomp stop ──PTRACE_SYSCALL──▶ exit stop ──PTRACE_CONT──▶ running
                           │ refused: number -1, result -errno ──PTRACE_CONT──▶ running
                           └ execve that succeeds ──▶ exec stop ──PTRACE_CONT──▶ running

Enforcement does not depend on what is read here; refusing a call that the filter has marked does
not read anything either.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import gc
import os

from buildperm.tracer import breakpoint as breakpoints
from buildperm.tracer import ptrace, registers
from buildperm.tracer.notation import encode
from buildperm.tracer.observation import Observer, executed
from buildperm.tracer.ptrace import (
    AT_EXIT,
    AT_FILTER,
    CONT,
    LISTEN,
    SINGLESTEP,
    SYSCALL,
    WALL,
    request,
)
from buildperm.tracer.tree import SIGKILL, Tree, children, kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.observation import Leave, Seen
    from buildperm.tracer.tree import Process
    from buildperm.tracer.writer import Writer

_ERRNO_MAX = 0xFFF  # seccomp(2): SECCOMP_RET_DATA carries more bits than an errno has
_SIGTRAP = 5


class Recorder:
    """Traces one build script and everything that it starts, and reaps every child there is."""

    def __init__(self, writer: Writer, calls: dict[int, str]) -> None:
        """Prepare to record.

        Args:
            writer: Where events go.
            calls: Name by number of each call that the filter may stop.
        """
        self.withheld: frozenset[bytes] = frozenset()  # Names kept from the script's environment.
        self.process_limit = 0  # Live processes beyond which the tree is killed; 0: any number.
        self.left_running = 0  # Processes that were still there when the script had ended.
        self.voided = ""  # Why the recording cannot be relied on; empty if it can.
        self.failure = ""  # Why the recorder itself has killed the tree; empty if it has not.
        self.unseen = ""  # Why environment reads could not be seen; empty if they could.
        self._writer = writer
        self._calls = calls
        self._handlers = Observer(writer, calls).handlers
        self._tree = Tree(writer)
        self._threads = self._tree.threads
        self._pending: dict[int, tuple[Leave, Seen, Process]] = {}  # By thread, until its exit.
        self._root = 0
        self._program = (0, 0)
        self._is_stopping = False

    def attach(self, pid: int, program: bytes) -> None:
        """Begin to trace the child `pid`, which has not confined itself or executed anything yet.

        Also hides this process from its tree and makes it the parent of orphans.

        Args:
            pid: A child of this process, which waits for this to return.
            program: The file whose environment reads are recorded wherever it is executed.

        Raises:
            OSError: ptrace is refused here.
        """
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # wait(2): no status where it is ignored
        ptrace.seize(pid)
        ptrace.hide()
        ptrace.adopt_orphans()
        self._program = _identity(program)
        self._root = pid
        self._tree.add_root(pid)

    def run(self) -> int:
        """Record until the build script has ended, then end what it has left running.

        Returns:
            The script's wait status: wait(2).
        """
        if self._is_stopping:
            self._kill_all()
        gc.disable()  # hundreds of thousands of tuples and no cycles: it would only cost time
        wait = os.waitpid
        while True:
            try:
                tid, status = wait(-1, WALL)
            except ChildProcessError:
                self.voided = self.voided or "the build script was reaped by somebody else"
                return SIGKILL
            if status == AT_FILTER:
                self._entered(tid)
            elif status == AT_EXIT:
                self._left(tid)
            elif status & 0xFF == 0x7F:
                self._stopped(tid, status)
            else:
                self._ended(tid)
                if tid == self._root:
                    self._end_rest()
                    return status

    @property
    def pids(self) -> set[int]:
        """The IDs of all processes that the tree ever had."""
        return self._tree.pids

    def stop(self) -> None:
        """Kill the tree, so that `run` returns soon; may be called by a signal handler."""
        self._is_stopping = True
        self._kill_all()

    def _stopped(self, tid: int, status: int) -> None:
        """Handle any other stop: ptrace(2), "Stopped states"."""
        event, signal = status >> 16, status >> 8 & 0xFF
        process = self._threads.get(tid) or self._tree.adopt(tid)
        if event == ptrace.EVENT_EXEC:
            self._executed(tid)
        elif event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            self._made(tid, process)
        elif event == ptrace.EVENT_STOP and signal != _SIGTRAP:  # a group-stop; SIGCONT ends it
            request(LISTEN, tid, None, None)
        elif event:
            self._started(tid, process)
        elif signal == _SIGTRAP:
            self._trapped(tid, process)
        else:
            self._resume(tid, process, signal)

    def _entered(self, tid: int) -> None:
        """Handle a seccomp stop."""
        process = self._threads.get(tid) or self._tree.adopt(tid)
        stopped = ptrace.stopped_call(tid)
        if stopped is None:
            return
        handler = self._handlers.get(stopped[0])
        errno = min(stopped[7], _ERRNO_MAX)
        seen = None
        if handler is not None:
            try:
                seen = handler[0](tid, process, stopped)
            except ProcessLookupError:
                return
            except PermissionError:
                self._void(process)
        if errno:
            if not registers.refuse(tid, errno):
                kill(tid)
            elif handler is None or seen is None:
                request(CONT, tid, None, None)
                self._writer.call(process, self._calls.get(stopped[0], str(stopped[0])), errno)
            else:
                handler[1](tid, process, seen, -errno, True)
        elif handler is None or seen is None:
            request(CONT, tid, None, None)
        else:
            self._pending[tid] = handler[1], seen, process
            request(SYSCALL, tid, None, None)

    def _left(self, tid: int) -> None:
        """Handle the exit stop of a recorded call."""
        pending = self._pending.pop(tid, None)
        if pending is None:
            request(CONT, tid, None, None)
            return
        result = ptrace.stopped_result(tid)
        if result is not None:
            leave, seen, process = pending
            leave(tid, process, seen, result, False)

    def _executed(self, pid: int) -> None:
        """Handle an exec stop: `pid` is the process, whichever of its threads made the call."""
        former = ptrace.message(pid)
        before = self._threads.get(pid) or self._tree.adopt(pid)
        for tid in before.threads - {former}:
            self._pending.pop(tid, None)
        pending = self._pending.pop(former, None)
        program, requested, argv = executed(pid, pending and pending[1])
        if program:
            self._writer.executed(before, program, requested, argv, 0, False)
        process = self._tree.executed(pid, former, program, argv)
        process.breakpoints = None
        if program and _identity(b"/proc/%d/exe" % pid) == self._program:
            process.breakpoints = breakpoints.arm(pid)
        request(CONT, pid, None, None)

    def _made(self, tid: int, process: Process) -> None:
        """Handle the report of a new thread or process."""
        made = ptrace.message(tid)
        if made:
            self._tree.created(made, process)
            if self._is_stopping:
                self._kill_all()
            elif 0 < self.process_limit < len(self._tree.processes):
                self.failure = f"more than {self.process_limit} processes at once"
                self.stop()
        self._resume(tid, process, 0)

    def _started(self, tid: int, process: Process) -> None:
        """Handle the first stop of a thread, or the end of its group-stop."""
        if self._is_stopping:
            self._kill_all()
        self._resume(tid, process, 0)

    def _trapped(self, tid: int, process: Process) -> None:
        """Handle SIGTRAP, which is a breakpoint of ours or the program's own affair."""
        points = process.breakpoints
        name = None
        if points is not None:
            try:
                name = points.trapped(process.pid, tid)
            except ProcessLookupError:
                return
            except OSError:
                name = b""
                self._void(process)
            self.unseen = points.unseen
        if points is not None and name:
            self._writer.environment(process, name, name in points.names, name in self.withheld)
        self._resume(tid, process, _SIGTRAP if name is None else 0)

    def _resume(self, tid: int, process: Process, signal: int) -> None:
        points = process.breakpoints
        is_stepping = points is not None and points.is_stepping(tid)
        request(SINGLESTEP if is_stepping else CONT, tid, None, signal)

    def _ended(self, tid: int) -> None:
        process = self._threads.get(tid)
        if process is not None and process.breakpoints is not None:
            process.breakpoints.forget(tid)
        self._tree.remove(tid)
        self._pending.pop(tid, None)

    def _void(self, process: Process) -> None:
        if not self.voided:
            self.voided = (
                f"process {process.pid} could no longer be read: `{encode(process.program)}`"
            )

    def _end_rest(self) -> None:
        """Kill and reap until no child is left, daemons included, and count them."""
        killed: set[int] = set()
        try:
            while True:  # what has ended by itself by now is not counted
                tid, status = os.waitpid(-1, WALL | os.WNOHANG)
                if not tid:
                    break
                if status == AT_EXIT:
                    self._left(tid)  # it has been done, so it is recorded
                elif status & 0xFF == 0x7F:
                    if tid not in self._threads:
                        self._tree.adopt(tid)
                else:
                    self._ended(tid)
            while True:
                for pid in {*self._tree.processes, *children()}:
                    killed.add(pid)
                    kill(pid)
                tid, status = os.waitpid(-1, WALL)
                if status & 0xFF == 0x7F:
                    kill(tid)
                    if tid not in self._threads:
                        self._tree.adopt(tid)
                else:
                    self._ended(tid)
        except ChildProcessError:
            self.left_running = len(killed)

    def _kill_all(self) -> None:
        for pid in list(self._tree.processes):
            kill(pid)


def _identity(path: bytes) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino
