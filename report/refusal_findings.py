"""Findings about what a run did or tried beyond its grants, and what to paste to allow it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import PINNED
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal, Reason, Risk
from buildperm.policy.revision import of_package
from buildperm.policy.risk import assess_rule
from buildperm.policy.risk_combinations import theft_of
from buildperm.policy.role import SCRIPT_ALONE
from buildperm.report.build_run import ScriptRun
from buildperm.report.finding import Finding, Level
from buildperm.report.finding_parts import cut_details, cut_title, evidence_lines, fingerprint
from buildperm.report.manifest_place import GrantLines
from buildperm.report.next_command import REVIEW
from buildperm.rules.pattern import matches


def of_proposal(script: ScriptRun, proposal: Proposal, places: GrantLines, level: Level) -> Finding:
    """Tell what a person was or would have been asked, and what settles it."""
    kinds = [access.kind for access in proposal.evidence]
    # A tool chain is decided as one; what it reads and sees follows from what is run.
    kind = Kind.EXEC if Kind.EXEC in kinds else kinds[0]
    targets = [access.target for access in proposal.evidence]
    own = [access.target for access in proposal.evidence if access.kind is kind]
    grant = proposal.suggestion
    theft = theft_of(_all_of(script))
    offer = _offer(script, proposal, theft)
    remedy = places.pasted(script.crate, offer) if offer else ()
    lacks_review = _lacks_review(script, proposal)
    title = f"{proposal.who} {_attempt_words(proposal.evidence)} to {proposal.title}"
    if lacks_review:
        title += f", which is granted: version {script.version} is not in `reviewed`"
    return Finding(
        rule=str(kind),
        level=level,
        crate=script.crate,
        version=script.version,
        title=cut_title(title),
        details=cut_details(
            (
                *proposal.notes,
                proposal.locked,
                *evidence_lines(proposal.evidence),
                *_not_opened(script, proposal.evidence),
            )
        ),
        way=script.way,
        remedy=remedy,
        command=REVIEW,
        line=places.of_kind(script.crate, script.version, kind, own, script.way),
        fingerprint=fingerprint(str(kind), script.crate, [*targets, *_for_whom(proposal)]),
        evidence=proposal.evidence,
        risk=proposal.risk,
        roles=proposal.roles,
        summary=cut_title(proposal.title),
        reasons=cut_details(
            (*proposal.notes, proposal.locked, *_not_opened(script, proposal.evidence))
        ),
        is_preset=bool(grant.preset),
        lacks_review=lacks_review,
        theft=theft,
    )


def offers(scripts: Iterable[ScriptRun]) -> dict[str, list[CrateGrants]]:
    """Return what may be offered to paste, by key."""
    found: dict[str, list[CrateGrants]] = {}
    for script in scripts:
        theft = theft_of(_all_of(script))
        for proposal in script.findings:
            offer = _offer(script, proposal, theft) if proposal.reason is Reason.ASKED else None
            if offer is not None:
                found.setdefault(script.crate, []).append(offer)
    return found


def _lacks_review(script: ScriptRun, proposal: Proposal) -> bool:
    """Tell whether all of it is granted, and only waits for a review of this version."""
    waiting = [each.rule for each in script.withheld if each.lacks_review]
    return bool(waiting) and all(
        any(rule.kind is access.kind and matches(rule.pattern, access.target) for rule in waiting)
        for access in proposal.evidence
    )


def _offer(
    script: ScriptRun, proposal: Proposal, theft: tuple[Access, Access] | None
) -> CrateGrants | None:
    """Return what settles a proposal: what is pinned to versions only counts for those named.

    Lines that can be pasted are no help where somebody steals.
    """
    if proposal.locked or proposal.risk is Risk.CRITICAL or theft:
        return None
    grant = proposal.suggestion
    is_pinned = any(assess_rule(rule)[0] >= PINNED for rule in grant.rules)
    return CrateGrants(
        script.crate,
        reviewed=frozenset([of_package(script.version, script.source)] if is_pinned else []),
        presets=frozenset([grant.preset] if grant.preset else []),
        rules=frozenset(grant.rules),
        consumers=frozenset(grant.consumers),
    )


def _all_of(script: ScriptRun) -> list[Access]:
    """Return all that is known of what a crate did; of a run elsewhere, that is its findings."""
    found = dict.fromkeys(script.everything)
    found |= dict.fromkeys(access for each in script.findings for access in each.evidence)
    return list(found)


def _for_whom(proposal: Proposal) -> Iterator[str]:
    """Yield what tells a finding from that about the build script of the same crate."""
    for access in proposal.evidence[:1]:
        if access.roles != SCRIPT_ALONE:
            yield "\0".join(sorted({str(role.subject) for role in access.roles}))
        if access.outside:
            yield access.outside


def _attempt_words(evidence: Iterable[Access]) -> str:
    outcomes = {access.outcome for access in evidence}
    if Outcome.REFUSED in outcomes:
        return "was not allowed"
    return "was able" if Outcome.DONE in outcomes else "tried"


def _not_opened(script: ScriptRun, evidence: Iterable[Access]) -> Iterator[str]:
    """Name the grants that seem to allow it but do not."""
    told = list(evidence)
    for one in script.left_out:
        if any(map(one.is_about, told)):
            yield f"{one}."
    for rule, why in ((each.rule, each.why) for each in script.withheld):
        if any(each.kind is rule.kind and matches(rule.pattern, each.target) for each in told):
            yield f"`{rule.kind} {rule.pattern}` is granted and not in force: {why}."
