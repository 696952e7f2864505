"""Light observation: compilers of the system open files for reading without stopping.

Who it is decided at the exec stop, by the kernel's link to the program, before anything of it has
run. Its C library is changed at its entry point, when the loader has mapped and relocated it. The
loader of any tool is changed at the exec stop, and back at the entry point:

    exec of a known tool ──▶ loader patched, trap at the entry point ──▶ loader as it was
                                                                            │ a compiler
                                                                            ▼
                                                   library patched ──▶ runs on until the loader
                                                                       opens a plugin: key erased

The filter knows a key, which is new for each run, and lives in the memory of such programs only.
Who has it opens nothing that Landlock refuses, but nobody sees what is opened, nor what is refused.
So a program that brings other code along never gets it, or loses it before that code runs: see
`at_exec` and `at_open`. That holds for code of the system, too: a library may show what is in the
registers, and a plugin may do what it is told. A loader is patched only if it looks where the one
of the script looks (`LD_LIBRARY_PATH` of Cargo), and no script may write there: what it finds runs
before the entry point.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import struct

from buildperm.tracer.recorder import location, open_patch, ptrace, registers
from buildperm.tracer.recorder.process_tree import kill
from buildperm.tracer.syscall_table import WRITING_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from buildperm.tracer.recorder.open_patch import Patch
    from buildperm.tracer.recorder.process_tree import Process

_COMPILERS = frozenset((b"cc1", b"cc1plus", b"cc1obj", b"cc1objplus", b"clang", b"clang++"))
"""What looks for headers, without what stands before and behind; nothing else opens as many files.

gcc itself only starts them. To patch an assembler, a linker or an archiver takes longer than its
stops do, and these are easier to take over by what they read.
"""

_TOOLS = _COMPILERS | frozenset(
    (
        *(b"gcc", b"g++", b"cc", b"c++", b"cpp", b"collect2", b"lto1", b"lto", b"as"),
        *(b"ld", b"ld.bfd", b"ld.gold", b"ld.lld", b"lld", b"gold", b"ar", b"ranlib", b"nm"),
        *(b"strip", b"objcopy", b"objdump", b"readelf", b"cmake", b"make", b"gmake", b"ninja"),
    )
)
"""Whose loaders look for libraries in each folder of Cargo's: 42 places for gcc, cc1 and as alike.

Any program of the system could be among them. These are started most, and where one has run, a
compiler mostly has as well, so that a script which fails is run once more in any case.
"""

_LOOKERS = _TOOLS - frozenset((b"cmake", b"make", b"gmake", b"ninja"))
"""What looks at a hundred paths for each source, and does nothing else with what it finds.

What such a tool is told to look at is in its arguments: `look_calls.named`. The others decide by
looks what is made.
"""

_SYSTEM = (b"/usr/", b"/etc/", b"/lib/", b"/lib64/", b"/bin/", b"/nix/store/", b"/gnu/store/")
_GLIBC = (b"libc.so.6", b"libc-2.")  # musl's is libc.so, or its loader.
_GLIBC_LOADER = (b"ld-linux", b"ld-2.")  # musl's is ld-musl.
_EXECUTABLE_AT, _EXECUTABLE = 3, ord("x")  # proc_pid_maps(5): `7f12-7f34 r-xp`
_STEERING = (b"LD_", b"GLIBC_TUNABLES=")  # ld.so(8): other code, or memory that others share.
SEARCHED = b"LD_LIBRARY_PATH="
_ORDINARY = (SEARCHED, b"LD_RUN_PATH=")
_KERNEL_CODE = (b"[vdso]", b"[vsyscall]")  # proc_pid_maps(5)
_AT_ENTRY = 9  # getauxval(3)
_CACHED = 8192  # Entries of a cache before it is emptied.


class Patched:
    """A process whose memory has the patch; what has forked from it has it, too."""

    __slots__ = ("base", "patch")

    def __init__(self, patch: Patch, base: int) -> None:
        self.patch = patch
        self.base = base


class AtEntry:
    """A process with a trap at its entry point."""

    __slots__ = ("address", "loader", "word")

    def __init__(self, address: int, word: bytes, loader: Patched | None = None) -> None:
        self.address = address
        self.word = word  # What was there.
        self.loader = loader  # The patch that its loader has until then; None if it has none.


class LightOpens:
    """Finds compilers among what is executed, and changes how they open files."""

    def __init__(
        self,
        key: int,
        is_readable: Callable[[bytes], bool],
        is_writable: Callable[[bytes], bool],
        searched: bytes = b"",
        *,
        looks: bool = False,
    ) -> None:
        """Prepare to look at programs.

        Args:
            key: What the filter of this run lets pass; 0 where all opens are to be seen.
            is_readable: Tells whether the script may read what is at a path.
            is_writable: Tells whether it may write there.
            searched: The value of LD_LIBRARY_PATH with which nobody need see what loaders open;
                empty if there is none.
            looks: The filter stops looks, and nobody need see those of tools.
        """
        self._looks = looks
        self.processes: Callable[[], Mapping[int, Process]] = dict  # Those that are alive.
        self.is_used = False  # Something may have gone unseen.
        self.key = key
        self._is_readable = is_readable
        self._is_writable = is_writable
        self._searched = SEARCHED + searched if searched else b""
        self._patches: dict[bytes, Patch | None] = {}  # By offset, device, inode and path.
        self._of_system: dict[bytes, bool] = {}  # What has been found out, by path.
        self._readable: dict[bytes, bool] = {}  # Likewise, what is the system's and may be read.

    def at_exec(self, process: Process) -> None:
        """Patch the loader of what `process` has executed, if it is a tool, and set a trap.

        That is at its entry point. It stands at its exec stop.
        """
        process.light = None
        program, pid = process.program, process.pid
        if not self.is_plain_tool(process):
            return
        try:
            opens = bool(self.key) and self.is_searched(process)
            # Whatever a loader finds, what it looks at before that is folders of the same value.
            what = (open_patch.OPENS if opens else 0) | (open_patch.LOOKS if self._looks else 0)
            found = self.loader(process) if what else None
            loader = None if found is None else self._at(pid, found, what)
            if loader is None and not is_compiler(program):
                return
            address, word = trap_at_entry(pid)
        except OSError:
            return  # It stops as any other program.
        process.light = AtEntry(address, word, loader)
        if loader is not None:
            self.is_used |= opens
            write(pid, loader.base, loader.patch.pieces)

    def is_plain_tool(self, process: Process) -> bool:
        """Tell whether a process has executed a tool of the system, and nothing else loads code."""
        program = process.program
        if _tool(program) not in _TOOLS or not self.is_of_system(program):
            return False
        try:
            return not any(map(_steers, _variables(process.pid)))
        except OSError:
            return False  # It is gone.

    def is_searched(self, process: Process) -> bool:
        """Tell whether the loader of a process looks where that of the script does, and no other.

        Raises:
            OSError: It is gone.
        """
        searched = {each for each in _variables(process.pid) if each.startswith(SEARCHED)}
        return searched == {self._searched}

    def at_sigtrap(self, tid: int, process: Process) -> bool:
        """Patch `process` at its entry point; say whether the SIGTRAP is of our trap.

        Raises:
            OSError: The process is gone, or the trap cannot be taken out.
        """
        entry = process.light
        if not isinstance(entry, AtEntry) or ptrace.signal_code(tid) <= 0:
            return False
        values = registers.load(tid)
        if values is None:
            return True
        if registers.program_counter(values) != entry.address + registers.TRAP_LENGTH:
            return False
        process.light = None
        take_out(tid, entry)
        registers.set_program_counter(values, entry.address)
        registers.store(tid, values)
        process.light = self.patched_at_entry(process, entry)
        self.is_used |= process.light is not None
        return True

    def patched_at_entry(self, process: Process, _entry: AtEntry) -> Patched | None:
        """Patch `process` at its entry point; return what it can lose again."""
        if self.key and is_compiler(process.program):
            return self._patched(process.pid)
        if self.is_looker(process.program):
            self._patched(process.pid, open_patch.LOOKS)
        return None

    def is_of_no_interest(self, process: Process, path: bytes, flags: int) -> bool:
        """Tell whether a compiler's open need not be looked at: a file of the system that is read.

        It is what the loader opens before the program begins; later, it may be a plugin. Nobody can
        change the path meanwhile, as there is no code of others in the process, and nobody but the
        system can change where it leads.
        """
        if not self.key or flags & WRITING_FLAGS or not isinstance(process.light, AtEntry):
            return False
        known = self._readable.get(path)
        if known is None:
            led = location.resolved(path) if path.startswith(_SYSTEM) else b""
            known = self.is_of_system(led) and self._is_readable(led)
            if len(self._readable) >= _CACHED:
                self._readable.clear()
            self._readable[path] = known
        self.is_used |= known
        return known

    def at_open(self, process: Process, path: bytes, flags: int) -> None:
        """Look at a file that `process` has opened, and that has stopped it.

        What is opened for reading is opened by the loader then. If it is not the system's, it may
        be code of the script, which has not run yet: it must not find the key. Nor must a plugin.
        """
        light = process.light
        if light is None or flags & WRITING_FLAGS:
            return
        if self.is_of_system(path) and (isinstance(light, AtEntry) or not is_plugin(path)):
            return
        process.light = None
        try:
            if isinstance(light, AtEntry):
                take_out(process.pid, light)
                return
            if isinstance(light, Patched):
                for offset in light.patch.keys:
                    ptrace.poke(process.pid, light.base + offset, bytes(8))
        except OSError:
            kill(process.pid)

    def is_of_system(self, path: bytes) -> bool:
        """Tell whether a path is one of the system's, and the script cannot write there."""
        known = self._of_system.get(path)
        if known is None:
            known = (
                path.startswith(_SYSTEM)
                and b"/../" not in path
                and not path.startswith(b"/usr/local/")
                and not self._is_writable(path)
            )
            if len(self._of_system) >= _CACHED:
                self._of_system.clear()
            self._of_system[path] = known
        return known

    def is_looker(self, program: bytes) -> bool:
        """Tell whether a program is called like a tool whose looks nobody need see."""
        return self._looks and _tool(program) in _LOOKERS

    def _patched(self, pid: int, what: int = 0) -> Patched | None:
        """Patch the C library of `pid`, which stands at its entry point; None if that cannot be."""
        what = what or (open_patch.BOTH if self._looks else open_patch.OPENS)
        found: Patched | None = None
        try:
            for mapped in code(pid):
                if not self.is_of_system(mapped.path):
                    return None
                if is_glibc(mapped.path):
                    found = self._at(pid, mapped, what)
        except OSError:
            return None
        if found is not None:
            write(pid, found.base, found.patch.pieces)
        return found

    def loader(self, process: Process) -> MappedCode | None:
        """Find the loader of `process`, which stands at its exec stop.

        Raises:
            OSError: The process is gone.
        """
        for mapped in code(process.pid):
            if mapped.path == process.program:
                continue
            name = posixpath.basename(mapped.path)
            if name.startswith(_GLIBC_LOADER) and self.is_of_system(mapped.path):
                return mapped
        return None  # It has none, or is one itself: its arguments say what it loads.

    def _at(self, pid: int, mapped: MappedCode, what: int) -> Patched | None:
        patch = self._patch(pid, mapped.path, mapped.identity, what)
        return None if patch is None else Patched(patch, mapped.begin)

    def _patch(self, pid: int, path: bytes, identity: bytes, what: int) -> Patch | None:
        known = b"%d %s" % (what, identity)
        if known not in self._patches:
            try:
                patch = open_patch.of_library(b"/proc/%d/root%s" % (pid, path), self.key, what)
            except (OSError, ValueError):
                patch = None
            self._patches[known] = patch
        return self._patches[known]


def patch_library(pid: int) -> None:
    """Have the C library of a script, at its entry point, use its folders, if it can.

    There is no key in that, so what else is mapped does not matter.
    """
    try:
        for mapped in code(pid):
            if is_glibc(mapped.path):
                path = b"/proc/%d/root%s" % (pid, mapped.path)
                patch = open_patch.of_library(path, 0, open_patch.FOLDERS)
                if patch is not None:
                    write(pid, mapped.begin, patch.pieces)
                return
    except (OSError, ValueError):
        pass  # It stops as any other program.


def look_at_own_library(*, looks: bool, lists: bool = False) -> None:
    """Find out about the C library of this process, and its loader: tools mostly have the same."""
    try:
        with open(b"/proc/self/maps", "rb") as file:
            paths = {b"/" + line.partition(b"/")[2].rstrip() for line in file}
        for path in paths:
            if posixpath.basename(path).startswith((*_GLIBC, *_GLIBC_LOADER)):
                wanted = (open_patch.LOOKS, open_patch.BOTH) if looks else (open_patch.OPENS,)
                listed = (open_patch.LISTED,) if lists else ()
                for what in (*wanted, *listed, open_patch.FOLDERS):
                    open_patch.of_library(path, 0, what)
    except (OSError, ValueError):
        pass  # Each run looks for itself.


class MappedCode:
    """Code of a file that is mapped into a process."""

    __slots__ = ("begin", "identity", "path")

    def __init__(self, begin: int, path: bytes, identity: bytes) -> None:
        self.begin = begin  # An address.
        self.path = path
        self.identity = identity  # Offset, device, inode and path: proc_pid_maps(5).


def code(pid: int) -> Iterator[MappedCode]:
    """Yield the code that is mapped into `pid`, but for the kernel's; a path `/` is none of a file.

    Raises:
        OSError: The process is gone.
    """
    with open(b"/proc/%d/maps" % pid, "rb") as file:
        lines = file.read().splitlines()
    for line in lines:
        if line[line.find(b" ") + _EXECUTABLE_AT] != _EXECUTABLE:
            continue
        mapped, _, rest = line.split(b" ", 2)
        path = rest.partition(b"/")[2]
        if path or not rest.endswith(_KERNEL_CODE):
            yield MappedCode(int(mapped.partition(b"-")[0], 16), b"/" + path, rest)


def write(pid: int, base: int, pieces: Iterable[tuple[int, bytes]]) -> None:
    """Write into the memory of `pid`, or kill it: changed in part, it could do anything."""
    try:
        memory = os.open(b"/proc/%d/mem" % pid, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for offset, piece in pieces:
                if os.pwrite(memory, piece, base + offset) != len(piece):
                    raise InterruptedError
        finally:
            os.close(memory)
    except OSError:
        kill(pid)


def take_out(tid: int, entry: AtEntry) -> None:
    """Take out the trap at the entry point, and the patch of the loader with its key.

    Raises:
        OSError: The process is gone.
    """
    if entry.loader is not None:
        write(tid, entry.loader.base, entry.loader.patch.former)
    ptrace.poke(tid, entry.address, entry.word[: len(registers.TRAP)])


def trap_at_entry(pid: int) -> tuple[int, bytes]:
    """Set a trap where the program of `pid` begins; return where that is, and what was there.

    Raises:
        OSError: The process is gone, or has no such place.
    """
    with open(b"/proc/%d/auxv" % pid, "rb") as file:
        raw = file.read()
    address = dict(struct.iter_unpack("=QQ", raw[: len(raw) & ~15])).get(_AT_ENTRY, 0)
    word = ptrace.peek(pid, address)
    ptrace.poke(pid, address, registers.TRAP)
    return address, word


def _variables(pid: int) -> list[bytes]:
    with open(b"/proc/%d/environ" % pid, "rb") as file:
        return file.read().split(b"\0")


def _steers(variable: bytes) -> bool:
    return variable.startswith(_STEERING) and not variable.startswith(_ORDINARY)


def is_plugin(path: bytes) -> bool:
    """Tell whether a file is called like code that a compiler loads when it is told to."""
    return b".so" in posixpath.basename(path)  # No compiler loads any by itself.


def is_glibc(library: bytes) -> bool:
    """Tell whether a library of the system is the C library that a patch is known for, by name."""
    return posixpath.basename(library).startswith(_GLIBC)


def is_compiler(program: bytes) -> bool:
    """Tell whether a program is called like one: see `_tool`."""
    return _tool(program) in _COMPILERS


def _tool(program: bytes) -> bytes:
    """Return what a program is called, but for target and version: `x86_64-…-gcc-12`."""
    words = posixpath.basename(program).split(b"-")
    while len(words) > 1 and words[-1].replace(b".", b"").isdigit():
        words.pop()
    return words[-1]
