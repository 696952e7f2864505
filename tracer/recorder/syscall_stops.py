"""Handles the two stops of a system call: reads it, refuses it, or has a broker make it.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.recorder import ptrace, registers
from buildperm.tracer.recorder.brokered import Refused, Result, Substitute
from buildperm.tracer.recorder.decoding import refused_call
from buildperm.tracer.recorder.process_tree import kill
from buildperm.tracer.recorder.ptrace import CONT, SYSCALL, request
from buildperm.tracer.syscall_table import (
    BROKERED,
    FOREIGN,
    ExecutionLayout,
    OpenLayout,
    TokenLayout,
    of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from buildperm.tracer.recorder.brokered import Answer, Broker
    from buildperm.tracer.recorder.cpu_affinity import CpuAffinity
    from buildperm.tracer.recorder.observation import Decoded, Handler, OnExit, SyscallInfo
    from buildperm.tracer.recorder.own_folders import MovedCall, OwnFolders
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.rustc_temporaries import RustcTemporaries
    from buildperm.tracer.recorder.writer import Writer

    InCall: TypeAlias = tuple[OnExit, Decoded, Process]
    """What handles the exit of a call, the arguments that were read, and whose call it is."""

_ERRNO_MAX = 0xFFF  # seccomp(2): SECCOMP_RET_DATA has more bits than an errno.


class SyscallStops:
    """Knows the threads that are in a call, and what to do at its exit."""

    def __init__(
        self,
        writer: Writer,
        calls: dict[int, str],
        handlers: dict[int, Handler],
        affinity: CpuAffinity,
        void: Callable[[Process], None],
    ) -> None:
        """Prepare to handle stops.

        Args:
            writer: Where events go.
            calls: Name by number of each call that the filter may stop.
            handlers: By number, what reads a call.
            affinity: Resumes threads.
            void: Notes that a process cannot be read.
        """
        self.handlers = handlers
        self.brokers: dict[int, Broker] = {}
        self._writer = writer
        self._calls = calls
        self._affinity = affinity
        self._void = void
        # Tells of a thread and its call whether the recorder has it make the call, for itself.
        self.is_own: Callable[[int, int], bool] = lambda *_: False
        self._in_call: dict[int, InCall] = {}  # By thread, until its exit.
        # Returns the call that a thread is in whose entry somebody else has handled.
        self.take: Callable[[int], InCall | None] = lambda _: None
        self.temporaries: RustcTemporaries | None = None
        self.own_folders: OwnFolders | None = None
        self.moved: dict[
            int, MovedCall
        ] = {}  # By thread, what is to be put back before it goes on.
        self.is_taken: Callable[[int], bool] = lambda _: False  # Tells whether there is one.
        # Returns what to do in the place of an open; see `OwnProc`.
        self.copy: Callable[[int, Process, Decoded, int, tuple[int, ...]], Substitute | None]
        self.copy = lambda *_: None
        # The same; see `RootFolder`.
        self.start: Callable[[Process, Decoded, SyscallInfo], Substitute | None]
        self.start = lambda *_: None
        opens = of(OpenLayout)
        # By number, which of the words of a stop says where the path is.
        self._opens = {
            number: opens[name].path[1] + 1 for number, name in calls.items() if name in opens
        }
        # execve(2) may end in another thread, and a read may block for as long as it likes.
        unpinned = {*of(ExecutionLayout), *of(TokenLayout)}
        self._unpinned_calls = {number for number, name in calls.items() if name in unpinned}

    def forget(self, tid: int) -> Decoded | None:
        """Forget the call that `tid` is in, and return its arguments, if any were read."""
        pending = self._in_call.pop(tid, None) or self.take(tid)
        self.moved.pop(tid, None)
        if self.own_folders is not None:
            self.own_folders.forget(tid)
        return pending and pending[1]

    def is_in_call(self, tid: int) -> bool:
        """Tell whether `tid` is in a call whose exit is to be handled."""
        return tid in self._in_call or self.is_taken(tid)

    def at_seccomp_stop(self, tid: int, process: Process) -> None:
        """Handle the seccomp stop at the entry of a call."""
        syscall = ptrace.seccomp_stop_info(tid)
        if syscall is None:
            return
        if syscall[7] & FOREIGN:
            self._refuse_foreign(tid, process, syscall)
            return
        errno = syscall[7] & _ERRNO_MAX
        if self.is_own(tid, syscall[0]):
            request(CONT, tid, None, None)
            return
        temporaries = self.temporaries
        if (
            temporaries is not None
            and process.pid in temporaries.due
            and not errno
            and self._moves(tid, process, temporaries, syscall[0])
        ):
            return
        moved = None
        if self.own_folders is not None:
            try:
                moved = self.own_folders.moved(tid, syscall)
            except ProcessLookupError:
                return
            except PermissionError:
                pass  # Its handler says so.
        if moved is not None:
            syscall = moved.syscall
        handler = self.handlers.get(syscall[0])
        decoded = None
        if handler is not None:
            try:
                decoded = handler[0](tid, process, syscall)
            except ProcessLookupError:
                return
            except PermissionError:
                self._void(process)
        if errno:
            broker = self.brokers.get(syscall[0]) if syscall[7] & BROKERED else None
            answer: Answer = Refused(errno, decoded)
            if broker is not None:
                try:
                    answer = broker(tid, process, syscall, decoded)
                except ProcessLookupError:
                    return
            if moved is not None:
                moved.put_back(tid)
            self._answer(tid, process, syscall, handler, answer)
        elif moved is not None:
            self.moved[tid] = moved
            arguments = syscall[1:7]
            self._substitute(tid, process, handler, Substitute(syscall[0], arguments, decoded))
        elif handler is None or decoded is None:
            request(CONT, tid, None, None)
        elif syscall[0] in self._opens and (
            other := self.start(process, decoded, syscall)
            or self.copy(tid, process, decoded, syscall[self._opens[syscall[0]]], syscall[3:7])
        ):
            self._substitute(tid, process, None, other)
        else:
            self._in_call[tid] = handler[1], decoded, process
            if syscall[0] in self._unpinned_calls:
                request(SYSCALL, tid, None, None)
            else:
                self._affinity.resume_call(tid)

    def _moves(
        self, tid: int, process: Process, temporaries: RustcTemporaries, number: int
    ) -> bool:
        """Tell whether a thread goes to another folder before it makes the call `number`."""
        before = temporaries.begin(tid, process)
        if before is None:
            return False

        def on_exit(tid: int, _process: Process, *_: object) -> None:
            if registers.repeat_call(tid, before, number):
                request(CONT, tid, None, None)
            else:
                kill(tid)

        self._in_call[tid] = on_exit, (), process
        request(SYSCALL, tid, None, None)
        return True

    def at_exit_stop(self, tid: int) -> None:
        """Handle the syscall-exit-stop of a recorded call."""
        pending = self._in_call.pop(tid, None) or self.take(tid)
        if pending is None:
            request(CONT, tid, None, None)
            return
        result = ptrace.exit_stop_result(tid)
        if result is not None:
            on_exit, decoded, process = pending
            on_exit(tid, process, decoded, result, False)

    def _refuse_foreign(self, tid: int, process: Process, syscall: SyscallInfo) -> None:
        """Refuse a call of another architecture, whose number means nothing here."""
        errno = syscall[7] & _ERRNO_MAX
        if not registers.skip_foreign_call(tid, -errno):
            kill(tid)
            return
        request(CONT, tid, None, None)
        # `__X32_SYSCALL_BIT`: x32 calls are 64-bit calls with other numbers.
        name = "x32 call" if syscall[0] & 0x40000000 else "i386 call"
        self._writer.call(process, name, errno)

    def _answer(
        self,
        tid: int,
        process: Process,
        syscall: SyscallInfo,
        handler: Handler | None,
        answer: Answer,
    ) -> None:
        """Give `tid` the answer to a call that is not made as it is."""
        match answer:
            case Substitute():
                self._substitute(tid, process, handler, answer)
                return
            case Result():
                value, refused = answer.value, False
            case Refused():
                value, refused = -answer.errno, True
        if not registers.skip_call(tid, value):
            kill(tid)
        elif handler is not None and answer.decoded is not None:
            handler[1](tid, process, answer.decoded, value, refused)
        else:
            request(CONT, tid, None, None)
            if refused:
                name = self._calls.get(syscall[0], str(syscall[0]))
                self._writer.call(process, refused_call(name, syscall), -value)

    def _substitute(
        self,
        tid: int,
        process: Process,
        handler: Handler | None,
        other: Substitute,
    ) -> None:
        """Make `tid` execute another call, and present its result as that of its own."""
        before = registers.load(tid)
        if before is None:
            return
        if not registers.replace_call(tid, before, other.number, other.arguments):
            kill(tid)
            return

        def on_exit(
            tid: int, process: Process, decoded: Decoded, result: int, refused: bool
        ) -> None:
            result = other.translate(result)
            if not registers.restore_call(tid, before, result):
                kill(tid)
            elif handler is None or other.decoded is None:
                if tid in self.moved:
                    self.moved.pop(tid).put_back(tid)
                request(CONT, tid, None, None)
            else:
                handler[1](tid, process, decoded, result, refused)

        self._in_call[tid] = on_exit, other.decoded or (), process
        request(SYSCALL, tid, None, None)
