"""A text that is pasted without the terminal saying so decides nothing; what is typed does."""

from __future__ import annotations

import json
import os
import pty
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from buildperm.tui.paste_guard import AT_ONCE, PasteGuard
from buildperm.tui.screens.inbox import InboxScreen
from tests.command import environment

if TYPE_CHECKING:
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)
TOLD = "That looked like pasted text; nothing was decided."
ROOT = Path(__file__).parents[2]
CHILD = ROOT / "tests" / "children" / "reviews_on_terminal.py"


def come_at_once(bench: ReviewBench, text: str) -> None:
    """Send keys as one read of the terminal brings them: with one time, however busy it is."""
    keys = [events.Key("enter" if letter == "\n" else letter, None) for letter in text]
    for key in keys:
        key.time = keys[0].time
        bench.app.post_message(key)


class Reviewing:
    """A review in a process of its own, on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._answers = folder / "answers.json"
        self._child, self._terminal = pty.fork()
        if self._child == 0:
            command = [sys.executable, str(CHILD), str(self._answers)]
            changes = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "36"}
            os.execve(command[0], command, environment(changes) | {"PYTHONPATH": str(ROOT)})
        os.set_blocking(self._terminal, False)
        self._said = ""

    def until(self, words: str, pressing: bytes = b"") -> None:
        """Read until it has written some words, pressing keys again and again if told."""
        deadline_s = time.monotonic() + 120
        next_s = 0.0
        while words not in self._said:
            assert time.monotonic() < deadline_s, self._said[-2000:]
            if pressing and time.monotonic() >= next_s:
                os.write(self._terminal, pressing)
                next_s = time.monotonic() + 1
            try:
                self._said += os.read(self._terminal, 1 << 16).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break  # It has ended.

    def ended(self) -> dict[str, str]:
        """Leave it, and return what was decided."""
        self.until("never written", pressing=b"q")
        os.close(self._terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1]) == 0
        answers: dict[str, str] = json.loads(self._answers.read_text())
        return answers


@pytest.mark.parametrize("text", ["add a database", "nadsu\rnadsu\r" * 600], ids=["line", "long"])
@pytest.mark.slow
def test_what_a_terminal_sends_at_once_decides_nothing(tmp_path: Path, text: str) -> None:
    review = Reviewing(tmp_path)
    review.until("New here?")
    review.until(TOLD, pressing=text.encode())

    assert review.ended() == {}


@pytest.mark.parametrize("text", ["nd", "na", "dns", "ay", "jjd"])
@pytest.mark.quick(1)
@pytest.mark.slow
def test_a_short_paste_that_would_decide_does_nothing(tmp_path: Path, text: str) -> None:
    review = Reviewing(tmp_path)
    review.until("New here?")
    review.until(TOLD, pressing=text.encode())

    assert review.ended() == {}


@pytest.mark.slow
def test_keys_that_come_one_by_one_decide_and_those_that_only_move_may_come_at_once(
    tmp_path: Path,
) -> None:
    review = Reviewing(tmp_path)
    review.until("New here?")
    review.until("narrower", pressing=b"jn")
    review.until("1 denied", pressing=b"d")

    assert "deny" in review.ended().values()


@pytest.mark.parametrize(
    "text", ["nadsu", "aAyd", "na\nd", "XywdA", "wwwy", "jjjja", "na", "jja", "a\n", "wy"]
)
@pytest.mark.quick(2)
async def test_keys_that_come_at_once_are_told_and_do_nothing(
    bench: ReviewBench, text: str
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        before = bench.under_cursor()
        come_at_once(bench, text)
        await bench.until(pilot, lambda: TOLD in bench.text("#notice"))

        assert bench.answers() == {}
        assert bench.under_cursor() == before
        assert len(bench.app.screen_stack) == 1


@pytest.mark.parametrize("text", ["jjjjjjjj", "jjn", "jG"])
@pytest.mark.quick(2)
async def test_a_key_that_repeats_and_keys_of_a_script_are_obeyed(
    bench: ReviewBench, text: str
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        place = bench.tree().place
        come_at_once(bench, text)
        await bench.until(pilot, lambda: bench.tree().place != place)

        assert TOLD not in bench.text("#notice")


async def test_a_paste_into_the_filter_is_typed_there_and_one_into_the_list_is_told(
    bench: ReviewBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        bench.app.post_message(events.Paste("add it"))
        await bench.until(pilot, lambda: TOLD in bench.text("#notice"))
        assert bench.answers() == {}

        await pilot.press("slash")
        come_at_once(bench, "ring")
        await bench.until(pilot, lambda: "perl" not in bench.text("#tree"))
        assert "ring" in bench.text("#tree")


@given(st.lists(st.floats(0.03, 2), max_size=20), st.lists(st.sampled_from("jkad"), min_size=20))
def test_what_is_typed_is_no_paste(gaps_s: list[float], keys: list[str]) -> None:
    guard, now_s = PasteGuard("ad".__contains__), 100.0
    for key, gap_s in zip(keys, gaps_s, strict=False):
        now_s += gap_s
        guard.note(key, now_s, now_s)
        assert not guard.holds(now_s)


@given(st.text("abcdjk", min_size=2, max_size=AT_ONCE))
def test_a_few_keys_of_one_read_are_held_if_one_of_them_decides(text: str) -> None:
    guard = PasteGuard("ad".__contains__)
    for key in text:
        guard.note(key, 100.0, 100.0)

    assert guard.holds(100.0) == (len({*text}) > 1 and bool({*text} & {*"ad"}))


async def test_a_short_paste_that_ends_the_filter_decides_nothing(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash")
        come_at_once(bench, "r\na")
        await bench.until(pilot, lambda: bench.tree().has_focus)
        await pilot.pause()
        assert bench.is_at(InboxScreen)
        assert bench.answers() == {}


@given(st.text("abcdjk", min_size=AT_ONCE + 1), st.floats(0, 0.001), st.floats(0.001, 0.2))
def test_a_paste_is_held_from_its_first_key_to_its_last(
    text: str, gap_s: float, later_s: float
) -> None:
    guard = PasteGuard("ad".__contains__)
    guard.note("j", 90.0, 90.0)
    times = [100 + number * gap_s for number in range(len(text))]
    for key, time_s in zip(text, times, strict=True):
        guard.note(key, time_s, time_s)
    windows = [text[at : at + AT_ONCE + 1] for at in range(len(text) - AT_ONCE)]
    if len(set(windows[0])) > 1:
        assert all(map(guard.holds, times))
        guard.note("a", times[-1] + later_s, times[-1] + later_s)
        assert guard.holds(times[-1] + later_s)
    assert not guard.holds(90.0)
    guard.note("a", times[-1] + 5, times[-1] + 5)
    assert not guard.holds(times[-1] + 5)
