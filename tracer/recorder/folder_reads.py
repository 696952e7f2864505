"""Lets a script open what lies in some folders without stopping, where nothing can be refused.

All that is in such a folder may be read: Landlock has one rule for it, without exceptions. So an
open that can lead nowhere else has nothing to hide. The filter knows it by numbers alone:

    openat2(4000 + n, rest of the path, how, 24)      how: in a page that nobody can change
                │                                          read, BENEATH, NO_XDEV, NO_MAGICLINKS
                └─ the folder, opened before anything of the script has run

What keeps both as they are:

- Descriptors: the limit of open files is lowered to the first of them afterwards, for good, so that
  the kernel gives out none of these numbers, whatever is closed (getrlimit(2), RLIMIT_NOFILE). They
  are closed on execution, and the filter lets nobody change that.
- Page: it may only be read and executed, and the filter lets nobody map, unmap or change anything
  at an address below its end. It goes where the descriptors go: forks have both, and what is
  executed has none.

So it does not matter who makes the call, and how. `RESOLVE_BENEATH` keeps `..`, absolute paths and
links from leading out of the folder, and it is the kernel that looks: no path can change under it.

For an honest script, libc is patched: its opens for reading go through a function in the page,
which looks for the folder. A call that fails is made again as it was, and stops as ever.

    exec stop ──▶ mmap ──▶ trap ──▶ opens each folder ──▶ trap ──▶ limit lowered ──▶ runs
                                                                                      │
        chdir: relative paths stop from then on        libc patched ◀── entry point ◀─┘

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct
import sys

from buildperm.tracer.recorder import light_opens, open_patch, ptrace, registers
from buildperm.tracer.recorder.brokered import Substitute
from buildperm.tracer.recorder.environment_reads import file_identity
from buildperm.tracer.recorder.process_tree import kill
from buildperm.tracer.syscall_table import FOLDERS_MOST, FOLDERS_PAGE
from buildperm.tracer.system_values import open_flags

if sys.platform != "win32":
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.recorder.brokered import Answer, Broker
    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

FIRST = 4000
"""The first descriptor, a multiple of FOLDERS_MOST: no script has as many files open at a time."""

NOWHERE = 0x7FFFFFF0
"""One that no process can have: proc_sys_fs(5), nr_open."""

_MOVES = (80, 81)  # chdir(2) and fchdir(2) on x86-64, which has all this alone.

_MMAP = b"\xb8\x09\x00\x00\x00\x0f\x05\xcc"  # mov $9, %eax; syscall; int3
_MMAP_NUMBER = 9
_READ_EXECUTE = 5  # mmap(2): PROT_READ | PROT_EXEC
_ANONYMOUS = 0x100022  # MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_PRIVATE
_PAGE = 0x1000
_LEAST_ADDRESS = "/proc/sys/vm/mmap_min_addr"  # Below it, only root may map anything.

_HOW = struct.Struct("=3Q")  # openat2(2): flags, mode, resolve
_STAYS = 0x01 | 0x02 | 0x08  # RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH
_FUNCTION_AT, _RELATIVE_AT, _ABSOLUTE_AT = open_patch.FOLDERS_FUNCTION - FOLDERS_PAGE, 0x200, 0x900
_ENTRY = struct.Struct("=2I")  # Descriptor and length of the text that follows; 0: no more.

# rdi, rsi, edx as `openat` takes them. Returns a descriptor, -EINTR, or -1: to be called as ever.
_FUNCTION = (
    b"\x83\xff\x9c\x0f\x85\x83\x00\x00\x00"  # cmp $AT_FDCWD, %edi; jne no
    b"\x48\x81\xfe\x00\x00\x01\x00\x72\x7a"  # cmp $page, %rsi; jb no
    b"\x41\xbb\x00\x00\x01\x00"  # mov $page, %r11d
    b"\x85\xd2\x74\x0c"  # test %edx, %edx; je first
    b"\x81\xfa\x00\x00\x08\x00\x75\x68"  # cmp $O_CLOEXEC, %edx; jne no
    b"\x41\x83\xc3\x18"  # add $24, %r11d
    b"\xb9\x00\x02\x01\x00"  # first: mov $relative, %ecx
    b"\x80\x3e\x2f\x75\x05"  # cmpb $'/', (%rsi); jne search
    b"\xb9\x00\x09\x01\x00"  # mov $absolute, %ecx
    b"\x57\x56\x52\x41\x52"  # search: push %rdi, %rsi, %rdx, %r10
    b"\x8b\x39\x85\xff\x74\x3a"  # next: mov (%rcx), %edi; test %edi, %edi; je failed
    b"\x8b\x51\x04"  # mov 4(%rcx), %edx
    b"\x48\x83\xc1\x08"  # add $8, %rcx
    b"\x48\x8b\x74\x24\x10"  # mov 16(%rsp), %rsi
    b"\x85\xd2\x74\x11"  # test %edx, %edx; je match
    b"\x0f\xb6\x06\x38\x01\x75\x2e"  # compare: movzbl (%rsi), %eax; cmp %al, (%rcx); jne skip
    b"\x48\xff\xc6\x48\xff\xc1"  # inc %rsi; inc %rcx
    b"\xff\xca\x75\xef"  # dec %edx; jne compare
    b"\x4c\x89\xda"  # match: mov %r11, %rdx
    b"\x41\xba\x18\x00\x00\x00"  # mov $24, %r10d
    b"\xb8\xb5\x01\x00\x00\x0f\x05"  # mov $437, %eax; syscall
    b"\x83\xf8\xfc\x74\x09"  # cmp $-EINTR, %eax; je done
    b"\x85\xc0\x79\x05"  # test %eax, %eax; jns done
    b"\xb8\xff\xff\xff\xff"  # failed: mov $-1, %eax
    b"\x41\x5a\x5a\x5e\x5f\xc3"  # done: pop %r10, %rdx, %rsi, %rdi; ret
    b"\x48\x01\xd1\xeb\xb0"  # skip: add %rdx, %rcx; jmp next
    b"\xb8\xff\xff\xff\xff\xc3"  # no: mov $-1, %eax; ret
)

# O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW: none of them writes.
_FOLDER = open_flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC", "O_NOFOLLOW")


class FolderReads:
    """Gives a script its folders, when it begins."""

    def __init__(self, folders: list[bytes], base: bytes, key: int) -> None:
        """Prepare.

        Args:
            folders: Paths without links, of what may be read as a whole; at most FOLDERS_MOST.
            base: The folder in which a script begins, and from which its relative paths go.
            key: With which opens pass the filter: see `light_opens`.
        """
        self.used: list[bytes] = []  # Folders of which nobody sees what is read.
        self.failure = ""  # Why the script cannot be held as it was meant to be.
        # As they are when the rules are made: by its path, another one could be found later.
        self._folders = {folder: file_identity(folder) for folder in folders[:FOLDERS_MOST]}
        self._base = base
        self._key = key
        self._has_begun = False
        self._pid = 0  # The process that is being prepared; 0: none.
        self._stage = 0
        self._before: list[int] = []
        self._word = b""
        self._then: Callable[[], None] = lambda: None
        self._limits = (0, 0)

    def begin(self, process: Process, then: Callable[[], None]) -> bool:
        """Prepare the first program that is executed; it stands at its exec stop.

        Returns:
            Whether `then` is called later, at another stop.
        """
        process.reads = False
        if self._has_begun or not self._folders:
            return False
        self._has_begun = True
        pid = process.pid
        try:
            self._limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            soft, hard = self._limits
            most = FIRST + FOLDERS_MOST
            is_enough = hard == resource.RLIM_INFINITY or hard >= most
            values = registers.load(pid) if is_enough and ptrace.is_64_bit(pid) else None
            if values is None:
                self._end(pid, {})
                return False
            if soft != resource.RLIM_INFINITY and soft < most:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, hard))
            self._before = registers.without_call(values)
            at = registers.program_counter(values)
            self._word = ptrace.peek(pid, at)
            ptrace.poke(pid, at, _MMAP)
            arguments = (FOLDERS_PAGE, _PAGE, _READ_EXECUTE, _ANONYMOUS, -1, 0)
            registers.store(pid, registers.calling(values, arguments))
        except (OSError, ValueError) as error:
            self._fail(pid, str(error))
            return False
        self._pid, self._stage, self._then = pid, 0, then
        return True

    def is_preparing(self, tid: int, number: int) -> bool:
        """Tell whether a seccomp stop is of the one call that makes the page."""
        return tid == self._pid and self._stage == 0 and number == _MMAP_NUMBER

    def at_sigtrap(self, tid: int, process: Process) -> bool:
        """Go on with the process that is being prepared; say whether the SIGTRAP is of that."""
        if tid != self._pid or ptrace.signal_code(tid) <= 0:
            return False
        try:
            values = registers.load(tid)
            if values is None:
                return True
            at = registers.program_counter(self._before)
            if self._stage == 0:
                ptrace.poke(tid, at, self._word)
                if registers.result(values) != FOLDERS_PAGE:
                    self._finish(tid, {})  # Something of the program lies there.
                    return True
                self._stage = 1
                _write(tid, self._opening())
                registers.set_program_counter(values, FOLDERS_PAGE)
                registers.store(tid, values)
                return True
            _write(tid, bytes(_PAGE))
            bound = self._bound(tid)
            _write(tid, self._content(tid, bound))
            # Whether libc uses them or not, a script can.
            self.used = [*bound.values()]
            process.reads = bool(bound)
            self._finish(tid, bound)
        except (OSError, ValueError) as error:
            self._fail(tid, str(error))
        return True

    def patch(self, process: Process) -> None:
        """Have libc of `process`, which stands at its entry point, use what has been prepared."""
        if not process.reads:
            return
        light_opens.patch_library(process.pid)

    def brokers(self) -> dict[int, Broker]:
        """Return what makes the calls that the filter leaves to this, by number."""
        return dict.fromkeys(_MOVES, self._at_move)

    def _at_move(
        self, _tid: int, process: Process, syscall: SyscallInfo, decoded: Decoded | None
    ) -> Answer:
        """Have relative paths stop from now on: a thread is about to go to another folder."""
        if process.reads:
            try:
                _write(process.pid, bytes(_ENTRY.size), _RELATIVE_AT)
            except OSError:
                kill(process.pid)
        return Substitute(syscall[0], syscall[1:7], decoded)

    def _opening(self) -> bytes:
        """Return code that opens the folders as the descriptors; it ends with a trap."""
        code, texts = b"", b""
        for index, folder in enumerate(self._folders):
            text_at = _PAGE - len(texts) - len(folder) - 1
            code += b"\x48\xc7\xc7\x9c\xff\xff\xff"  # mov $AT_FDCWD, %rdi
            code += b"\xbe" + struct.pack("=I", FOLDERS_PAGE + text_at)  # mov $text, %esi
            code += b"\xba" + struct.pack("=I", _FOLDER)  # mov $flags, %edx
            code += b"\x45\x31\xd2\x49\xb9" + struct.pack("=Q", self._key)  # … movabs $key, %r9
            code += b"\xb8\x01\x01\x00\x00\x0f\x05"  # mov $257, %eax; syscall: openat
            code += b"\x89\xc7\xbe" + struct.pack("=I", FIRST + index)  # … mov $number, %esi
            code += b"\xba" + struct.pack("=I", os.O_CLOEXEC)  # mov $O_CLOEXEC, %edx
            code += b"\xb8\x24\x01\x00\x00\x0f\x05"  # mov $292, %eax; syscall: dup3
            code += b"\xb8\x03\x00\x00\x00\x0f\x05"  # mov $3, %eax; syscall: close
            texts = folder + b"\0" + texts
        code += registers.TRAP
        if len(code) + len(texts) > _PAGE:
            return registers.TRAP
        return code + bytes(_PAGE - len(code) - len(texts)) + texts

    def _bound(self, pid: int) -> dict[int, bytes]:
        """Return the folders by the descriptors at which they are open."""
        found: dict[int, bytes] = {}
        for number, (folder, identity) in enumerate(self._folders.items(), FIRST):
            if any(identity) and file_identity(b"/proc/%d/fd/%d" % (pid, number)) == identity:
                found[number] = folder
        return found

    def _content(self, pid: int, bound: dict[int, bytes]) -> bytes:
        page = bytearray(_PAGE)
        page[:_FUNCTION_AT] = _HOW.pack(0, 0, _STAYS) + _HOW.pack(os.O_CLOEXEC, 0, _STAYS)
        page[_FUNCTION_AT : _FUNCTION_AT + len(_FUNCTION)] = _FUNCTION
        is_there = file_identity(b"/proc/%d/cwd" % pid) == file_identity(self._base)
        for start, end, is_relative in (
            (_RELATIVE_AT, _ABSOLUTE_AT, True),
            (_ABSOLUTE_AT, _PAGE, False),
        ):
            at = start
            # The longest first: nothing is the beginning of all.
            folders = sorted(bound.items(), key=lambda each: -len(each[1]))
            for number, folder in folders if is_there or not is_relative else ():
                text = folder + b"/"
                if is_relative:
                    if not text.startswith(self._base + b"/"):
                        continue
                    text = text[len(self._base) + 1 :]  # Nothing for that folder itself.
                if at + 2 * _ENTRY.size + len(text) <= end:  # The end is zeros.
                    _ENTRY.pack_into(page, at, number, len(text))
                    page[at + _ENTRY.size : at + _ENTRY.size + len(text)] = text
                    at += _ENTRY.size + len(text)
        return bytes(page)

    def _finish(self, pid: int, bound: dict[int, bytes]) -> None:
        """Let the process go on as if nothing had been.

        Raises:
            OSError, ValueError: It cannot be.
        """
        self._end(pid, bound)
        self._pid = 0
        registers.store(pid, self._before)
        self._then()

    def _end(self, pid: int, bound: dict[int, bytes]) -> None:
        """Lower the limit, so that nobody can have these descriptors from now on.

        Raises:
            OSError, ValueError: It cannot be.
        """
        soft, hard = (
            FIRST if each == resource.RLIM_INFINITY else min(each, FIRST) for each in self._limits
        )
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        if {number for number in map(int, os.listdir(b"/proc/%d/fd" % pid)) if number >= FIRST} - {
            *bound
        }:
            raise OSError("a descriptor is open that no script may have")

    def _fail(self, pid: int, why: str) -> None:
        """Kill a process that is not held as it should be."""
        self._pid = 0
        if os.path.exists(b"/proc/%d" % pid):
            self.failure = f"the build script could not be prepared: {why}"
        kill(pid)


def is_possible() -> bool:
    """Tell whether a script may have something at the address of the page."""
    try:
        with open(_LEAST_ADDRESS, "rb") as file:
            return int(file.read()) <= FOLDERS_PAGE
    except (OSError, ValueError):
        return False


def _write(pid: int, content: bytes, at: int = 0) -> None:
    """Write into the page of a process.

    Raises:
        OSError: It cannot be written, or not as a whole.
    """
    file = os.open(b"/proc/%d/mem" % pid, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.pwrite(file, content, FOLDERS_PAGE + at) != len(content):
            raise OSError("the page of folders cannot be written")
    finally:
        os.close(file)
