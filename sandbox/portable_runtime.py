"""The runtime `portable`: Landlock, one seccomp filter and a clean environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import left_open, seccomp, start_programs, stub
from buildperm.sandbox.linux_requirement import require_linux
from buildperm.sandbox.machine import MOUNT_PROC, NO_PROC, ProbeResults, has_proc, probe
from buildperm.sandbox.runtime import RuntimeSetup
from buildperm.supervisor import landlock
from buildperm.tracer import syscall_numbers, syscall_table

_NAMES = (
    "It sees names, sizes, modes, owners and times of files that it may not read (stat, readlink), "
    "and how full file systems are (statfs)."
)


@dataclass(frozen=True, slots=True)
class PortableRuntime:
    """Landlock, one seccomp filter, and a clean environment: needs no privilege at all."""

    cap: int = landlock.NEWEST  # Use no newer Landlock ABI than this.
    name: str = "portable"

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, or None where it can."""
        if sys.platform != "linux":
            return "it needs Linux"
        return _unavailable(probe(), self.cap) or _unknown()

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        found = left_open.on_this_machine(landlock_abi)
        return (*found, _NAMES, left_open.MEMORY, left_open.LOAD)

    def prepare(self) -> RuntimeSetup:
        """Return its part of a session.

        Raises:
            CannotEnforceError: This machine cannot run it.
        """
        require_linux()
        if not has_proc():
            raise CannotEnforceError(
                f"the runtime `{self.name}` cannot hold build scripts here: {NO_PROC}",
                hint=MOUNT_PROC,
            )
        stub.libraries_before_stub()  # Says itself what is missing.
        reason = self.unavailable()
        if reason:
            raise CannotEnforceError(
                f"the runtime `{self.name}` cannot hold build scripts here: {reason}",
                hint="Use Linux 5.13 or newer; in a container, allow Landlock and ptrace.",
            )
        numbers: Mapping[str, int] = syscall_numbers.table()
        abi = min(probe().landlock_abi, self.cap)
        arch = os.uname().machine
        light = light_filter(arch, numbers)
        return RuntimeSetup(
            runtime=self.name,
            kernel=os.uname().release,
            landlock_abi=abi,
            filter=seccomp.build(arch, numbers, syscall_table.recorded()),
            light_filter=light,
            look_filter=seccomp.build(arch, numbers, syscall_table.recorded(), looks=True),
            every_look_filter=seccomp.build(
                arch, numbers, syscall_table.recorded(), every_look=True
            ),
            light_look_filter=light_filter(arch, numbers, looks=True),
            listed_filter=listed_filter(arch, numbers),
            calls=seccomp.stopping(
                numbers,
                syscall_table.recorded(),
                light=bool(light),
                every_look=True,
                listed=bool(light),
            ),
            left_open=self.left_open(abi),
            starter=start_programs.starter(),
        )


portable = PortableRuntime()


def light_filter(arch: str, numbers: Mapping[str, int], *, looks: bool = False) -> bytes:
    """Return the filter for light observation; empty on processors that observe everything."""
    if arch != "x86_64":  # `tracer.recorder.open_patch` knows no other.
        return b""
    return seccomp.build(arch, numbers, syscall_table.recorded(), light=True, looks=looks)


def listed_filter(arch: str, numbers: Mapping[str, int]) -> bytes:
    """Return the filter where tools list what they ask for; empty where `light_filter` is."""
    if arch != "x86_64":
        return b""
    return seccomp.build(arch, numbers, syscall_table.recorded(), every_look=True, listed=True)


def _unavailable(facts: ProbeResults, cap: int) -> str | None:
    if not has_proc():
        return f"{NO_PROC}. {MOUNT_PROC[:-1]}"
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


def _unknown() -> str | None:
    """Say why it is unknown which libraries a stub loads first; None where it is known."""
    try:
        stub.shell()
    except CannotEnforceError:
        return None  # Making the stub says so.
    try:
        stub.libraries_before_stub()
    except CannotEnforceError as error:
        return f"{error.args[0]}; install the `env` of GNU coreutils as your system packages it"
    return None
