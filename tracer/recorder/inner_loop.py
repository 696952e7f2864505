"""Lets a library in C answer the stops of calls that repeat what has been recorded: see `stops/`.

Nearly all opens of a build do: each run of a compiler opens the same headers. So do most programs
that are not found in a folder of PATH. The first of a kind goes through the Python loop, unless it
is plain: then it is filed before the next stop of that loop. From then on the library knows that
the same program, flags, request and answer are the same event, and counts. Reads and writes of a
few bytes are let go on, unless they are those of the job server. The user's own C compiler has made
the library, and without it the recording is the same.

    wait ──▶ library: next stop ──▶ repeats another, plain news ──▶ counted, resumed ──┐
     ▲            ▲                    │ any other                                     │
     │            └────────────────────┼───────────────────────────────────────────────┘
     └── note, know ◀── Python loop ◀──┘ news are filed first

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import os
import struct
from errno import EINTR, ENOENT

from buildperm.tracer.recorder import c_library, decoding, location
from buildperm.tracer.recorder.cpu_affinity import CpuAffinity
from buildperm.tracer.syscall_table import (
    ExecutionLayout,
    LookLayout,
    OpenLayout,
    TokenLayout,
    of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ctypes import CDLL, PyDLL

    from buildperm.tracer.recorder.asked_paths import AskedPaths
    from buildperm.tracer.recorder.observation import Observer
    from buildperm.tracer.recorder.own_folders import OwnFolders
    from buildperm.tracer.recorder.process_tree import Process, ProcessTree
    from buildperm.tracer.recorder.syscall_stops import InCall, SyscallStops
    from buildperm.tracer.recorder.writer import Writer

_TAKEN = struct.Struct("=5i3IQ")  # struct taken in stops.c, before its two texts
_PATH_SIZE = 4096 + 1 + 512
_TAKEN_SIZE = _TAKEN.size + _PATH_SIZE + 4096

_NEWS_SIZE = struct.Struct("=I")  # Of all news in bytes, before them: news.c
_NEWS = struct.Struct("=3iI")  # struct news, before its text
_ASKED = struct.Struct("=2I")  # struct asked in asked.c, before its text
_OPENED, _LOOKED, _EXECUTED, _READ_LINK = 1, 2, 4, 8  # enum asked_how

_loaded: dict[bytes, tuple[CDLL, PyDLL]] = {}


class InnerLoop:
    """The library at work for one recorder; there is only one in a process."""

    def __init__(self, waiting: CDLL, short: PyDLL, calls: Mapping[int, str]) -> None:
        """Take the library, twice, and the names of the calls that stop by number."""
        self.affinity = InnerAffinity(short)
        self._short = short
        self._next_stop = waiting.next_stop
        self._status = c_library.c_int()
        self._status_at = c_library.addressof(self._status)
        self._entries: list[list[int]] = []  # Of the recording, by the library's index.
        self._news_at = int(short.all_news())
        self._news_size = c_library.c_int.from_address(self._news_at)
        self._file: Callable[[int, bytes, int, int], list[int]] | None = None
        self._lost: list[tuple[list[int], bool, Writer]] = []
        self._asked: AskedPaths | None = None
        self._can_note = False  # The last call that was taken can be remembered,
        self._found = b""  # if this is what it has opened.
        self._wakeup = -1
        opens, executions = of(OpenLayout), of(ExecutionLayout)
        self._opens = [number for number, name in calls.items() if name in opens]
        self._executions = [number for number, name in calls.items() if name in executions]
        for number in self._opens:
            layout = opens[calls[number]]
            if not layout.has_open_how:
                short.add_open(number, *layout.path, layout.flags, layout.fixed_flags)
        looks = of(LookLayout)
        for number, name in calls.items():
            if name in looks:
                asked = looks[name]
                flags = asked.flags, asked.fixed_flags
                short.add_look(number, *asked.path, *flags, asked.reads_link)
        for number in self._executions:
            start, path = executions[calls[number]].path
            short.add_execution(number, start, path, executions[calls[number]].argv)
        tokens = of(TokenLayout)
        for number, name in calls.items():
            if name in tokens:
                short.add_token_call(number)

    def join(self, tree: ProcessTree, observer: Observer, syscalls: SyscallStops) -> None:
        """Work for a recorder that has these parts."""
        threads, take = tree.threads, self._short.take
        # What handles the exit is the same for each call that opens, and that executes.
        at_opened, at_executed = (
            observer.handlers[numbers[0]][1] if numbers else None
            for numbers in (self._opens, self._executions)
        )

        def taken(tid: int) -> InCall | None:
            at = take(tid)
            process = threads.get(tid)
            if at is None or process is None:
                return None
            raw = bytes((c_library.c_ubyte * _TAKEN_SIZE).from_address(at))
            _, start, flags, can_note, executes, path_size, found_size, _, argv = (
                _TAKEN.unpack_from(raw)
            )
            path = raw[_TAKEN.size :][:path_size]
            self._can_note = bool(can_note)
            self._found = raw[_TAKEN.size + _PATH_SIZE :][:found_size]
            if not executes:
                return at_opened and (at_opened, (path, start, flags), process)
            requested = location.absolute(process.pid, tid, start, path)
            return at_executed and (at_executed, (requested, argv), process)

        def filed(tid: int, path: bytes, flags: int, errno: int) -> list[int]:
            """Return the entry of an open that is news, which is in no recording without room."""
            entry = observer.writer.opened(
                threads[tid],
                path,
                decoding.mode(flags),
                decoding.creates(flags),
                errno,
                False,
                False,
                decoding.directory(flags),
            )
            if entry is None:  # There is no room: it and what repeats it is counted as dropped.
                entry = [0, 0, 0]
                is_write = not errno and "write" in decoding.mode(flags)
                self._lost.append((entry, is_write, observer.writer))
            return entry

        self._file = filed
        tree.on_moved = self._short.unknow
        observer.repeats = self
        syscalls.take = taken
        syscalls.is_taken = lambda tid: bool(self._short.is_in_call(tid))

    def count_tokens(self, pipe: tuple[int, int]) -> None:
        """Leave what moves bytes through a pipe to Python: see `JobserverTokens`."""
        self._short.set_job_server(*pipe)

    def expect_hiding(self) -> None:
        """Expect that files are not there within although they are outside."""
        self._short.set_hiding(1)

    def show(self, shown: Mapping[bytes, int]) -> None:
        """Let looks at what is shown, or is nowhere, go on: see `look_calls.Looks`."""
        for path, how in shown.items():
            self._short.add_shown(path, len(path), how)
        self._short.set_looking(1)

    def expect_own_folders(self, own: OwnFolders) -> None:
        """Leave the calls to Python that may be about files in folders of the script's own."""
        for shared in own.shared:
            self._short.add_own_folder(shared, c_library.c_size_t(len(shared)))
        own.on_seen = lambda path: self._short.add_visible(path, c_library.c_size_t(len(path)))
        for path in own.apart:
            own.on_seen(path)

    def collect(self, asked: AskedPaths) -> None:
        """Note all paths that are asked for, those that Python has no need to see among them."""
        self._asked = asked
        self._short.set_collecting(1)

    def know(self, tid: int, process: Process) -> None:
        """Answer the stops of a thread of `process`, which the recorder has just looked up.

        What a compiler with the key of light observation opens decides whether it may keep it. What
        it does not find decides nothing, and its loader looks in many places.
        """
        self._short.know(tid, process.chain, process.light is not None)

    def note(self, found: bytes, entry: list[int] | None) -> None:
        """Count in `entry` what repeats the call that was taken last: see `Repeats`."""
        is_same = self._can_note and found == self._found
        self._can_note = False
        if is_same and entry is not None and self._short.remember() >= 0:
            self._entries.append(entry)

    def wait(self) -> tuple[int, int]:
        """Wait for the next stop that is not answered here, as waitpid(2).

        Raises:
            ChildProcessError: There are no children.
        """
        while True:
            tid = self._next_stop(self._status_at)
            if self._news_size.value:
                self._file_news()
            if tid > 0:
                self._can_note = False
                return tid, self._status.value
            if tid != -EINTR:  # Else a signal has come, and its handler runs now.
                raise ChildProcessError(-tid, os.strerror(-tid))

    def _file_news(self) -> None:
        """File what has happened for the first time since Python has handled a stop."""
        size = self._news_size.value
        at = self._news_at + _NEWS_SIZE.size
        raw = bytes((c_library.c_ubyte * size).from_address(at))
        self._news_size.value = 0
        file, place = self._file, 0
        while file is not None and place < size:
            tid, flags, errno, length = _NEWS.unpack_from(raw, place)
            place += _NEWS.size
            self._entries.append(file(tid, raw[place : place + length], flags, errno))
            place += (length + 3) & ~3

    def __enter__(self) -> None:
        """Have signals end the wait, whenever they come."""
        self._wakeup = os.memfd_create("signals", os.MFD_CLOEXEC)
        os.ftruncate(self._wakeup, 8)
        os.set_blocking(self._wakeup, False)  # As set_wakeup_fd wants it.
        if self._short.set_wakeup(self._wakeup) != 0:
            raise MemoryError
        _signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

    def __exit__(self, *_: object) -> None:
        """Add up what was counted; the recording is complete then."""
        _signal.set_wakeup_fd(-1)
        self._short.set_wakeup(-1)
        os.close(self._wakeup)
        if self._entries:
            at = self._short.repeat_counts()
            counts = (c_library.c_ulong * len(self._entries)).from_address(at)
            for entry, count in zip(self._entries, counts, strict=True):
                entry[2] += count
            self._entries.clear()
        for entry, is_write, writer in self._lost:
            writer.dropped += entry[2]
            writer.dropped_writes += entry[2] * is_write
        self._lost.clear()
        self._tell_asked()

    def _tell_asked(self) -> None:
        asked, size = self._asked, self._short.size_of_asked()
        if asked is None or not size:
            return
        raw = bytes((c_library.c_ubyte * size).from_address(self._short.all_asked()))
        place = 0
        while place < size:
            how, length = _ASKED.unpack_from(raw, place)
            place += _ASKED.size
            path = raw[place : place + length]
            place += (length + 3) & ~3
            if how & _OPENED:
                asked.opened.add(path)
            if how & _LOOKED:
                asked.looked.add(path)
            if how & _READ_LINK:
                asked.read_links.add(path)
            if how & _EXECUTED:
                asked.executed.add(path)


class InnerAffinity(CpuAffinity):
    """Has the library pin and unpin threads."""

    def __init__(self, library: PyDLL) -> None:
        super().__init__()
        self._library = library

    def enable(self, pid: int) -> None:
        """See `CpuAffinity`."""
        super().enable(pid)
        if self._is_enabled:
            self._library.start_pinning(self._full)

    def disable(self) -> None:
        """See `CpuAffinity`."""
        self._is_enabled = False
        self._library.stop_pinning()

    def unpin_all(self) -> None:
        """See `CpuAffinity`."""
        self._library.unpin_all()

    def resume_call(self, tid: int) -> None:
        """See `CpuAffinity`."""
        self._library.resume_call(tid)

    def resume(self, tid: int) -> None:
        """See `CpuAffinity`."""
        self._library.resume(tid)

    def unpin_new(self, tid: int) -> None:
        """See `CpuAffinity`."""
        self._library.unpin_new(tid)

    def forget(self, tid: int) -> None:
        """See `CpuAffinity`."""
        self._library.forget(tid)


def start(library: bytes, calls: Mapping[int, str]) -> InnerLoop | None:
    """Return the library at work, or None where there is none, or it cannot be loaded.

    `library` is what its file holds: what is loaded is what the session was made with, whatever has
    become of the file.
    """
    try:
        waiting, short = _loaded.get(library) or _load(library)
        if short.restart() != 0:
            return None  # There is no memory for it.
    except OSError:
        return None
    return InnerLoop(waiting, short, calls)


def _load(library: bytes) -> tuple[CDLL, PyDLL]:
    """Load the library, once for this process and its forks.

    Raises:
        OSError: It cannot be loaded, or there is none.
    """
    if not library:
        raise OSError(ENOENT, os.strerror(ENOENT))
    file = os.memfd_create("inner_loop", os.MFD_CLOEXEC)
    try:
        os.write(file, library)
        waiting, short = c_library.load(b"/proc/self/fd/%d" % file)
    finally:
        os.close(file)
    waiting.next_stop.argtypes = short.start_pinning.argtypes = (c_library.c_void_p,)
    short.take.restype = short.repeat_counts.restype = c_library.c_void_p
    short.set_job_server.argtypes = c_library.c_ulong, c_library.c_ulong
    short.all_news.restype = short.all_asked.restype = c_library.c_void_p
    short.size_of_asked.restype = c_library.c_ulong
    _loaded[library] = waiting, short
    return waiting, short
