"""Hardens what a build script inherits: descriptors, signals, limits and capabilities.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import sys

from buildperm.rules import limits as policy
from buildperm.supervisor import syscalls

if sys.platform != "win32":
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping
else:
    import _signal

CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 6 | 1 << 7
"""What root keeps: CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_SETGID, CAP_SETUID.

With these, a build in a container handles files of other users, and may become another user. The
other capabilities are about the machine: network, limits, file systems, processors. capabilities(7)
"""

LIMITED = (("file_bytes", 1), ("open_files", 7))  # RLIMIT_FSIZE, RLIMIT_NOFILE
"""The limits of `rules.limits` that are the kernel's own: asm-generic/resource.h, Linux."""

_SIGACTION = {"x86_64": 13, "aarch64": 134}  # The number of rt_sigaction(2): asm/unistd.h.
_LAST_DESCRIPTOR = (1 << 31) - 1


def close_but(kept: list[int]) -> None:
    """Close all descriptors from 3 on but those in `kept`."""
    first = 3
    for descriptor in sorted(set(kept)):
        if descriptor >= first:
            syscalls.close_range(first, descriptor - 1)
            first = descriptor + 1
    syscalls.close_range(first, _LAST_DESCRIPTOR)


def die_with_parent(parent: int, signal: int) -> bool:
    """Let the kernel send `signal` when the parent dies; False if it is dead already.

    If `parent` dies before prctl(2), PR_SET_PDEATHSIG, takes effect, no signal is sent.
    """
    syscalls.control(syscalls.PR_SET_PDEATHSIG, signal)
    return os.getppid() == parent


def default_signals() -> None:
    """Undo what Python does to signals: ignored ones stay ignored across execve(2)."""
    for signal in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT, _signal.SIGTERM):
        _signal.signal(signal, _signal.SIG_DFL)
    _signal.signal(_signal.SIGHUP, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    action = _SIGACTION.get(os.uname().machine)
    for own in (32, 33) if action else ():
        # posix_spawn(3) of glibc leaves its own signals ignored, and sigaction(3) refuses them.
        syscalls.call(action or 0, own, bytes(32), 0, 8)  # SIG_DFL and nothing else.


def set_limits(limits: Mapping[str, int]) -> None:
    """Set the resource limits, with no core dump: it would hold the script's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, which in LIMITED:
        wanted = policy.value(limits, name)
        if wanted == policy.NONE:
            continue
        lowered = tuple(
            wanted if now == resource.RLIM_INFINITY else min(now, wanted)
            for now in resource.getrlimit(which)
        )
        resource.setrlimit(which, (lowered[0], lowered[1]))
