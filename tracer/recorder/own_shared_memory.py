"""Gives a script shared memory of its own: its names in `/dev/shm` are files in a private folder.

libc makes semaphores and shared memory there by name (sem_overview(7), shm_overview(7)), whatever
TMPDIR says. All users share that folder, so no rule opens it. Where a process of the tree opens,
links, renames or removes a name directly in it, the call is made with a path in a folder that the
script may write anyhow:

    open("/dev/shm/sem.x") ──▶ entry stop ──▶ open("$TMP/shm/sem.x") ──▶ exit stop ──▶ as if nothing

The kernel judges the path that it then reads, so nobody gets more rights, whatever another thread
makes of the text meanwhile, or puts in the place of that folder. So a call is recorded by where its
path leads when it is over. What somebody else has in `/dev/shm` is not there for the script.

Memory below the stack may belong to somebody else where stacks are small and signals have one of
their own (sigaltstack(2)), as with Go. So what was there is put back.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder import decoding, location, memory, refusal, registers
from buildperm.tracer.recorder.brokered import Substitute
from buildperm.tracer.recorder.decoding import RESTARTING
from buildperm.tracer.syscall_table import ChangeLayout, OpenLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer

SHARED = b"/dev/shm/"
_RED_ZONE = 128  # Bytes below the stack pointer that belong to the function: System V ABI.
_CALLS = frozenset(
    (
        *("open", "openat", "unlink", "unlinkat", "link", "linkat"),
        *("rename", "renameat", "renameat2"),
    )
)
_NAME_MOST = 255  # NAME_MAX


class OwnSharedMemory:
    """Knows the calls that name shared memory, and makes them about a private folder."""

    def __init__(
        self,
        writer: Writer,
        calls: dict[int, str],
        folder: bytes,
        is_granted: Callable[[bytes], bool],
        is_hidden: Callable[[int, bytes], bool],
    ) -> None:
        """Prepare.

        Args:
            writer: Where events go.
            calls: Name by number of each call that the filter may stop.
            folder: Where the script's names are, without links.
            is_granted: Tells whether a path in `/dev/shm` itself is open to it.
            is_hidden: See `Observer.is_hidden`.
        """
        self._writer = writer
        self._folder = folder
        self._is_granted = is_granted
        self._is_hidden = is_hidden
        layouts: dict[str, OpenLayout | ChangeLayout] = {**of(OpenLayout), **of(ChangeLayout)}
        self._layouts = {
            number: layouts[name]
            for number, name in calls.items()
            if name in _CALLS and name in layouts
        }

    def redirected(
        self, tid: int, process: Process, syscall: SyscallInfo, decoded: Decoded | None
    ) -> Substitute | None:
        """Return what to do in the place of a call; None if it is to be made as it is."""
        layout = self._layouts.get(syscall[0])
        if layout is None:
            return None
        if isinstance(layout, OpenLayout) and (
            decoded is None or not decoded[0].startswith(SHARED)
        ):
            return None  # Most are: its path has been read already.
        where = [layout.path[1]]
        if isinstance(layout, ChangeLayout) and layout.other[1] >= 0:
            where.append(layout.other[1])
        paths = [self._own(memory.c_string(tid, syscall[at + 1]) or b"") for at in where]
        if not all(paths):
            return None
        places = self._put(tid, paths)
        if places is None:
            return None
        arguments = list(syscall[1:7])
        for at, place in zip(where, places, strict=True):
            arguments[at] = place.at
        note = self._noter(tid, process, syscall, layout, paths, places)
        return Substitute(syscall[0], tuple(arguments), None, note)

    def _own(self, path: bytes) -> bytes:
        """Return where a name of shared memory is kept; empty for any other path."""
        name = path[len(SHARED) :]
        if not path.startswith(SHARED) or b"/" in name or name in (b"", b".", b".."):
            return b""
        if len(name) > _NAME_MOST or self._is_granted(path):
            return b""
        return self._folder + b"/" + name

    @staticmethod
    def _put(tid: int, paths: list[bytes]) -> list[_NamePlace] | None:
        """Write paths below the stack of a stopped thread; return where, None if that fails."""
        values = registers.load(tid)
        if values is None:
            return None
        at = registers.stack_pointer(values) - _RED_ZONE
        places: list[_NamePlace] = []
        try:
            file = os.open(b"/proc/%d/mem" % tid, os.O_RDWR | os.O_CLOEXEC)
            try:
                for path in paths:
                    at = (at - len(path) - 1) & ~15
                    before = os.pread(file, len(path) + 1, at) if at > 0 else b""
                    if not before or os.pwrite(file, path + b"\0", at) != len(path) + 1:
                        return None
                    places.append(_NamePlace(at, before))
            finally:
                os.close(file)
        except (OSError, OverflowError):
            return None  # It is gone, or has no room: the call is refused as any other there.
        return places

    def _noter(
        self,
        tid: int,
        process: Process,
        syscall: SyscallInfo,
        layout: OpenLayout | ChangeLayout,
        paths: list[bytes],
        places: list[_NamePlace],
    ) -> Callable[[int], int]:
        """Return what records the call by its result, which it returns."""

        def note(result: int) -> int:
            now = [memory.c_string(tid, place.at) or b"" for place in places]
            _put_back(
                tid, [p for p, path, text in zip(places, paths, now, strict=True) if path == text]
            )
            if -result >= RESTARTING:
                return result
            errno = -min(result, 0)
            raced = now != paths
            named = now if all(each.startswith(b"/") for each in now) else paths
            # In a folder of its own nothing is refused: the text or the folder is another one.
            refused = errno in refusal.SANDBOX_ERRNOS or any(
                self._is_hidden(result, each) for each in named
            )
            if isinstance(layout, OpenLayout):
                flags = syscall[layout.flags + 1]
                found = location.descriptor(tid, result) if result >= 0 else b""
                self._writer.opened(
                    process,
                    found if found.startswith(b"/") else location.resolved(named[0]),
                    decoding.mode(flags),
                    decoding.creates(flags),
                    errno,
                    refused,
                    raced,
                )
            else:
                path, *others = map(location.parent_resolved, named)
                other = others[0] if others else b""
                change = layout.change
                self._writer.changed(process, change, path, other, errno, refused, raced)
            return result

        return note


class _NamePlace:
    """Where a path has been put, and what was there."""

    __slots__ = ("at", "before")

    def __init__(self, at: int, before: bytes) -> None:
        self.at = at
        self.before = before


def _put_back(tid: int, places: list[_NamePlace]) -> None:
    try:
        file = os.open(b"/proc/%d/mem" % tid, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # It is gone.
    try:
        for place in places:
            os.pwrite(file, place.before, place.at)
    except (OSError, OverflowError):
        pass
    finally:
        os.close(file)
