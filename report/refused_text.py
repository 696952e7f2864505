"""What a crate was refused, for somebody in a hurry: the worst first, each fact once.

left-padding 0.1.0
  !! LOOKS LIKE THEFT: it reaches for secrets and for the network
     the secret: ~/.ssh/id_ed25519, the way to the network: 127.0.0.1:40747
  !! read     ~/.ssh/id_ed25519  ssh keys and known hosts
  !! connect  127.0.0.1:40747
  Do not trust it?  Remove it, or pin the version before. Grant nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from buildperm.policy import cooldown
from buildperm.policy.access import LOOKED, Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.role import SubjectKind, role_text
from buildperm.policy.sensitivity import STEERS
from buildperm.policy.sought_secrets import EMPTY_HOME
from buildperm.printable import printable, shortened
from buildperm.report.finding import Finding
from buildperm.report.rule_catalogue import FAILED
from buildperm.report.shell_line import example_text, recalled_line
from buildperm.rules.variables import NAMED_SECRET

GLYPHS: Final = {Risk.LOW: ".", Risk.MEDIUM: "~", Risk.HIGH: "!", Risk.CRITICAL: "!!"}
"""Risk must be readable without colour, and in a log."""

THEFT = "LOOKS LIKE THEFT: it reaches for secrets and for the network"

UNREVIEWED = "granted, but this version is not in `reviewed`"

_VERBS = {
    Kind.READ: "read",
    Kind.ENV: "env",
    Kind.NET: "connect",
    Kind.DIRECTIVE: "cargo",
    Kind.EXEC: "run",
    Kind.WRITE: "write",
    Kind.SYSTEM: "call",
}
_VERB_WIDTH = max(map(len, _VERBS.values()))
_TARGET_MOST = 40  # Columns; what is longer pushes its gloss to the right.
_LISTED = 10  # Accesses of one finding; all of them are in the JSON report.
_COMMANDS_LISTED = 5  # Command lines of one program; all of them are in the JSON report.
_COMMAND_MOST = 200
_HOME = "$HOME/"
_LABEL = "  {:<16}  "
_SSH_KEY = re.compile(r"/\.ssh/id_[a-z0-9_]+$")
_IN_SHORT: Final = {
    STEERS: "would run code in rustc, the linker or Cargo",
    NAMED_SECRET: "secret by its name",
}
_FORBIDDEN = Kind.DIRECTIVE  # What of it is sensitive can never be granted.
_ALREADY_TOLD = (
    "is sensitive: ",
    "Sensitive: not grantable here.",
    "Sensitive: nothing to allow, ",
    "Deny it: it only looked ",
    "it can steal: it reaches for",
    "No grant can allow it: ",
)
_SAME_STORY = ("it printed directives that it was not granted", "it tried to read ", "it asked for")
"""How a failure begins that says nothing but what was refused."""


def is_refusal(finding: Finding) -> bool:
    """Tell whether a finding is about accesses that were judged."""
    return bool(finding.evidence) and finding.risk is not None


def is_told(finding: Finding, group: Iterable[Finding]) -> bool:
    """Tell whether a finding only repeats what the refusals of its crate say."""
    if finding.rule != FAILED or not any(map(is_refusal, group)):
        return False
    _, _, why = finding.title.partition(": ")
    return why.startswith(_SAME_STORY)


def tally(findings: Iterable[Finding]) -> tuple[int, int]:
    """Count what was tried, and what of it was not blocked."""
    tried = {
        (each.crate, each.version, access.kind, access.target): access.outcome
        for each in findings
        if is_refusal(each)
        for access in each.evidence
    }
    return len(tried), sum(outcome is Outcome.DONE for outcome in tried.values())


def lines(group: Sequence[Finding], told: set[str] | None = None) -> Iterator[str]:
    """Yield lines about the refusals of one crate, without its name.

    Args:
        group: Findings of one version of one crate; those that are no refusals are left out.
        told: Tables of Cargo.toml that the report has told; those of this crate are added.
    """
    refused = sorted(filter(is_refusal, group), key=_order)
    if not refused:
        return
    theft = next((each.theft for each in refused if each.theft), None)
    if theft:
        secret, way_out = map(shown_target, theft)
        yield f"  {GLYPHS[Risk.CRITICAL]} {THEFT}"
        yield printable(f"     the secret: {secret}, the way to the network: {way_out}")
    shown = [access for each in refused for access in each.evidence[:_LISTED]]
    width = min(_TARGET_MOST, max(len(shown_target(access)) for access in shown))
    said: set[str] = set()
    who = ""
    for each in refused:
        by = _who(each)
        if by != who:
            yield printable(f"     {by or 'build script'}:")
            who = by
        yield from map(printable, _rows(each, width))
        for reason in each.reasons:
            if reason not in said and not any(part in reason for part in _ALREADY_TOLD):
                said.add(reason)
                yield printable(f"                {_without_target(reason, each)}")
    yield from map(printable, _ways_on(refused, set() if told is None else told))


def _who(finding: Finding) -> str:
    """Say what of the crate it was; empty for a build script."""
    is_compiling = {role.subject for role in finding.roles} == {SubjectKind.COMPILE}
    return "compiling its code" if is_compiling else role_text(finding.roles)


def _order(finding: Finding) -> tuple[int, int]:
    """Sort by risk, then in the order of a theft: what is taken, and by which way it leaves."""
    kinds = [list(_VERBS).index(access.kind) for access in finding.evidence]
    return -(finding.risk or Risk.LOW), min(kinds)


def _without_target(reason: str, finding: Finding) -> str:
    """Leave out what stands in the row above."""
    target, mark, why = reason.partition("`: ")
    is_above = len(finding.evidence) == 1 and target == f"`{finding.evidence[0].target}"
    return why if mark and is_above else reason


def _rows(finding: Finding, width: int) -> Iterator[str]:
    glyph = GLYPHS[finding.risk or Risk.LOW].rjust(2)
    preset = finding.is_preset
    listed = finding.evidence[:_LISTED]
    for access, following in zip_longest(listed, listed[1:]):
        gloss = _gloss(access)
        if preset and access.kind is Kind.EXEC:
            gloss, preset = finding.summary, False
        if finding.lacks_review:
            gloss = f"{gloss}; {UNREVIEWED}" if gloss else UNREVIEWED
        more = [f"{access.count:,} times"] if access.count > 1 else []
        more += [access.unstable] if access.unstable else []
        more += filter(None, [_not_blocked(access)])
        told = f"{gloss} ({', '.join(more)})" if more and gloss else gloss or ", ".join(more)
        verb = _VERBS[access.kind].ljust(_VERB_WIDTH)
        yield f"  {glyph} {verb}  {shown_target(access).ljust(width)}  {told}".rstrip()
        yield from _commands(access)
        by, then = (each.chains[:1] if each else () for each in (access, following))
        if by != then and len(by[0] if by else ()) > 1:
            yield f"                by {' > '.join(by[0])}"
    if len(finding.evidence) > _LISTED:
        yield f"     and {len(finding.evidence) - _LISTED:,} more like these"


def _gloss(access: Access) -> str:
    """Say what is sensitive about a target, in as few words as possible."""
    if access.kind is _FORBIDDEN and access.sensitive:
        return f"{_IN_SHORT.get(access.sensitive, access.sensitive)}; can never be granted"
    if _SSH_KEY.search(access.target):
        return "SSH key"
    held = access.sensitive.removesuffix(f"; {EMPTY_HOME}")
    return _IN_SHORT.get(held, held)


def _commands(access: Access) -> Iterator[str]:
    for line, times in access.commands[:_COMMANDS_LISTED]:
        often = f"  ({times:,} times)" if times > 1 else ""
        yield f"                as {shortened(recalled_line(line), _COMMAND_MOST)}{often}"
    left = len(access.commands) - _COMMANDS_LISTED
    if left > 0:
        plural = "" if left == 1 else "s"
        yield f"                and by {left:,} other command line{plural}"
    is_told = bool(access.commands) or access.kind is not Kind.EXEC
    if not is_told and access.example not in ("", access.target):
        yield f"                as {shortened(example_text(access), _COMMAND_MOST)}"


def _not_blocked(access: Access) -> str:
    """Say how it went where nothing was refused."""
    if access.saw_empty_home:
        return f"looked for; {EMPTY_HOME}"
    if access.refused_by_system:
        return f"refused by the system itself, {access.refused_by_system}"
    if access.is_answered_look:
        return LOOKED
    return {Outcome.DONE: "NOT blocked", Outcome.FAILED: "failed of its own"}.get(
        access.outcome, ""
    )


def shown_target(access: Access) -> str:
    """Return a target as people write it."""
    if access.target.startswith(_HOME):
        return f"~/{access.target[len(_HOME) :]}"
    return access.target


def _ways_on(refused: Sequence[Finding], told: set[str]) -> Iterator[str]:
    """Say what to do: there are two ways, and the first is not to trust it.

    `told` are the tables of Cargo.toml that were told already.
    """
    crate = refused[0].crate
    if any((each.risk or Risk.LOW) >= Risk.HIGH for each in refused):
        do = "Remove it, or pin the version before. Grant nothing."
        yield f"{_LABEL.format('Do not trust it?')}{do}"
    is_young = any(cooldown.TOO_YOUNG in reason for each in refused for reason in each.reasons)
    if is_young:
        way_on = cooldown.exception(crate.partition("@")[0], refused[0].version)
        yield f"{_LABEL.format('Can it wait?')}Build again then. If it cannot,"
        yield f"{_LABEL.format('')}{way_on}."
    settling = next((each for each in refused if each.command and not is_young), None)
    if settling:
        first = (
            f"Get {settling.fetch} from this job, then on your machine:" if settling.fetch else ""
        )
        said = [*filter(None, [first]), settling.command, "Then commit what it has written."]
        for label, line in zip_longest(["Is it expected?"], said, fillvalue=""):
            yield f"{_LABEL.format(label)}{line}"
    # Lines that can be pasted are no help where somebody steals, or makes rustc run something.
    is_grave = any(each.theft or each.risk is Risk.CRITICAL for each in refused)
    remedies = [] if is_grave or is_young else _pasted(refused[0].settling, told)
    if remedies:
        yield f"{_LABEL.format('')}This is what it can write into Cargo.toml:"
        yield from (f"{_LABEL.format('')}  {line}" for line in remedies)
    what = shlex.quote(f"{refused[0].evidence[0].kind}:{refused[0].evidence[0].target}")
    yield f"{_LABEL.format('Why?')}buildperm why {shlex.quote(crate)} {what}"


def _pasted(settling: Sequence[str], told: set[str]) -> list[str]:
    """Leave out what a line above says already: a table can be written once.

    Args:
        settling: The lines for one crate, headers included.
        told: Headers that were told; those of this crate are added.
    """
    left: list[str] = []
    is_told = False
    for line in settling:
        if line.startswith(("[", "# [")):
            is_told = line in told
            told.add(line)
        if line and not is_told:
            left.append(line)
    return left
