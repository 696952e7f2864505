"""Writing and leaving: which keys lead to which outcome."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

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


async def test_writing_verifies_first_and_then_leaves(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)
        assert bench.verified == []

        await pilot.press("w")
        await settle(pilot)

    assert bench.outcome() is ReviewEnd.WRITE
    assert len(bench.verified) == 1
    assert b"pkg-config" in bench.verified[0]


async def test_only_verifying_stays(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)

        assert "get by with these grants" in bench.text("#diff-state")
        assert bench.is_at(DiffScreen)


async def test_what_is_missing_is_shown_and_joins_the_inbox(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    late = proposals.pop(1)
    failure = Failure("openssl-sys", "0.9.104", "was refused: run perl", (late,))
    bench = make_bench(proposals, failures=[failure])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)
        await pilot.press("w")
        await settle(pilot)
        assert "openssl-sys 0.9.104  was refused: run perl" in bench.text("#diff-state")
        assert bench.outcome() is None

        await pilot.press("escape")

        assert bench.is_at(InboxScreen)
        assert "run perl" in bench.text("#tree")
        assert late in bench.review.proposals


async def test_a_second_informed_press_writes_what_does_not_pass(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    """A script that fails because it was denied something can still be denied it."""
    bench = make_bench(proposals, failures=[Failure("zstd-sys", "2.0.13", "exit status 1")])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await settle(pilot)
        await pilot.press("w")
        await settle(pilot)
        await pilot.press("w")

    assert bench.outcome() is ReviewEnd.WRITE


async def test_nothing_to_write_is_said_and_w_does_nothing(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("w")
        await settle(pilot)
        assert "Nothing to write" in bench.text("#diff-state")

        await pilot.press("w")
        await settle(pilot)

        assert bench.verified == []
        assert bench.is_at(DiffScreen)


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
        await pilot.press("n", "a", "w", "w", "w", "w")
        await settle(pilot)

        assert bench.verified == []
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
        await pilot.press("n", "a", "w")
        await settle(pilot)
        await pilot.press("w")
        assert "Verifying" in bench.text("#diff-state")

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


async def test_writing_on_the_way_out_goes_through_the_diff(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "q", "w")
        await settle(pilot)

        assert bench.is_at(DiffScreen)
        assert bench.outcome() is None


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
