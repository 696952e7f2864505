"""Has tools of the system list what they open and look at, where every path is collected.

Such a run stops for each open and each look: `asked_paths`. Where these are the tools that light
observation knows, the calls need not stop if the paths are known all the same: glibc in the tool
writes down each path, and makes the call with a key that the filter lets pass. What that is, and
what stops still, says `path_list`. The recorder reads the list when the process ends or executes
something else, before it is gone:

    exec stop ──▶ memory mapped ──▶ trap ──▶ loader patched ──▶ entry point ──▶ library patched
                                                                                      │
      run not kept ◀── a list that nobody has read, or that lacks something ◀── end ◀─┘

Who gets the key, and loses it, is decided as in `light_opens`: the list has to be complete, so no
code but the system's may have it. A script has none: its own calls stop. And a path has to mean
the same when it is read, so

- relative paths stop from the first chdir(2) of the process on;
- all stops once a link is made that may lead elsewhere: what went through it could not be told;
- all stops once a folder is moved: it may be the current one, from which `..` leads elsewhere then;
- a run is not kept in which processes share their current folder.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath

from buildperm.tracer.recorder import (
    light_opens,
    listed_calls,
    location,
    open_patch,
    path_list,
    ptrace,
    registers,
)
from buildperm.tracer.recorder.brokered import Substitute
from buildperm.tracer.recorder.light_opens import AtEntry, LightOpens, Patched, write
from buildperm.tracer.recorder.process_tree import SIGKILL, kill
from buildperm.tracer.syscall_table import WRITING_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.recorder.asked_paths import AskedPaths
    from buildperm.tracer.recorder.brokered import Answer, Broker
    from buildperm.tracer.recorder.light_opens import MappedCode
    from buildperm.tracer.recorder.look_calls import Looks
    from buildperm.tracer.recorder.observation import Decoded, Handler, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

_MOST = 1 << 19  # Paths that are kept in mind: a script can have a tool ask for any number.
_KILLED = "one of its tools was killed"
_DEVICES = frozenset((b"full", b"null", b"random", b"urandom", b"zero"))
_OF_PROCESSES = (b"self", b"thread-self")


class MappingCall:
    """A process that maps its memory, at its exec stop."""

    __slots__ = ("before", "covered", "loader")

    def __init__(self, before: list[int], covered: bytes, loader: MappedCode) -> None:
        self.before = before  # Its registers.
        self.covered = covered  # What was where it begins.
        self.loader = loader


class _ListingEntry(AtEntry):
    """A process with a list, before its entry point."""

    __slots__ = ("page",)

    def __init__(self, address: int, word: bytes, loader: Patched | None, page: int) -> None:
        super().__init__(address, word, loader)
        self.page = page


class _Listing(Patched):
    """A process that lists; what has forked from it does so, too."""

    __slots__ = ("page",)

    def __init__(self, patched: Patched, page: int) -> None:
        super().__init__(patched.patch, patched.base)
        self.page = page


class ListedOpens(LightOpens):
    """Finds tools among what is executed, and reads their lists."""

    def __init__(
        self,
        key: int,
        is_readable: Callable[[bytes], bool],
        is_writable: Callable[[bytes], bool],
        searched: bytes,
        asked: AskedPaths,
    ) -> None:
        """Prepare to look at programs; `asked` gets the paths, the rest is as for `LightOpens`."""
        super().__init__(key, is_readable, is_writable, searched)
        self._asked = asked
        self._entries: set[bytes] = set()
        self._told: set[int] = set()  # Processes that end, or execute something, and were asked.
        self.is_over = False  # Nothing is listed any more.

    def at_exec(self, process: Process) -> None:
        """Have what `process` has executed map its memory, if it is a tool; at its exec stop."""
        pid = process.pid
        self._at_last(process)
        process.light = None
        if self.is_over or not self.is_plain_tool(process):
            return
        try:
            loader = self.loader(process)
            values = registers.load(pid) if loader and ptrace.is_64_bit(pid) else None
            if loader is None or values is None:
                return
            before = registers.without_call(values)
            at = registers.program_counter(before)
            covered = _read(pid, at, len(path_list.MAPPING))
            if not ptrace.set_options(pid, ptrace.OPTIONS | ptrace.TRACEEXIT):
                return
            write(pid, 0, [(at, path_list.MAPPING)])
            registers.store(pid, registers.calling(values, path_list.MAPPED_WITH))
        except (OSError, ValueError):
            return  # It stops as any other program, or is gone.
        process.light = MappingCall(before, covered, loader)

    def at_sigtrap(self, tid: int, process: Process) -> bool:
        """Go on with a process that is being prepared; say whether the SIGTRAP is of our trap.

        Raises:
            OSError: The process is gone, or cannot be changed.
        """
        light = process.light
        if isinstance(light, MappingCall):
            return self._at_mapped(tid, process, light)
        if not isinstance(light, _ListingEntry):
            return False
        if not super().at_sigtrap(tid, process):
            return False
        if process.light is None:  # Nothing of it lists from now on, and others' code is there.
            write(process.pid, light.page, [(0, path_list.WITHOUT_KEY)])
            self._read_list(process.pid, light.page)
        elif isinstance(process.light, Patched):
            process.light = _Listing(process.light, light.page)
        return True

    def _at_mapped(self, tid: int, process: Process, light: MappingCall) -> bool:
        values = registers.load(tid) if ptrace.signal_code(tid) > 0 else None
        at = registers.program_counter(light.before)
        if values is None or registers.program_counter(values) != at + len(path_list.MAPPING):
            return False
        process.light = None
        write(tid, 0, [(at, light.covered)])
        registers.store(tid, light.before)
        page = registers.first_argument(values)
        if registers.result(values) != 0 or self.is_over:
            return True  # There is no memory for it.
        folder = location.directory(tid, location.AT_FDCWD)
        is_plain = folder.startswith(b"/") and not folder.startswith((b"/proc/", b"/dev/"))
        is_plain = is_plain and folder not in (b"/", b"/proc", b"/dev")
        is_plain = is_plain and not folder.endswith((b" (deleted)", location.TOO_LONG))
        write(tid, page, [(0, path_list.page(self.key, folder if is_plain else b""))])
        loader = self._listing(tid, light.loader, page) if self.is_searched(process) else None
        address, word = light_opens.trap_at_entry(tid)
        process.light = _ListingEntry(address, word, loader, page)
        self.is_used = True
        if loader is not None:
            write(tid, loader.base, loader.patch.pieces)
        return True

    def patched_at_entry(self, process: Process, entry: AtEntry) -> Patched | None:
        """Patch the C library of `process`, which stands at its entry point."""
        assert isinstance(entry, _ListingEntry)
        found: Patched | None = None
        try:
            for mapped in light_opens.code(process.pid):
                if mapped.begin == entry.page:
                    continue
                if not self.is_of_system(mapped.path):
                    return None
                if light_opens.is_glibc(mapped.path):
                    found = self._listing(process.pid, mapped, entry.page)
        except OSError:
            return None
        if found is not None:
            write(process.pid, found.base, found.patch.pieces)
        return found

    def _listing(self, pid: int, mapped: MappedCode, page: int) -> Patched | None:
        function = page + path_list.FUNCTION_AT
        path = b"/proc/%d/root%s" % (pid, mapped.path)
        try:
            patch = open_patch.of_library(path, function, open_patch.LISTED)
        except (OSError, ValueError):
            return None
        return None if patch is None else Patched(patch, mapped.begin)

    def is_of_no_interest(self, _process: Process, _path: bytes, _flags: int) -> bool:
        """Tell that each open that stops is looked at."""
        return False

    def at_open(self, process: Process, path: bytes, flags: int) -> None:
        """Take the key from a process that has opened code of others, before that runs."""
        light = process.light
        if not isinstance(light, _ListingEntry | _Listing) or flags & WRITING_FLAGS:
            return
        is_early = isinstance(light, _ListingEntry)
        if self.is_of_system(path) and (is_early or not light_opens.is_plugin(path)):
            return
        process.light = None
        write(process.pid, light.page, [(0, path_list.WITHOUT_KEY)])
        self._read_list(process.pid, light.page)
        if len(process.threads) > 1:  # One may have had the key in its hand, or be forking.
            self._asked.reason = self._asked.reason or listed_calls.INCOMPLETE
        if isinstance(light, _ListingEntry):
            try:
                light_opens.take_out(process.pid, light)
            except OSError:
                kill(process.pid)

    def handlers(self, calls: dict[int, str], known: dict[int, Handler]) -> dict[int, Handler]:
        """Return handlers for calls after which a list is gone, or means something else."""
        return listed_calls.ListedCalls(self, self._asked).handlers(calls, known)

    def brokers(self, calls: dict[int, str]) -> dict[int, Broker]:
        """Return what makes the calls that the filter leaves to this, by number."""
        return {
            number: self._at_move for number, name in calls.items() if name in ("chdir", "fchdir")
        }

    def at_fork(self, process: Process) -> None:
        """Look at a new process, which has the memory of the one that has made it."""
        if self.is_over:
            self._end_in(process)

    def at_exit(self, process: Process) -> None:
        """Read the list of a process of which a thread stands at its end."""
        self.tell(process)

    def at_end(self, process: Process, status: int) -> None:
        """Note that a process has ended, of which the list has to be known by now: wait(2)."""
        if status & 0x7F == SIGKILL:  # Then it need not have stopped at its end: ptrace(2), BUGS.
            self._told.discard(process.pid)
        self._at_last(process)

    def finish(self, looks: Looks | None) -> None:
        """Tell what was listed; `looks` says what is not shown."""
        asked = self._asked
        known: dict[tuple[bytes, bool], bool] = {}
        for entry in self._entries:
            kind, path = entry[0], path_list.path(entry)
            if kind == path_list.OPENED:
                if not _is_plain(path):
                    asked.reason = asked.reason or "a tool read about a process"
                asked.opened.add(path)
            elif kind in path_list.READ_LINKS:
                asked.read_links.add(path)
            else:
                asked.looked.add(path)
            for follows in path_list.KINDS.get(kind, (True,)) if looks is not None else ():
                if (path, follows) not in known and looks is not None:
                    known[path, follows] = looks.is_asked_about(path, follows=follows)
                    if known[path, follows]:
                        asked.reason = asked.reason or "a tool looked at what it is not shown"
        self._entries.clear()

    def _at_move(
        self, _tid: int, process: Process, syscall: SyscallInfo, decoded: Decoded | None
    ) -> Answer:
        """Have relative paths stop from now on: a thread is about to go to another folder."""
        light = process.light
        if isinstance(light, _ListingEntry | _Listing):
            write(process.pid, light.page, [(path_list.FOLDER_AT, path_list.WITHOUT_FOLDER)])
        return Substitute(syscall[0], syscall[1:7], decoded)

    def end(self) -> None:
        """Have all stop that is listed, before anything else is done."""
        if self.is_over:
            return
        self.is_over = True
        for process in list(self.processes().values()):
            self._end_in(process)

    def _end_in(self, process: Process) -> None:
        light = process.light
        if isinstance(light, _ListingEntry | _Listing):
            write(process.pid, light.page, [(0, path_list.WITHOUT_KEY)])

    def tell(self, process: Process) -> None:
        """Read the list of a process that stands at its end, or is about to execute something."""
        light = process.light
        if isinstance(light, _ListingEntry | _Listing):
            self._read_list(process.pid, light.page)
            self._told.add(process.pid)

    def _at_last(self, process: Process) -> None:
        light, is_told = process.light, process.pid in self._told
        self._told.discard(process.pid)
        if isinstance(light, _ListingEntry | _Listing) and not is_told:
            self._asked.reason = self._asked.reason or _KILLED

    def _read_list(self, pid: int, page: int) -> None:
        """Read the list of a process that stands, or in which no call that passes is being made."""
        region = page + path_list.PAGE_SIZE
        content = b""
        try:
            head = _read(pid, region, path_list.HEAD.size)
            size, begun, done, _ = path_list.HEAD.unpack(head)
            is_whole = begun == done and size <= path_list.SIZE
            if is_whole and size:
                content = _read(pid, region + path_list.HEAD.size, size)
                self._entries |= path_list.paths(content)
        except (OSError, ValueError):
            is_whole = False
        if not is_whole or len(self._entries) > _MOST:
            self._asked.reason = self._asked.reason or listed_calls.INCOMPLETE


def _read(pid: int, address: int, size: int) -> bytes:
    """Read memory of a process.

    Raises:
        OSError: It is gone, or there is nothing.
        ValueError: There is less.
    """
    file = os.open(b"/proc/%d/mem" % pid, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.pread(file, size, address)
    finally:
        os.close(file)
    if len(found) != size:
        raise ValueError("less than there should be")
    return found


def _is_plain(path: bytes) -> bool:
    """Tell whether a path that was opened means the same to everybody."""
    parts = posixpath.normpath(path).split(b"/")
    if parts[1:2] == [b"dev"]:
        return len(parts) == 3 and parts[2] in _DEVICES
    if parts[1:2] != [b"proc"]:
        return True
    return len(parts) > 2 and not (parts[2].isdigit() or parts[2] in _OF_PROCESSES)
