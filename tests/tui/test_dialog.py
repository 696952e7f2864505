"""Every dialog can be left by the mouse: by a click outside of it, and by what it says itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from buildperm.presentation.front_end import Failure
from buildperm.tui.appearance import Appearance
from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.screens.diff import DiffScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.screens.override import OverrideScreen
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.sheet import Sheet
from tests.tui.proposals import realistic

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from buildperm.presentation.front_end import ReviewEnd
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)
LAPTOP = (120, 30)
DIALOGS = {
    "help": ("question_mark",),
    "edit": ("n", "E"),
    "terms": ("n", "r"),
    "batch": ("G", "X"),
    "leave": ("n", "a", "q"),
}


async def click_line(bench: ReviewBench, pilot: Pilot[ReviewEnd], page: str, words: str) -> None:
    """Click on the first line of a page that has some words."""
    lines = bench.text(page).split("\n")
    row = next(number for number, line in enumerate(lines) if words in line)
    sheet = bench.app.screen.query_one(page)
    inner = sheet.content_region
    await pilot.click(offset=(inner.x + 3, inner.y + row - sheet.scroll_offset.y))


def below_is_seen(bench: ReviewBench, footer: HintFooter) -> bool:
    """Tell whether the keys of the inbox, which do nothing in a dialog, stand on the screen."""
    hint = footer.hints[0]
    return f"{hint.display} {hint.label}" in bench.pixels()


@pytest.mark.parametrize("keys", DIALOGS.values(), ids=DIALOGS)
@pytest.mark.quick(1)
async def test_a_click_outside_of_a_dialog_leaves_it(
    bench: ReviewBench, keys: tuple[str, ...]
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        below = bench.app.screen_stack[0].query_one(HintFooter)
        await bench.until(pilot, lambda: bool(below.hints) and below_is_seen(bench, below))
        await pilot.press(*keys)
        assert bench.is_at(Dialog)
        assert not below_is_seen(bench, below)

        await pilot.click(offset=(0, 0))

        assert bench.is_at(InboxScreen)
        assert below_is_seen(bench, below)


@pytest.mark.parametrize(
    ("name", "page", "words"),
    [
        ("edit", "#edit-told", "leaves the rule as it was"),
        ("terms", "#terms-told", "leaves it as it was"),
        ("batch", "#batch-answers", "go back"),
        ("leave", "#leave-answers", "go back"),
    ],
)
@pytest.mark.quick(1)
async def test_a_click_on_the_hint_leaves_a_dialog(
    bench: ReviewBench, name: str, page: str, words: str
) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press(*DIALOGS[name])
        await click_line(bench, pilot, page, words)

        assert bench.is_at(InboxScreen)


async def test_a_click_on_the_last_line_of_help_closes_it(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("question_mark")
        region = bench.app.screen.query_one("#help-keys").region
        await pilot.click(offset=(region.right - 6, region.bottom - 1))

        assert bench.is_at(InboxScreen)


@pytest.mark.slow
async def test_the_keys_that_the_last_look_names_can_be_clicked(
    make_bench: type[ReviewBench],
) -> None:
    bench = make_bench(realistic(), failures=[Failure("zstd-sys", "2.0.13", "exit status 1", ())])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "w")
        await bench.until(pilot, lambda: "typed word" in bench.text("#diff-state"))
        await click_line(bench, pilot, "#diff-state", "typed word")
        assert bench.is_at(Dialog)
        await click_line(bench, pilot, "#override-text", "goes back")
        assert bench.is_at(DiffScreen)
        await click_line(bench, pilot, "#diff-state", "goes back")

        assert bench.is_at(InboxScreen)


async def test_dialogs_name_the_keys_of_the_person(make_bench: type[ReviewBench]) -> None:
    keys = {"leave.keep": "z", "batch.confirm": "c", "edit.back": "f5", "review.undo": "f6"}
    bench = make_bench(realistic(), appearance=Appearance(keys=keys))
    async with bench.app.run_test(size=LAPTOP) as pilot:
        await pilot.press("G", "X")
        assert "  c  " in bench.text("#batch-answers")
        await pilot.press("enter")
        assert "c confirms, esc goes back" in bench.text("#batch-answers")
        await pilot.press("c")
        assert "f6 takes it back" in bench.text("#notice").lower()
        await pilot.press("home", "n", "E")
        assert "f5 leaves the rule" in bench.text("#edit-told").lower()
        await pilot.press("f5")
        assert bench.is_at(InboxScreen)


async def test_the_question_before_leaving_shows_all_of_its_lines(
    make_bench: type[ReviewBench],
) -> None:
    names = [f"a-crate-with-a-long-name-{number} 1.0.0" for number in range(9)]
    bench = make_bench(realistic()[:1], unsaved=names, appearance=Appearance(keys={
        "leave.keep": "z",
    }))  # fmt: skip
    async with bench.app.run_test(size=LAPTOP) as pilot:
        await pilot.press("n", "a", "q")
        page = bench.app.screen.query_one("#leave-answers")
        assert "  z  keep the decisions" in bench.text("#leave-answers")
        await bench.until(pilot, lambda: page.max_scroll_y == 0)
        lines = bench.text("#leave-answers").split("\n")

        assert page.content_region.height >= len(lines)
        assert "go back" in lines[-1]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
@pytest.mark.parametrize("failures", [1, 30])
async def test_a_word_is_typed_within_the_box_however_much_it_is_about(
    make_bench: type[ReviewBench], size: tuple[int, int], failures: int
) -> None:
    sentence = "fails, and says in many words what it would need besides " * 4
    failed = [Failure("zstd-sys", f"2.0.{each}", sentence, ()) for each in range(failures)]
    bench = make_bench(realistic(), failures=failed)
    async with bench.app.run_test(size=size) as pilot:
        await pilot.press("n", "a", "w")
        await bench.until(pilot, lambda: bench.is_at(DiffScreen))
        await bench.until(pilot, lambda: "writes all the same" in bench.text("#diff-state"))
        await pilot.press("O")
        await bench.until(pilot, lambda: bench.is_at(OverrideScreen))
        await pilot.pause()

        box = bench.app.screen.query_one("#override")
        for part in box.children:
            assert box.content_region.contains_region(part.region)
        assert bench.app.screen.region.contains_region(box.region)
        assert "The check failed" in bench.pixels()


@pytest.mark.parametrize(("size", "columns"), [((80, 24), 1), ((120, 36), 2), ((200, 50), 3)])
@pytest.mark.quick(2)
async def test_help_uses_the_width_and_a_click_does_what_stands_in_its_column(
    bench: ReviewBench, size: tuple[int, int], columns: int
) -> None:
    async with bench.app.run_test(size=size) as pilot:
        await pilot.press("n")
        before = bench.tree().count(80)
        await pilot.press("question_mark")
        await bench.until(pilot, lambda: "Decide" in bench.text("#help-keys"))
        lines = bench.text("#help-keys").splitlines()
        assert len(re.findall(r"\S+(?: \S+)*", lines[0])) == columns
        assert all(len(line.rstrip()) <= size[0] * 0.96 - 6 for line in lines)
        row, line = next((at, each) for at, each in enumerate(lines) if "Open every crate" in each)
        page = bench.app.screen.query_one("#help-keys", Sheet)
        page.scroll_to(y=row, animate=False, immediate=True)
        await pilot.pause()

        inner = page.content_region
        at = inner.x + line.index("Open every"), inner.y + row - page.scroll_offset.y
        await pilot.click(offset=at)
        await bench.until(pilot, lambda: not bench.is_at(Dialog))
        await bench.until(pilot, lambda: bench.tree().count(80) > before)


async def test_what_help_says_hangs_below_its_first_word(bench: ReviewBench) -> None:
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await bench.until(pilot, lambda: "Decide" in bench.text("#help-keys"))
        lines = bench.text("#help-keys").splitlines()
        first = next(at for at, line in enumerate(lines) if "Allow all that are marked" in line)
        indent = lines[first].index("Allow all")
        assert lines[first + 1].startswith(" " * indent)
        assert lines[first + 1][indent] != " "
