"""Access builder: what is known of one access, while the events of a recording are folded."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from errno import EDQUOT, ENOSPC

from buildperm.policy import sought_secrets
from buildperm.policy.access import COMMANDS_MOST, SYSTEM_REFUSALS, Outcome

CHAINS_MOST = 5
CAUSES_MOST = 20
"""Programs that are named as wanting one access; which of many it was settles nothing."""

_GRAVITY = {Outcome.FAILED: 0, Outcome.DONE: 1, Outcome.REFUSED: 2}


@dataclass(slots=True)
class AccessBuilder:
    """One access so far; times are in nanoseconds since the start of the recording."""

    outcome: Outcome
    first_ns: int
    last_ns: int
    sensitive: str
    is_free: bool
    count: int = 0
    example: str = ""
    resolved: str = ""
    is_folder: bool = False
    is_whole: bool = False
    is_entry: bool = False
    saw_empty_home: bool = False
    refused_by_system: str = ""
    sent: int = 0
    received: int = 0
    chains: dict[tuple[str, ...], None] = field(default_factory=dict)
    commands: dict[str, int] = field(default_factory=dict)
    own_lines: dict[str, None] = field(default_factory=dict)
    causes: set[str] = field(default_factory=set)

    def happened(self, at_ns: int, outcome: Outcome) -> None:
        """Take in that it happened once more; what went worst counts."""
        self.first_ns = min(self.first_ns, at_ns)
        self.last_ns = max(self.last_ns, at_ns)
        if _GRAVITY[outcome] > _GRAVITY[self.outcome]:
            self.outcome = outcome

    def failed(self, target: str, errno: int) -> None:
        """Take in why the system did not do it, of a file."""
        if self.refused_by_system:
            return
        # What is private to a script may be a small disk of buildperm's.
        is_full = errno in (ENOSPC, EDQUOT)
        if not (is_full and target.startswith("$TMP")):
            self.refused_by_system = SYSTEM_REFUSALS.get(errno, "")

    def came_by(self, chain: tuple[str, ...], program: str) -> None:
        """Take in through which programs it came, and which was started by it, if one was."""
        if len(self.chains) < CHAINS_MOST:
            name = posixpath.basename(program)
            self.chains[(*chain, name) if name and chain[-1] != name else chain] = None

    def ran(self, line: str, count: int, *, is_own: bool) -> None:
        """Take in a command line, and whether it was the script itself that started it."""
        if line in self.commands or len(self.commands) < COMMANDS_MOST:
            self.commands[line] = self.commands.get(line, 0) + count
            if is_own:
                self.own_lines[line] = None

    def why(self, target: str) -> str:
        """Say why it is in the tier, and that an empty home is all that was seen, if it was."""
        if self.saw_empty_home and self.outcome is Outcome.FAILED:
            return sought_secrets.why(target)
        return self.sensitive

    def carried(self) -> str:
        """Say how much went through the egress proxy; empty if nothing did."""
        if not (self.sent or self.received):
            return ""
        return f"sent {self.sent:,} bytes, received {self.received:,}"
