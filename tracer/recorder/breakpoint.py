"""Sees a build script read its environment: a breakpoint on libc's `getenv`.

It is inserted when the program has reached its entry point: the loader has mapped and relocated
libc by then, and nothing of the program has run. `secure_getenv` ends in `getenv` (glibc, musl), so
one breakpoint is enough. Programs that read `environ` themselves (`env::vars()`, shells, Python)
are not seen, and neither is a static program without the symbol.

    executed ──▶ trap at the entry point ──▶ trap at getenv ◀──────────┐
                                                  │ name is read       │
                                                  ├─ instruction emulated ─▶ runs on
                                                  └─ original put back, one step ─▶ trap put back

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import struct

from buildperm.tracer.recorder import elf, memory, ptrace, registers

_AT_ENTRY = 9  # getauxval(3)
_TRAP_TRACE = 2  # sigaction(2): one step has been made
_NAME_MAX = 1024
_LIBRARIES = (b"libc.so", b"libc-", b"ld-musl-", b"libc.musl-")


class Breakpoints:
    """The breakpoints in one program's memory; its forks inherit them with the memory."""

    __slots__ = ("_entry", "_originals", "_stepping", "has_begun", "names", "unseen")

    def __init__(self, entry: int) -> None:
        self.names: frozenset[bytes] = frozenset()  # What its environment holds at the start.
        self.unseen = ""  # Why no environment read can be seen; empty if they can.
        self.has_begun = False  # It has come to its entry point.
        self._entry = entry
        self._originals: dict[int, bytes] = {}  # The eight bytes at each trap's address.
        self._stepping: dict[int, int] = {}  # Thread to the address it is stepping over.

    def is_stepping(self, tid: int) -> bool:
        """Tell whether `tid` has to be resumed for a single step."""
        return tid in self._stepping

    def forget(self, tid: int) -> None:
        """Note that `tid` has ended."""
        self._stepping.pop(tid, None)

    def handle_trap(self, pid: int, tid: int) -> bytes | None:
        """Handle a SIGTRAP that `tid` is about to get.

        Returns:
            The name that `getenv` was asked for; empty for another of our traps; None if the signal
            is not ours and has to be delivered.

        Raises:
            OSError: The process is gone or unreadable.
        """
        code = ptrace.signal_code(tid)
        if code <= 0:  # sent by kill(2) or sigqueue(3)
            return None
        if code == _TRAP_TRACE and tid in self._stepping:
            address = self._stepping.pop(tid)
            if address not in self._stepping.values():
                ptrace.poke(tid, address, registers.TRAP)
            return b""
        values = registers.load(tid)
        if values is None:
            return b""
        address = registers.program_counter(values) - registers.TRAP_LENGTH
        if address not in self._originals:
            return None
        if address == self._entry:
            self._restart(tid, values, address)
            self.find(pid, tid)
            self.has_begun = True
            return b""
        name = memory.c_string(tid, registers.first_argument(values), _NAME_MAX)
        is_again = self._stepping.get(tid) == address
        passed = registers.emulated(self._originals[address], address, values)
        if passed is None:
            self._restart(tid, values, address)
            self._stepping[tid] = address
        else:
            after, pushed = passed
            top = registers.stack_pointer(after)
            for offset in range(0, len(pushed), 8):
                ptrace.poke(tid, top + offset, pushed[offset : offset + 8])
            registers.store(tid, after)
        return b"" if is_again or name is None else name

    def insert(self, tid: int, address: int) -> None:
        """Insert a trap at `address`.

        Raises:
            OSError: The process is gone, or nothing is mapped there.
        """
        if address not in self._originals:  # else a fork of before: what is there may be a trap
            self._originals[address] = ptrace.peek(tid, address)
        ptrace.poke(tid, address, registers.TRAP)

    def find(self, pid: int, tid: int) -> None:
        """Find `getenv`, now that everything is mapped, and insert the trap there.

        Raises:
            OSError: The process is gone or unreadable.
        """
        with open(b"/proc/%d/environ" % pid, "rb") as file:
            variables = file.read().split(b"\0")
        self.names = frozenset(variable.split(b"=", 1)[0] for variable in variables)
        self.unseen = "the program has no `getenv` that could be watched"
        address = _find_getenv(pid)
        if address:
            try:
                self.insert(tid, address)
            except ProcessLookupError:
                raise
            except OSError:  # the file says where it is, and there is nothing
                return
            self.unseen = ""

    def _restart(self, tid: int, values: list[int], address: int) -> None:
        """Remove the trap at `address` and make `tid` run what it covered."""
        ptrace.poke(tid, address, self._originals[address][: len(registers.TRAP)])
        registers.set_program_counter(values, address)
        registers.store(tid, values)


def insert_at_entry(pid: int) -> Breakpoints | None:
    """Stop the program that `pid` has just executed once it reaches its entry point.

    Returns:
        None if the process is gone or cannot be changed.
    """
    try:
        with open(b"/proc/%d/auxv" % pid, "rb") as file:
            raw = file.read()
        entries = dict(struct.iter_unpack("=QQ", raw[: len(raw) & ~15]))
        entry = entries[_AT_ENTRY]
        points = Breakpoints(entry)
        points.insert(pid, entry)
    except (OSError, KeyError):
        return None
    return points


def _find_getenv(pid: int) -> int:
    """Return where `getenv` is in the memory of `pid`; 0 if it cannot be found."""
    program = os.readlink(b"/proc/%d/exe" % pid)
    base_of_program = 0
    with open(b"/proc/%d/maps" % pid, "rb") as file:
        for line in file:
            fields = line.split(None, 5)
            if len(fields) < 6 or int(fields[2], 16):  # proc_pid_maps(5): the offset in the file
                continue
            start, path = int(fields[0].split(b"-")[0], 16), fields[5].rstrip(b"\n")
            if path == program:
                base_of_program = base_of_program or start
            elif posixpath.basename(path).startswith(_LIBRARIES):
                found = _address(b"/proc/%d/root%s" % (pid, path), start)
                if found:
                    return found
    if not base_of_program:
        return 0
    return _address(b"/proc/%d/exe" % pid, base_of_program, static_only=True)


def _address(path: bytes, start: int, *, static_only: bool = False) -> int:
    try:
        image = elf.Image(path)
    except (OSError, ValueError):
        return 0
    try:
        if static_only and not image.is_static():
            return 0
        value = image.function(b"getenv")
        return start + value - image.lowest() if value else 0
    finally:
        image.close()
