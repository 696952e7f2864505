"""Locked rules: shown at the end of the ladder with the reason, on the card and in plain text."""

from __future__ import annotations

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposals import propose
from buildperm.presentation.proposal_facts import rule_facts
from buildperm.tui.widgets import card


def test_a_rule_that_would_reach_secrets_says_why_it_is_locked() -> None:
    seen = Access(Kind.READ, "$WORKSPACE/x/a.c", Outcome.DONE, 1, 0, 0, ())
    (proposal,) = propose("a", "1.0.0", [seen])
    widest = proposal.choices[-1]
    assert widest.locked

    told = list(rule_facts(proposal, 0))
    lines = list(card._choice_lines(widest, 4, 200, chosen=False, asked=True))

    assert f"Locked: {widest.locked}" in told
    assert sum(line.startswith("Locked: ") for line in told) == 1
    assert lines[0].left[0][0] == "⊘ "
    assert widest.locked in "".join(text for text, _ in lines[1].left)
