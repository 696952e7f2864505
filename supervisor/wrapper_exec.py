"""The last step of a sandbox wrapper: an interpreter inside runs this code for `supervisor.launch`.

It applies what has to come last, since no mount could be made under it: Landlock and the seccomp
filter. Then it becomes the build script. The filter comes last of all, so the first call that stops
for the recorder is the execution of the script. This is how the recorder tells the script from its
sandbox wrapper.

No file of buildperm exists inside: the compiled code and its arguments come through a descriptor.
The code runs once per build script, so it imports neither `os` nor `ctypes`, which take longer than
everything else here.

Part of the supervisor: built-in modules and `_ctypes` only.
"""

import _ctypes
import sys
from errno import E2BIG

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal

if sys.platform == "linux":
    import posix

    _MACHINE = posix.uname().machine
    # dlopen(3): NULL is the program itself.
    _libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
    _syscall = _ctypes.dlsym(_libc, "syscall")
else:
    _MACHINE = "x86_64"  # It can be imported, and called nowhere.

# prctl(2), seccomp(2), capget(2), landlock_add_rule(2), landlock_restrict_self(2).
_NO_NEW_PRIVS, _SECCOMP, _MODE_FILTER = 38, 22, 2
_PRCTL = {"x86_64": 157, "aarch64": 167}
_CAPGET, _CAPSET = {"x86_64": (125, 126), "aarch64": (90, 91)}[_MACHINE]
_CAPABILITY_VERSION_3 = 0x20080522
_ADD_RULE, _RESTRICT_SELF, _BENEATH = 445, 446, 1

_TOO_DEEP = "too many sandboxes are stacked in one another already; build outside of the others"


def _call(what: str, number: int, *arguments: object) -> None:
    """Make a system call; a number is passed as 32 bits, bytes as a pointer to them."""
    if _ctypes.call_cdeclfunction(_syscall, (number, *arguments)) != 0:
        import ctypes  # Only now: why it failed is worth the time.

        if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) != 0:
            code = ctypes.get_errno()
            reason = _TOO_DEEP if code == E2BIG else posix.strerror(code)
            raise OSError(code, f"{what}: {reason}")


def _keep(capabilities: int) -> None:
    """Give up all others: `supervisor.syscalls` does the same where there is no sandbox wrapper."""
    header = _CAPABILITY_VERSION_3.to_bytes(8, "little")
    sets = bytes(24)  # The kernel writes into it.
    _call("read the capabilities", _CAPGET, header, sets)
    permitted = [int.from_bytes(sets[start : start + 4], "little") for start in (4, 16)]
    kept = [permitted[0] & capabilities, permitted[1] & capabilities >> 32]
    if kept != permitted:
        new = b"".join(part.to_bytes(4, "little") * 2 + bytes(4) for part in kept)
        _call("give up capabilities", _CAPSET, header, new)


def main(told: "tuple[Any, ...]") -> None:
    """Confine this process and become the build script; never returns.

    Args:
        told: Program, arguments, environment, the seccomp program, the descriptor of the Landlock
            ruleset, rules to be added to it as (path, rights), a descriptor to tell failures, and
            the capabilities to keep.
    """
    program, arguments, environment, instructions, ruleset, late, failed, capabilities = told
    try:
        # Python ignores them, and execve(2) would keep it so.
        for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
            _signal.signal(number, _signal.SIG_DFL)
        for descriptor in (ruleset, failed):
            posix.set_inheritable(descriptor, False)
        prctl = _PRCTL[_MACHINE]
        _call("no new privileges", prctl, _NO_NEW_PRIVS, 1, 0, 0, 0)
        _keep(capabilities)
        for path, rights in late:
            try:
                target = posix.open(path, posix.O_PATH | posix.O_CLOEXEC | posix.O_NOFOLLOW)
            except OSError:
                continue  # This kernel has no such file.
            rule = rights.to_bytes(8, "little") + target.to_bytes(4, "little")
            _call("Landlock: add a rule", _ADD_RULE, ruleset, _BENEATH, rule, 0)
            posix.close(target)
        _call("Landlock: restrict the process", _RESTRICT_SELF, ruleset, 0)
        # `struct sock_fprog`; the bytes of an object lie at its end, before a NUL.
        address = id(instructions) + bytes.__basicsize__ - 1
        length = (len(instructions) // 8).to_bytes(8, "little")
        filter_ = length + address.to_bytes(8, "little")
        _call("seccomp: install the filter", prctl, _SECCOMP, _MODE_FILTER, filter_, 0, 0)
        posix.execve(program, arguments, environment)
    except OSError as error:
        what = error.strerror or "failed"
        if error.filename is not None:
            what = f"execute it: {what}"
        posix.write(failed, what.encode())
    finally:
        posix._exit(127)
