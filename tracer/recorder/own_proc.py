"""Gives a script what `/proc` says of its own processes: as a copy, since no rule can open it.

A Landlock rule is about a file that is there, and the folder of a process is made with it. To open
all of `/proc` would let a script read of others, too. So where one of its processes opens such a
file for reading, it makes a file in memory instead (memfd_create(2)), and this process puts in it
what the file holds at that moment. Only what tells nothing of anybody else is given so.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import EACCES

from buildperm.tracer.notation import encode
from buildperm.tracer.recorder import location, registers
from buildperm.tracer.recorder.brokered import Substitute
from buildperm.tracer.recorder.c_library import short_libc
from buildperm.tracer.recorder.process_tree import namespace_pid
from buildperm.tracer.system_values import open_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.recorder.observation import Decoded
    from buildperm.tracer.recorder.process_tree import Process, ProcessTree
    from buildperm.tracer.recorder.writer import Writer

FILES = frozenset(
    b"cgroup cmdline comm cpuset limits maps mountinfo mounts mountstats numa_maps oom_adj "
    b"oom_score oom_score_adj personality sched schedstat smaps smaps_rollup stat statm status "
    b"uid_map gid_map".split()
)
"""Names in `/proc/PID` and `/proc/PID/task/TID`: proc_pid(5)."""

_MEMFD_CREATE = 279 if registers.MACHINE == "aarch64" else 319
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438  # The same on every architecture.
_MFD_CLOEXEC = 1
_NOT_READ_ONLY = open_flags("O_ACCMODE", "O_CREAT", "O_TRUNC", "O_DIRECTORY", "O_PATH")
_MOST = 16 << 20  # Bytes of one file.


class OwnProc:
    """Makes the copies for the processes of one tree."""

    def __init__(
        self, tree: ProcessTree, writer: Writer, is_wrapper: Callable[[int], bool]
    ) -> None:
        self._threads = tree.threads
        self._is_wrapper = is_wrapper  # Tells of a process that only holds the script.
        self._writer = writer
        self._tree = tree
        self.is_denied: Callable[[str], bool] = lambda _: False
        """Tells of a path, as rules write it, whether a person has denied it."""

    def copy(
        self, tid: int, process: Process, decoded: Decoded, text: int, rest: tuple[int, ...]
    ) -> Substitute | None:
        """Return what to do in the place of an open; None if the call is to be made as it is.

        Args:
            tid: The thread.
            process: Its process.
            decoded: What it opens: see `open_calls`.
            text: Where the path is, which is as good a name for a file in memory as any.
            rest: What to leave in the registers of the arguments from the third on.
        """
        path, start, flags = decoded
        if not path.startswith(b"/proc/") or flags & _NOT_READ_ONLY:
            return None
        wanted = location.absolute(process.pid, tid, start, path)
        name = self._own_name(wanted, process)
        asked = encode(location.with_proc_self(self._threads, path))
        if not name or any(map(self.is_denied, (asked, *_called(wanted, name)))):
            return None  # No rule opens it.
        content = _content(wanted if self._tree.by_namespace_pid is None else _within(wanted))
        if content is None:
            return None

        def translate(result: int) -> int:
            if result >= 0:
                result = result if _fill(process.pid, result, content) else -EACCES
            named = b"/proc/self/" + name
            self._writer.opened(process, named, "read", False, -min(result, 0), False, False)
            return result

        cloexec = _MFD_CLOEXEC if flags & os.O_CLOEXEC else 0
        return Substitute(_MEMFD_CREATE, (text, cloexec, *rest), None, translate)

    def _own_name(self, path: bytes, reader: Process) -> bytes:
        """Return the name of a file that is copied, of a process of the tree; empty otherwise.

        A compiler that is observed lightly has a key in its memory, and nobody is told where.
        """
        words = path.split(b"/")[2:]  # Behind /proc.
        if words[1:2] == [b"task"] and len(words) == 4:
            words = words[2:]
        if len(words) != 2 or words[1] not in FILES or not words[0].isdigit():
            return b""
        found = self._threads.get(int(words[0]))
        if found is None or self._is_wrapper(found.pid):
            return b""
        return words[1] if found is reader or found.light is None else b""


def _called(path: bytes, name: bytes) -> list[str]:
    """Write what rules may call a file of a process of the tree: proc_pid_task(5)."""
    words = path.split(b"/")
    called = [b"/proc/self/" + name]
    if words[3] == b"task":
        called += [b"/proc/thread-self/" + name, b"/proc/self/" + b"/".join(words[3:])]
    return [*map(encode, called)]


def _within(path: bytes) -> bytes:
    """Return the path of the same file where the process itself sees it, in its PID namespace.

    What `proc` tells of processes are the numbers of the namespace that it was mounted in: proc(5),
    pid_namespaces(7). No script can mount another one.
    """
    words = path.split(b"/")[2:]
    inner = [b"%d" % namespace_pid(int(word)) if word.isdigit() else word for word in words]
    return b"/".join((b"/proc", words[0], b"root/proc", *inner))


def _content(path: bytes) -> bytes | None:
    """Return what a file of a process of the tree holds; None if it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    parts: list[bytes] = []
    size = 0
    try:
        while size < _MOST:
            part = os.read(file, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
    except OSError:
        pass
    finally:
        os.close(file)
    return None


def _fill(pid: int, number: int, content: bytes) -> bool:
    """Put `content` into the descriptor `number` of a process, and leave its offset alone.

    Another thread may have put something else in its place. pidfd_getfd(2) gives what that is, with
    no more rights than its opener has; by its path in /proc it would be opened anew.
    """
    process = short_libc.syscall(_PIDFD_OPEN, pid, 0)
    if process < 0:
        return False
    file = short_libc.syscall(_PIDFD_GETFD, process, number, 0)
    os.close(process)
    if file < 0:
        return False
    try:
        if not os.readlink(b"/proc/self/fd/%d" % file).startswith(b"/memfd:"):
            return False
        written = 0
        while written < len(content):
            written += os.pwrite(file, content[written:], written)
    except OSError:
        return False
    finally:
        os.close(file)
    return True
