"""A Cargo that runs and that nobody of us has started: its words, its folder, its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.supervisor.standing_link import run_link

if TYPE_CHECKING:
    from collections.abc import Mapping

_VOLATILE = ("PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
_MOST_WRAPPERS = 8
_OF_TERMINALS = ("WINDOWID", "TERM_SESSION_ID", "SHELL_SESSION_ID", "GPG_TTY", "SSH_TTY")


@dataclass(frozen=True, slots=True)
class CargoInvocation:
    """One process, as the kernel describes it: proc_pid_cmdline(5), _cwd(5), _environ(5)."""

    process: int
    words: tuple[str, ...]  # Behind the program.
    folder: Path
    environment: Mapping[str, str]
    link: Path  # What leads it to its session.

    @property
    def lasting(self) -> tuple[str, ...]:
        """Return what decides about a build, without what differs in each terminal."""
        left_out = {*_VOLATILE, *_OF_TERMINALS}
        kept = (
            f"{name}={value}" for name, value in self.environment.items() if name not in left_out
        )
        return (*self.words, "\0", str(self.folder), "\0", *sorted(kept))

    def say(self, text: str) -> None:
        """Say something where it says things itself: Cargo keeps what a compiler prints."""
        try:
            with open(f"/proc/{self.process}/fd/2", "ab", buffering=0) as its:
                its.write(text.encode())
        except OSError:
            os.write(2, text.encode())


def caller(process: int, program: str) -> int:
    """Return the Cargo on whose behalf a process calls a compiler; mostly it is that process.

    A wrapper of somebody else may call ours in its turn. It has the variables that Cargo sets for
    one compilation, which Cargo itself does not have.

    Args:
        process: What has called.
        program: The path of Cargo, as it says itself; empty if unknown.
    """
    found = process
    for _ in range(_MOST_WRAPPERS):
        place = Path(f"/proc/{found}")
        try:
            if program and (place / "exe").samefile(program):
                return found
            if b"\0CARGO_CRATE_NAME=" not in b"\0" + (place / "environ").read_bytes():
                return found
            found = int((place / "stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, LookupError, ValueError):
            return process
    return process


def look(process: int, state: Path) -> CargoInvocation | None:
    """Look at a process; None where it has ended."""
    link = run_link(os.fsencode(state), process)
    if not link:
        return None
    place = Path(f"/proc/{process}")
    try:
        words = (place / "cmdline").read_bytes().split(b"\0")[:-1]
        given = (place / "environ").read_bytes().split(b"\0")
        folder = Path(os.readlink(place / "cwd"))
    except OSError:
        return None
    pairs = (each.partition(b"=") for each in given if b"=" in each)
    environment = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    for name in [name for name in environment if name.startswith("BUILDPERM_")]:
        if name not in ("BUILDPERM_ROOT", "BUILDPERM_RUNTIME"):
            del environment[name]
    return CargoInvocation(
        process,
        tuple(os.fsdecode(each) for each in words[1:]),
        folder,
        environment,
        Path(os.fsdecode(link)),
    )
