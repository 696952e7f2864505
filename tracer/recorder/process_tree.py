"""The process tree as it is now: parents, children, and the threads of each process.

In the recording, a process is one program in one process. A fork that has executed nothing counts
as its parent. A second program in the same process counts as another process.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recording_format import REUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildperm.tracer.recorder.breakpoint import Breakpoints
    from buildperm.tracer.recorder.light_opens import AtEntry, Patched
    from buildperm.tracer.recorder.listed_opens import MappingCall
    from buildperm.tracer.recorder.writer import Writer

SIGKILL = 9  # signal(7)
_CHAINS = 100_000  # Further ones are not told apart: memory has to stay bounded.


class Process:
    """A live thread group, with the key of the recorded process that it counts as."""

    __slots__ = (
        "breakpoints",
        "chain",
        "has_program",
        "key",
        "light",
        "pid",
        "program",
        "reads",
        "threads",
    )

    def __init__(self, pid: int, key: int, chain: int, breakpoints: Breakpoints | None) -> None:
        self.pid = pid
        self.key = key
        self.chain = chain  # Number of the chain of programs that led here.
        self.has_program = False  # It has executed one itself, rather than being a fork.
        self.breakpoints = breakpoints  # What is patched into its memory.
        self.light: AtEntry | Patched | MappingCall | None = None  # Likewise, by `light_opens`.
        self.reads = False  # Some of what it opens goes unseen: `folder_reads`.
        self.program = b""  # What it executed last, or its creator did.
        self.threads = {pid}


class OwnThreads:
    """The threads of the script's own processes that are alive: not of those that only hold it."""

    __slots__ = ("_is_wrapper", "_threads")

    def __init__(self, threads: Mapping[int, Process], is_wrapper: Callable[[int], bool]) -> None:
        self._threads = threads
        self._is_wrapper = is_wrapper

    def __contains__(self, tid: object) -> bool:
        process = self._threads.get(tid) if isinstance(tid, int) else None
        return process is not None and not self._is_wrapper(process.pid)


class ProcessTree:
    """All live processes of a recording."""

    def __init__(self, writer: Writer) -> None:
        self.threads: dict[int, Process] = {}  # By thread ID.
        self.processes: dict[int, Process] = {}  # By process ID.
        self.pids: set[int] = set()  # Of all processes that have ever been in the tree.
        self._ended: set[int] = set()  # Those that have ended, and may be zombies.
        # Process ID by ID in the PID namespace of the script; None: the script has none of its own.
        self.by_namespace_pid: dict[int, int] | None = None
        # Called with each thread whose process, or the chain of whose process, is another one now.
        self.on_moved: Callable[[int], object] | None = None
        self._writer = writer
        self._unreported: set[int] = set()  # They stopped before their creation was reported.
        self.root = Process(0, 0, 0, None)  # The script.

    def add_root(self, pid: int) -> Process:
        """Add the first process, which will execute the build script."""
        self.root = self._add(Process(pid, pid, 0, None))
        return self.root

    def set_root(self, process: Process) -> None:
        """Make `process` the one that will execute the build script, whatever its parent."""
        process.key, process.chain, process.has_program = process.pid, 0, False
        self.root = process
        self._moved(process.threads)

    def add_reported(self, tid: int, creator: Process) -> None:
        """Add the thread or process `tid`, whose creation by `creator` has been reported.

        ptrace(2), PTRACE_O_TRACECLONE: the first stop of `tid` may come before or after this
        report, and `tid` may even have ended by now.
        """
        if tid not in self._unreported:
            self._enter(tid, creator)
            return
        self._unreported.discard(tid)
        process = self.threads.get(tid)
        if process is not None and process.pid == tid and not process.has_program:
            process.key, process.chain = creator.key, creator.chain  # CLONE_PARENT
            self._moved(process.threads)

    def add_unreported(self, tid: int) -> Process:
        """Add a thread that has stopped before its creation was reported."""
        group = parent = 0
        try:
            with open(b"/proc/%d/status" % tid, "rb") as file:
                for line in file:
                    if line.startswith(b"Tgid:"):
                        group = int(line[5:])
                    elif line.startswith(b"PPid:"):
                        parent = int(line[5:])
                        break
        except (OSError, ValueError):
            pass  # killed meanwhile
        self._unreported.add(tid)
        creator = self.processes.get(group if group != tid else parent, self.root)
        return self._enter(tid, creator)

    def executed(self, pid: int, former: int, program: bytes, argv: tuple[bytes, ...]) -> Process:
        """Note that `pid` now runs `program`, and that its thread `former` is now its only one.

        execve(2): all other threads are gone, and the caller takes the leader's ID.
        """
        process = self.processes.get(pid) or self.add_unreported(pid)
        self._moved({*process.threads, pid, former})
        for tid in process.threads - {pid}:
            self.threads.pop(tid, None)
        self.threads.pop(former, None)
        process.threads = {pid}
        self.threads[pid] = process
        is_first = process is self.root and not process.has_program
        parent = 0 if is_first else process.key
        self._note_end(process, None)
        process.program, process.has_program = program, True
        process.key = self._writer.process(pid, parent, program, argv)
        step = (process.chain, program)
        chains = self._writer.chains
        if step in chains or len(chains) < _CHAINS:
            process.chain = chains.setdefault(step, len(chains) + 1)
        return process

    def exceeds(self, processes: int, threads: int) -> bool:
        """Tell whether there are more than so many, zombies included.

        wait(2): a zombie takes up a process ID as well.
        """
        living = len(self.processes)
        if processes < living or threads < len(self.threads):
            return True
        if processes < living + len(self._ended):
            self._ended = {pid for pid in self._ended if os.path.exists(b"/proc/%d" % pid)}
        return processes < living + len(self._ended)

    def remove(self, tid: int, status: int) -> None:
        """Forget a thread that has ended, and how it did: wait(2)."""
        process = self.threads.pop(tid, None)
        if process is not None and process.pid == tid:
            self._note_end(process, status)  # The leader is the last one to be waited for.
        self._moved((tid,))
        if process is None:
            self._unreported.add(tid)  # Killed before its first stop; the report may still come.
            return
        process.threads.discard(tid)
        if not process.threads and self.processes.get(process.pid) is process:
            del self.processes[process.pid]
            self._ended.add(process.pid)

    def _note_end(self, process: Process, status: int | None) -> None:
        """Note the end of what `process` has executed, if it has, and if there was room for it."""
        if process.has_program and process.key % REUSED == process.pid:
            self._writer.ended(process.key, status)

    def _moved(self, tids: Iterable[int]) -> None:
        if self.on_moved is not None:
            for tid in tids:
                self.on_moved(tid)

    def _enter(self, tid: int, creator: Process) -> Process:
        self._moved((tid,))
        if os.path.exists(b"/proc/%d/task/%d" % (creator.pid, tid)):
            creator.threads.add(tid)
            self.threads[tid] = creator
            return creator
        process = Process(tid, creator.key, creator.chain, creator.breakpoints)
        process.program, process.light = creator.program, creator.light
        process.reads = creator.reads
        return self._add(process)

    def _add(self, process: Process) -> Process:
        self.processes[process.pid] = process
        self._ended.discard(process.pid)
        self.pids.add(process.pid)
        if self.by_namespace_pid is not None:
            self.by_namespace_pid[namespace_pid(process.pid)] = process.pid
        self.threads[process.pid] = process
        return process


def namespace_pid(pid: int) -> int:
    """Return the ID that `pid` has in its own PID namespace: proc_pid_status(5), "NSpid"."""
    try:
        with open(b"/proc/%d/status" % pid, "rb") as file:
            for line in file:
                if line.startswith(b"NSpid:"):
                    return int(line.split()[-1])
    except (OSError, ValueError):
        pass  # killed meanwhile
    return pid


def kill(pid: int) -> None:
    """Kill a process, or the process of a thread, if it is still there."""
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        pass


def children() -> list[int]:
    """Return the children of this process: proc_tid_children(5)."""
    found: list[int] = []
    try:
        for tid in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{tid}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # A kernel without CONFIG_PROC_CHILDREN.
    return found
