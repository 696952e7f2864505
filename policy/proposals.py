"""Proposals: from accesses to as few questions as a person can answer with care.

The baseline, what is no news, and what was granted or denied are left out. The rest is grouped by
what a person would decide together: the programs of one tool chain, the files of one folder, the
variables of one library.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from buildperm.policy import (
    access_groups,
    brevity,
    bundles,
    kind_questions,
    locked_questions,
    place_questions,
    preset_questions,
    summaries,
)
from buildperm.policy.access import Access
from buildperm.policy.choices import Choices
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposal_builder import ProposalBuilder
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import undecided


def propose(
    crate: str,
    version: str,
    accesses: Iterable[Access],
    rules: Iterable[Rule] = (),
    denials: Iterable[Rule] = (),
    consumers: Collection[str] = (),
) -> list[Proposal]:
    """Make the proposals for one crate, the riskiest first.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        accesses: What `fold` made of its recordings.
        rules: What it is granted, presets expanded.
        denials: What a person has refused it.
        consumers: Keys of packages outside the workspace that its macros are granted it for, too.
    """
    everything, rules, denials = list(accesses), list(rules), list(denials)
    groups: dict[str, list[Access]] = {}
    for access in everything:
        outside = "" if access.outside in consumers else access.outside
        groups.setdefault(outside, []).append(access)
    proposals: list[Proposal] = []
    for outside, group in groups.items():
        builder = ProposalBuilder(crate, version, everything, outside, rules)
        left = undecided(group, () if outside else rules, denials)
        for ask in _QUESTIONS:
            left = ask(builder, left)
        for kind in GRANTABLE:
            for about in access_groups.by_cause([access for access in left if access.kind is kind]):
                kind_questions.ask(builder, kind, about)
        proposals += builder.proposals
    ordered = sorted(proposals, key=lambda proposal: (-proposal.risk, proposal.title))
    return brevity.briefer(ordered, rules)


def _bundles(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask about each program together with what it needs to work; return what is left."""
    known: set[int] = set()
    for bundle in bundles.found(accesses):
        known.update(map(id, bundle.accesses))
        worst, notes = summaries.risk_notes(bundle.accesses)
        builder.propose(
            builder.id_of(Kind.EXEC, [access.target for access in bundle.accesses]),
            summaries.of_bundle(bundle),
            Choices(ways := bundles.choices(bundle), len(ways) - 1),
            (worst, notes),
            bundle.accesses,
        )
    return [access for access in accesses if id(access) not in known]


_QUESTIONS: tuple[Callable[[ProposalBuilder, Sequence[Access]], list[Access]], ...] = (
    place_questions.temporaries,
    locked_questions.ask,
    place_questions.beside_programs,
    preset_questions.ask,
    _bundles,
    place_questions.shared_places,
    place_questions.walked_output,
)
"""Questions that are larger than one kind, in their order: each returns what it leaves."""
