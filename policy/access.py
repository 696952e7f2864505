"""Accesses: events folded by what they touch."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from buildperm.policy.kinds import Kind
from buildperm.policy.role import SCRIPT_ALONE, Role
from buildperm.policy.sought_secrets import EMPTY_HOME

COMMANDS_MOST = 500
"""Distinct command lines of one program that are kept; what is beyond is only counted."""

ITSELF = ("",)
"""As `Access.causes`: the script or macro itself, without any program."""


_PERMISSIONS = "by its permissions, or a read-only disk"
SYSTEM_REFUSALS: Mapping[int, str] = MappingProxyType(
    {
        # A sandbox may answer before the system does: which of these it was is not known for sure.
        errno.EACCES: _PERMISSIONS,
        errno.EPERM: _PERMISSIONS,
        errno.EROFS: _PERMISSIONS,
        errno.ENOSPC: "no space left on the disk",
        errno.EDQUOT: "disk quota exceeded",
    }
)
"""Why the system itself refuses a file: path_resolution(7), open(2), errno(3)."""

LOOKED = "only looked whether it is there; nothing of it was read"
"""How `Access.is_answered_look` went."""


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
    resolved: str = ""  # A program's file, where `target` is a name of it or a link; portable.
    is_free: bool = False  # It was allowed for a reason of this run: Cargo's own tools, DEP_*.
    is_folder: bool = False  # A folder was to be made there; of what is read: it is one.
    is_whole: bool = False  # A link leads to a folder: to all that is in it.
    is_entry: bool = False  # Its name was to be made, moved or removed, which its folder decides.
    unstable: str = ""  # "in 2 of 3 runs", where repeated runs differed; empty if they did not.
    roles: tuple[Role, ...] = SCRIPT_ALONE  # Sorted.
    outside: str = ""  # The one consumer of a macro, where that is no package of the workspace.
    commands: tuple[tuple[str, int], ...] = ()  # Of a program: each command line, and how often.
    own_lines: tuple[str, ...] = ()  # Those of `commands` by which the script itself ran it.
    causes: tuple[str, ...] = ITSELF  # Sorted, never empty: see `wanted_by`.
    is_foreseen: bool = False  # A program that is not there, and would be run where it is.
    # Why the system itself refused what has failed, as in `SYSTEM_REFUSALS`: the recorder has tried
    # that the same fails outside the sandbox, too. Empty for every other outcome.
    refused_by_system: str = ""
    is_let_through: bool = False  # It was done while learning, which refuses nothing of its kind.
    is_look: bool = False  # Of what is read: nobody has opened it, only looked whether it is there.

    @property
    def wanted_by(self) -> str:
        """The one program, as the script called it, that did it; empty if others did it as well.

        It is the first program of the chain: what git runs to do its work is git's doing.
        """
        return self.causes[0] if len(self.causes) == 1 else ""

    @property
    def is_answered_look(self) -> bool:
        """Whether somebody was told that it is there, and has read nothing of it."""
        return self.is_look and self.outcome is Outcome.DONE

    @property
    def is_direct(self) -> bool:
        """Whether the script or macro itself did it, alone or beside programs."""
        return "" in self.causes

    @property
    def saw_empty_home(self) -> bool:
        """Whether a secret was looked for where the private home has none."""
        return self.sensitive.endswith(EMPTY_HOME)

    @property
    def told_commands(self) -> int:
        """How often it was run by a command line that is kept."""
        return sum(times for _, times in self.commands)
