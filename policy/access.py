"""Accesses: events folded by what they touch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from buildperm.policy.kinds import Kind
from buildperm.policy.role import SCRIPT_ALONE, Role

COMMANDS_MOST = 500
"""Distinct command lines of one program that are kept; what is beyond is only counted."""


class Outcome(StrEnum):
    """How it went; the gravest outcome where the same access had several."""

    DONE = "done"
    FAILED = "failed"  # Of its own: absent, not a directory, not permitted to this user at all.
    REFUSED = "refused"  # By buildperm.


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that a crate touched in a build, with everybody who did it."""

    kind: Kind
    target: str  # Portable tokens and notation: `$WORKSPACE/proto/a.proto`, `cc`, `OPENSSL_DIR`.
    outcome: Outcome
    count: int
    first_ns: int
    last_ns: int
    chains: tuple[tuple[str, ...], ...]  # Process chains from the script or macro on, at most 5.
    example: str = ""  # One command line, raw path or value that shows it, in notation.
    sensitive: str = ""  # Why it belongs to the sensitive tier; empty if it does not.
    resolved: str = ""  # A program's file, where `target` is its name; portable.
    is_free: bool = False  # It was allowed for a reason of this run: Cargo's own tools, DEP_*.
    is_folder: bool = False  # A folder was to be made there.
    unstable: str = ""  # "in 2 of 3 runs", where repeated runs differed; empty if they did not.
    roles: tuple[Role, ...] = SCRIPT_ALONE  # Sorted.
    outside: str = ""  # The one consumer of a macro, where that is no package of the workspace.
    commands: tuple[tuple[str, int], ...] = ()  # Of a program: each command line, and how often.

    @property
    def told_commands(self) -> int:
        """How often it was run by a command line that is kept."""
        return sum(times for _, times in self.commands)
