"""Locked rules: shown at the end of the ladder with the reason, on the card and in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.proposals import propose
from buildperm.presentation.proposal_facts import rule_facts
from buildperm.tui.widgets import card
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from tests.tui.proposals import access, exactly, proposal

if TYPE_CHECKING:
    from tests.tui.review_bench import ReviewBench


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


async def test_a_rule_that_needs_a_reason_is_refused_in_the_footer(
    make_bench: type[ReviewBench],
) -> None:
    seen = [access(Kind.ENV, "API_TOKEN")]
    asked = proposal("a", "1.0.0", "see API_TOKEN", Risk.LOW, "A name.", seen)
    bench = make_bench([asked])
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n", "a")

        assert "its crate gives no reason" in bench.text("#notice")
        assert bench.answers() == {}


async def test_what_is_allowed_is_not_widened_to_a_locked_rule_by_key_or_click(
    make_bench: type[ReviewBench],
) -> None:
    seen = [access(Kind.WRITE, "$WORKSPACE/gen/a")]
    narrow = exactly(Kind.WRITE, "$WORKSPACE/gen/a")
    wide = exactly(Kind.WRITE, "$WORKSPACE/**", title="everything")
    asked = proposal("a", "1.0.0", "write gen/a", Risk.LOW, "A file.", seen, narrow, wide)
    bench = make_bench([asked])
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("n", "a")
        bench.tree().reveal(asked)
        await pilot.press("right_square_bracket")
        assert "too much for one grant" in bench.text("#notice")

        await pilot.press("left_square_bracket")
        assert "narrowest rule" in bench.text("#notice")
        card_sheet = bench.app.screen.query_one("#card", Page)
        card_sheet.post_message(Sheet.Clicked(card_sheet, 1))
        await pilot.pause()
        assert "too much for one grant" in bench.text("#notice")
        assert bench.chosen() == 0
