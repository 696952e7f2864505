"""Every key of the application on every screen: it does something, or it is said why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from buildperm.policy.kinds import Kind
from buildperm.presentation.baseline_accesses import BaselineAccesses
from buildperm.presentation.front_end import Failure
from buildperm.tui.key_bindings import ACTIONS
from buildperm.tui.screens.baseline_screen import BaselineScreen
from buildperm.tui.screens.batch import BatchScreen, EverywhereScreen
from buildperm.tui.screens.building import RunScreen, StopScreen
from buildperm.tui.screens.critical import CriticalScreen
from buildperm.tui.screens.diff import DiffScreen
from buildperm.tui.screens.edit import EditScreen
from buildperm.tui.screens.evidence_screen import EvidenceScreen
from buildperm.tui.screens.help import HelpScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.screens.leave import LeaveScreen
from buildperm.tui.screens.override import OverrideScreen
from buildperm.tui.screens.script_changes import ChangesScreen
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.screens.terms import TermsScreen
from buildperm.tui.screens.trace_screen import TraceScreen
from tests.tui.build_bench import FakeBuild, build
from tests.tui.proposals import access, updated
from tests.tui.trace_bench import TraceBench

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from textual.app import App
    from textual.pilot import Pilot

    from tests.tui.review_bench import ReviewBench

__all__ = ["build"]

KEYS = tuple(dict.fromkeys(key for action in ACTIONS for key in action.keys.split(",")))
"""All that is bound anywhere."""

TYPED = {"left", "right", "home", "end", "backspace", "delete", "shift+tab"}
"""What moves or deletes in a line to type in, as everywhere else."""


class Walk:
    """Presses each key on one screen, which is opened anew after a key has left it."""

    def __init__(self, app: App[Any], screen: type[TellingScreen[Any]], way: Sequence[str]) -> None:
        self.app = app
        self.screen = screen
        self.way = way  # The keys that lead there from the first screen.
        self.ends: list[object] = []
        self.copied: list[str] = []
        self.silent: list[str] = []

    async def through(self, pilot: Pilot[Any], keys: Sequence[str] = KEYS) -> list[str]:
        """Press all keys; return those that did nothing and said nothing."""
        for key in keys:
            shown = await self._shown(pilot)
            if self._is_typed(key):
                continue
            shown.explain("")
            await pilot.pause()
            before = self._state()
            await pilot.press(key)
            for _ in range(10):  # Some of it comes a little later.
                if self._state() != before:
                    break
                await pilot.pause(0.03)
            else:
                self.silent.append(f"{key} on {self.screen.__name__}")
        return self.silent

    async def _shown(self, pilot: Pilot[Any]) -> TellingScreen[Any]:
        if not isinstance(self.app.screen, self.screen):
            while len(self.app.screen_stack) > 1:
                self.app.pop_screen()
                await pilot.pause()
            await pilot.press(*self.way)
            for _ in range(100):
                if isinstance(self.app.screen, self.screen):
                    break
                await pilot.pause(0.02)
        assert isinstance(self.app.screen, self.screen)
        return self.app.screen

    def _is_typed(self, key: str) -> bool:
        """Tell whether a line to type in takes the key as text, or to move in it."""
        line = self.app.focused is not None and hasattr(self.app.focused, "cursor_position")
        return line and (key in TYPED or len(key) == 1 or key in NAMED)

    def _state(self) -> object:
        screen = self.app.screen
        strips = screen._compositor.render_strips()
        return (
            [str(each) for each in self.app.screen_stack],
            str(self.app.focused),
            [[(segment.text, str(segment.style)) for segment in strip] for strip in strips],
            len(self.ends),
            len(self.copied),
        )


NAMED = {
    "slash", "minus", "equals_sign", "question_mark", "space",
    "left_square_bracket", "right_square_bracket",
}  # fmt: skip


def watched(app: App[Any], walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take notice of what is no picture: the end, and what is copied."""
    monkeypatch.setattr(app, "exit", lambda *args, **kwargs: walk.ends.append(args))
    monkeypatch.setattr(app, "copy_to_clipboard", walk.copied.append)


SCREENS: dict[str, tuple[type[TellingScreen[Any]], tuple[str, ...]]] = {
    "crate": (InboxScreen, ("escape", "home")),
    "proposal": (InboxScreen, ("escape", "home", "n")),
    "filtered": (InboxScreen, ("slash", "r", "u", "n", "enter")),
    "filtering": (InboxScreen, ("slash",)),
    "tiny": (InboxScreen, ("escape", "home", "n")),
    "help": (HelpScreen, ("question_mark",)),
    "batch": (BatchScreen, ("u", "u", "A")),
    "everywhere": (EverywhereScreen, ("slash", "r", "i", "n", "g", "enter", "end", "e")),
    "leave": (LeaveScreen, ("home", "n", "d", "q")),
    "evidence": (EvidenceScreen, ("n", "i")),
    "baseline": (BaselineScreen, ("b",)),
    "changes": (ChangesScreen, ("home", "o")),
    "edit": (EditScreen, ("home", "n", "E")),
    "terms": (TermsScreen, ("home", "n", "r")),
    "diff": (DiffScreen, ("home", "n", "d", "v")),
    "empty diff": (DiffScreen, ("v",)),
}


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.slow
async def test_no_key_of_a_review_does_nothing_in_silence(
    make_bench: type[ReviewBench],
    monkeypatch: pytest.MonkeyPatch,
    proposals: list[Any],
    name: str,
) -> None:
    screen, way = SCREENS[name]
    new, comparisons = updated()
    seen = [access(Kind.READ, f"/usr/include/{number}.h") for number in range(90)]
    bench = make_bench(
        new if name == "changes" else proposals,
        comparisons=comparisons if name == "changes" else {},
        baseline=BaselineAccesses({("openssl-sys", "0.9.104"): tuple(seen)}),
    )
    walk = Walk(bench.app, screen, way)
    watched(bench.app, walk, monkeypatch)
    size = (60, 18) if name.endswith("tiny") else (120, 36)
    async with bench.app.run_test(size=size) as pilot:
        await pilot.press(*way)

        assert await walk.through(pilot) == []


@pytest.mark.slow
async def test_no_key_of_an_empty_review_does_nothing_in_silence(
    make_bench: type[ReviewBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench([])
    walk = Walk(bench.app, InboxScreen, ())
    watched(bench.app, walk, monkeypatch)
    async with bench.app.run_test(size=(120, 36)) as pilot:
        assert await walk.through(pilot) == []


@pytest.mark.parametrize("name", ["critical", "override"])
@pytest.mark.slow
async def test_no_key_below_a_word_to_type_does_nothing_in_silence(
    make_bench: type[ReviewBench],
    monkeypatch: pytest.MonkeyPatch,
    proposals: list[Any],
    name: str,
) -> None:
    failures = [Failure("zstd-sys", "2.0.13", "exit status 1", ())]
    bench = make_bench(proposals, failures=failures)
    walk = Walk(bench.app, OverrideScreen, ("w", "O"))
    if name == "critical":
        walk = Walk(bench.app, CriticalScreen, ())
    watched(bench.app, walk, monkeypatch)
    async with bench.app.run_test(size=(120, 36)) as pilot:
        if name == "override":
            await pilot.press("n", "d", "w")
            await bench.until(pilot, lambda: "typed word" in bench.text("#diff-state"))
            await pilot.press("O")
        else:
            inbox = bench.app.screen
            assert isinstance(inbox, InboxScreen)
            inbox._ask_name(proposals[0], 0, lambda: None)
            await pilot.pause()
        keys = [key for key in KEYS if key not in {"escape", "ctrl+c", "ctrl+q", "ctrl+p"}]
        assert await walk.through(pilot, keys) == []


@pytest.mark.parametrize(
    ("screen", "way"), [(RunScreen, ()), (StopScreen, ("q",))], ids=["run", "stop"]
)
@pytest.mark.slow
async def test_no_key_of_a_build_does_nothing_in_silence(
    build: FakeBuild,
    monkeypatch: pytest.MonkeyPatch,
    screen: type[TellingScreen[Any]],
    way: tuple[str, ...],
) -> None:
    walk = Walk(build.app, screen, way)
    watched(build.app, walk, monkeypatch)
    monkeypatch.setattr(build.app, "stop", lambda: walk.ends.append("stopped"))
    monkeypatch.setattr(build.app, "_look", lambda: None)  # The seconds go on in the picture.
    build.thread.start()
    async with build.app.run_test(size=(120, 36)) as pilot:
        assert await walk.through(pilot) == []


@pytest.mark.slow
async def test_no_key_of_a_trace_does_nothing_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = TraceBench(tmp_path)
    walk = Walk(bench.app, TraceScreen, ())
    watched(bench.app, walk, monkeypatch)
    async with bench.app.run_test(size=(200, 36)) as pilot:
        await bench.ready(pilot, 7)
        assert await walk.through(pilot) == []
        await pilot.press("tab")
        assert await walk.through(pilot) == []


@pytest.mark.parametrize(
    ("way", "key", "told"),
    [
        (("b",), "x", "x does nothing here."),
        (("b",), "down", "All of it is shown."),
        (("n", "i"), "z", "z does nothing here."),
        (("n", "i"), "1", "This tab is shown already."),
        (("n", "d", "q"), "z", "z does nothing here."),
        ((), "k", "This is the first line."),
        (("slash", "z", "q"), "tab", "Nothing completes this word."),
        (("end",), "j", "This is the last line."),
        ((), "escape", "Nothing to go back from; q leaves."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
@pytest.mark.quick(2)
async def test_the_line_above_the_footer_says_why(
    bench: ReviewBench, way: tuple[str, ...], key: str, told: str
) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press(*way, key)
        await pilot.pause()

        assert told in bench.text("#notice")
        assert told in bench.pixels()
        await pilot.press("question_mark" if key != "z" else "down")
        assert told not in bench.pixels()
