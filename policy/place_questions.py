"""Questions about places that a grant can open whole, whatever the names of the files in them."""

from __future__ import annotations

from collections.abc import Sequence

from buildperm.policy import choices, ladder, passing_names, risk, validation
from buildperm.policy.access import Access
from buildperm.policy.choices import Choices
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice
from buildperm.policy.proposal_builder import ProposalBuilder
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import portable
from buildperm.rules import profile_output
from buildperm.rules.shared_output import root

_OUTPUTS = ("$WORKSPACE/target", "$MANIFEST_DIR/target")


def temporaries(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask about files in folders of everybody that only one run has; return what is left."""
    written = {access.target for access in accesses if access.kind is Kind.WRITE}
    granted = {rule.pattern for rule in builder.granted if rule.kind is Kind.WRITE}
    rest: list[Access] = []
    group: list[Access] = []
    folders: set[str] = set()
    for access in accesses:
        folder = passing_names.own_folder(access)
        if folder in granted:
            continue  # Refused before it was granted.
        if folder and passing_names.is_made(access, written):
            group.append(access)
            folders.add(folder)
        else:
            rest.append(access)
    if group:
        rules = tuple(Rule(Kind.WRITE, folder) for folder in sorted(folders))
        named = ladder.listing([folder.removesuffix("/**") for folder in sorted(folders)])
        choice = Choice(
            f"an empty folder of its own in the place of {named}",
            rules,
            widening="Opens nothing of the machine: each run has an empty folder there.",
        )
        level, note = risk.assess_rule(rules[0])
        builder.propose(
            builder.id_of(Kind.WRITE, sorted(folders)),
            f"make temporary files in {named}",
            Choices((choice,)),
            (level, [note]),
            group,
        )
    return rest


def beside_programs(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask about files that are left beside programs, as patterns; return what is left."""
    group = [each for each in accesses if _is_beside(each)]
    if group:
        exact = tuple(
            dict.fromkeys(Rule(Kind.WRITE, each.target) for each in group if not each.is_folder)
        )
        patterns = dict.fromkeys(profile_output.folded(rule.pattern) for rule in exact)
        folded = tuple(Rule(Kind.WRITE, pattern) for pattern in patterns)
        if not folded:  # An empty folder.
            folded = tuple(Rule(Kind.WRITE, f"{each.target}/**") for each in group)
        alike = Choice(
            f"what is alike: {ladder.listing([rule.pattern for rule in folded])}",
            folded,
            widening="Allows other files there that are called so; never what Cargo makes.",
        )
        all_ = [alike]
        if 0 < len(exact) <= choices.EXACT_MOST and exact != folded:
            all_.insert(0, Choice("exactly these files", exact))
        judged = [risk.assess_rule(rule) for rule in folded]
        named = ladder.listing([rule.pattern for rule in folded])
        builder.propose(
            builder.id_of(Kind.WRITE, [rule.pattern for rule in folded]),
            f"leave {named} beside programs",
            Choices(tuple(all_), len(all_) - 1),
            (max(level for level, _ in judged), [note for _, note in judged]),
            group,
        )
    return [each for each in accesses if not _is_beside(each)]


def shared_places(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask about each place that crates share in the target directory; return what is left.

    Who is refused to write there has not come to reading: both are one question.
    """
    groups: dict[str, list[Access]] = {}
    for access in accesses:
        if access.kind in (Kind.READ, Kind.WRITE):
            groups.setdefault(root(portable(access.target)), []).append(access)
    groups.pop("", None)
    taken: set[int] = set()
    for place, group in sorted(groups.items()):
        is_folder = any(access.is_folder or portable(access.target) != place for access in group)
        if not is_folder or all(access.kind is Kind.READ for access in group):
            continue
        taken.update(map(id, group))
        rules = tuple(Rule(kind, f"{place}/**") for kind in (Kind.READ, Kind.WRITE))
        choice = Choice(
            f"everything below {place}",
            rules,
            widening="Allows reading, making, changing and removing any file there.",
        )
        level, note = risk.assess_rule(rules[1])
        builder.propose(
            builder.id_of(Kind.WRITE, [place]),
            f"read and write the shared folder {place}",
            Choices((choice,)),
            (level, [note]),
            group,
        )
    return [access for access in accesses if id(access) not in taken]


def walked_output(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask once about what Cargo builds, where a script walks through its package and comes by.

    What is there has other names after every build.
    """
    walked = {
        each.target
        for each in accesses
        if each.kind is Kind.READ and each.is_direct and each.target in _OUTPUTS
    }
    if not any(each.is_folder for each in accesses if each.target in walked):
        return list(accesses)
    inside = (*(f"{top}/" for top in walked), "$TARGET_DIR/")
    group = [
        each
        for each in accesses
        if each.kind is Kind.READ
        and each.is_direct
        and (each.target in walked or each.target.startswith(inside))
    ]
    taken = set(map(id, group))
    choice = choices.for_walked_output(group, walked)
    if any(validation.to_grant(rule, reason="") for rule in choice.rules):
        return list(accesses)
    level, note = risk.assess_rule(Rule(Kind.READ, "$TARGET_DIR/debug/**"))
    builder.propose(
        builder.id_of(Kind.READ, walked),
        "read all that Cargo has built, as it walks through its package",
        Choices((choice,)),
        (level, [note]),
        group,
    )
    return [access for access in accesses if id(access) not in taken]


def _is_beside(access: Access) -> bool:
    return access.kind is Kind.WRITE and profile_output.is_pattern(access.target)
