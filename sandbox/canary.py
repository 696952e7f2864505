"""The canaries: attempts at what buildperm promises to stop, with what is expected of each.

An ID never changes its meaning: documents for machines and the table in SECURITY.md name it.
`sandbox.canary_child` makes the attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

NEVER = 1_000
"""In place of a Landlock ABI: the runtime cannot refuse this on any kernel."""

KERNELS = {1: "5.13", 2: "5.19", 3: "6.2", 4: "6.7", 5: "6.10", 6: "6.12", 7: "6.15"}
"""The first Linux with each Landlock ABI."""

_NO_OTHERS: Mapping[str, int] = MappingProxyType({})


class CanaryGroup(StrEnum):
    """What an attempt is about, in the order of reports."""

    FILES = "files"
    NETWORK = "network"
    PROCESSES = "processes"
    KERNEL = "kernel"
    INHERITED = "inherited"
    LEFT = "left behind"
    LEARNING = "while learning"
    RECORDER = "recorder"
    COMPILING = "compiling"
    WORKS = "has to work"


class CanaryOutcome(StrEnum):
    """What became of an attempt."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    ABSENT = "absent"  # Not possible on this machine, held or not.


class Status(StrEnum):
    """What an outcome means."""

    ENFORCED = "enforced"
    OPEN = "open"  # As declared: this runtime cannot stop it on this kernel.
    WORKS = "works"
    LIMITED = "limited"  # Refused although harmless, as declared: a limit of this kernel.
    ABSENT = "absent"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Canary:
    """One attempt, and the first Landlock ABI that refuses it or, if harmless, lets it work."""

    id: str
    group: CanaryGroup
    attempt: str  # In the infinitive: "read a file …".
    since: int = 0  # In the runtime `portable`; 0: whatever the ABI.
    others: Mapping[str, int] = field(default_factory=lambda: _NO_OTHERS)  # By other runtime.
    seen: tuple[str, ...] = ()  # How the recorder tells of it: type, then texts of the line.
    is_hidden: bool = False  # The kernel refuses it to anybody: recorded as a mere failure.
    learns: str = ""  # The ID of the attempt, where it is one that is made while learning.

    @property
    def is_harmless(self) -> bool:
        """Tell whether it has to be allowed."""
        return self.group is CanaryGroup.WORKS

    @property
    def tried(self) -> str:
        """Return the name of the attempt in `sandbox.canary_child`."""
        return self.learns or self.id

    def expected(self, runtime: str, landlock_abi: int) -> CanaryOutcome:
        """Return the outcome that `runtime` promises."""
        holds = landlock_abi >= self.others.get(runtime, self.since)
        return CanaryOutcome.ALLOWED if holds is self.is_harmless else CanaryOutcome.REFUSED


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """What became of one canary in one runtime."""

    canary: Canary
    expected: CanaryOutcome
    outcome: CanaryOutcome
    error: str  # The errno, as ENOENT; empty where the attempt did not fail.
    without: (
        CanaryOutcome  # What becomes of it without buildperm: the canary proves nothing if refused.
    )
    is_recorded: bool | None = None  # None where there is nothing that the recorder would see.

    @property
    def status(self) -> Status:
        """Return what it means."""
        if self.outcome is CanaryOutcome.ABSENT:
            return Status.ABSENT
        if self.canary.is_harmless:
            if self.outcome is CanaryOutcome.ALLOWED:
                return Status.WORKS
            return Status.LIMITED if self.expected is CanaryOutcome.REFUSED else Status.BROKEN
        if self.outcome is CanaryOutcome.REFUSED:
            return Status.ENFORCED
        return Status.OPEN if self.expected is CanaryOutcome.ALLOWED else Status.BROKEN


def _full(since: int) -> Mapping[str, int]:
    """Say from which Landlock ABI on the runtime `full` differs from `portable`."""
    return MappingProxyType({"full": since})


RECORDER = Canary("recorder", CanaryGroup.RECORDER, "do any of this without being recorded")
"""No attempt of its own: it counts as refused if all that was refused was recorded."""

_FILES, _NETWORK, _PROCESSES = CanaryGroup.FILES, CanaryGroup.NETWORK, CanaryGroup.PROCESSES
_KERNEL, _INHERITED, _LEFT, _WORKS = (
    CanaryGroup.KERNEL,
    CanaryGroup.INHERITED,
    CanaryGroup.LEFT,
    CanaryGroup.WORKS,
)
_LEARNING = CanaryGroup.LEARNING

CANARIES: tuple[Canary, ...] = (
    Canary("file-read", _FILES, "read a file outside", seen=("opened", "/secret")),
    Canary("folder-list", _FILES, "list a folder outside", seen=("opened", "/outside")),
    Canary("file-write", _FILES, "write to a file outside", seen=("opened", "/written")),
    Canary("file-make", _FILES, "make a file outside", seen=("opened", "/made")),
    Canary("file-truncate", _FILES, "empty a file outside", 3, _full(1), ("changed", "/truncated")),
    Canary("file-move", _FILES, "move a file from outside to itself", seen=("changed", "/moved")),
    Canary("file-link", _FILES, "link a file from outside to itself", seen=("changed", "/linked")),
    Canary("file-remove", _FILES, "remove a file outside", seen=("changed", "/removed")),
    Canary(
        "file-mode",
        _FILES,
        "change the mode of your file outside",
        seen=("changed", "/mode"),
    ),
    Canary(
        "file-dates",
        _FILES,
        "change the dates of your file outside",
        seen=("changed", "/dates"),
    ),
    Canary("file-stat", _FILES, "see that a file outside exists, and how big", NEVER, _full(1)),
    Canary("program-run", _FILES, "run a program outside", seen=("executed", "/program")),
    Canary("memory-run", _FILES, "run a program that it holds in memory", NEVER),
    Canary(
        "device-command",
        _FILES,
        "send commands to a device that it may read",
        seen=("call", "ioctl"),
    ),
    Canary("tcp-connect", _NETWORK, "connect by TCP", seen=("socket", "connected", "{tcp}")),
    Canary("tcp-listen", _NETWORK, "wait for connections", seen=("socket", "bound", "inet")),
    Canary(
        "tcp-fast-open",
        _NETWORK,
        "connect by TCP Fast Open",
        seen=("socket", "sent", "{tcp_fast_open}"),
    ),
    Canary("mptcp", _NETWORK, "connect by Multipath TCP", seen=("socket", "created", "stream")),
    Canary("udp", _NETWORK, "send by UDP", seen=("socket", "created", "inet", "dgram")),
    Canary(
        "unix-path",
        _NETWORK,
        "connect to a daemon through its socket file",
        seen=("socket", "connected", "unix", "/socket"),
    ),
    Canary(
        "unix-abstract",
        _NETWORK,
        "connect to a daemon through its abstract socket",
        seen=("socket", "connected", "unix", "@"),
    ),
    Canary("netlink", _NETWORK, "open a netlink socket", seen=("socket", "created", "netlink")),
    Canary("process-trace", _PROCESSES, "trace your other process", seen=("call", "ptrace")),
    Canary(
        "process-memory",
        _PROCESSES,
        "read the memory of your other process",
        seen=("call", "process_vm_readv"),
    ),
    Canary(
        "process-environ",
        _PROCESSES,
        "read the environment of your other process",
        seen=("opened", "/environ"),
    ),
    Canary(
        "supervisor-memory",
        _PROCESSES,
        "read the memory of its supervisor",
        seen=("opened", "/mem"),
        is_hidden=True,
    ),
    Canary(
        "process-signal",
        _PROCESSES,
        "end your other process",
        6,
        _full(1),
        seen=("call", "kill"),
    ),
    Canary("io-uring", _KERNEL, "set up an io_uring", seen=("call", "io_uring_setup")),
    Canary("user-namespace", _KERNEL, "make a user namespace", seen=("call", "unshare")),
    Canary("mount", _KERNEL, "mount a file system", seen=("call", "mount")),
    Canary("keyring", _KERNEL, "use the kernel's keyring", seen=("call", "add_key")),
    Canary("inotify", _KERNEL, "watch a folder outside", seen=("call", "inotify_init1")),
    Canary("descriptor", _INHERITED, "use an open file of the process that started it"),
    Canary("variable", _INHERITED, "see a variable whose name looks like a secret"),
    Canary("terminal-open", _INHERITED, "open your terminal", seen=("opened", "/dev/tty")),
    Canary("terminal-type", _INHERITED, "type into your terminal", seen=("call", "ioctl")),
    Canary(
        "directive",
        _LEFT,
        "have the compiler load a library",
        seen=("directive", "rustc-env", "LD_PRELOAD"),
    ),
    Canary("link", _LEFT, "leave a link that leads outside in OUT_DIR"),
    Canary("daemon", _LEFT, "leave a process running"),
    Canary(
        "learning-key",
        _LEARNING,
        "read a key of yours",
        seen=("opened", "/.ssh/id_ed25519"),
        learns="key-read",
    ),
    Canary(
        "learning-write",
        _LEARNING,
        "write to a file outside",
        seen=("opened", "/written"),
        learns="file-write",
    ),
    Canary(
        "learning-connect",
        _LEARNING,
        "connect by TCP",
        seen=("socket", "connected", "{tcp}"),
        learns="tcp-connect",
    ),
    Canary(
        "learning-environ",
        _LEARNING,
        "read the environment of your other process",
        seen=("opened", "/environ"),
        learns="process-environ",
    ),
    Canary(
        "learning-variable",
        _LEARNING,
        "see a variable whose name looks like a secret",
        learns="variable",
    ),
    RECORDER,
    Canary("read-own", _WORKS, "read its own package"),
    Canary("write-own", _WORKS, "make, write, empty and remove files in OUT_DIR"),
    Canary("move-own", _WORKS, "move a file between folders of OUT_DIR", 2),
    Canary("run-child", _WORKS, "run a program of the tool chain"),
    Canary("learning-read", _WORKS, "while learning, read a file outside", learns="file-read"),
)
"""All of them, in the order of reports. "Outside" is whatever was not granted."""

COMPILE_CANARIES: tuple[Canary, ...] = (
    Canary("compile-read", CanaryGroup.COMPILING, "have the compiler read a file outside"),
    Canary("macro-read", CanaryGroup.COMPILING, "read a file outside, in a procedural macro"),
    Canary("macro-run", _WORKS, "use a procedural macro"),
)
"""What the crates do that are compiled: see `sandbox.compile_canaries`."""
