"""The runtime `full`: all of `portable`, inside of bubblewrap."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import left_open
from buildperm.sandbox.machine import bubblewrap, can_make_rooms, probe_wrapper
from buildperm.sandbox.portable_runtime import PortableRuntime, portable
from buildperm.sandbox.runtime import RuntimeSetup

_ATTRIBUTES = (
    "It changes modes, times and extended attributes of what lies in folders that it may write."
)
_NAMES_WITHIN = (
    "It sees names, sizes and times of what lies in the folders of the system and the tool chain, "
    "and while learning of nearly all."
)
_CLOSED_BY_NAMESPACES = frozenset({6})


@dataclass(frozen=True, slots=True)
class FullRuntime:
    """All of `portable`, within bubblewrap: only what is granted is there, and nobody else."""

    inside: PortableRuntime = portable
    name: str = "full"

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, or None where it can."""
        return self.inside.unavailable() or _no_wrapper()

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        found = left_open.on_this_machine(landlock_abi, _CLOSED_BY_NAMESPACES)
        return (*found, _NAMES_WITHIN, _ATTRIBUTES, left_open.MEMORY, left_open.LOAD)

    def prepare(self) -> RuntimeSetup:
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
            room=can_make_rooms(bubblewrap()),
        )


full = FullRuntime()


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
        return f"bubblewrap is too old; version 0.8 is needed: {talk}"
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
        ("No permissions to create", "Creating new namespace failed", "CLONE_NEW"),
        "this user may not make user namespaces: look at kernel.unprivileged_userns_clone and "
        "user.max_user_namespaces; in a container, use `--security-opt "
        "seccomp=unconfined` or `--privileged`",
    ),
    (
        ("mount proc", "/proc"),
        "a container that hides parts of /proc lets nobody mount a new one: run it with "
        "`--security-opt systempaths=unconfined`, or build outside of it",
    ),
    (
        ("setuid",),
        "a setuid bubblewrap gains no privileges where it is traced: allow user namespaces, and "
        "take the bit away",
    ),
)
