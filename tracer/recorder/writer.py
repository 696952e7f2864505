"""Collects what happened and writes it as a recording: JSON Lines, see recording.schema.json.

The same thing done by the same chain of programs with the same outcome is one line with a count,
so that ten million opens are no more than a few. What is kept is bounded: see `budget`.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import time
from errno import EEXIST, ENOENT, ENOTDIR

from buildperm.tracer.recorder import budget, json_line
from buildperm.tracer.recorder.budget import SIZES, Budget
from buildperm.tracer.recording_format import REUSED, VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from buildperm.tracer.recorder.json_line import Key, ProcessEntry
    from buildperm.tracer.recorder.process_tree import Process


_MADE = ("renamed", "linked", "symlinked", "directory-made", "node-made")


class Writer:
    """One recording in the making."""

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        events: int = budget.EVENTS,
        refused_events: int = budget.REFUSED_EVENTS,
        processes: int = budget.PROCESSES,
    ) -> None:
        self.dropped = 0  # Events that did not fit, repetitions included.
        self.dropped_refusals = 0  # Refused ones among them.
        self.dropped_writes = 0  # Those that `written_paths` would have yielded.
        self.refused = 0  # Refused events, repetitions included.
        # Number of a chain of programs by that of what led to it, and its last program.
        self.chains: dict[tuple[int, bytes], int] = {}
        self._clock = clock
        self._start = clock()
        self._events: dict[Key, list[int]] = {}  # To time of the first, its process, count.
        self._processes: dict[int, ProcessEntry] = {}
        self._ordinary = Budget(events, budget.TEXT_BYTES)
        self._refusals = Budget(refused_events, budget.REFUSED_TEXT_BYTES)
        self._tree = Budget(processes, budget.PROCESS_TEXT_BYTES)

    def process(self, pid: int, parent: int, program: bytes, argv: tuple[bytes, ...]) -> int:
        """Add a program that has just been executed.

        Args:
            pid: Its process ID.
            parent: The key of the program that made the process; 0 for the build script.
            program: The file that it was executed from.
            argv: Its arguments.

        Returns:
            The key for its events; that of its parent if there is no more room.
        """
        if not self._tree.take(len(program) + sum(map(len, argv))) and parent:
            self.dropped += 1
            return parent
        while pid in self._processes:
            pid += REUSED
        started = self._clock() - self._start
        self._processes[pid] = (parent, program, argv, started, None, None)
        return pid

    def ended(self, key: int, status: int | None, *, just_now: bool = True) -> None:
        """Note that the program `key` has ended.

        Args:
            key: What `process` has returned for it.
            status: Its wait status: wait(2). None where it has become another program.
            just_now: It is known when: now.
        """
        entry = self._processes.get(key)
        if entry is not None:
            at = self._clock() - self._start if just_now else None
            self._processes[key] = (*entry[:4], at, status)

    def opened(
        self,
        process: Process,
        path: bytes,
        mode: str,
        creates: bool,
        errno: int,
        refused: bool,
        raced: bool,
        directory: bool = False,
    ) -> list[int] | None:
        """File a `FileOpened`.

        Returns:
            Its entry, the last number of which says how often it has happened; None where there is
            no more room.
        """
        key = ("opened", process.chain, path, mode, creates, errno, refused, raced, directory)
        # As `_count` does, without a call for each of the events that are most of all.
        known = self._events.get(key)
        if known is None:
            return self._add(key, process.key, refused)
        known[2] += 1
        self.refused += refused
        return known

    def changed(
        self,
        process: Process,
        change: str,
        path: bytes,
        other: bytes,
        errno: int,
        refused: bool,
        raced: bool,
    ) -> None:
        """File a `PathChanged`."""
        key = ("changed", process.chain, change, path, other, errno, refused, raced)
        self._count(key, process.key, refused)

    def led_out(self, process: Process, link: bytes, target: bytes, refused: bool) -> None:
        """File a `PathChanged` for a link that was left in OUT_DIR and leads out of it."""
        self.changed(process, "led-out", link, target, 0, refused, False)

    def executed(
        self,
        process: Process,
        path: bytes,
        requested: bytes,
        argv: tuple[bytes, ...],
        errno: int,
        refused: bool,
    ) -> list[int] | None:
        """File an `Executed`; return its entry as `opened` does."""
        key = ("executed", process.chain, path, requested, argv, errno, refused)
        return self._count(key, process.key, refused)

    def socket(
        self, process: Process, use: str, family: str, address: str, errno: int, refused: bool
    ) -> None:
        """File a `SocketUsed`; `address` is in notation."""
        key = ("socket", process.chain, use, family, address, errno, refused, 0, 0)
        self._count(key, process.key, refused)

    def proxied(
        self,
        process: Process,
        target: str,
        errno: int,
        refused: bool,
        at_ns: int,
        count: int,
        transferred: tuple[int, int],
    ) -> None:
        """File a `SocketUsed` for what went through the egress proxy; each only once.

        Args:
            process: Who did it.
            target: Host and port.
            errno: Why the host could not be reached; 0 if it was.
            refused: It may not be reached.
            at_ns: When it happened first, on the clock of the writer.
            count: How often.
            transferred: Bytes sent and received.
        """
        key = ("socket", process.chain, "connected", "host", target, errno, refused, *transferred)
        self._add(key, process.key, refused)
        known = self._events.get(key)
        if known is not None:
            known[0] = max(0, at_ns - self._start)
            known[2] = count

    def call(self, process: Process, call: str, errno: int) -> None:
        """File a `CallRefused`."""
        self._count(("call", process.chain, call, errno), process.key, True)

    def environment(
        self,
        process: Process,
        name: bytes,
        present: bool,
        withheld: bool,
        secret: str = "",
        *,
        count: int = 1,
    ) -> None:
        """File an `EnvironmentRead`, or so many of them."""
        key = ("environment", process.chain, name, present, withheld, secret)
        known = self._events.get(key)
        if known is not None:
            known[2] += count
            return
        self._add(key, process.key, False, is_withheld=withheld)
        if count > 1 and key in self._events:
            self._events[key][2] = count

    def directive(self, key: str, value: str, verdict: str) -> None:
        """File a `DirectivePrinted`; `key` and `value` are in notation."""
        refused = verdict in ("refused", "forbidden")
        self._count(("directive", 0, key, value, verdict), 0, refused)

    def refused_reads(self) -> Iterator[bytes]:
        """Yield each path that the sandbox refused to have opened for reading."""
        for key in self._events:
            match key:
                case ("opened", _, bytes(path), "read" | "read-write", _, _, True, *_):
                    yield path
                case _:
                    pass

    def unshown_reads(self) -> Iterator[tuple[int, bytes]]:
        """Yield what was refused as if it were not there: a chain of programs, and the path."""
        for key in self._events:
            match key:
                case ("opened", int(chain), bytes(path), "look" | "path", _, _, True, *_):
                    yield chain, path
                case ("opened", int(chain), bytes(path), "read", _, int(errno), True, *_):
                    if errno in (0, ENOENT, ENOTDIR):  # 0: not all names in a folder are shown.
                        yield chain, path
                case _:
                    pass

    def refused_attempts(self) -> Iterator[tuple[str, bytes]]:
        """Yield what was refused: a verb, and the path or the address that it was about."""
        yield from filter(None, map(refused_attempt, self._events))

    def refuse_folders(self, paths: Container[bytes]) -> None:
        """Count the folders as refused that could not be made as there are files of ours."""
        for key in list(self._events):
            match key:
                case ("changed", chain, "directory-made", path, other, failed, False, raced):
                    if failed == EEXIST and path in paths:
                        refused = "changed", chain, "directory-made", path, other, failed, True
                        entry = self._events[(*refused, raced)] = self._events.pop(key)
                        self.refused += entry[2]
                case _:
                    pass

    def written_paths(self) -> Iterator[bytes]:
        """Yield each path that was opened for writing, made, or given to something else."""
        for key in self._events:
            path = _written(key)
            if path is not None:
                yield path

    def withheld_names(self) -> Iterator[bytes]:
        """Yield each variable that the script read, that is set outside and was withheld."""
        for key in self._events:
            match key:
                case ("environment", _, bytes(name), _, True, *_):
                    yield name
                case _:
                    pass

    def events(self) -> Iterator[Key]:
        """Yield each event: its type, the number of its chain of programs, and its fields."""
        yield from self._events

    def times(self, event: Key) -> int:
        """Return how often one of `events` has happened."""
        return self._events[event][2]

    def duration_ns(self) -> int:
        """Return how long the recording has been going on."""
        return self._clock() - self._start

    def save(self, path: bytes, header: Mapping[str, object], end: Mapping[str, object]) -> None:
        """Write everything to `path`, whole or not at all.

        Args:
            path: Where to; what is there is replaced.
            header: The fields of the first line but `type` and `version`: texts, numbers, lists and
                dictionaries of them.
            end: The fields of the last line but `type`, `duration_ns` and `dropped`.

        Raises:
            OSError: It cannot be written.
        """
        last = {"type": "end", "duration_ns": self.duration_ns(), "dropped": self.dropped, **end}
        made = path + b".new"
        with open(made, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(first_line(header))
            file.writelines(self._lines())
            file.write(json_line.value(last) + "\n")
        replace_file(made, path)

    def _count(self, key: Key, process: int, refused: bool) -> list[int] | None:
        known = self._events.get(key)
        if known is None:
            return self._add(key, process, refused)
        known[2] += 1
        self.refused += refused
        return known

    def _add(
        self, key: Key, process: int, refused: bool, *, is_withheld: bool = False
    ) -> list[int] | None:
        self.refused += refused
        is_refusal = refused or is_withheld
        if (self._refusals if is_refusal else self._ordinary).take(SIZES[key[0]](key)):
            entry = self._events[key] = [self._clock() - self._start, process, 1]
            return entry
        self.dropped += 1
        self.dropped_refusals += is_refusal
        self.dropped_writes += _written(key) is not None
        return None

    def _lines(self) -> Iterator[str]:
        for key, entry in self._processes.items():
            yield json_line.process(key, entry)
        for fields, (at, pid, count) in self._events.items():
            yield json_line.event(fields, at, pid, count)


def first_line(header: Mapping[str, object]) -> str:
    """Return the first line of a recording; `header` as `Writer.save` takes it."""
    return json_line.value({"type": "header", "version": VERSION, **header}) + "\n"


def refused_attempt(key: Key) -> tuple[str, bytes] | None:
    """Return of an event a verb, and the path or the address that it was about, if it was refused.

    None for a refused call or directive, which are about none.
    """
    match key:
        case ("opened", _, bytes(path), mode, creates, _, True, *_):
            is_read = mode in ("read", "path", "look") and not creates
            return "read" if is_read else "write", path
        case ("executed", _, bytes(path), _, _, _, True):
            return "run", path
        case ("changed", _, _, bytes(path), _, _, True, *_):
            return "change", path
        case ("socket", _, _, _, str(address), _, True, *_):
            return "reach", address.encode()
        case _:
            return None


def _written(key: Key) -> bytes | None:
    """Return what an event has opened for writing, made, or given to something else, if it has."""
    match key:
        case ("opened", _, bytes(path), "write" | "read-write", _, 0, *_):
            return path
        case ("changed", _, change, bytes(path), _, 0, *_) if change in _MADE:
            return path
        case _:
            return None


def replace_file(made: bytes, path: bytes) -> None:
    """Move the finished file `made` to `path`; a reader finds the old one, none, or the new one.

    To rename over a file would make ext4 write the new one out at once, which takes longer than
    most build scripts: ext4(5), "auto_da_alloc". A missing recording is made again.

    Raises:
        OSError: It cannot be moved.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    os.rename(made, path)
