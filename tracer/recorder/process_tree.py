"""The process tree as it is now: who made whom, and which thread belongs to which process.

What the recording calls a process is one program in one process: a fork that has not executed
anything acts for the one that made it, and a second program in the same process is another one.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.breakpoint import Breakpoints
    from buildperm.tracer.recorder.writer import Writer

SIGKILL = 9  # signal(7)
_CHAINS = 100_000  # More chains than that are not told apart: memory has to stay bounded.


class Process:
    """A live thread group, under the key of the program in the recording that it acts for."""

    __slots__ = ("breakpoints", "chain", "has_program", "key", "pid", "program", "threads")

    def __init__(self, pid: int, key: int, chain: int, breakpoints: Breakpoints | None) -> None:
        self.pid = pid
        self.key = key
        self.chain = chain  # Number of the chain of programs that led here.
        self.has_program = False  # It has executed one itself, rather than being a fork.
        self.breakpoints = breakpoints  # What is patched into its memory.
        self.program = b""  # What it executed last, or its creator did.
        self.threads = {pid}


class ProcessTree:
    """All live processes of a recording."""

    def __init__(self, writer: Writer) -> None:
        self.threads: dict[int, Process] = {}  # By thread ID.
        self.processes: dict[int, Process] = {}  # By process ID.
        self.pids: set[int] = set()  # Of all processes that there ever were.
        self._ended: set[int] = set()  # Of those that have ended; whoever made them may not know.
        # Process ID by the one that it has in a PID namespace of its own; None: there is none.
        self.by_namespace_pid: dict[int, int] | None = None
        self._writer = writer
        self._chains: dict[tuple[int, bytes], int] = {}
        self._unreported: set[int] = set()  # Seen before they were reported to have been made.
        self._root = Process(0, 0, 0, None)

    def add_root(self, pid: int) -> Process:
        """Begin with the process that will execute the build script."""
        self._root = self._add(Process(pid, pid, 0, None))
        return self._root

    def set_root(self, process: Process) -> None:
        """Have `process` be the one that will execute the build script, whoever made it."""
        process.key, process.chain, process.has_program = process.pid, 0, False
        self._root = process

    def add_reported(self, tid: int, creator: Process) -> None:
        """Enter the thread or process `tid` that `creator` reports to have made.

        ptrace(2), PTRACE_O_TRACECLONE: whether this report or the first stop of what was made
        comes first is not defined, and it may even have ended by now.
        """
        if tid not in self._unreported:
            self._enter(tid, creator)
            return
        self._unreported.discard(tid)
        process = self.threads.get(tid)
        if process is not None and process.pid == tid and not process.has_program:
            process.key, process.chain = creator.key, creator.chain  # CLONE_PARENT

    def add_unreported(self, tid: int) -> Process:
        """Enter a thread that has stopped before anybody reported to have made it."""
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
        creator = self.processes.get(group if group != tid else parent, self._root)
        return self._enter(tid, creator)

    def executed(self, pid: int, former: int, program: bytes, argv: tuple[bytes, ...]) -> Process:
        """Note that `pid` now runs `program`; its thread `former` has become its only one.

        execve(2): all other threads are gone, and the caller takes the leader's ID.
        """
        process = self.processes.get(pid) or self.add_unreported(pid)
        for tid in process.threads - {pid}:
            self.threads.pop(tid, None)
        self.threads.pop(former, None)
        process.threads = {pid}
        self.threads[pid] = process
        is_first = process is self._root and not process.has_program
        parent = 0 if is_first else process.key
        process.program, process.has_program = program, True
        process.key = self._writer.process(pid, parent, program, argv)
        step = (process.chain, program)
        if step in self._chains or len(self._chains) < _CHAINS:
            process.chain = self._chains.setdefault(step, len(self._chains) + 1)
        return process

    def exceeds(self, processes: int, threads: int) -> bool:
        """Tell whether there are more than so many, with what has ended and nobody has waited for.

        wait(2), "zombie": that takes a process ID as well.
        """
        living = len(self.processes)
        if processes < living or threads < len(self.threads):
            return True
        if processes < living + len(self._ended):
            self._ended = {pid for pid in self._ended if os.path.exists(b"/proc/%d" % pid)}
        return processes < living + len(self._ended)

    def remove(self, tid: int) -> None:
        """Forget a thread that has ended."""
        process = self.threads.pop(tid, None)
        if process is None:
            self._unreported.add(tid)  # killed before its first stop; the report may still come
            return
        process.threads.discard(tid)
        if not process.threads and self.processes.get(process.pid) is process:
            del self.processes[process.pid]
            self._ended.add(process.pid)

    def _enter(self, tid: int, creator: Process) -> Process:
        if os.path.exists(b"/proc/%d/task/%d" % (creator.pid, tid)):
            creator.threads.add(tid)
            self.threads[tid] = creator
            return creator
        process = Process(tid, creator.key, creator.chain, creator.breakpoints)
        process.program = creator.program
        return self._add(process)

    def _add(self, process: Process) -> Process:
        self.processes[process.pid] = process
        self._ended.discard(process.pid)
        self.pids.add(process.pid)
        if self.by_namespace_pid is not None:
            self.by_namespace_pid[_namespace_pid(process.pid)] = process.pid
        self.threads[process.pid] = process
        return process


def _namespace_pid(pid: int) -> int:
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
    """Kill a process or the process of a thread, if it is still there."""
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        pass


def children() -> list[int]:
    """Return what has this process for a parent: proc_tid_children(5)."""
    found: list[int] = []
    try:
        for tid in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{tid}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # a kernel without CONFIG_PROC_CHILDREN
    return found
