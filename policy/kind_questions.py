"""Questions about what no larger one covers, kind by kind: files, programs, variables, hosts."""

from __future__ import annotations

from collections.abc import Sequence

from buildperm.policy import choices, risk, summaries
from buildperm.policy.access import Access
from buildperm.policy.access_groups import GROUPS_MOST, grouped
from buildperm.policy.choices import Choices
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.proposal_builder import ProposalBuilder

_NO_NAMES = (
    "No grant can allow it: names are made, moved and removed by a right over the whole folder, "
    "and this one is too much for one grant. A folder of its own, or OUT_DIR, could be granted."
)


def ask(builder: ProposalBuilder, kind: Kind, accesses: Sequence[Access]) -> None:
    """Ask about the accesses of one kind."""
    match kind:
        case Kind.READ:
            _reads(builder, accesses)
        case Kind.WRITE:
            _writes(builder, accesses)
        case Kind.EXEC:
            _programs(builder, accesses)
        case Kind.ENV:
            _variables(builder, accesses)
        case Kind.NET:
            _hosts(builder, accesses)
        case _:
            _exactly(builder, kind, accesses)


def _reads(builder: ProposalBuilder, accesses: Sequence[Access]) -> None:
    """Ask about files that were read, folder by folder; about those of one program at once."""
    folders = {access.target for access in accesses if access.is_folder}
    folder = choices.folder_of_read([access.target for access in accesses], folders)
    most = 1 if accesses and accesses[0].wanted_by else GROUPS_MOST
    groups = grouped(accesses, folder, most=most)
    is_much = len(accesses) > choices.EXACT_MOST
    each = choices.EXACT_MOST // len(groups) if is_much else choices.EXACT_MOST
    for group in groups:
        builder.add(summaries.title(Kind.READ, group), group, choices.for_reads(group, each))


def _writes(builder: ProposalBuilder, accesses: Sequence[Access]) -> None:
    """Ask about files that were written, folder by folder."""
    stuck = [access for access in accesses if choices.is_beyond_grants(access)]
    if stuck:
        title = summaries.title(Kind.WRITE, stuck)
        builder.add(title, stuck, Choices((choices.exactly(Kind.WRITE, stuck),)), locked=_NO_NAMES)
    accesses = [access for access in accesses if not choices.is_beyond_grants(access)]
    for group in grouped(accesses, choices.folder_of_write, most=len(accesses)):
        ways = choices.for_writes(group, builder.granted)
        builder.add(summaries.title(Kind.WRITE, group), group, ways)


def _programs(builder: ProposalBuilder, accesses: Sequence[Access]) -> None:
    """Ask about programs: the ordinary ones together, the risky ones one by one.

    What lies beside one another in a folder that is not the system's came together, as the
    parts of a version manager do, and is one question.
    """
    ordinary: list[Access] = []
    risky: dict[str, list[Access]] = {}
    for access in accesses:
        if risk.assess_access(access)[0] < Risk.HIGH:
            ordinary.append(access)
        else:
            is_elsewhere = access.target.startswith("$")
            key = access.target.rpartition("/")[0] if is_elsewhere else _file_of(access)
            risky.setdefault(key, []).append(access)
    for group in (ordinary, *risky.values()):
        if group:
            builder.add(summaries.title(Kind.EXEC, group), group, choices.for_programs(group))


def _variables(builder: ProposalBuilder, accesses: Sequence[Access]) -> None:
    """Ask about variables, library by library."""
    for group in grouped(accesses, choices.prefix_of(accesses)):
        builder.add(summaries.title(Kind.ENV, group), group, choices.for_variables(group))


def _hosts(builder: ProposalBuilder, accesses: Sequence[Access]) -> None:
    """Ask about hosts one by one: each is a way out."""
    for access in accesses:
        builder.add(summaries.title(Kind.NET, [access]), [access], choices.for_hosts([access]))


def _exactly(builder: ProposalBuilder, kind: Kind, accesses: Sequence[Access]) -> None:
    """Ask about what is allowed as it was seen or not at all, key by key."""
    for group in grouped(accesses, lambda target: target.partition("=")[0]):
        builder.add(summaries.title(kind, group), group, Choices((choices.exactly(kind, group),)))


def _file_of(access: Access) -> str:
    """Return the file of a program that has several names: `python3` and `python3.12` are one.

    A file that is many programs, as that of busybox, has none of their names.
    """
    name = access.target.rpartition("/")[2]
    file = access.resolved or access.target
    return file if file.rpartition("/")[2].startswith(name) else access.target
