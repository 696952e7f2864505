"""What runtimes do not stop on this kernel and this machine, in sentences."""

from __future__ import annotations

from collections.abc import Collection

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import stub
from buildperm.supervisor import landlock

MEMORY = "It executes code that it has in memory (memfd); under the same restrictions."
LOAD = "It uses processor time, memory and disk space as it likes."
_OPEN_BELOW = {
    2: "It cannot move files between folders of OUT_DIR: tools that do so fail.",
    3: "It empties files that you may write (truncate).",
    4: "Nothing but seccomp keeps it from TCP ports (connect, bind).",
    5: "It sends control commands to devices that it may open (ioctl).",
    6: "It sends signals to your other processes, Cargo among them (kill), and nothing but seccomp "
    "keeps it from unix sockets without a path, such as those of D-Bus and X11.",
}


def on_this_machine(landlock_abi: int, otherwise_closed: Collection[int] = ()) -> tuple[str, ...]:
    """Say what this Landlock ABI, the kernel's Landlock and its `env` leave open, a sentence each.

    `otherwise_closed` are the ABIs whose gain a runtime has by other means.
    """
    older = (
        text
        for version, text in _OPEN_BELOW.items()
        if landlock_abi < version and version not in otherwise_closed
    )
    return (*older, *_errata(), *_stubs())


def _errata() -> tuple[str, ...]:
    """Say what an erratum of this kernel's Landlock leaves open: landlock.rst, "Errata"."""
    if landlock.DISCONNECTED in landlock.errata():
        return ()
    return ("It may use what somebody moves out of a bind mount while it has it open (Landlock).",)


def _stubs() -> tuple[str, ...]:
    """Say what is open where a stub's shell may load libraries of build scripts."""
    try:
        if stub.keeps_libraries_away():
            return ()
    except CannotEnforceError:
        return ()  # No script is run at all, and whoever makes the stub says so.
    return ("It may name folders of libraries for the shell of a stub (`env` here has no `-S`).",)
