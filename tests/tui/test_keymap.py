"""Keys that a person prefers: checked before the screens open, and shown wherever keys are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import MouseScrollDown
from textual.widgets import Input

from buildperm.errors import BuildpermError
from buildperm.presentation.preferences import Preferences, PreferencesFile
from buildperm.tui.appearance import Appearance
from buildperm.tui.key_bindings import ACTIONS
from buildperm.tui.keymap import keymap
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.widgets.hint_footer import HintFooter
from tests.tui.proposals import realistic
from tests.tui.review_bench import ReviewBench

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"review.allow": ["y"]}, {"review.allow": "y"}),
        ({"leave.keep": ["k", "ctrl+c"]}, {"leave.keep": "k,ctrl+c"}),
        ({"review.allow": ["d"], "review.deny": ["a"]}, {"review.allow": "d", "review.deny": "a"}),
        ({"review.help": ["?", "ctrl+h"]}, {"review.help": "question_mark,ctrl+h"}),
        (
            {"batch.allow": ["y"], "batch.confirm": ["a"]},
            {"batch.allow": "y", "batch.confirm": "a"},
        ),
    ],
)
def test_keys_become_what_textual_takes(
    chosen: Mapping[str, Sequence[str]], expected: Mapping[str, str]
) -> None:
    assert keymap(chosen) == expected


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"review.alow": ["y"]}, "no such action\nhint: Did you mean `review.allow`?"),
        ({"xyz": ["y"]}, "hint: `buildperm config --example` lists every action."),
        ({"review.interrupt": ["y"]}, "no such action"),
        ({"review.allow": ["frob"]}, "there is no key `frob`"),
        ({"review.allow": ["hypr+k"]}, "there is no key `hypr+k`"),
        ({"review.allow": ["enter"]}, "`enter` cannot decide or write anything"),
        ({"diff.write": ["space"]}, "`space` cannot decide or write anything"),
        ({"review.allow": ["d"]}, "`d` is the key of review.deny (Deny)"),
        ({"review.allow": ["j"]}, "`j` is the key of tree.down (Down)"),
        ({"review.allow": ["ctrl+p"]}, "`ctrl+p` is the key of app.palette (Palette)"),
        ({"review.allow": ["ctrl+c"]}, "`ctrl+c` is the key of review.interrupt"),
        ({"review.allow": ["z"], "review.deny": ["z"]}, "`z` is the key of review.deny"),
    ],
)
def test_what_cannot_be_is_one_error(chosen: Mapping[str, Sequence[str]], told: str) -> None:
    with pytest.raises(BuildpermError) as error:
        keymap(chosen)

    assert told in str(error.value)


@given(
    st.dictionaries(
        st.sampled_from([each.id for each in ACTIONS]),
        st.lists(st.sampled_from(["a", "d", "x", "?", "ctrl+t", "f5", "j", "enter"]), min_size=1),
        max_size=4,
    )
)
def test_no_key_ever_does_two_things(chosen: dict[str, list[str]]) -> None:
    try:
        changed = keymap(chosen)
    except BuildpermError:
        return
    for screens in (("review", "tree", "app"), ("diff", "app"), ("batch", "app")):
        used: dict[str, set[str]] = {}
        for action in ACTIONS:
            if action.screen in screens and action.told:
                for key in changed.get(action.id, action.keys).split(","):
                    used.setdefault(key, set()).add(action.does)
        assert all(len(each) == 1 for each in used.values())


def test_a_theme_that_there_is_not_is_an_error_of_the_file() -> None:
    file = PreferencesFile(Path("/c.toml"), exists=True, preferences=Preferences(theme="norb"))

    with pytest.raises(BuildpermError, match=r"/c.toml: theme: there is no `norb`"):
        Appearance.of(file)


async def test_a_key_of_ones_own_works_and_the_old_one_does_not() -> None:
    bench = ReviewBench(realistic(), appearance=Appearance(keys=keymap({"review.allow": ["y"]})))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("n", "a")
        assert bench.answers() == {}

        await pilot.press("y")
        assert bench.answers() == {"run pkg-config": "allow"}


async def test_help_footer_and_palette_show_a_key_of_ones_own() -> None:
    bench = ReviewBench(realistic(), appearance=Appearance(keys=keymap({"review.allow": ["f7"]})))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.until(pilot, lambda: "f7 Allow" in bench.pixels())
        commands = {each.title for each in bench.app.get_system_commands(bench.app.screen)}
        assert "Allow  f7" in commands

        await pilot.press("question_mark")
        await pilot.pause()
        assert "f7  Allow the chosen rule" in bench.text("#help-keys")


async def test_the_filter_is_completed_by_tab_and_says_what_may_come_next() -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("slash")
        await bench.until(pilot, lambda: "Tab: kind:  risk:" in bench.pixels())
        await pilot.press("k", "tab")
        field = bench.app.screen.query_one("#filter", Input)
        assert field.value == "kind:"
        await bench.until(pilot, lambda: "read  write  exec" in bench.pixels())

        await pilot.press("e", "x", "tab", "space", *"crate:ope", "tab")

        assert field.value.startswith("kind:exec crate:openssl")
        assert field.has_focus


async def test_sentences_name_the_keys_of_the_person() -> None:
    keys = keymap({"review.allow": ["y"], "review.undo": ["f9"], "review.help": ["f1"]})
    bench = ReviewBench(realistic(), appearance=Appearance(keys=keys))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        assert "y d s  allow, deny" in bench.text("#card")
        assert "f9  takes a decision back" in bench.text("#card")
        assert "y: everything here below high risk. d, s: everything." in bench.text("#card")

        await pilot.press("D", "y")

        assert "f9 takes it back." in bench.text("#notice")


@pytest.mark.parametrize(
    ("steps", "next_keys"),
    [((), "n Next undecided"), (("n",), "a Allow d Deny s Later"), (("D", "y"), "w Write")],
)
@pytest.mark.quick(1)
async def test_the_footer_begins_with_what_is_sensible_next(
    steps: Sequence[str], next_keys: str
) -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press(*steps)
        await bench.until(pilot, lambda: _footer(bench).startswith(next_keys))
        assert "? Help" in _footer(bench)


def _footer(bench: ReviewBench) -> str:
    hints = bench.app.screen.query_one(HintFooter).hints
    return " ".join(f"{each.display} {each.label}" for each in hints)


@pytest.mark.parametrize("key", ["v", "i", "b"])
async def test_every_screen_has_the_same_kind_of_footer(key: str) -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("n", key)
        await bench.until(pilot, lambda: "esc Back" in _footer(bench))


@pytest.mark.slow
async def test_a_click_in_the_footer_does_what_its_key_does_and_the_mouse_is_told() -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.until(pilot, lambda: "? Help" in _footer(bench))
        footer = bench.app.screen.query_one(HintFooter)
        at = _footer(bench).index("? Help")
        await pilot.hover(HintFooter, (at + 1, 0))
        assert footer.tooltip == "List every key"
        await pilot.click(HintFooter, (at + 5, 0))
        await bench.until(pilot, lambda: bool(bench.app.screen.query("#help-keys")))


@pytest.mark.slow
async def test_what_the_footer_has_no_room_for_is_reached_with_the_wheel() -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(60, 24)) as pilot:
        await bench.until(pilot, lambda: "? Help" in _footer(bench))
        assert "Quit" in _footer(bench)
        assert "Quit" not in bench.pixels()
        for _ in range(20):
            await pilot._post_mouse_events([MouseScrollDown], HintFooter)
        await bench.until(pilot, lambda: "Quit" in bench.pixels())


@pytest.mark.slow
async def test_help_explains_words_beside_keys() -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        text = bench.text("#help-keys")
        assert "baseline  what every build script may do" in text
        assert "%1B  a byte of a name" in text
        for heading in ("Decide", "Look closer", "Move", "Words"):
            assert re.search(rf"(^|   ){heading}( |$)", text, re.MULTILINE)


@pytest.mark.slow
async def test_a_key_of_ones_own_keeps_its_place_in_the_footer() -> None:
    bench = ReviewBench(realistic(), appearance=Appearance(keys=keymap({"review.deny": ["x"]})))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.until(pilot, lambda: "a Allow x Deny s Later" in _footer(bench))


async def test_what_is_said_of_keys_that_decide_nothing_names_those_of_the_person() -> None:
    keys = keymap(
        {
            "review.open": ["f6"],
            "tree.mark": ["m"],
            "review.back": ["f8"],
            "terms.next": ["f9"],
            "completion.complete": ["ctrl+e"],
        }
    )
    bench = ReviewBench(realistic(), appearance=Appearance(keys=keys))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("question_mark")
        told = "f6 only opens, m only marks, f8 only goes back"
        assert told in " ".join(bench.text("#help-keys").split())

        await pilot.press("escape", "n", "r")
        assert "F9: other line." in bench.text("#terms-told")
        assert bench.app.screen.query_one("#reason", Input).has_focus
        await pilot.press("f9")
        assert bench.app.screen.query_one("#expires", Input).has_focus

        await pilot.press("escape")
        await bench.until(pilot, lambda: bench.is_at(InboxScreen))
        await pilot.press("slash")
        await bench.until(pilot, lambda: "^e: kind:" in bench.pixels())


async def test_help_says_that_a_key_does_nothing_there() -> None:
    bench = ReviewBench(realistic())

    async with bench.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark", "left_square_bracket")
        await bench.until(pilot, lambda: "[ does nothing here. esc closes" in bench.pixels())
        await pilot.press("pagedown")
        await bench.until(pilot, lambda: "esc closes, a click does it" in bench.pixels())
