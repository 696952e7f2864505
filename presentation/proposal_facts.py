"""Proposals in plain words, one fact a line; knows no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.access import COMMANDS_MOST
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Reason
from buildperm.policy.role import role_text
from buildperm.presentation.wording import (
    chain_text,
    outcome_word,
    plural,
    reason_text,
    risk_word,
    verb,
    version_text,
)
from buildperm.printable import shown
from buildperm.report.shell_line import example_text, recalled_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.policy.access import Access
    from buildperm.policy.proposal import Proposal

ANY_COMMAND_LINE: Final = "Any command line, not only the ones seen."
"""What a grant of a program allows, whatever else it allows."""

LINES_MOST: Final = 40
"""Command lines of one program that are listed where a person decides."""

_WHAT: Final = {
    Reason.ASKED: "Wants to",
    Reason.DORMANT: "Was granted",
    Reason.COVERED: "Does",
    Reason.UNUSED: "Was granted",
    Reason.NEWCOMER: "New",
}
_MOST_ACCESSES: Final = 20
_MOST_RULES: Final = 300


def facts(proposal: Proposal) -> Iterator[str]:
    """Yield all that a person needs to know about a proposal, except its rules."""
    yield f"Crate: {shown(proposal.crate)} {version_text(proposal.version)}"
    who = role_text(proposal.roles)
    if who:
        yield f"Who: {shown(who)}"
    yield f"{_WHAT[proposal.reason]}: {shown(proposal.title)}"
    if proposal.reason is not Reason.ASKED:
        yield f"Listed because: {reason_text(proposal.reason)}"
    yield f"Risk: {risk_word(proposal.risk)}"
    for note in proposal.notes:
        yield f"Why: {shown(note)}"
    if proposal.locked and proposal.reason is not Reason.NEWCOMER:
        yield f"Locked: {shown(proposal.locked)}"
    for access in proposal.evidence[:_MOST_ACCESSES]:
        yield from _access_facts(access)
    if len(proposal.evidence) > _MOST_ACCESSES:
        yield f"Seen: {len(proposal.evidence) - _MOST_ACCESSES} more"


def rule_facts(proposal: Proposal, index: int) -> Iterator[str]:
    """Say how it could be allowed, and what the chosen rules stand for."""
    for number, choice in enumerate(proposal.choices):
        mark = ", chosen" if number == index else ""
        yield f"Rule {number + 1} of {len(proposal.choices)}{mark}: {shown(choice.title)}"
        if choice.locked:
            yield f"Locked: {shown(choice.locked)}"
    choice = proposal.choices[index]
    if choice.preset:
        yield f"Allows: preset {shown(choice.preset)}"
    for consumer in choice.consumers:
        yield f"Allows: for {shown(consumer)}, which is not of this workspace"
    for rule in choice.rules[:_MOST_RULES]:
        yield f"Allows: {rule.kind.value} {shown(rule.pattern)}"
    if len(choice.rules) > _MOST_RULES:
        yield f"Allows: {len(choice.rules) - _MOST_RULES} more of this kind"
    if choice.widening:
        yield f"Beyond what was seen: {shown(choice.widening)}"
    if any(rule.kind is Kind.EXEC for rule in choice.rules):
        yield f"Beyond what was seen: {ANY_COMMAND_LINE}"


def _access_facts(access: Access) -> Iterator[str]:
    times = plural(access.count, "time")
    yield f"Seen: {verb(access.kind)} {shown(access.target)}, {times}, {outcome_word(access)}"
    if access.unstable:
        yield f"Not stable: seen {shown(access.unstable)}"
    if access.sensitive:
        yield f"Sensitive: {shown(access.sensitive)}"
    for chain in access.chains:
        yield f"By: {chain_text(chain)}"
    for line in command_lines(access):
        yield f"Command: {line}"
    if not access.commands and access.example not in ("", access.target):
        what = "Command" if access.kind is Kind.EXEC else "Example"
        yield f"{what}: {shown(example_text(access))}"


def command_lines(access: Access, most: int = LINES_MOST) -> Iterator[str]:
    """Yield each command line of a program, quoted as for a shell, and how often it was run."""
    for noted, times in access.commands[:most]:
        line = shown(recalled_line(noted))
        yield line if times == 1 else f"{line}  ({times:,} times)"
    rest = sum(times for _, times in access.commands[most:])
    beyond = access.count - access.told_commands
    if len(access.commands) > most:
        more = f"and {len(access.commands) - most:,} other command lines, {rest:,} times"
        yield f"({more}; `buildperm why` lists them)"
    elif beyond > 0 and len(access.commands) >= COMMANDS_MOST:
        yield f"(and others, {beyond:,} times, which were not kept)"
