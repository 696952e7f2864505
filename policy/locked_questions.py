"""Questions about what nobody can allow here: they say why, and let a person deny it."""

from __future__ import annotations

from collections.abc import Sequence

from buildperm.policy import choices, passing_names, summaries, validation
from buildperm.policy.access import Access
from buildperm.policy.baseline_patterns import NEVER_LISTED
from buildperm.policy.choices import Choices
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal_builder import ProposalBuilder
from buildperm.policy.rule import Rule
from buildperm.rules import address
from buildperm.rules.shared_output import why_closed

_BY_HAND = (
    "Sensitive: not grantable here. To allow it, add it to Cargo.toml by hand, as an exact path or "
    "name, with a `reason`."
)
_ONLY_LOOKED = (
    "Deny it: it only looked whether this is there, read nothing, and needs no grant for that. A "
    "grant would let it read all that is in it. That is sensitive: it can only be added to "
    "Cargo.toml by hand, as an exact path, with a `reason`."
)
_EMPTY_HOME = (
    "Sensitive: nothing to allow, as the home folder that it sees is empty. If you know why it "
    "looks there, deny it."
)
_NEVER = "No grant can allow it: it would run code outside the sandbox."
_CLOSED = "No grant can allow it: {}."
_NO_SOCKET = "No grant opens a socket that is a file or a name on this machine."
_NO_ADDRESS = "No grant can allow it: {}."
_NO_LISTING = (
    "No grant can allow it: whoever lists this folder could list all that is below it, and "
    "something there is always closed."
)
_SYSTEM = "No grant opens a system call; builds work without it."


def ask(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask about what cannot be allowed here; return the rest."""
    key: tuple[Kind, str, str]
    groups: dict[tuple[Kind, str, str], list[Access]] = {}
    rest: list[Access] = []
    written = {access.target for access in accesses if access.kind is Kind.WRITE}
    for access in accesses:
        if passing_names.is_passing(access.kind, access.target) and passing_names.is_made(
            access, written
        ):
            # Who opens such a file to read and write it is refused both: one question.
            is_read = access.kind is Kind.READ
            about = Kind.WRITE if is_read else access.kind
            key = about, access.sensitive, passing_names.NEVER
        elif access.sensitive:
            key = access.kind, access.sensitive, _why_locked(access)
        elif access.kind is Kind.NET and (why := _why_unconnected(access)):
            key = access.kind, access.target, why
        elif access.kind is Kind.READ and access.target in NEVER_LISTED:
            key = access.kind, "", _NO_LISTING
        elif access.kind is Kind.SYSTEM:
            key = access.kind, "", _SYSTEM
        else:
            rest.append(access)
            continue
        groups.setdefault(key, []).append(access)
    for (kind, held, why), found in groups.items():
        group = [each for each in found if each.kind is kind]
        group += [each for each in found if each.kind is not kind]
        named = passing_names.told(group) if why == passing_names.NEVER else group
        title = summaries.title(kind, named)
        if group[0].sensitive and kind is not Kind.DIRECTIVE:
            title = f"{title} ({held})"
        builder.add(title, group, Choices((choices.exactly(kind, group),)), locked=why)
    return rest


def _why_locked(access: Access) -> str:
    """Say why nobody can allow here what is sensitive."""
    if access.kind is Kind.DIRECTIVE:
        return _NEVER
    if access.kind is Kind.WRITE and (closed := why_closed(access.target)):
        return _CLOSED.format(closed)
    if access.saw_empty_home:
        return _EMPTY_HOME
    return _ONLY_LOOKED if access.is_look else _BY_HAND


def _why_unconnected(access: Access) -> str:
    """Say why no grant can allow a connection; empty if one can."""
    if address.of_pattern(access.target) is None:
        return _NO_SOCKET
    found = validation.to_grant(Rule(Kind.NET, access.target), reason="")
    return _NO_ADDRESS.format(found.what) if found else ""
