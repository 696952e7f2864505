"""Runtimes: ways to hold the process tree of a build script to its grants.

How to add one is in CONTRIBUTING.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from buildperm.errors import CannotEnforceError
from buildperm.policy.grants import AUTO
from buildperm.sandbox import seccomp, stub
from buildperm.sandbox.machine import Facts, bubblewrap, probe, probe_wrapper
from buildperm.supervisor import landlock
from buildperm.tracer import syscall_numbers
from buildperm.tracer import syscall_table as calls


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a runtime contributes to a session: the fields of the same names."""

    runtime: str
    kernel: str
    landlock_abi: int
    filter: bytes
    calls: dict[int, str]
    left_open: tuple[str, ...]
    wrapper: tuple[bytes, ...] = ()
    """The command around each build script before it is confined, by its absolute path.

    It has to execute the words appended to it in a descendant of its own, leave descriptors open,
    and end when that descendant ends. It runs unconfined, with an empty environment; what it starts
    confines itself.
    """
    mounts: bool = False
    """`wrapper` is bubblewrap, and gets arguments for what the script finds in the file system."""


class Runtime(Protocol):
    """A way to hold a process tree to what it was granted."""

    @property
    def name(self) -> str:
        """The word for it in `require`, in `runtime` and in recordings."""
        ...

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, with the way out, or None where it can."""
        ...

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        ...

    def prepare(self) -> Prepared:
        """Return its part of a session.

        Raises:
            CannotEnforceError: This machine cannot run it.
        """
        ...


_MEMORY = "It executes code that it has in memory (memfd); under the same restrictions."
_LOAD = "It uses processor time, memory and disk space as it likes."
_NAMES = (
    "It sees names, sizes, modes, owners and times of files that it may not read (stat, readlink), "
    "and how full file systems are (statfs)."
)
_ATTRIBUTES = (
    "It changes modes, times and extended attributes of what lies in folders that it may write."
)
_NAMES_WITHIN = (
    "It sees names, sizes and times of what lies in the folders of the system and the tool chain, "
    "and while learning of nearly all."
)
_OPEN_BELOW = {
    2: "It cannot move files between folders of OUT_DIR: tools that do so fail.",
    3: "It empties files that you may write (truncate).",
    4: "Nothing but seccomp keeps it from TCP ports (connect, bind).",
    5: "It sends control commands to devices that it may open (ioctl).",
    6: "It sends signals to your other processes, Cargo among them (kill), and nothing but seccomp "
    "keeps it from unix sockets without a path, such as those of D-Bus and X11.",
}
_CLOSED_BY_NAMESPACES = frozenset({6})


@dataclass(frozen=True, slots=True)
class Portable:
    """Landlock, one seccomp filter, and a clean environment: needs no privilege at all."""

    cap: int = landlock.NEWEST  # Use no newer Landlock ABI than this.
    name: str = "portable"

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, or None where it can."""
        return _unavailable(probe(), self.cap) or _unknown()

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        older = tuple(text for version, text in _OPEN_BELOW.items() if landlock_abi < version)
        return (*older, *_errata(), *_stubs(), _NAMES, _MEMORY, _LOAD)

    def prepare(self) -> Prepared:
        """Return its part of a session.

        Raises:
            CannotEnforceError: This machine cannot run it.
        """
        stub.loaded()  # Says itself what is missing.
        reason = self.unavailable()
        if reason:
            raise CannotEnforceError(
                f"the runtime `{self.name}` cannot hold build scripts here: {reason}",
                hint="Use Linux 5.13 or newer; in a container, allow Landlock and ptrace.",
            )
        numbers: Mapping[str, int] = syscall_numbers.table()
        abi = min(probe().landlock_abi, self.cap)
        return Prepared(
            runtime=self.name,
            kernel=os.uname().release,
            landlock_abi=abi,
            filter=seccomp.build(os.uname().machine, numbers, calls.recorded()),
            calls=seccomp.stopping(numbers, calls.recorded()),
            left_open=self.left_open(abi),
        )


@dataclass(frozen=True, slots=True)
class Full:
    """All of `portable`, within bubblewrap: only what is granted is there, and nobody else."""

    inside: Portable = Portable()
    name: str = "full"

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, or None where it can."""
        return self.inside.unavailable() or _no_wrapper()

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        older = tuple(
            text
            for version, text in _OPEN_BELOW.items()
            if landlock_abi < version and version not in _CLOSED_BY_NAMESPACES
        )
        return (*older, *_errata(), *_stubs(), _NAMES_WITHIN, _ATTRIBUTES, _MEMORY, _LOAD)

    def prepare(self) -> Prepared:
        """Return its part of a session.

        Raises:
            CannotEnforceError: This machine cannot run it.
        """
        prepared = self.inside.prepare()
        reason = _no_wrapper()
        if reason:
            raise CannotEnforceError(
                f"the runtime `{self.name}` cannot hold build scripts here: {reason}",
                hint='Fix that, or set `require = "portable"` and `runtime = "portable"`.',
            )
        return replace(
            prepared,
            runtime=self.name,
            left_open=self.left_open(prepared.landlock_abi),
            wrapper=(os.fsencode(bubblewrap()),),
            mounts=True,
        )


portable = Portable()
full = Full()

RUNTIMES: dict[str, Runtime] = {portable.name: portable, full.name: full}
"""All runtimes by name, the weakest first; another one is added here."""


def runtime(name: str) -> Runtime:
    """Return the runtime called `name`.

    Raises:
        CannotEnforceError: This version has none of that name.
    """
    found = RUNTIMES.get(name)
    if found is None:
        raise CannotEnforceError(
            f"there is no runtime `{name}` in this version",
            hint=f"Use one of: {', '.join(sorted(RUNTIMES))}.",
        )
    return found


def choose(wanted: str, require: str) -> Runtime:
    """Return the runtime to use where `wanted` is, at least as strong as `require`.

    Args:
        wanted: A name, or `auto` for the strongest that this machine can run.
        require: The weakest that will do.

    Raises:
        CannotEnforceError: This machine or this version has none such.
    """
    names = list(RUNTIMES)
    least = names.index(runtime(require).name)
    if wanted != AUTO:
        chosen = runtime(wanted)
        if names.index(chosen.name) < least:
            raise CannotEnforceError(
                f'`require = "{require}"` asks for more than the runtime `{wanted}`',
                hint=f'Use `runtime = "{require}"`, or lower `require`.',
            )
        return chosen
    for name in reversed(names[least:]):
        if name == require or RUNTIMES[name].unavailable() is None:
            return RUNTIMES[name]  # The last one itself says what it lacks.
    raise AssertionError(names)


def _unavailable(facts: Facts, cap: int) -> str | None:
    if facts.failure:
        return f"the kernel could not be asked: {facts.failure}"
    if facts.machine not in seccomp.AUDIT_ARCH:
        return f"processors of type `{facts.machine}` are not supported"
    if min(facts.landlock_abi, cap) < 1:
        return (
            f"the kernel ({facts.kernel}) offers no Landlock: it takes Linux 5.13 with `landlock` "
            "in its `lsm=` list, and a container that lets it through"
        )
    if facts.seccomp_errno:
        return f"seccomp filters are refused: {os.strerror(abs(facts.seccomp_errno))}"
    if facts.ptrace_errno:
        scope = f" (kernel.yama.ptrace_scope is {facts.ptrace_scope})" if facts.ptrace_scope else ""
        return (
            f"ptrace is refused: {os.strerror(abs(facts.ptrace_errno))}{scope}; allow it by "
            "`--cap-add SYS_PTRACE` in a container, or by setting kernel.yama.ptrace_scope to at "
            "most 1"
        )
    return None


def _errata() -> tuple[str, ...]:
    """Say what a defect of this kernel's Landlock leaves open: landlock.rst, "Errata"."""
    if landlock.DISCONNECTED in landlock.errata():
        return ()
    return ("It may use what somebody moves out of a bind mount while it has it open (Landlock).",)


def _unknown() -> str | None:
    """Say why it cannot be told what runs before a sandbox is made; None where it can."""
    try:
        stub.shell()
    except CannotEnforceError:
        return None  # Said where the shell of stubs is.
    try:
        stub.loaded()
    except CannotEnforceError as error:
        return f"{error.args[0]}; install the `env` of GNU coreutils as your system packages it"
    return None


def _stubs() -> tuple[str, ...]:
    """Say what is open where nothing keeps the libraries of build scripts from a stub's shell."""
    try:
        if stub.keeps_libraries_away():
            return ()
    except CannotEnforceError:
        return ()  # No script is run at all, and whoever makes the stub says so.
    return ("It may name folders of libraries for the shell of a stub (`env` here has no `-S`).",)


def _no_wrapper() -> str | None:
    """Say why bubblewrap cannot wrap a script here, with the way out; None where it can."""
    program = bubblewrap()
    if not program:
        return (
            "bubblewrap is not installed: `apt install bubblewrap`, `dnf install bubblewrap`, or "
            "whatever your system calls it"
        )
    return _explained(probe_wrapper(program))


def _explained(talk: str) -> str | None:
    """Turn what bubblewrap said when it failed into a reason with a way out; None if it did not."""
    if not talk:
        return None
    if "Unknown option" in talk:
        return f"bubblewrap is too old; it takes version 0.8: {talk}"
    for marks, way in _REMEDIES:
        if any(mark in talk for mark in marks):
            return f"{talk}: {way}"
    return talk


_REMEDIES = (
    (
        # user_namespaces on Ubuntu 23.10 and newer: kernel.apparmor_restrict_unprivileged_userns.
        ("setting up uid map: Permission denied", "Failed RTM_NEWADDR", "loopback:"),
        "AppArmor lets only programs with a profile make user namespaces. Give bubblewrap one, "
        "rather than turn that off: write `abi <abi/4.0>, include <tunables/global> profile bwrap "
        "/usr/bin/bwrap flags=(unconfined) { userns, }` to /etc/apparmor.d/bwrap, and run "
        "`apparmor_parser --replace /etc/apparmor.d/bwrap`",
    ),
    (
        ("No permissions to create new namespace", "Creating new namespace failed", "CLONE_NEW"),
        "this user may not make user namespaces: look at kernel.unprivileged_userns_clone and "
        "user.max_user_namespaces; a container has to be told, as by `--security-opt "
        "seccomp=unconfined` or `--privileged`",
    ),
    (
        ("mount proc", "/proc"),
        "a container that hides parts of /proc lets nobody mount a new one: run it with "
        "`--security-opt systempaths=unconfined`, or the build outside of it",
    ),
    (
        ("setuid",),
        "a setuid bubblewrap gains no privileges where it is traced: allow user namespaces, and "
        "take the bit away",
    ),
)
