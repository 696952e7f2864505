"""Runtimes: ways to hold the process tree of a build script to its grants."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import landlock, seccomp
from buildperm.sandbox.machine import Facts, probe
from buildperm.tracer import calls


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a runtime contributes to a session: the fields of the same names."""

    runtime: str
    kernel: str
    landlock_abi: int
    filter: bytes
    calls: dict[int, str]


class Runtime(Protocol):
    """A way to hold a process tree to what it was granted."""

    @property
    def name(self) -> str:
        """The word for it in `require` and in recordings."""
        ...

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, or None where it can."""
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


_ALWAYS_OPEN = (
    "It sees names, sizes and times of files that it may not read (stat, readlink).",
    "It changes modes, times and extended attributes of files that belong to you.",
    "It executes code that it has in memory (memfd); under the same restrictions.",
    "It uses processor time, memory and disk space as it likes.",
)
_OPEN_BELOW = {
    3: "It empties files that you may write (truncate).",
    5: "It sends control commands to devices that it may open.",
    6: "It sends signals to your other processes, Cargo among them.",
}


@dataclass(frozen=True, slots=True)
class Portable:
    """Landlock, one seccomp filter, and a clean environment: needs no privilege at all."""

    cap: int = landlock.NEWEST  # Use no newer Landlock ABI than this.
    name: str = "portable"

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, or None where it can."""
        return _unavailable(probe(), self.cap)

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        older = tuple(text for version, text in _OPEN_BELOW.items() if landlock_abi < version)
        return older + _ALWAYS_OPEN

    def prepare(self) -> Prepared:
        """Return its part of a session.

        Raises:
            CannotEnforceError: This machine cannot run it.
        """
        reason = self.unavailable()
        if reason:
            raise CannotEnforceError(
                f"the runtime `{self.name}` cannot hold build scripts here: {reason}",
                hint="Use Linux 5.13 or newer; in a container, allow Landlock and ptrace.",
            )
        numbers: Mapping[str, int] = calls.table()
        return Prepared(
            runtime=self.name,
            kernel=os.uname().release,
            landlock_abi=min(probe().landlock_abi, self.cap),
            filter=seccomp.build(os.uname().machine, numbers, calls.RECORDED),
            calls=seccomp.stopping(numbers, calls.RECORDED),
        )


portable = Portable()

RUNTIMES: dict[str, Runtime] = {portable.name: portable}
"""All runtimes by name; another one is added here, the strongest last."""


def runtime(name: str) -> Runtime:
    """Return the runtime called `name`.

    Raises:
        CannotEnforceError: This version has none of that name.
    """
    found = RUNTIMES.get(name)
    if found is None:
        raise CannotEnforceError(
            f"there is no runtime `{name}` in this version",
            hint=f"Require one of: {', '.join(sorted(RUNTIMES))}.",
        )
    return found


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
