"""Reads the calls that open files, and detects those that opened another file than requested.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath

from buildperm.tracer.recorder import decoding, location, memory, refusal
from buildperm.tracer.recorder.decoding import RESTARTING
from buildperm.tracer.recorder.location import AT_FDCWD, TOO_LONG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import (
        Decoded,
        Handler,
        Observer,
        SyscallInfo,
    )
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import OpenLayout

_CACHED = 8192  # Entries of a cache before it is emptied.


def handler(observer: Observer, _name: str, layout: OpenLayout) -> Handler:
    """Return the handler of a call with this layout."""
    start_at, path_at = (index + 1 for index in layout.path)
    flags_at, fixed_flags, has_open_how = layout.flags + 1, layout.fixed_flags, layout.has_open_how
    writer, resume, host_path = observer.writer, observer.resume, observer.host_path
    paths, threads = observer.paths, observer.threads
    differs, failed = paths.differ, paths.failed
    mode, creates, directory = decoding.mode, decoding.creates, decoding.directory
    descriptor, with_proc_self = location.descriptor, location.with_proc_self

    def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
        path = host_path(memory.c_string(tid, syscall[path_at]) or b"")
        start = syscall[start_at] if start_at else AT_FDCWD
        if has_open_how:
            flags = int.from_bytes(memory.read(tid, syscall[flags_at], 8), "little")
        else:
            flags = syscall[flags_at] if flags_at else fixed_flags
        light = observer.light if process.light is not None else None
        if light is not None and light.is_of_no_interest(process, path, flags):
            return None
        return path, start, flags

    def on_exit(tid: int, process: Process, decoded: Decoded, result: int, refused: bool) -> None:
        path, start, flags = decoded
        if result >= 0:
            found = host_path(descriptor(tid, result))
            raced = found != path and differs(tid, process.pid, start, path, found)
            if not found.startswith(b"/"):
                found = location.absolute(process.pid, tid, start, path)
            if process.light is not None and observer.light is not None:
                observer.light.at_open(process, found, flags)
            resume(tid)
            found = with_proc_self(threads, found)
            how, looks, lists = mode(flags), observer.looks, directory(flags)
            refused = False
            if looks is not None and how == "path":
                how = "look" if looks.is_wanted(found) else how
            elif looks is not None and lists:
                refused = looks.lacks(found)  # Names are kept from whoever lists it.
            entry = writer.opened(process, found, how, creates(flags), 0, refused, raced, lists)
            if observer.repeats is not None:
                observer.repeats.note(found, None if raced or refused else entry)
            return
        if -result >= RESTARTING:
            resume(tid)
            return
        wanted = location.absolute(process.pid, tid, start, path)
        is_directory = directory(flags)
        hidden = observer.hidden(result, wanted)
        if hidden or -result in refusal.SANDBOX_ERRNOS:
            wanted = hidden or location.resolved(wanted)
            refused = refused or refusal.may_open(
                wanted,
                reading=mode(flags) in ("read", "read-write"),
                writing=mode(flags) in ("write", "read-write"),
                creating=creates(flags),
                owning=decoding.needs_ownership(flags),
            )
            is_directory = is_directory or (refused and os.path.isdir(wanted))
            resume(tid)
        else:
            resume(tid)
            wanted = failed(wanted)
        wanted = with_proc_self(threads, wanted)
        entry = writer.opened(
            process, wanted, mode(flags), creates(flags), -result, refused, False, is_directory
        )
        if observer.repeats is not None:
            is_same = not refused and not wanted.startswith(b"/proc/")
            observer.repeats.note(b"", entry if is_same else None)

    return on_entry, on_exit


class OpenedPaths:
    """Compares requested paths with those that were opened, and caches what it has found out."""

    def __init__(self) -> None:
        self._explained: set[tuple[bytes, bytes]] = set()  # Requested path, where its links lead.
        self._directories: dict[bytes, bytes] = {}  # Where directories with `..` lead.

    def differ(self, tid: int, pid: int, start: int, path: bytes, found: bytes) -> bool:
        """Tell whether `path` was requested but `found` was opened, and no link explains it."""
        if not found.startswith(b"/"):
            return not found  # Empty: another thread has already closed it.
        if (path, found) in self._explained:
            return False
        if not path.startswith(b"/") and b".." not in path and found.endswith(b"/" + path):
            return False
        wanted = location.absolute(pid, tid, start, path)
        if wanted == found or (wanted, found) in self._explained:
            return False
        led = location.resolved(wanted)
        if led not in (found, posixpath.dirname(found)) and not found.endswith(TOO_LONG):
            return True  # Not even its directory, which O_TMPFILE takes.
        if len(self._explained) >= _CACHED:
            self._explained.clear()
        self._explained.add((wanted, found))
        return False

    def failed(self, wanted: bytes) -> bytes:
        """Return `wanted`, which could not be opened, without its `..` components."""
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
