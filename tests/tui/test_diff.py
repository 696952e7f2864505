"""Writing and leaving: which keys lead to which outcome."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.widgets import Input

from buildperm.errors import BuildpermError
from buildperm.policy.proposal import Risk
from buildperm.presentation.front_end import Failure, ReviewEnd
from buildperm.tui.screens.diff import DiffScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.screens.leave import LeaveScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.front_end import Progress
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)


async def settle(pilot: Pilot[ReviewEnd]) -> None:
    """Wait until no thread works for the screen and its messages have arrived."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_the_diff_is_shown_in_toml_and_in_plain_words(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "d", "v")
        await settle(pilot)

        assert '+ exec = ["pkg-config"]' in bench.text("#diff-text")
        assert "  [dependencies]" in bench.text("#diff-text")
        assert "+ openssl-sys may run pkg-config" in bench.text("#diff-words")
        assert "+ openssl-sys must not run perl" in bench.text("#diff-words")


async def test_writing_checks_first_and_takes_a_key_of_its_own(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "v")
        await settle(pilot)
        assert bench.verified == []
        await pilot.press("y", "enter")
        await settle(pilot)
        assert bench.verified == []

        await pilot.press("w")
        await settle(pilot)
        assert "builds with these grants" in bench.text("#diff-state")
        await pilot.press("enter", "w")
        assert "The check has passed: y writes." in bench.text("#diff-state")
        assert bench.outcome() is None

        await pilot.press("y")
        await bench.ended(pilot)

    assert bench.outcome() is ReviewEnd.WRITE
    assert len(bench.verified) == 1
    assert b"pkg-config" in bench.verified[0]


async def test_grants_that_nothing_has_tried_are_not_called_so(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals, is_tried=False)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "v")
        await settle(pilot)
        assert "not tried here" in bench.text("#diff-state")
        await pilot.press("w")
        await settle(pilot)

        told = " ".join(bench.text("#diff-state").split())
        assert "These grants are not tried here" in told
        assert "y writes Cargo.toml alone." in told
        assert "builds with" not in told


@pytest.mark.slow
async def test_w_in_the_inbox_checks_at_once(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)

        assert len(bench.verified) == 1
        assert "y writes Cargo.toml and buildperm.lock" in bench.text("#diff-state")
        assert bench.outcome() is None


@pytest.mark.parametrize("keys", ["wy", "yes", "I say: w y", "wyyyyyy", "O override", "ywyw"])
@pytest.mark.quick(1)
async def test_a_paste_of_single_keys_never_writes(
    make_bench: type[ReviewBench], proposals: list[Proposal], keys: str
) -> None:
    """A terminal without bracketed paste sends a text as keys, one right after the other."""
    for failing in (False, True):
        failures = [Failure("ring", "0.17.8", "exit status 1")] if failing else []
        bench = make_bench(proposals, failures=failures, step_s=0.0)
        async with bench.app.run_test(size=WIDE) as pilot:
            bench.clock.now_s += 10
            await pilot.press("n", "a")
            bench.clock.now_s += 10
            await pilot.press("w")
            await settle(pilot)
            bench.clock.now_s += 10
            for key in keys:
                await pilot.press("space" if key == " " else key)
                bench.clock.now_s += 0.01
            await pilot.press("enter")
            await settle(pilot)
            await pilot.pause(0.5)

            assert bench.outcome() is None


@pytest.mark.slow
async def test_y_alone_writes_after_a_paste_was_ignored(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        bench.clock.now_s += 10
        await pilot.press("n", "a", "w")
        await settle(pilot)
        bench.clock.now_s += 10
        await pilot.press("x", "y")
        await settle(pilot)
        assert "y came with other keys" in bench.text("#diff-state")
        bench.clock.now_s += 10

        await pilot.press("y")
        await bench.ended(pilot)

    assert bench.outcome() is ReviewEnd.WRITE


async def test_what_is_missing_is_shown_and_joins_the_inbox(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    late = proposals.pop(1)
    failure = Failure("openssl-sys", "0.9.104", "was refused: run perl", (late,))
    bench = make_bench(proposals, failures=[failure])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)
        assert "openssl-sys 0.9.104  was refused: run perl" in bench.text("#diff-state")
        assert bench.outcome() is None

        await pilot.press("escape")

        assert bench.is_at(InboxScreen)
        assert "run perl" in bench.text("#tree")
        assert late in bench.review.proposals


@pytest.mark.slow
async def test_after_a_failed_check_everything_is_shown_and_the_filter_is_gone(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    late = proposals.pop(1)
    failure = Failure("openssl-sys", "0.9.104", "needs more than what is granted so far", (late,))
    bench = make_bench(proposals, failures=[failure])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"risk:medium", "enter", "n", "a", "w")
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)

        assert not bench.displays("#filter-row")
        assert bench.app.screen.query_one("#filter", Input).value == ""
        assert "run perl" in bench.text("#tree")
        assert "openssl-sys 0.9.104 needs more than what is granted" in bench.text("#notice")


async def test_a_failed_check_is_overridden_by_a_typed_word_alone(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    """A script that fails because it was denied something can still be denied it."""
    bench = make_bench(proposals, failures=[Failure("zstd-sys", "2.0.13", "exit status 1")])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)
        await pilot.press("w", "y", "enter", "w")
        await settle(pilot)
        assert "w does not override a failed check" in bench.text("#diff-state")
        assert bench.outcome() is None

        await pilot.press("O")
        assert "zstd-sys 2.0.13  exit status 1" in bench.text("#override-text")
        await pilot.press(*"yes", "enter")
        assert "that was not override" in bench.text("#override-note")
        await pilot.press("escape")
        assert bench.outcome() is None

        await pilot.press("O", *"override", "enter")

    assert bench.outcome() is ReviewEnd.WRITE


@pytest.mark.slow
async def test_a_pasted_word_overrides_nothing(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    failure = Failure("zstd-sys", "2.0.13", "exit status 1")
    bench = make_bench(proposals, failures=[failure], step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        bench.clock.now_s += 10
        await pilot.press("n", "a", "w")
        await settle(pilot)
        bench.clock.now_s += 10
        await pilot.press("O")
        bench.app.screen.post_message(events.Paste("override"))
        await pilot.press("enter")
        assert "that was not override" in bench.text("#override-note")

        await pilot.press(*"override", "enter")
        assert "came too fast to be typed" in bench.text("#override-note")
        assert bench.outcome() is None


async def test_a_hunk_is_taken_out_and_in_again(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "d", "v")
        await settle(pilot)
        assert bench.answers() == {"run pkg-config": "allow", "run perl": "deny"}

        await pilot.press("down", "space")
        await settle(pilot)

        assert "Left out" in bench.text("#diff-state")
        assert len(bench.answers()) == 1
        await pilot.press("u")
        await settle(pilot)
        assert bench.answers() == {"run pkg-config": "allow", "run perl": "deny"}
        assert '+ exec = ["pkg-config"]' in bench.text("#diff-text")


@pytest.mark.slow
async def test_the_first_hunk_of_a_new_table_stands_for_the_whole_crate(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "d", "v")
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot)

        assert bench.answers() == {}
        assert "Nothing to write" in bench.text("#diff-state")
        assert len(bench.entries) == 3


@pytest.mark.slow
async def test_nothing_to_write_is_said_and_w_does_nothing(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("w")
        await settle(pilot)
        assert "Nothing to write" in bench.text("#diff-state")

        await pilot.press("w")
        await settle(pilot)

        assert bench.verified == []
        assert bench.is_at(DiffScreen)


@pytest.mark.slow
async def test_an_edit_that_cannot_be_made_is_told_with_its_way_out(bench: ReviewBench) -> None:
    bench.trouble = BuildpermError("Cargo.toml was changed meanwhile", hint="Run it again.")
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)

        assert "Cargo.toml was changed meanwhile" in bench.text("#diff-state")
        assert "hint: Run it again." in bench.text("#diff-state")

        await pilot.press("w", "escape")
        assert bench.is_at(InboxScreen)


async def test_keys_pressed_while_the_diff_opens_do_not_write(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(proposals, step_s=0.0)
    async with bench.app.run_test(size=WIDE) as pilot:
        bench.clock.now_s += 1
        await pilot.press("n", "a", "w", "w", "w", "y", "y")
        await settle(pilot)
        await pilot.pause(0.5)

        assert bench.outcome() is None


async def test_leaving_a_verifying_run_tells_it_to_stop(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    left = threading.Event()
    told: list[bool] = []

    def verify(progress: Progress) -> Sequence[Failure]:
        told.append(progress(0, 2, "openssl-sys"))
        left.wait(30)
        told.append(progress(1, 2, "ring"))
        return ()

    bench = make_bench(proposals, verify=verify)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "v")
        await settle(pilot)
        await pilot.press("w")
        assert "Checking" in bench.text("#diff-state")

        await pilot.press("escape")
        left.set()
        await settle(pilot)

        assert told == [True, False]
        assert bench.is_at(InboxScreen)


@pytest.mark.parametrize(
    ("key", "outcome"), [("k", ReviewEnd.KEEP), ("q", ReviewEnd.KEEP), ("x", ReviewEnd.DISCARD)]
)
@pytest.mark.quick(1)
async def test_leaving_asks_and_keeps_by_default(
    bench: ReviewBench, key: str, outcome: ReviewEnd
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "q")
        assert bench.is_at(LeaveScreen)
        await pilot.press("enter", "space")
        assert bench.outcome() is None
        await pilot.press("escape")
        assert bench.is_at(InboxScreen)

        await pilot.press("q", key)

    assert bench.outcome() is outcome
    assert bench.verified == []


@pytest.mark.slow
async def test_writing_on_the_way_out_goes_through_the_diff(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "q", "w")
        await settle(pilot)

        assert bench.is_at(DiffScreen)
        assert bench.outcome() is None


@pytest.mark.slow
async def test_control_c_twice_keeps(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "ctrl+c", "ctrl+c")

    assert bench.outcome() is ReviewEnd.KEEP


async def test_risky_grants_are_written_once_they_were_allowed_one_by_one(
    bench: ReviewBench,
) -> None:
    risky = [each for each in bench.review.proposals if each.risk >= Risk.HIGH]
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"perl", "enter", "n", "a", "w")
        await settle(pilot)

        assert '+ exec = ["perl"]' in bench.text("#diff-text")
        assert len(bench.answers()) < len(risky)


async def test_a_key_that_is_not_obeyed_says_why(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n", "a", "v")
        await settle(pilot)

        await pilot.press("y")
        assert "Nothing is written before the check: w checks." in bench.text("#diff-state")
        await pilot.press("G")
        assert "G does nothing here. ? lists the keys." in bench.text("#diff-state")
        await pilot.press("U")
        assert "Nothing to redo" in bench.text("#diff-state")
        await pilot.press("j")
        assert "Nothing to redo" not in bench.text("#diff-state")
        assert bench.verified == []


async def test_a_key_after_a_failed_check_says_which_one_writes(bench: ReviewBench) -> None:
    bench.failures = [Failure("ring", "0.17.8", "fails", ())]
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "v", "w")
        await settle(pilot)

        await pilot.press("y")

        told = " ".join(bench.text("#diff-state").split())
        assert "The check failed: O writes all the same." in told
        assert bench.outcome() is None


async def test_a_key_where_there_is_nothing_to_write_says_so(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("v")
        await settle(pilot)

        await pilot.press("w")
        assert "Nothing to check" in bench.text("#diff-state")
        await pilot.press("space")
        assert "no hunk is shown" in bench.text("#diff-state")
