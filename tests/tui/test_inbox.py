"""The inbox, driven by keys: what ends up in the review."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from buildperm.errors import BuildpermError
from buildperm.policy.access import Outcome
from buildperm.policy.decision import Answer, JournalEntry, ReviewAction
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.rule import Rule
from buildperm.presentation.baseline_accesses import BaselineAccesses
from buildperm.presentation.front_end import ReviewEnd
from buildperm.presentation.wording import ANSWER_GLYPHS
from buildperm.tui.screens.baseline_screen import BaselineScreen
from buildperm.tui.screens.batch import BatchScreen, EverywhereScreen
from buildperm.tui.screens.evidence_screen import EvidenceScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.widgets.evidence_pane import EvidencePane
from tests.tui.proposals import access, proposal

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)


async def test_a_fresh_review_begins_on_a_crate_with_five_lines_for_newcomers(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE):
        assert bench.under_cursor() == ""
        card = bench.text("#card")
        coach, _, crate = card.partition("\n \n")
        assert coach.startswith("New here?")
        assert len(coach.splitlines()) == 1 + 5
        assert crate.startswith("openssl-sys 0.9.104")


async def test_the_header_counts_what_is_left_by_risk(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        assert "14 undecided · 0 allowed · 0 denied · !!3 !4 ~1 .6" in bench.text("#counts")

        await pilot.press("n", "a")

        assert "13 undecided · 1 allowed · 0 denied · !!3 !4 ~0 .6" in bench.text("#counts")


async def test_each_answer_goes_on_to_the_next_undecided_and_into_the_journal(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        assert bench.under_cursor() == "run pkg-config"

        await pilot.press("a", "d", "s")

        assert bench.answers() == {
            "run pkg-config": "allow", "run perl": "deny", "see 3 variables": "later",
        }  # fmt: skip
        assert bench.under_cursor() == "read /etc/ssl/openssl.cnf"
        assert [entry.act for entry in bench.entries] == [ReviewAction.DECIDE] * 3


@pytest.mark.slow
async def test_clearing_stays_where_it_is(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "a", "k", "delete")

        assert bench.answers() == {}
        assert bench.under_cursor() == "run pkg-config"


async def test_brackets_step_to_the_next_choice_and_the_card_says_what_is_wider(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "j", "j", "j", "]", "]", "]", "[")

        assert bench.chosen() == 1
        assert "read /etc/ssl/*" in bench.text("#card")
        assert "Also 2 files that were not seen." in bench.text("#card")


@pytest.mark.slow
async def test_a_program_with_files_beside_it_may_still_be_run_with_any_command_line(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    program = next(each for each in proposals if each.title == "run perl")
    (first, *_) = program.choices
    bundle = replace(first, widening="Allows other files of its installation.")
    bench = make_bench([replace(program, choices=(bundle,))])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")

        card = " ".join(bench.text("#card").split())
        assert "Allows other files of its installation." in card
        assert "Any command line, not only the ones seen." in card


@pytest.mark.slow
async def test_a_click_on_a_choice_chooses_it(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "j", "j")
        card = bench.text("#card").splitlines()
        row = next(i for i, line in enumerate(card) if "every variable" in line)

        await pilot.click("#card", offset=(6, row + 1))

        assert bench.chosen() == 1


async def test_a_denied_crate_is_not_told_as_done_and_green_is_what_is_safe(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"crate:ring", "enter", "n", "d", "escape")
        lines = bench.text("#tree").splitlines()
        row = next(at for at, line in enumerate(lines) if "ring" in line)
        assert lines[row].endswith("denied ✗   1 ")
        assert "good" not in {tone for _, tone in bench.tree().line(row, 80).right}

        await pilot.press("slash", *"perl", "enter", "n", "a", "escape")
        row = next(
            at for at, line in enumerate(bench.text("#tree").splitlines()) if "run perl" in line
        )

        assert (f"  {ANSWER_GLYPHS[Answer.ALLOW]} ", "waiting") in bench.tree().line(row, 80).left


async def test_undo_and_redo_go_back_to_what_they_were_about(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "d", "u", "u")
        assert bench.answers() == {}
        assert bench.under_cursor() == "run pkg-config"

        await pilot.press("U")

        assert bench.answers() == {"run pkg-config": "allow"}


async def test_a_crate_of_which_a_part_is_allowed_is_not_told_as_denied(
    make_bench: type[ReviewBench],
) -> None:
    seen = [access(Kind.ENV, "A"), access(Kind.ENV, "B")]
    both = [proposal("a", "1.0.0", f"see {each.target}", Risk.LOW, "Why.", [each]) for each in seen]
    bench = make_bench(both)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "d")
        lines = bench.text("#tree").split("\n")
        assert lines[0].endswith("partly denied ✗   1 ")

        bench.tree().reveal(both[0])
        await pilot.press("d")
        lines = bench.text("#tree").split("\n")
        assert lines[0].endswith("denied ✗   2 ")
        assert "partly" not in lines[0]


async def test_a_locked_proposal_cannot_be_allowed_but_denied(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"priv", "enter", "n")
        assert "sensitive tier" in bench.text("#card")

        await pilot.press("a")
        assert bench.answers() == {}

        await pilot.press("d")
        assert bench.answers() == {"read a private key": "deny"}


async def test_a_crate_is_answered_without_what_is_risky_after_a_list(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("a")
        assert bench.is_at(BatchScreen)
        assert "run perl" not in bench.text("#batch-rows")
        assert "Left out: 1 of high or critical risk" in bench.text("#batch-answers")

        await pilot.press("y")

        assert set(bench.answers().values()) == {"allow"}
        assert "run perl" not in bench.answers()
        assert len(bench.answers()) == 3
        assert len(bench.entries) == 1  # One step, so one undo.


async def test_no_reflex_confirms_a_list(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("A", "enter", "space", "a", "A", "d", "escape")

        assert bench.answers() == {}


@pytest.mark.slow
async def test_a_list_says_which_key_confirms_and_what_it_does_not_obey(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("A", "enter")

        assert bench.is_at(BatchScreen)
        told = bench.text("#batch-answers")
        assert "enter does nothing here. y confirms, esc goes back." in told
        assert "y  allow all 7 listed" in told


@pytest.mark.slow
async def test_a_list_is_confirmed_and_left_by_clicks(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        for wanted, count in (("go back", 0), ("allow all", 7)):
            await pilot.press("A")
            await pilot.pause()
            lines = bench.text("#batch-answers").splitlines()
            row = next(at for at, line in enumerate(lines) if wanted in line)
            await pilot.click("#batch-answers", offset=(10, row))
            await pilot.pause()

            assert bench.is_at(InboxScreen)
            assert len(bench.review.select("is:allowed")) == count


@pytest.mark.slow
async def test_a_long_list_is_wrapped_in_full_and_scrolls(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    paths = [f"$WORKSPACE/{'deep/' * 30}{number}.proto" for number in range(40)]
    rules = tuple(Rule(Kind.READ, path) for path in paths)
    one = replace(proposals[2], choices=(Choice("exactly these", rules),))
    bench = make_bench([one])
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("A")
        listed = "".join(line.strip() for line in bench.text("#batch-rows").splitlines())
        assert all(path in listed for path in paths)
        assert "goes on below" in str(bench.app.screen.query_one("#batch-rows").border_title)
        assert "y  allow it" in bench.pixels()

        await pilot.press(*["j"] * 5)

        assert bench.app.screen.query_one("#batch-rows").scroll_offset.y == 5


async def test_marked_proposals_are_answered_together(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "space", "j", "space", "A", "y")

        assert bench.answers() == {
            "run pkg-config": "allow", "see 3 variables": "allow",
        }  # fmt: skip


@pytest.mark.slow
async def test_shown_means_what_the_filter_lets_through(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"kind:ex", "enter", "A", "y")

        assert sorted(set(bench.answers())) == ["run pkg-config", "run the C compiler"]
        assert [bench.review.counts().allowed] == [4]


async def test_a_filter_is_live_and_escape_shows_everything_again(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"risk:c")
        assert "telemetry-helper" in bench.text("#tree")
        assert "ring" not in bench.text("#tree")

        await pilot.press("escape")

        assert "ring" in bench.text("#tree")


@pytest.mark.slow
async def test_a_filter_that_means_nothing_says_so_and_changes_nothing(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        before = bench.text("#tree")

        bench.app.screen.query_one("#filter", Input).value = "kind:zzz"
        await bench.until(pilot, lambda: "zzz" in bench.text("#notice"))

        assert bench.text("#tree") == before


async def test_letters_typed_into_the_filter_decide_nothing(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "slash", *"adsuAD")

        assert bench.answers() == {}


async def test_enter_opens_and_closes_a_crate_and_decides_nothing(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        before = bench.text("#tree").count("\n")
        await pilot.press("enter")
        closed = bench.text("#tree").count("\n")
        await pilot.press("enter")

        assert closed == before - 4
        assert bench.text("#tree").count("\n") == before
        assert bench.answers() == {}


async def test_keys_that_come_with_the_screen_are_not_answers(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    """They were typed while Cargo was building."""
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "a")
        assert bench.answers() == {}

        bench.clock.now_s += 1
        await pilot.press("a")

        assert bench.answers() == {"run pkg-config": "allow"}


@pytest.mark.slow
async def test_what_came_up_by_itself_is_not_allowed_by_a_key_that_is_held_down(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    """A key that repeats goes on being swallowed; one pressed after a look does not."""
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        bench.clock.now_s += 1
        await pilot.press("n", "a")
        assert bench.under_cursor() == "run perl"  # High.
        for _ in range(15):
            bench.clock.now_s += 0.03
            await pilot.press("a")
        assert bench.answers() == {"run pkg-config": "allow"}
        assert "read it, then press a again" in bench.text("#notice")

        bench.clock.now_s += 0.5
        await pilot.press("a")

        assert bench.answers()["run perl"] == "allow"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("x",), "x does nothing here. ? lists the keys."),
        (("u",), "Nothing to undo: nothing was decided yet."),
        (("U",), "Nothing to redo: no step was undone."),
        (("]",), "Go to a line below the crate first."),
        (("j", "["), "This is the narrowest rule."),
        (("j", "]", "]"), "This is the widest rule that can be chosen here."),
        (("j", "j", "]"), "There is only one rule for it."),
        (("i",), "Go to a line below the crate first."),
        (("j", "e"), "No other crate asks for the same."),
        (("j", "o"), "No earlier review of this crate to compare with."),
        (("j", "delete"), "Nothing to clear: it is undecided."),
        (("j", "a", "k", "a"), "Already allowed."),
        (("j", "s", "k", "s"), "Already later."),
        (("slash", *"priv", "enter", "n", "a"), "It is in the sensitive tier"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.quick(2)
async def test_a_key_that_is_not_obeyed_says_why(
    bench: ReviewBench, keys: tuple[str, ...], told: str
) -> None:
    names = {"[": "left_square_bracket", "]": "right_square_bracket"}
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press(*(names.get(key, key) for key in keys))

        assert told in bench.text("#notice")
        assert bench.displays("#notice")


async def test_a_key_that_came_too_early_is_told(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        bench.clock.now_s += 1
        await pilot.press("A")
        bench.clock.now_s += 1
        await pilot.press("escape", "j", "a")

        assert bench.answers() == {}
        assert "Ignored: pressed before this screen came up." in bench.text("#notice")


async def test_what_cannot_do_anything_is_greyed_out(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        screen = bench.app.screen
        assert screen.check_action("undo", ()) is None
        assert screen.check_action("step", (1,)) is None

        await pilot.press("j", "a")

        assert screen.check_action("undo", ()) is True
        assert screen.check_action("step", (1,)) is None  # One choice.


async def test_every_key_has_an_id_and_a_tooltip_and_is_in_the_palette(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "u")
        screen = bench.app.screen
        offered = {command.help for command in bench.app.get_system_commands(screen)}
        own = [
            active.binding
            for active in screen.active_bindings.values()
            if active.binding.id and not active.binding.id.endswith("interrupt")
        ]

        assert len(own) > 25
        assert all(binding.tooltip for binding in own)
        enabled = {
            active.binding.tooltip
            for active in screen.active_bindings.values()
            if active.enabled and active.binding.id and active.binding.tooltip
        }
        assert enabled <= offered
        shown = {b.action for b in own if b.show}
        assert len(shown) <= 9


async def test_help_lists_every_key(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        listed = bench.text("#help-keys")
        assert "Choose the next narrower rule" in listed
        assert "Mark the proposal" in listed

        await pilot.press("escape")

        assert bench.is_at(InboxScreen)


async def test_what_every_script_may_do_lies_behind_a_count(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    rustc = access(Kind.EXEC, "$SYSROOT/bin/rustc", count=2)
    absent = access(Kind.READ, "/etc/absent", outcome=Outcome.FAILED)
    seen = {
        ("openssl-sys", "0.9.104"): (*proposals[0].evidence, rustc, absent),
        ("quiet", "1.0.0"): (rustc,),
    }
    bench = make_bench(proposals, baseline=BaselineAccesses(seen))
    async with bench.app.run_test(size=WIDE) as pilot:
        assert "b shows 2 accesses that every build script may make" in bench.text("#card")

        await pilot.press("b")
        told = bench.text("#baseline")
        assert "openssl-sys 0.9.104  2 accesses" in told
        assert "rustc" in told
        assert "looked for and not there" in told
        assert "pkg-config" not in told
        assert "quiet 1.0.0  1 access" in told

        await pilot.press("b")
        assert bench.is_at(InboxScreen)


@pytest.mark.slow
async def test_a_click_on_a_line_of_help_does_it(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "question_mark")
        await pilot.pause()
        lines = bench.text("#help-keys").splitlines()
        row = next(at for at, line in enumerate(lines) if "Deny it and stop asking" in line)

        await pilot.click("#help-keys", offset=(20, row + 2))  # Below border and padding.
        await bench.until(pilot, lambda: bool(bench.answers()))

        assert bench.answers() == {"run pkg-config": "deny"}


@pytest.mark.slow
async def test_what_is_chosen_from_the_palette_is_no_type_ahead(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "ctrl+p")
        await pilot.pause()
        await pilot.press(*"Deny")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause(0.3)
        await pilot.press("enter", "enter")
        await bench.until(pilot, lambda: bool(bench.answers()))

        assert bench.answers() == {"run pkg-config": "deny"}


@pytest.mark.slow
async def test_enter_beside_a_card_goes_into_it(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "enter")
        assert bench.app.focused is bench.app.screen.query_one("#card")
        assert "esc goes back to the list" in bench.text("#notice")

        await pilot.press("escape")
        assert bench.app.focused is bench.tree()


async def test_nothing_to_decide_is_said_and_q_leaves(make_bench: type[ReviewBench]) -> None:
    bench = make_bench([])
    async with bench.app.run_test(size=WIDE) as pilot:
        assert "all 23 build scripts stay within the baseline" in bench.text("#card")

        await pilot.press("q")

    assert bench.outcome() is ReviewEnd.KEEP


@pytest.mark.slow
async def test_a_journal_that_cannot_be_written_is_told_and_the_answer_stands(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    def full(entry: JournalEntry) -> None:
        raise BuildpermError("write journal: no space left on device")

    bench = make_bench(proposals, journal=full)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a")

        assert "no space left" in bench.text("#notice")
        assert bench.answers() == {"run pkg-config": "allow"}


async def test_a_tiny_terminal_shows_the_list_then_the_card(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=(60, 18)) as pilot:
        assert bench.displays("#tree")
        assert not bench.displays("#card")

        await pilot.press("n", "enter")
        assert bench.displays("#card")
        assert not bench.displays("#tree")

        await pilot.press("a")
        assert "run perl" in bench.text("#card")

        await pilot.press("escape")
        assert bench.displays("#tree")


@pytest.mark.parametrize("size", [(60, 30), (100, 18)])
async def test_no_key_allows_a_rule_of_high_risk_that_is_not_on_the_screen(
    bench: ReviewBench, size: tuple[int, int]
) -> None:
    async with bench.app.run_test(size=size) as pilot:
        await pilot.press("n", "a")
        assert bench.answers() == {"run pkg-config": "allow"}

        await pilot.press("k", "j", "a", "a")
        assert "It is of high risk: ⏎ shows the rule, a allows it then." in bench.text("#notice")
        assert bench.answers() == {"run pkg-config": "allow"}

        await pilot.press("enter", "a")
        assert bench.answers() == {"run pkg-config": "allow", "run perl": "allow"}


@pytest.mark.slow
async def test_a_card_that_is_cut_scrolls_and_can_have_the_whole_screen(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=(80, 24)) as pilot:
        card = bench.app.screen.query_one("#card")
        await pilot.press("n", *["J"] * 9)
        # Told at the end, on a line that the card gives away until the next key.
        assert bench.displays("#notice")
        assert card.scroll_offset.y == card.max_scroll_y - 1 > 0
        await pilot.press("K")
        assert not bench.displays("#notice")
        assert card.scroll_offset.y == card.max_scroll_y - 1
        assert bench.under_cursor() == "run pkg-config"

        await pilot.press("enter")
        await pilot.pause()
        assert not bench.displays("#tree")
        assert bench.app.screen.query_one("#card").size.height >= 20

        await pilot.press("escape")
        assert bench.displays("#tree")


@pytest.mark.slow
async def test_a_program_and_what_only_it_wanted_is_decided_together(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    wanted = replace(
        proposals[3],
        evidence=tuple(replace(each, causes=("pkg-config",)) for each in proposals[3].evidence),
        wanted_by="pkg-config",
    )
    bench = make_bench([proposals[0], wanted, proposals[2]])
    async with bench.app.run_test(size=WIDE) as pilot:
        assert "▾ pkg-config, a program" in bench.text("#tree")
        await pilot.press("j")
        assert "A program that it ran" in bench.text("#card")

        await pilot.press("d", "y")
        assert bench.answers() == {"run pkg-config": "deny", "read /etc/ssl/openssl.cnf": "deny"}

        await pilot.press("g", "j", "j", "j")
        assert "wanted by pkg-config" in bench.text("#card")
        await pilot.press("h")
        assert bench.under_cursor() == ""
        await pilot.press("enter")
        assert bench.tree().count(80) == 4


@pytest.mark.parametrize(
    ("size", "beside"), [((100, 30), True), ((99, 30), False), ((80, 24), False)]
)
@pytest.mark.quick(1)
async def test_the_card_is_beside_the_tree_where_there_is_room(
    bench: ReviewBench, size: tuple[int, int], beside: bool
) -> None:
    async with bench.app.run_test(size=size) as pilot:
        await pilot.pause()
        tree, card = bench.tree().region, bench.app.screen.query_one("#card").region

        assert (tree.y == card.y) is beside
        assert (tree.x == card.x) is not beside


@pytest.mark.parametrize(
    ("size", "where"),
    [((200, 50), "beside"), ((180, 24), "beside"), ((120, 44), "below"),
     ((120, 36), ""), ((80, 44), ""), ((60, 18), "")],
)  # fmt: skip
@pytest.mark.quick(1)
async def test_the_evidence_is_beside_the_card_or_below_it_or_a_screen(
    bench: ReviewBench, size: tuple[int, int], where: str
) -> None:
    async with bench.app.run_test(size=size) as pilot:
        await pilot.press("n", "2")
        await pilot.pause()
        if not where:
            assert bench.is_at(EvidenceScreen)
            assert bench.app.screen.query_one(EvidencePane).tab == 1
            return
        assert bench.is_at(InboxScreen)
        pane = bench.app.screen.query_one(EvidencePane)
        card = bench.app.screen.query_one("#card").region

        assert pane.tab == 1
        assert (pane.region.y == card.y) is (where == "beside")
        assert (pane.region.x == card.x) is (where == "below")


@pytest.mark.slow
async def test_lines_of_the_card_that_name_a_key_or_a_proposal_can_be_clicked(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    quiet = access(Kind.EXEC, "$SYSROOT/bin/rustc")
    bench = make_bench(proposals, baseline=BaselineAccesses({("ring", "0.17.8"): (quiet,)}))

    async def click(words: str) -> None:
        lines = bench.text("#card").splitlines()
        row = next(at for at, line in enumerate(lines) if words in line)
        await pilot.click("#card", offset=(6, row + 1))  # Below the padding.
        await pilot.pause()

    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"crate:ring", "enter", "g")
        await click("b shows 1 access")
        assert bench.is_at(BaselineScreen)
        await pilot.press("escape")

        await click("run the C compiler")
        assert bench.under_cursor() == "run the C compiler"

        await click("e answers for all")
        assert bench.is_at(EverywhereScreen)


@pytest.mark.slow
async def test_a_crate_is_marked_as_a_whole(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("space", "j", "space")
        assert len(bench.tree().marks) == 3

        await pilot.press("D")

        assert "Deny 3 proposals" in str(bench.app.screen.query_one("#batch-rows").border_title)


async def test_what_a_decision_has_settled_along_with_it_is_told(
    make_bench: type[ReviewBench], proposals: list[Proposal], monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = tuple(replace(each, causes=("pkg-config",)) for each in proposals[3].evidence)
    wanted = replace(proposals[3], evidence=evidence, wanted_by="pkg-config")
    bench = make_bench([proposals[0], wanted, proposals[2]])
    deny = bench.review.deny
    monkeypatch.setattr(bench.review, "deny", lambda *ids: deny(*{*ids, wanted.id}))
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "d")

        assert bench.answers() == {"run pkg-config": "deny", "read /etc/ssl/openssl.cnf": "deny"}
        assert "Settled along with it: 1 proposal that only pkg-config" in bench.text("#notice")


async def test_a_review_that_goes_on_begins_at_what_is_undecided(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals)
    bench.review.allow(proposals[0].id)
    async with bench.app.run_test(size=WIDE):
        assert bench.under_cursor() == "run perl"
        assert "New here?" not in bench.text("#card")


@pytest.mark.slow
async def test_two_versions_of_a_crate_are_two_lines_that_open_by_themselves(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    old = replace(proposals[0], id="0" * 12, version="0.8.0")
    bench = make_bench([proposals[0], old])
    async with bench.app.run_test(size=WIDE) as pilot:
        assert bench.text("#tree").count("run pkg-config") == 1

        await pilot.press("end", "enter", "j", "d")

        assert bench.text("#tree").count("run pkg-config") == 2
        assert bench.review.decision(old.id).answer is Answer.DENY
        assert bench.review.decision(proposals[0].id).answer is Answer.UNDECIDED


async def test_a_click_selects_and_a_second_one_does_what_enter_does(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.click("#tree", offset=(10, 2))
        assert bench.under_cursor() == "run pkg-config"

        before = bench.text("#tree").count("\n")
        await pilot.click("#tree", offset=(10, 1))
        await pilot.click("#tree", offset=(10, 1))

        assert bench.text("#tree").count("\n") == before - 4
        assert bench.answers() == {}


@pytest.mark.slow
async def test_a_click_on_the_sign_of_a_crate_opens_it_and_the_footer_says_close(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("minus", "home")
        closed = bench.text("#tree").split("\n")
        row = next(number for number, line in enumerate(closed) if "zstd-sys" in line)
        assert "Open" in bench.pixels()
        inner = bench.tree().content_region
        await pilot.click(offset=(inner.x + 1, inner.y + row))
        await pilot.pause()

        assert "link with" in bench.text("#tree")
        assert "Close" in bench.pixels()
        await pilot.click(offset=(inner.x + 1, inner.y + row))
        await pilot.pause()

        assert bench.text("#tree").split("\n") == closed
        assert "Close" not in bench.pixels()


async def test_a_preset_is_explained_where_several_crates_get_it(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"crate:ring", "enter", "n", "right_square_bracket", "e")
        assert bench.is_at(EverywhereScreen)

        told = " ".join(bench.text("#batch-rows").split())
        assert "preset cc: Also the archiver, the linker" in told
