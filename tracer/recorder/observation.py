"""Turns the two stops of a system call into an event.

On entry only what the process may overwrite is copied; at the exit the kernel's answer is read.
Each `leave` lets the process go on as soon as nothing more has to be read from it, so that it runs
while the event is filed.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
from errno import EACCES, EINPROGRESS, ENOENT, EPERM, EXDEV

from buildperm.tracer import syscall_table as layouts
from buildperm.tracer.recorder import decoding, location, memory, refusal
from buildperm.tracer.recorder.location import AT_FDCWD, TOO_LONG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer

    Stopped: TypeAlias = tuple[int, ...]
    """Number, six arguments and filter data, as `ptrace.stopped_call` gives them."""
    Seen: TypeAlias = tuple[Any, ...]
    """What an `enter` keeps for its `leave`; None: nothing to record."""
    Enter: TypeAlias = Callable[[int, Process, Stopped], Seen | None]
    Leave: TypeAlias = Callable[[int, Process, Seen, int, bool], None]
    """Takes the result (-errno for a failure) and whether the filter refused the call."""

_RESTARTING = 512  # An errno from here on (ERESTARTSYS …) is for the kernel: it redoes the call.
_AT_SYMLINK_NOFOLLOW = 0x100
_CACHED = 8192  # Entries of a cache before it is emptied.


class Observer:
    """Knows for each call number how to read it."""

    def __init__(
        self, writer: Writer, calls: dict[int, str], resume: Callable[[int], None]
    ) -> None:
        self._writer = writer
        self._resume = resume
        self._explained: set[tuple[bytes, bytes]] = set()  # Path asked for, where links lead.
        self._directories: dict[bytes, bytes] = {}  # Where directories with `..` lead.
        self.hides: Callable[[bytes], bool] | None = None  # See Recorder.expect_wrapper.
        self.is_written: Callable[[bytes], bool] | None = None  # Likewise.
        self.by_inner_id: dict[int, int] | None = None  # See Tree.
        self.handlers: dict[int, tuple[Enter, Leave]] = {}
        for number, name in calls.items():
            handler = self._handler(name)
            if handler is not None:
                self.handlers[number] = handler

    def _handler(self, name: str) -> tuple[Enter, Leave] | None:
        if name in layouts.OPENS:
            return self._open_handler(name)
        if name in layouts.CHANGES:
            return self._change_handler(name)
        if name in layouts.EXECUTIONS:
            return self._execution_handler(name)
        if name in layouts.SOCKETS:
            return self._socket_handler(name)
        if name in layouts.CORE_LIMITS:
            return self._core_limit_handler(name)
        return None

    def _open_handler(self, name: str) -> tuple[Enter, Leave]:
        start_at, path_at, flags_at = (index + 1 for index in layouts.OPENS[name])
        resume = self._resume
        writer, differs, failed = self._writer, self._differs, self._failed_path
        mode, creates = decoding.mode, decoding.creates
        descriptor, generalised = location.descriptor, location.generalised

        def enter(tid: int, process: Process, stopped: Stopped) -> Seen:
            path = self._outer(memory.text(tid, stopped[path_at]) or b"")
            start = stopped[start_at] if start_at else AT_FDCWD
            if name == "openat2":
                flags = int.from_bytes(memory.read(tid, stopped[flags_at], 8), "little")
            elif name == "creat":
                flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
            else:
                flags = stopped[flags_at]
            return path, start, flags

        def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
            path, start, flags = seen
            if result >= 0:
                found = self._outer(descriptor(tid, result))
                raced = found != path and differs(tid, process.pid, start, path, found)
                if not found.startswith(b"/"):
                    found = location.absolute(process.pid, tid, start, path)
                resume(tid)
                found = generalised(process.pid, found)
                writer.opened(process, found, mode(flags), creates(flags), 0, False, raced)
                return
            if -result >= _RESTARTING:
                resume(tid)
                return
            wanted = location.absolute(process.pid, tid, start, path)
            if -result in refusal.SUSPECT or self._is_hidden(result, wanted):
                wanted = location.resolved(wanted)
                refused = refused or refusal.may_open(
                    wanted,
                    reading=mode(flags) in ("read", "read-write"),
                    writing=mode(flags) in ("write", "read-write"),
                    creating=creates(flags),
                    owning=decoding.owning(flags),
                )
                resume(tid)
            else:
                resume(tid)
                wanted = failed(wanted)
            wanted = generalised(process.pid, wanted)
            writer.opened(process, wanted, mode(flags), creates(flags), -result, refused, False)

        return enter, leave

    def _change_handler(self, name: str) -> tuple[Enter, Leave]:
        change, place, other_place = layouts.CHANGES[name]
        resume = self._resume
        follows = name in layouts.FOLLOWING
        flags_at = layouts.FLAGS.get(name, layouts.NONE)
        is_text = change == "symlinked"
        # Only of these it matters which two went together; looking twice costs as much again.
        has_two = change in ("renamed", "linked")

        def copied(tid: int, stopped: Stopped, where: tuple[int, int]) -> tuple[int, bytes | None]:
            start = stopped[where[0] + 1] if where[0] >= 0 else AT_FDCWD
            if where[1] < 0 or not stopped[where[1] + 1]:
                return start, None  # by descriptor: utimensat(2) with no path
            return start, self._outer(memory.text(tid, stopped[where[1] + 1]) or b"")

        def named(tid: int, pid: int, arguments: Seen) -> tuple[bytes, bytes]:
            target, other, is_followed = arguments
            path = _changed_path(tid, pid, target, is_followed)
            if is_text or other[1] is None:
                return path, other[1] or b""
            return path, _changed_path(tid, pid, other, False)

        def arguments(tid: int, stopped: Stopped) -> Seen:
            is_followed = follows or (
                flags_at >= 0 and not stopped[flags_at + 1] & _AT_SYMLINK_NOFOLLOW
            )
            other = (AT_FDCWD, None) if other_place[1] < 0 else copied(tid, stopped, other_place)
            return copied(tid, stopped, place), other, is_followed

        def differs(
            tid: int, given: Seen, now: tuple[bytes, bytes], stopped: Stopped, before: Seen
        ) -> bool:
            try:
                return now != before or arguments(tid, stopped) != given
            except OSError:
                return False  # gone

        def enter(tid: int, process: Process, stopped: Stopped) -> Seen:
            given = arguments(tid, stopped)
            # What the filter answers is not made by the script: nothing can come between.
            if stopped[7] or not has_two:
                return given, None
            return given, (stopped, named(tid, process.pid, given))

        def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
            given, before = seen
            raced = False
            if given is None:  # See `changed`.
                path, origin = before
            else:
                path, origin = named(tid, process.pid, given)
                if before is not None and result >= 0:
                    raced = differs(tid, given, (path, origin), *before)
            if not refused and (
                -result in refusal.SUSPECT
                or self._is_hidden(result, path)
                or (origin and not is_text and self._is_hidden(result, origin))
            ):
                refused = not self._crosses(result, path, origin) and refusal.may_change(
                    change, path, origin
                )
            resume(tid)
            if path.startswith(b"/") and -result < _RESTARTING:
                self._writer.changed(process, change, path, origin, -min(result, 0), refused, raced)

        return enter, leave

    def _execution_handler(self, name: str) -> tuple[Enter, Leave]:
        start_at, path_at, argv_at = (index + 1 for index in layouts.EXECUTIONS[name])
        writer, resume = self._writer, self._resume

        def enter(tid: int, process: Process, stopped: Stopped) -> Seen:
            path = self._outer(memory.text(tid, stopped[path_at]) or b"")
            start = stopped[start_at] if start_at else AT_FDCWD
            return location.absolute(process.pid, tid, start, path), stopped[argv_at]

        def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
            requested, pointer = seen
            found: bytes = requested
            argv: tuple[bytes, ...] = ()
            if -result != ENOENT:  # a search through PATH is not worth its arguments
                try:
                    argv = decoding.arguments(tid, pointer)
                except OSError:
                    pass  # gone, or unreadable: the next entry will say so
            if -result in refusal.SUSPECT or self._is_hidden(result, requested):
                found = location.resolved(requested)
                refused = refused or refusal.may_execute(found)
            resume(tid)
            if -result < _RESTARTING:
                writer.executed(process, found, requested, argv, -min(result, 0), refused)
            if (
                refused
            ):  # execve(2), "Interpreter scripts": either of the two may be what is missing
                interpreter = _interpreter(found)
                if interpreter and refusal.may_execute(interpreter):
                    writer.executed(process, interpreter, requested, argv, -result, refused)

        return enter, leave

    def _socket_handler(self, name: str) -> tuple[Enter, Leave]:
        use, address_at, size_at = layouts.SOCKETS[name]
        writer, resume = self._writer, self._resume

        def enter(tid: int, process: Process, stopped: Stopped) -> Seen | None:
            if name == "socket":
                return decoding.family(stopped[1]), decoding.socket_type(stopped[2])
            pointer = stopped[address_at + 1]
            if size_at < 0:
                seen = decoding.message_address(process.pid, tid, pointer)
            elif pointer:
                seen = decoding.address(process.pid, tid, pointer, stopped[size_at + 1])
            elif use == "sent":
                return None  # to whom the socket is connected: no news
            else:
                seen = None
            return seen or ("0", "")

        def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
            resume(tid)
            if -result >= _RESTARTING:
                return
            family, address = seen
            is_net = family.startswith("inet") and use == "connected"
            if is_net and result == -EINPROGRESS:  # Only what is granted comes as far as that.
                result = 0
            refused = refused or (is_net and -result == EACCES)  # landlock(7): ACCESS_NET
            writer.socket(process, use, family, address, -min(result, 0), refused)

        return enter, leave

    def _core_limit_handler(self, name: str) -> tuple[Enter, Leave]:
        resume = self._resume

        def enter(_tid: int, _process: Process, stopped: Stopped) -> Seen:
            return ()

        def leave(tid: int, process: Process, _seen: Seen, result: int, refused: bool) -> None:
            resume(tid)
            if refused:  # By the filter: it was another process's.
                self._writer.call(process, name, -result)
            elif result == -EPERM:  # setrlimit(2): above what the script was left with.
                self._writer.call(process, layouts.CORE_LIMIT, EPERM)

        return enter, leave

    def _outer(self, path: bytes) -> bytes:
        """Return `path` with the process in `/proc/N`, as it is numbered within, as it is here."""
        if self.by_inner_id is None or not path.startswith(b"/proc/"):
            return path
        number, slash, rest = path[6:].partition(b"/")
        outer = self.by_inner_id.get(int(number)) if number.isdigit() else None
        return path if outer is None else b"/proc/%d" % outer + slash + rest

    def _is_hidden(self, result: int, wanted: bytes) -> bool:
        """Tell whether a call failed because the wrapper does not show what `wanted` names outside.

        ENOENT or ENOTDIR, where the kernel outside knows better: the one case in which "it is not
        there" is the sandbox's answer.
        """
        if self.hides is None or -result not in refusal.ABSENT:
            return False
        return self.hides(location.resolved(wanted))

    def _crosses(self, result: int, path: bytes, origin: bytes) -> bool:
        """Tell whether two places that may both be written are only on different mounts.

        rename(2), EXDEV: what happens between a temporary folder and any other on many machines.
        """
        if self.is_written is None or -result != EXDEV or not origin:
            return False
        return self.is_written(path) and self.is_written(origin)

    def _differs(self, tid: int, pid: int, start: int, path: bytes, found: bytes) -> bool:
        """Say whether `found` was opened although `path` was asked for, and no link explains it."""
        if not found.startswith(b"/"):
            return not found  # empty: closed again already by another thread
        if (path, found) in self._explained:
            return False
        if not path.startswith(b"/") and b".." not in path and found.endswith(b"/" + path):
            return False
        wanted = location.absolute(pid, tid, start, path)
        if wanted == found or (wanted, found) in self._explained:
            return False
        led = location.resolved(wanted)
        if led not in (found, posixpath.dirname(found)) and not found.endswith(TOO_LONG):
            return True  # the directory: O_TMPFILE
        if len(self._explained) >= _CACHED:
            self._explained.clear()
        self._explained.add((wanted, found))
        return False

    def _failed_path(self, wanted: bytes) -> bytes:
        """Return the path of an open that failed by itself, without the `..` in it."""
        if b"/.." not in wanted:
            return wanted
        directory, name = posixpath.split(wanted)
        led = self._directories.get(directory)
        if led is None:
            led = location.resolved(directory)
            if len(self._directories) >= _CACHED:
                self._directories.clear()
            self._directories[directory] = led
        return posixpath.normpath(posixpath.join(led, name))


def executed(pid: int, seen: Seen | None) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """Return program, path asked for and arguments of what `pid` has just started.

    A program that is unreadable, or killed already, is called what was asked for.
    """
    program = location.program(pid)
    requested = program if seen is None else seen[0]
    return program or requested, requested, decoding.command_line(pid)


def changed(path: bytes) -> Seen:
    """Return what an `enter` would keep of a change whose file is known for certain."""
    return None, (path, b"")


def _changed_path(tid: int, pid: int, target: tuple[int, bytes | None], is_followed: bool) -> bytes:
    start, path = target
    if not path:  # None, or empty with AT_EMPTY_PATH
        return location.directory(tid, start)
    wanted = location.absolute(pid, tid, start, path)
    return location.resolved(wanted) if is_followed else location.parent_resolved(wanted)


def _interpreter(path: bytes) -> bytes:
    """Return the interpreter that the first line of `path` names; empty if there is none."""
    try:
        file = location.opened(path)
    except OSError:
        return b""
    try:
        line = os.read(file, 256).split(b"\n", 1)[0]
    except OSError:
        return b""
    finally:
        os.close(file)
    words = line[2:].split() if line.startswith(b"#!") else []
    return location.resolved(words[0]) if words and words[0].startswith(b"/") else b""
