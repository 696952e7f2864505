"""Records a process tree: a loop over the stops of ptrace(2), one thread, no state elsewhere.

    running ──filter──▶ seccomp stop ──PTRACE_SYSCALL──▶ exit stop ──PTRACE_CONT──▶ running
                           │ refused: number -1, result -errno ──PTRACE_CONT──▶ running
                           └ execve that succeeds ──▶ exec stop ──PTRACE_CONT──▶ running

Enforcement does not depend on what is read here. To refuse a call that the filter has marked, the
recorder reads nothing either.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import gc
import os

from buildperm.tracer.notation import encode
from buildperm.tracer.recorder import inner_loop, look_calls, ptrace, signalling
from buildperm.tracer.recorder.cpu_affinity import CpuAffinity
from buildperm.tracer.recorder.environment_reads import EnvironmentReads, file_identity
from buildperm.tracer.recorder.exec_calls import executed
from buildperm.tracer.recorder.jobserver_tokens import JobserverTokens
from buildperm.tracer.recorder.observation import Observer
from buildperm.tracer.recorder.own_folders import OwnFolders
from buildperm.tracer.recorder.own_proc import OwnProc
from buildperm.tracer.recorder.process_tree import (
    SIGKILL,
    OwnThreads,
    ProcessTree,
    children,
    kill,
)
from buildperm.tracer.recorder.ptrace import (
    CONT,
    LISTEN,
    SECCOMP_STOP,
    SINGLESTEP,
    SYSCALL_EXIT_STOP,
    WALL,
    request,
)
from buildperm.tracer.recorder.root_folder import RootFolder
from buildperm.tracer.recorder.run_end import TooManyProcesses
from buildperm.tracer.recorder.syscall_stops import SyscallStops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildperm.tracer.recorder.asked_paths import AskedPaths
    from buildperm.tracer.recorder.folder_reads import FolderReads
    from buildperm.tracer.recorder.frozen import FrozenProcess
    from buildperm.tracer.recorder.light_opens import LightOpens
    from buildperm.tracer.recorder.listed_opens import ListedOpens
    from buildperm.tracer.recorder.look_calls import Looks
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.rustc_temporaries import RustcTemporaries
    from buildperm.tracer.recorder.writer import Writer

THREADS = 4
"""How many threads the limit allows for each process: a thread takes up a process ID, too."""

_SIGTRAP = 5
_SIGXFSZ = 25


class Recorder:
    """Traces one build script and everything that it starts, and reaps every child."""

    def __init__(self, writer: Writer, calls: dict[int, str], library: bytes = b"") -> None:
        """Prepare to record.

        Args:
            writer: Where events go.
            calls: Name by number of each call that the filter may stop.
            library: See `inner_loop.start`; empty where there is none.
        """
        self.process_limit = 0  # Live processes beyond which the tree is killed: THREADS; 0: any.
        self.left_running = 0  # Processes that were still there when the script had ended.
        self.voided = ""  # Why the recording cannot be relied on; empty if it can.
        self.stop_cause: TooManyProcesses | None = None  # Why the recorder itself killed the tree.
        self.met_file_limit = False  # A process was told that a file may not grow: RLIMIT_FSIZE.
        self.environment = EnvironmentReads(writer)
        self._writer = writer
        self._calls = calls
        self._inner = inner_loop.start(library, calls)
        self._affinity = self._inner.affinity if self._inner else CpuAffinity()
        self._tree = ProcessTree(writer)
        own = OwnThreads(self._tree.threads, self._is_wrapper)
        self._observer = Observer(writer, calls, self._resume_call, own)
        handlers = self._observer.handlers
        handlers |= signalling.handlers(
            calls,
            writer,
            self._tree,
            self._is_wrapper,
            self._affinity.resume,
        )
        handlers |= self._affinity.handlers(calls)
        self._syscalls = SyscallStops(writer, calls, handlers, self._affinity, self._void)
        self.own_proc = OwnProc(self._tree, writer, self._is_wrapper)
        self._syscalls.copy = self.own_proc.copy
        self.root_folder = RootFolder(calls, writer)
        self._syscalls.start = self.root_folder.start
        if self._inner:
            self._inner.join(self._tree, self._observer, self._syscalls)
        self.brokers = self._syscalls.brokers  # By call, for those that the filter marks so.
        self.tokens = JobserverTokens(self._affinity.resume)  # Of Cargo's job server.
        self._threads = self._tree.threads
        self._root = 0  # The build script; before it has begun, the sandbox wrapper around it.
        self._starter: tuple[int, int] | None = (
            None  # Which file; None: it is over, or none is used.
        )
        self._wrapper_pids: set[int] = set()  # Processes that only hold the script.
        self.has_begun = True  # What is recorded is the script, not its wrapper.
        self._is_stopping = False
        self._light: LightOpens | None = None
        self._listed: ListedOpens | None = None
        self._reads: FolderReads | None = None
        self._taken: FrozenProcess | None = None  # It has been running before: see `take_over`.

    def attach(self, pid: int, program: bytes) -> None:
        """Start to trace the child `pid`, which has neither confined itself nor executed anything.

        Also keeps the tree out of this process's memory and makes it the parent of orphans.

        Args:
            pid: A child of this process; it waits until this has returned.
            program: The file whose environment reads are recorded wherever it is executed.

        Raises:
            OSError: ptrace is refused here.
        """
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # wait(2): no status where it is ignored
        ptrace.seize(pid)
        ptrace.make_undumpable()
        ptrace.adopt_orphans()
        self.environment.watch(program)
        self._root = pid
        self._tree.add_root(pid)
        self._affinity.enable(pid)

    def take_over(
        self,
        taken: FrozenProcess,
        program: bytes,
        argv: tuple[bytes, ...],
        *,
        has_moved: bool,
    ) -> Process:
        """Start to trace a process that another tracer has watched since it executed `program`.

        It goes on when `run` begins. All else is as with `attach`.

        Args:
            taken: The process.
            program: What it executes.
            argv: Its arguments.
            has_moved: It has chosen its processors itself.

        Raises:
            OSError: ptrace is refused here, or the process cannot be changed.
        """
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        taken.seize()
        ptrace.make_undumpable()
        ptrace.adopt_orphans()
        self._taken = taken
        process = self.began(taken.pid, program, argv)
        if taken.ended is None:
            self.environment.take_over(process)
            if not has_moved:
                self._affinity.enable(taken.pid)
        return process

    def began(self, pid: int, program: bytes, argv: tuple[bytes, ...]) -> Process:
        """Note that `pid`, which this one does not trace yet, has executed `program`."""
        self.environment.watch(program)
        self._root = pid
        self._writer.executed(self._tree.add_root(pid), program, program, argv, 0, False)
        return self._tree.executed(pid, pid, program, argv)

    def count_tokens(self, pipe: tuple[int, int]) -> None:
        """Count the tokens that the tree takes from a job server, given by device and inode."""
        self._syscalls.handlers |= self.tokens.handlers(self._calls, pipe)
        if self._inner:
            self._inner.count_tokens(pipe)

    def observe_lightly(self, light: LightOpens) -> None:
        """Let compilers open files for reading without a stop."""
        self._light = light
        self._observer.light = light

    def observe_lists(self, listed: ListedOpens) -> None:
        """Let tools list what they open and look at: after `collect`."""
        self.observe_lightly(listed)
        self._listed = listed
        listed.processes = lambda: self._tree.processes
        handlers = self._observer.handlers
        handlers |= listed.handlers(self._calls, handlers)
        self.brokers |= listed.brokers(self._calls)

    def observe_folders(self, reads: FolderReads) -> None:
        """Let the script open what is in some folders without a stop."""
        self._reads = reads
        self._syscalls.is_own = reads.is_preparing
        self.brokers |= reads.brokers()
        self.environment.at_entry = reads.patch

    def give_place(self, temporaries: RustcTemporaries) -> None:
        """Have compilers that probe features make their temporary folders elsewhere."""
        self._syscalls.temporaries = temporaries

    def give_folders(
        self,
        folder: bytes,
        is_granted: Callable[[bytes], bool],
        temporary: Mapping[bytes, bytes],
        beside: tuple[bytes, bytes, Callable[..., bool]] | None = None,
        given: Iterable[bytes] = (),
        places: Iterable[bytes] = (),
    ) -> None:
        """Keep what lies in shared folders in a folder: see `OwnFolders`."""
        hides = self._observer.hides
        own = OwnFolders(self._calls, folder, is_granted, hides, temporary, beside, given, places)
        self._syscalls.own_folders = own
        if self._inner:
            self._inner.expect_own_folders(own)

    def expect_wrapper(
        self,
        hides: Callable[[bytes], bool] | None = None,
        is_written: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Record only from the first call that stops: what comes before is a sandbox wrapper.

        The filter is put on right before the build script is executed: `supervisor.wrapper_exec`.

        Args:
            hides: Tells of a path without links whether it is not there within although it is
                outside; None where everything is.
            is_written: Tells whether it lies on a mount that can be written; there are several.
        """
        self._observer.is_written = is_written
        self.has_begun = False
        self._observer.hides = hides
        if hides is not None:
            if self._inner:
                self._inner.expect_hiding()
            self._tree.by_namespace_pid = self._observer.by_namespace_pid = {}
            self.brokers |= signalling.brokers(self._calls)

    def observe_looks(self, looks: Looks) -> None:
        """Record looks at what is not shown, or would not be; the filter has to stop them."""
        self._observer.looks = looks
        if self._inner:
            self._inner.show(looks.shown)

    def collect(self, asked: AskedPaths) -> None:
        """Have all paths collected that are asked for."""
        asked.watch(self._observer, self._calls)
        if self._inner:
            self._inner.collect(asked)

    def expect_starter(self, program: bytes) -> None:
        """Do not record the execution of `program` as long as nothing else has been executed.

        It may still be about to begin when it is attached to: posix_spawn(3) waits for less.
        """
        found = file_identity(program)
        self._starter = found if any(found) else None

    def run(self) -> int:
        """Record until the build script has ended, then kill what it has left running.

        Returns:
            The script's wait status: wait(2).
        """
        if self._is_stopping:
            self._kill_all()
        gc.disable()  # Hundreds of thousands of tuples and no cycles: it would only cost time.
        try:
            if self._taken is not None and self._taken.ended is not None:
                self._at_end(self._root, self._taken.ended)
                return self._taken.ended
            if self._taken is not None:
                self._taken.let_go()
            if self._inner is None:
                return self._loop(lambda: os.waitpid(-1, WALL))
            with self._inner:
                return self._loop(self._inner.wait)
        finally:
            self._affinity.disable()
            if self._listed is not None:
                self._listed.finish(self._observer.looks)

    def _loop(self, wait: Callable[[], tuple[int, int]]) -> int:
        while True:
            try:
                tid, status = wait()
            except ChildProcessError:
                self.voided = self.voided or "the build script was reaped by somebody else"
                return SIGKILL
            if status == SECCOMP_STOP:
                self._at_seccomp_stop(tid)
            elif status == SYSCALL_EXIT_STOP:
                self._syscalls.at_exit_stop(tid)
            elif status & 0xFF == 0x7F:
                self._at_other_stop(tid, status)
            else:
                self._at_end(tid, status)
                if tid == self._root:
                    self._end_rest()
                    return status

    @property
    def script(self) -> Process:
        """The build script, which may have ended."""
        return self._tree.root

    @property
    def pids(self) -> set[int]:
        """The IDs of all processes that have ever been in the tree."""
        return self._tree.pids

    @property
    def live(self) -> list[int]:
        """The IDs of the processes that are alive now."""
        return [pid for pid in list(self._tree.processes) if pid not in self._wrapper_pids]

    def stop(self) -> None:
        """Kill the tree, so that `run` returns soon; may be called by a signal handler."""
        self._is_stopping = True
        self._kill_all()

    def _at_other_stop(self, tid: int, status: int) -> None:
        """Handle any stop that is not about a call: ptrace(2), "Stopped states"."""
        event, signal = status >> 16, status >> 8 & 0xFF
        process = self._threads.get(tid) or self._tree.add_unreported(tid)
        if event == ptrace.EVENT_EXEC:
            self._at_exec_stop(tid)
        elif event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            self._at_clone_stop(tid, process)
        elif event == ptrace.EVENT_VFORK_DONE:
            if self._syscalls.own_folders is not None:
                self._syscalls.own_folders.at_vfork_done(tid, process.pid)
            self._resume(tid, process, 0)
        elif event == ptrace.EVENT_EXIT:
            self._at_exit_event(tid, process)
        elif event == ptrace.EVENT_STOP and signal != _SIGTRAP:  # a group-stop; SIGCONT ends it
            request(LISTEN, tid, None, None)
        elif event:
            self._at_event_stop(tid, process)
        elif signal == _SIGTRAP:
            self._at_sigtrap(tid, process)
        else:
            # A tracer also sees signals that the process ignores: sig_ignored(), kernel/signal.c.
            self.met_file_limit |= signal == _SIGXFSZ
            self._resume(tid, process, signal)

    def _at_seccomp_stop(self, tid: int) -> None:
        """Handle a seccomp stop."""
        process = self._threads.get(tid) or self._tree.add_unreported(tid)
        if not self.has_begun:
            self._begin(process)
        if self._inner:
            self._inner.know(tid, process)
        self._syscalls.at_seccomp_stop(tid, process)

    def _resume_call(self, tid: int) -> None:
        """Let a thread go on from the exit of a call that has been recorded."""
        moved = self._syscalls.moved
        if moved and tid in moved:
            moved.pop(tid).put_back(tid)
        self._affinity.resume(tid)

    def _is_wrapper(self, pid: int) -> bool:
        return pid in self._wrapper_pids

    def _begin(self, process: Process) -> None:
        """Note that the build script is about to be executed: all before was its wrapper."""
        self.has_begun = True
        self._wrapper_pids = self._tree.pids - {process.pid}
        self._root = process.pid
        self._tree.set_root(process)

    def _at_exec_stop(self, pid: int) -> None:
        """Handle PTRACE_EVENT_EXEC: `pid` is the process, whichever thread made the call."""
        if not self.has_begun or self._is_starter(pid):
            request(CONT, pid, None, None)
            return
        self._starter = None
        self._affinity.unpin_new(pid)
        former = ptrace.event_message(pid)
        before = self._threads.get(pid) or self._tree.add_unreported(pid)
        for tid in before.threads - {former}:
            self._syscalls.forget(tid)
            self._affinity.forget(tid)
        if self._syscalls.own_folders is not None:
            self._syscalls.own_folders.at_exec(former)
        program, requested, argv = executed(pid, self._syscalls.forget(former))
        if program:
            self._writer.executed(before, program, requested, argv, 0, False)
        process = self._tree.executed(pid, former, program, argv)
        if former != pid:
            self._affinity.forget(former)  # Gone without an end: its ID may be used again.

        def begin() -> None:
            self._begin_program(process, argv)

        if self._reads is None or not self._reads.begin(process, begin):
            begin()
        self._check_reads()
        request(CONT, pid, None, None)

    def _check_reads(self) -> None:
        if self._reads is not None and self._reads.failure:
            self.voided = self.voided or self._reads.failure

    def _begin_program(self, process: Process, argv: tuple[bytes, ...]) -> None:
        """Put into the memory of a process what is to stop it, or not, before it begins."""
        self.environment.at_exec(process)
        if self._syscalls.temporaries is not None:
            self._syscalls.temporaries.at_exec(process, argv)
        if self._light is not None:
            self._light.at_exec(process)
            if process.light is not None and self._light.is_looker(process.program):
                look_calls.record_named(self._observer, process, argv)

    def _is_starter(self, pid: int) -> bool:
        return self._starter is not None and file_identity(b"/proc/%d/exe" % pid) == self._starter

    def _at_clone_stop(self, tid: int, process: Process) -> None:
        """Handle PTRACE_EVENT_FORK, VFORK and CLONE: a new thread or process."""
        made = ptrace.event_message(tid)
        if made:
            self._tree.add_reported(made, process)
            if self._is_stopping:
                self._kill_all()
            elif self._is_beyond_limit():
                self.stop_cause = TooManyProcesses()
                self.stop()
        self._resume(tid, process, 0)

    def _is_beyond_limit(self) -> bool:
        most = self.process_limit
        return most > 0 and self._tree.exceeds(most, most * THREADS)

    def _at_exit_event(self, tid: int, process: Process) -> None:
        """Handle PTRACE_EVENT_EXIT: a thread of a process that may have a list is about to end."""
        if self._listed is not None:
            self._listed.at_exit(process)
        request(CONT, tid, None, None)

    def _at_event_stop(self, tid: int, process: Process) -> None:
        """Handle PTRACE_EVENT_STOP: the first stop of a thread, or the end of its group-stop."""
        if self._is_stopping:
            self._kill_all()
        self._affinity.unpin_new(tid)
        if self._listed is not None:
            self._listed.at_fork(process)
        self._resume(tid, process, 0)

    def _at_sigtrap(self, tid: int, process: Process) -> None:
        """Handle SIGTRAP: one of our breakpoints, or the program's own."""
        try:
            is_ours = (
                (self._reads is not None and self._reads.at_sigtrap(tid, process))
                or (self._light is not None and self._light.at_sigtrap(tid, process))
                or self.environment.at_sigtrap(tid, process)
            )
            self._check_reads()
        except ProcessLookupError:
            return
        except OSError:
            is_ours = True
            self._void(process)
        self._resume(tid, process, 0 if is_ours else _SIGTRAP)

    def _resume(self, tid: int, process: Process, signal: int) -> None:
        points = process.breakpoints
        is_stepping = points is not None and points.is_stepping(tid)
        request(SINGLESTEP if is_stepping else CONT, tid, None, signal)

    def _at_end(self, tid: int, status: int) -> None:
        process = self._threads.get(tid)
        if process is not None and process.breakpoints is not None:
            process.breakpoints.forget(tid)
        if process is not None and process.pid == tid and self._listed is not None:
            self._listed.at_end(process, status)
        self._tree.remove(tid, status)
        self._syscalls.forget(tid)
        self._affinity.forget(tid)

    def _void(self, process: Process) -> None:
        if not self.voided:
            self.voided = (
                f"process {process.pid} could no longer be read: `{encode(process.program)}`"
            )

    def _end_rest(self) -> None:
        """Record what was done before the script ended, then kill and reap all that is left."""
        killed: set[int] = set()
        try:
            # What was asked for before the end is made, and its result is the last one to record.
            for is_first in (True, False):
                for tid, status in self._last_stops(killed):
                    if is_first or status != SECCOMP_STOP:
                        self._at_last_stop(tid, status)
            while True:
                for pid in {*self._tree.processes, *children()}:
                    killed.add(pid)
                    kill(pid)
                tid, status = os.waitpid(-1, WALL)
                if status & 0xFF == 0x7F:
                    kill(tid)
                    if status >> 16 == ptrace.EVENT_EXIT:
                        request(CONT, tid, None, None)  # Who is dying gets no other SIGKILL.
                    if tid not in self._threads:
                        self._tree.add_unreported(tid)
                else:
                    self._at_end(tid, status)
        except ChildProcessError:
            self.left_running = len(killed - self._wrapper_pids)

    def _last_stops(self, killed: set[int]) -> list[tuple[int, int]]:
        """Return the stops that wait to be handled, those of calls that are being made among them.

        wait(2) tells of the script first, whatever has stopped before it ended. And who executes
        something closes descriptors, and lets the caller of vfork(2) go on, before the stop that
        says so. Nothing is resumed meanwhile, so there is an end to the stops; nor is the init of a
        PID namespace, which is about to see SIGCHLD, and would take all the others along.

        Raises:
            ChildProcessError: There is nobody left.
        """
        stops: list[tuple[int, int]] = []
        stopped: set[int] = set()
        calling: set[int] = set()
        is_told = False  # Whoever is in a call is to come out of it: ptrace(2), PTRACE_INTERRUPT.
        while True:
            tid, status = os.waitpid(-1, WALL if calling else WALL | os.WNOHANG)
            if tid:
                stopped.add(tid)
                if status >> 16 == ptrace.EVENT_EXEC:
                    stopped.add(ptrace.event_message(tid))  # Gone: its call has ended as `tid`.
                calling -= stopped
                if status >> 16 == ptrace.EVENT_EXIT:
                    # Only its end is left, which another thread that executes something waits for.
                    process = self._threads.get(tid) or self._tree.add_unreported(tid)
                    self._at_exit_event(tid, process)
                    continue
                if status & 0xFF == 0x7F:
                    stops.append((tid, status))
                    continue
                # What has already ended by itself is not counted.
                was_killed = status & 0x7F == SIGKILL and tid in self._tree.processes
                if self._wrapper_pids and was_killed:
                    killed.add(tid)  # When the wrapper ends, so does all that is in it.
                self._at_end(tid, status)
            elif is_told:
                return stops
            else:
                is_told = True
                calling = {tid for tid in self._threads if self._syscalls.is_in_call(tid)} - stopped
                for tid in calling:
                    request(ptrace.INTERRUPT, tid, None, None)

    def _at_last_stop(self, tid: int, status: int) -> None:
        """Record what a stop is about, if it is about anything that was done."""
        if status == SECCOMP_STOP:
            self._at_seccomp_stop(tid)
        elif status == SYSCALL_EXIT_STOP:
            self._syscalls.at_exit_stop(tid)
        elif status >> 16 == ptrace.EVENT_EXEC:
            self._at_exec_stop(tid)
        elif tid not in self._threads:
            self._tree.add_unreported(tid)

    def _kill_all(self) -> None:
        for pid in list(self._tree.processes):
            kill(pid)
