"""A trace on the screen, driven by keys and mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from buildperm.tui.screens.trace_screen import TraceScreen
from tests.tui.trace_bench import TraceBench

if TYPE_CHECKING:
    from pathlib import Path


WIDE = (200, 36)


@pytest.fixture
def bench(tmp_path: Path) -> TraceBench:
    """Return a trace of one run."""
    return TraceBench(tmp_path)


async def test_it_begins_with_the_process_tree_and_all_events(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)

        assert "├─ git log '$x'" in bench.text("processes")
        assert "exit 1" in bench.text("processes")
        assert "git status" in bench.text("events")
        assert "%1B%5D0;x%07::error::%E2%80%AE" in bench.text("events")
        assert "recorded while learning 3 minutes ago" in bench.text("detail")


async def test_going_to_a_process_shows_its_events(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("j")
        await bench.ready(pilot, 1)

        assert "/srv/data/a.txt" in bench.text("events")
        assert "$ git log '$x'" in bench.text("detail")
        assert "file /usr/bin/git" in bench.text("detail")


async def test_f_shows_the_events_of_the_process_alone_and_of_all(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("f")
        await bench.ready(pilot, 4)
        assert bench.list("events").border_title == "Events of the process alone"
        await pilot.press("j", "f")
        await bench.ready(pilot, 7)

        assert bench.list("events").border_title == "Events of all processes"


async def test_the_filter_works_while_it_is_typed(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("slash", *"is:refused")
        await bench.ready(pilot, 2)
        assert bench.list("events").border_subtitle == "2 of 7 events"
        await pilot.press("enter")
        assert bench.screen.focused is bench.list("events")
        assert bench.screen.filtering
        await pilot.press("escape")
        await bench.ready(pilot, 7)

        assert not bench.screen.filtering


async def test_a_wrong_filter_says_what_there_is_and_keeps_what_was_found(
    bench: TraceBench,
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("slash")
        bench.screen.query_one("#trace-filter", Input).value = "kind:x"
        await bench.until(pilot, lambda: "can be exec" in bench.text("detail"))

        assert bench.list("events").count(80) == 7


async def test_it_begins_with_the_filter_of_the_command_line(tmp_path: Path) -> None:
    bench = TraceBench(tmp_path, words="kind:exec")
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 2)

        assert bench.screen.query_one("#trace-filter", Input).value == "kind:exec"


async def test_enter_goes_from_an_event_to_its_process_and_back(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("f", "f", "tab", "j", "j", "enter")

        assert bench.screen.focused is bench.list("processes")
        assert bench.list("processes").cursor == 1
        await pilot.press("enter")
        assert bench.screen.focused is bench.list("events")


@pytest.mark.slow
async def test_p_goes_to_what_started_a_process(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("G", "p")
        assert bench.list("processes").cursor == 0
        await pilot.press("p")

        assert "No process stands above this one." in bench.text("detail")


async def test_n_goes_from_trouble_to_trouble(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("n")
        await pilot.pause(0.5)  # Longer than a search takes to begin.
        assert "no such file" in bench.text("detail")
        await pilot.press("n")
        await pilot.pause()
        assert "/root/.ssh/id" in bench.text("detail")
        assert "refused by buildperm" in bench.text("detail")
        await pilot.press("N")
        await pilot.pause()
        assert "no such file" in bench.text("detail")


async def test_y_copies_the_command_line(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("j", "y")

        assert bench.app.clipboard == "git log '$x'"
        assert "Copied" in bench.text("detail")


@pytest.mark.slow
async def test_a_click_goes_to_a_line(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        await pilot.click("#trace-processes", offset=(8, 3))
        assert bench.list("processes").cursor == 2
        await bench.until(pilot, lambda: bench.list("events").count(80) == 0)
        await pilot.click("#trace-processes", offset=(8, 1))
        await bench.ready(pilot, 7)
        await pilot.click("#trace-events", offset=(8, 4))

        assert bench.screen.focused is bench.list("events")
        assert bench.list("events").cursor == 3


@pytest.mark.slow
async def test_several_runs_stand_below_one_another(tmp_path: Path) -> None:
    bench = TraceBench(tmp_path, runs=2)
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        assert bench.text("processes").count("build script, debug") == 2
        assert "2 recordings" in bench.text("head")
        await pilot.press("f", "f")
        await bench.ready(pilot, 14)


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (200, 50)])
@pytest.mark.quick(1)
async def test_it_fits_every_terminal(bench: TraceBench, size: tuple[int, int]) -> None:
    async with bench.app.run_test(size=size) as pilot:
        await bench.ready(pilot, 7)

        assert "git log" in bench.text("processes")
        assert "git status" in bench.text("events")
        assert bench.list("processes").size.height >= 2


async def test_help_and_the_palette_know_its_keys(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await bench.ready(pilot, 7)
        labels = {each.title.partition("  ")[0] for each in
                  bench.app.get_system_commands(bench.app.screen)}  # fmt: skip
        assert {"Filter", "Follow", "Copy", "Next trouble"} <= labels
        await pilot.press("question_mark")

        assert not isinstance(bench.app.screen, TraceScreen)


async def test_q_leaves_without_a_question(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("q")
        await pilot.pause()

        assert not bench.app.is_running


async def test_what_is_read_meanwhile_takes_no_notice_away(bench: TraceBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("p")
        await bench.ready(pilot, 7)
        await pilot.pause()
        bench.list("events").go(0)
        await pilot.pause()
        assert "No process stands above this one." in bench.text("detail")

        await pilot.press("j")
        await pilot.pause()
        assert "No process stands above" not in bench.text("detail")


async def test_a_key_that_is_not_obeyed_says_so(tmp_path: Path) -> None:
    bench = TraceBench(tmp_path)
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await bench.ready(pilot, 7)
        await pilot.press("x")
        assert "x does nothing here. ? lists the keys." in bench.text("detail")

        await pilot.press("slash")
        await pilot.press("z")
        assert bench.screen.query_one("#trace-filter", Input).value == "z"
        assert "z does nothing" not in bench.text("detail")
