"""ptrace(2) as the recorder needs it: the requests, the stops, and one reusable set of buffers.

python-ptrace binds an older half of the interface (no SEIZE, LISTEN, GET_SYSCALL_INFO) and takes
70 ms to import, so this module calls libc itself. Every request has to come from the thread that
attached: ptrace(2), "attachment is per thread".

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct
from errno import ESRCH

from buildperm.tracer.recorder import c_library
from buildperm.tracer.recorder.c_library import short_libc

# Requests: ptrace(2), DESCRIPTION. The numbers are the same on every architecture but for REGS.
PEEKDATA = 2
PEEKUSER = 3
POKEDATA = 5
POKEUSER = 6
CONT = 7
SINGLESTEP = 9
SYSCALL = 24
SETOPTIONS = 0x4200
GETEVENTMSG = 0x4201
GETSIGINFO = 0x4202
GETREGSET = 0x4204
SETREGSET = 0x4205
SEIZE = 0x4206
INTERRUPT = 0x4207
LISTEN = 0x4208
SETSIGMASK = 0x420B
GET_SYSCALL_INFO = 0x420E

# Options: ptrace(2), PTRACE_SETOPTIONS.
TRACESYSGOOD = 0x01
TRACEFORK = 0x02
TRACEVFORK = 0x04
TRACECLONE = 0x08
TRACEEXEC = 0x10
TRACEVFORKDONE = 0x20
TRACEEXIT = 0x40  # A thread stops before its memory is gone: `listed_opens`.
TRACESECCOMP = 0x80
EXITKILL = 0x100000
OPTIONS = TRACESYSGOOD | TRACEFORK | TRACEVFORK | TRACECLONE | TRACEEXEC | TRACESECCOMP | EXITKILL
OPTIONS |= TRACEVFORKDONE  # Whoever waits in vfork(2) stops before it goes on: `own_folders`.

# What `status >> 16` of a stop says: ptrace(2), "PTRACE_EVENT stops".
EVENT_FORK = 1
EVENT_VFORK = 2
EVENT_CLONE = 3
EVENT_EXEC = 4
EVENT_VFORK_DONE = 5
EVENT_EXIT = 6
EVENT_SECCOMP = 7
EVENT_STOP = 128

# The whole wait status of the two stops that are nearly all: wait(2), ptrace(2).
SECCOMP_STOP = EVENT_SECCOMP << 16 | 5 << 8 | 0x7F  # SIGTRAP, "PTRACE_EVENT_SECCOMP"
SYSCALL_EXIT_STOP = (5 | 0x80) << 8 | 0x7F  # SIGTRAP marked by TRACESYSGOOD, "Syscall-stops"

WALL = 0x40000000  # __WALL: waitpid(2), wait for threads and processes alike.

NT_PRSTATUS = 1  # elf.h; the general registers.
NT_ARM_SYSTEM_CALL = 0x404  # elf.h; the number of the call that aarch64 is about to make.

_PR_SET_DUMPABLE = 4  # PR_SET_DUMPABLE(2const)
_PR_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER(2const)

request = short_libc.ptrace
"""Send `(request, tid, address, data)`; -1 and errno on failure, mostly ESRCH: it was killed."""
request.argtypes = (c_library.c_long, c_library.c_long, c_library.c_void_p, c_library.c_void_p)
request.restype = c_library.c_long

# struct ptrace_syscall_info: ptrace(2), PTRACE_GET_SYSCALL_INFO.
_INFO_SIZE = 88
_info = c_library.create_string_buffer(_INFO_SIZE)
_info_address = c_library.addressof(_info)
_CALL = struct.Struct("=24x7QI")  # nr, args[6], ret_data of a seccomp stop
_RESULT = struct.Struct("=24xq")  # rval of an exit stop

_word = c_library.c_ulong()
_word_address = c_library.addressof(_word)
_siginfo = c_library.create_string_buffer(128)
_siginfo_address = c_library.addressof(_siginfo)


def seize(pid: int) -> None:
    """Trace `pid` and all that it will start, and kill them all should this process die.

    Raises:
        OSError: ptrace is refused, or there is no such process.
    """
    if request(SEIZE, pid, None, OPTIONS) == -1:
        code = c_library.get_errno()
        raise OSError(code, f"ptrace: seize process {pid}: {os.strerror(code)}")


def set_options(tid: int, options: int) -> bool:
    """Set other options for `tid`, and for what it makes from now on; False if it is gone."""
    return bool(request(SETOPTIONS, tid, None, options) != -1)


def set_signal_mask(tid: int, mask: int) -> bool:
    """Set which signals `tid` blocks, a bit for each from the lowest on; False if it is gone."""
    _word.value = mask
    return bool(request(SETSIGMASK, tid, 8, _word_address) != -1)


def seccomp_stop_info(tid: int) -> tuple[int, ...] | None:
    """Return number, six arguments and filter data of a seccomp stop; None if `tid` is gone."""
    if request(GET_SYSCALL_INFO, tid, _INFO_SIZE, _info_address) <= 0:
        return None
    return _CALL.unpack_from(_info)


def exit_stop_result(tid: int) -> int | None:
    """Return the result at a syscall-exit-stop, -errno for a failure; None if `tid` is gone."""
    if request(GET_SYSCALL_INFO, tid, _INFO_SIZE, _info_address) <= 0:
        return None
    result: int = _RESULT.unpack_from(_info)[0]
    return result


def event_message(tid: int) -> int:
    """Return the message of an event stop: a new process, a former thread; 0 if `tid` is gone."""
    if request(GETEVENTMSG, tid, None, _word_address) == -1:
        return 0
    return _word.value


def signal_code(tid: int) -> int:
    """Return `si_code` of the signal that `tid` is about to get: sigaction(2), "siginfo_t"."""
    if request(GETSIGINFO, tid, None, _siginfo_address) == -1:
        return 0
    code: int = struct.unpack_from("=8xi", _siginfo)[0]
    return code


def peek(tid: int, address: int) -> bytes:
    """Return the eight bytes at `address`.

    Raises:
        OSError: EIO where nothing is mapped or reading is not allowed, ESRCH if `tid` is gone.
    """
    c_library.set_errno(0)
    word = request(PEEKDATA, tid, address, None)  # -1 may also be the word itself
    code = c_library.get_errno()
    if word == -1 and code:
        raise OSError(code, os.strerror(code))
    return struct.pack("=q", word)


def poke(tid: int, address: int, code: bytes) -> None:
    """Write `code`, at most eight bytes, even where the page is read-only.

    Raises:
        OSError: As for `peek`.
    """
    word = code + peek(tid, address)[len(code) :]
    if request(POKEDATA, tid, address, struct.unpack("=Q", word)[0]) == -1:
        failure = c_library.get_errno()
        raise OSError(failure, os.strerror(failure))


def is_64_bit(tid: int) -> bool:
    """Tell whether `tid` runs 64-bit code of x86-64; False if it is gone.

    The general registers of another program have another layout: `registers`.
    """
    selector: int = request(PEEKUSER, tid, 8 * 17, None)  # sys/user.h: cs
    return selector == 0x33  # asm/segment.h: __USER_CS


def is_gone() -> bool:
    """Tell whether the last request failed because its tracee has been killed meanwhile."""
    return c_library.get_errno() == ESRCH


def make_undumpable() -> None:
    """Keep other processes of this user out of this one's memory: ptrace(2), access mode checks.

    Only once the tracee is attached: a child is made as undumpable as its parent is at that time.
    """
    short_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def make_dumpable() -> None:
    """Undo `make_undumpable`, before another tracee is made; nothing is left of the one before."""
    short_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of each descendant whose own parent ends, daemons included."""
    short_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
