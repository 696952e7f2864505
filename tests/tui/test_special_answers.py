"""Answers that take a screen of their own: distrust, a rule by hand, a reason and a last day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.policy.access import Outcome
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Reason, Risk
from buildperm.policy.rule import Rule
from buildperm.tui.screens.critical import CriticalScreen
from buildperm.tui.screens.edit import EditScreen
from buildperm.tui.screens.terms import TermsScreen
from tests.tui.proposals import access, exactly, proposal, wider

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)
EMPTY = Policy("portable", {}, Path("Cargo.toml"))


async def test_x_denies_everything_of_a_crate_at_any_risk_in_one_step(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("G", "X")
        listed = bench.text("#batch-rows")
        assert "read a private key" in listed
        assert "connect to 10.0.0.7:443" in listed
        assert "cargo remove telemetry-helper" in " ".join(bench.text("#batch-answers").split())
        assert bench.answers() == {}

        await pilot.press("y")
        denied = [each for each in bench.review.proposals if each.crate == "telemetry-helper"]
        assert len(denied) == 5
        assert bench.answers() == {each.title: "deny" for each in denied}
        assert "Denied all 5 things that telemetry-helper wants" in bench.text("#notice")
        assert len(bench.entries) == 1

        await pilot.press("u")
        assert bench.answers() == {}


async def test_deny_on_a_crate_takes_what_is_locked_and_critical(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("G", "h", "d")
        assert "Left out" not in bench.text("#batch-answers")
        await pilot.press("y")

        denied = [each for each in bench.review.proposals if each.crate == "telemetry-helper"]
        assert bench.answers() == {each.title: "deny" for each in denied}


async def test_all_shown_can_be_denied_but_not_allowed_at_any_risk(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("D", "y")
        assert len(bench.answers()) == len({each.title for each in bench.review.proposals})
        await pilot.press("u", "A", "y")

        assert "read a private key" not in bench.answers()
        assert "run perl" not in bench.answers()


async def test_a_rule_is_edited_by_hand_and_judged_while_it_is_typed(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"openssl.cnf", "enter", "n", "E")
        assert "Covers everything that was seen" in bench.text("#edit-told")
        await pilot.press("end", *["backspace"] * 11)
        assert "ends in `/`" in bench.text("#edit-told")
        await pilot.press("enter")
        assert bench.is_at(EditScreen)

        await pilot.press(*"*.cnf")
        assert "Covers everything that was seen" in bench.text("#edit-told")
        await pilot.press("enter")

        assert bench.under_cursor() == "read /etc/ssl/openssl.cnf"
        assert bench.answers() == {}
        assert "as you wrote it" in bench.text("#card")
        await pilot.press("a")
        assert bench.review.grants(EMPTY)["openssl-sys"].rules == {
            Rule(Kind.READ, "/etc/ssl/*.cnf")
        }
        await pilot.press("u", "u")
        assert bench.review.grants(EMPTY) == {}


@pytest.mark.slow
async def test_what_an_edited_rule_leaves_out_is_told(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"OPENSSL_DIR", "enter", "n", "E")
        await pilot.press("end", *["backspace"] * len("OPENSSL_DIR"), *"FOO_*")

        told = bench.text("#edit-told")
        assert "Covers 2 of the 3 things seen" in told
        assert "OPENSSL_DIR" in told
        await pilot.press("escape")
        assert bench.entries == []


@pytest.mark.parametrize(("words", "told"), [("private", "cannot be edited"), ("zzz", "")])
@pytest.mark.quick(1)
async def test_what_cannot_be_edited_says_why(bench: ReviewBench, words: str, told: str) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *words, "enter", "n", "E")

        assert not bench.is_at(EditScreen)
        assert told in bench.text("#notice")


async def test_a_reason_and_a_last_day_are_written_and_undone(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "r")
        assert "No last day" in bench.text("#terms-told")
        await pilot.press(*"system TLS", "tab", *"2000-01-01", "enter")
        assert "is over already" in bench.text("#terms-told")
        assert bench.is_at(TermsScreen)
        await pilot.press(*["backspace"] * 10, *"2999-01-31", "enter")

        said = bench.review.grants(EMPTY)["openssl-sys"]
        assert (said.reason, said.expires) == ("system TLS", date(2999, 1, 31))
        assert "until 2999-01-31" in bench.text("#notice")
        await pilot.press("v")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert '+ expires = "2999-01-31"' in bench.text("#diff-text")
        words = " ".join(bench.text("#diff-words").replace("▌", " ").split())
        assert "is granted all of it until 2999-01-31" in words
        await pilot.press("escape", "u")
        assert bench.review.grants(EMPTY)["openssl-sys"].expires is None


async def test_a_reason_that_shows_secrets_says_so(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "r")
        assert "looks like a secret" not in bench.text("#terms-told")
        await pilot.press("x")
        assert "looks like a secret" in " ".join(bench.text("#terms-told").split())


def critical_one(**changes: object) -> Proposal:
    """Make a proposal of critical risk that can be allowed."""
    script = "/srv/data/lib.rs"
    made = proposal(
        "zeta", "1.0.0", "read /srv/data/lib.rs", Risk.CRITICAL, "Whoever has it is you.",
        [access(Kind.READ, script, outcome=Outcome.REFUSED)],
        exactly(Kind.READ, script, title="this file"),
        wider(Kind.READ, "/srv/data/*", "every file there", "Also 9 that were not seen."),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_what_is_critical_takes_the_name_of_its_crate(
    make_bench: type[ReviewBench],
) -> None:
    bench = make_bench([critical_one()])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a")
        assert bench.answers() == {}
        told = bench.text("#critical-text")
        assert "read /srv/data/lib.rs" in told
        assert "To allow it, type zeta and Enter." in told

        await pilot.press("y", "enter")
        assert "Nothing is allowed: that was not zeta" in bench.text("#critical-note")
        await pilot.press("escape")
        assert bench.answers() == {}

        await pilot.press("a", *"zeta", "enter")
        assert bench.answers() == {"read /srv/data/lib.rs": "allow"}

        await pilot.press("n", "E")
        assert "clears the answer" in bench.text("#notice")
        await pilot.press("right_square_bracket")
        assert bench.chosen() == 1
        assert bench.answers() == {}
        assert "undecided again: a allows it" in bench.text("#notice")
        await pilot.press("a", "escape")
        assert bench.answers() == {}
        await pilot.press("a", *"zeta", "enter", "n", "left_square_bracket")
        assert bench.chosen() == 0
        assert bench.answers() == {"read /srv/data/lib.rs": "allow"}


@pytest.mark.slow
async def test_a_click_on_a_wider_critical_rule_allows_nothing_more(
    make_bench: type[ReviewBench],
) -> None:
    bench = make_bench([critical_one()])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", *"zeta", "enter")
        card = bench.app.screen.query_one("#card")
        row = next(
            number for number, line in enumerate(bench.text("#card").split("\n"))
            if "every file there" in line
        )  # fmt: skip
        await pilot.click(card, offset=(4, row + 1 - card.scroll_offset.y))

        assert bench.chosen() == 1
        assert bench.answers() == {}


@pytest.mark.slow
async def test_a_critical_grant_that_is_there_already_is_kept_by_a_key(
    make_bench: type[ReviewBench],
) -> None:
    bench = make_bench([critical_one(reason=Reason.UNUSED)])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "a")

        assert not bench.is_at(CriticalScreen)


async def test_a_rule_that_its_title_says_already_is_not_listed_twice(
    make_bench: type[ReviewBench],
) -> None:
    """A title of one file is the rule that allows it; one of several files is not."""
    one = proposal(
        *("a", "1.0.0", "read /srv/a", Risk.MEDIUM, "Why."),
        [access(Kind.READ, "/srv/a")],
        exactly(Kind.READ, "/srv/a"),
    )
    two = proposal(
        *("a", "1.0.0", "read 2 files below /srv", Risk.MEDIUM, "Why."),
        [access(Kind.READ, "/srv/b")],
        exactly(Kind.READ, "/srv/b", "/srv/c"),
    )
    bench = make_bench([one, two])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("G", "X")
        listed = bench.text("#batch-rows")
        assert listed.count("read /srv/a") == 1
        assert "read 2 files below /srv" in listed
        assert "read /srv/b" in listed
