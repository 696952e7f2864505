"""The screen of a build while it runs: what it shows, how it is stopped, how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.errors import BuildpermError
from buildperm.tui.screens.building import RunScreen, StopScreen
from tests.tui.build_bench import FakeBuild, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot


__all__ = ["build"]


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came to hold")


async def test_it_shows_what_waits_runs_and_is_done_and_the_worst_yet(build: FakeBuild) -> None:
    build.thread.start()
    async with build.app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "1 of 3 build scripts" in build.text("#build-scripts"))

        shown = build.text("#build-scripts")
        assert "1 running, 1 waiting or unchanged, 1 crate begun" in shown
        assert "!! critical  evil 1.0.0  read an SSH key" in shown
        assert "failed; refused by buildperm: read an SSH key; decide about it next" in shown
        assert "slow 2.0.0" in shown
        assert shown.rstrip().endswith("idle")
        assert "1 critical" in build.text("#build-head")


async def test_cargos_log_has_a_tab_of_its_own_without_what_a_terminal_obeys(
    build: FakeBuild,
) -> None:
    build.thread.start()
    async with build.app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "boom" in build.text("#build-log"))
        await pilot.press("2")

        assert build.app.screen.query_one("#build-log").display
        assert build.text("#build-log").splitlines()[:2] == [
            "   Compiling evil v1.0.0",
            "error: boom",
        ]
        assert "buildperm: evil 1.0.0 failed; refused by buildperm" in build.text("#build-log")
        await pilot.click("#build-tabs", offset=(8, 0))
        assert isinstance(build.app.screen, RunScreen)


@pytest.mark.parametrize(
    "keys", [("q", "y"), ("ctrl+c", "ctrl+c"), ("ctrl+c", "y"), ("q", "ctrl+c")]
)
@pytest.mark.quick(2)
async def test_it_is_stopped_after_a_question(build: FakeBuild, keys: tuple[str, str]) -> None:
    build.thread.start()
    async with build.app.run_test(size=(100, 30)) as pilot:
        await pilot.press(keys[0])
        await until(pilot, lambda: isinstance(build.app.screen, StopScreen))
        assert not build.interrupted.is_set()

        await pilot.press(keys[1])
        await until(pilot, build.interrupted.is_set)

    assert build.thread.result() == "interrupted"


@pytest.mark.parametrize("key", ["escape", "n"])
async def test_it_goes_on_where_nobody_wants_to_stop(build: FakeBuild, key: str) -> None:
    build.thread.start()
    async with build.app.run_test(size=(100, 30)) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: isinstance(build.app.screen, StopScreen))
        await pilot.press("enter", "space")
        assert isinstance(build.app.screen, StopScreen)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(build.app.screen, RunScreen))
        assert not build.interrupted.is_set()
        build.go_on.set()
        await until(pilot, lambda: not build.thread.is_running)

    assert build.thread.result() == "built"


async def test_it_ends_with_the_build(build: FakeBuild) -> None:
    build.go_on.set()
    build.thread.start()
    async with build.app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: not build.app.is_running or not build.thread.is_running)

    assert build.thread.result() == "built"


def test_what_goes_wrong_in_the_build_is_raised_where_it_is_waited_for(build: FakeBuild) -> None:
    build.error = BuildpermError("no Cargo.lock")
    build.go_on.set()
    build.thread.start()

    with pytest.raises(BuildpermError, match=r"no Cargo\.lock"):
        build.thread.result()


def test_an_interruption_before_it_has_begun_is_not_lost(build: FakeBuild) -> None:
    build.thread.interrupt()
    build.thread.start()

    assert build.thread.result() == "interrupted"


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
@pytest.mark.quick(1)
def test_a_picture_of_it(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    build = FakeBuild(clock=lambda: 0.0)

    build.thread.start()

    async def wait(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "1 of 3" in build.text("#build-scripts"))

    try:
        assert snap_compare(build.app, terminal_size=size, run_before=wait)
    finally:
        build.go_on.set()


async def test_a_key_that_is_not_obeyed_says_so_until_the_next_one(build: FakeBuild) -> None:
    build.thread.start()
    async with build.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "1 of 3" in build.text("#build-scripts"))
        await pilot.press("a")
        assert "a does nothing here. ? lists the keys." in build.text("#notice")
        assert build.app.screen.query_one("#notice").display

        await pilot.press("2")
        assert build.text("#notice").strip() == ""
        assert not build.app.screen.query_one("#notice").display
