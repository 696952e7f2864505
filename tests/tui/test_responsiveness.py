"""Five thousand proposals: the work behind a key press is counted, not timed."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen

from buildperm.presentation.agenda import Agenda
from buildperm.tui.screens.batch import BatchScreen
from buildperm.tui.screens.help import HelpScreen
from buildperm.tui.widgets.block_sheet import BlockSheet
from buildperm.tui.widgets.crates import CrateTree
from buildperm.tui.widgets.tone import tone_style
from tests.tui.proposals import MANY, crowd

if TYPE_CHECKING:
    from textual.css.styles import RulesMap
    from textual.dom import DOMNode

    from buildperm.policy.proposal import Proposal
    from buildperm.tui.widgets.styled_line import Line
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)
ROWS = 36


@pytest.mark.parametrize("crates", [1, 250])
@pytest.mark.quick(1)
async def test_a_key_press_sets_as_many_lines_as_are_in_view(
    make_bench: type[ReviewBench],
    proposals: list[Proposal],
    monkeypatch: pytest.MonkeyPatch,
    crates: int,
) -> None:
    set_lines: list[int] = []
    line = CrateTree.line

    def counting(tree: CrateTree, number: int, cells: int) -> Line:
        set_lines.append(number)
        return line(tree, number, cells)

    monkeypatch.setattr(CrateTree, "line", counting)
    bench = make_bench(crowd(proposals[0], crates))
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.pause()  # What is still drawn of the first screen would count.
        for key in ("equals_sign", "end", "home", "j", "n", "d", "u"):
            set_lines.clear()
            await pilot.press(key)
            await pilot.pause()

            assert len(set_lines) <= 3 * ROWS, key
        assert bench.tree().count(80) == MANY + 2 * crates  # Each has one cause.


async def test_a_crate_has_no_lines_before_it_is_opened(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(crowd(proposals[0], 250))
    async with bench.app.run_test(size=WIDE):
        assert bench.tree().count(80) == 250 + 1 + MANY // 250


async def test_letters_typed_fast_are_filtered_for_once(
    make_bench: type[ReviewBench], proposals: list[Proposal], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(crowd(proposals[0], 250))
    asked: list[str] = []
    select = bench.review.select

    def counting(words: str) -> list[Proposal]:
        asked.append(words)
        return select(words)

    monkeypatch.setattr(bench.review, "select", counting)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash")
        asked.clear()
        for letter in "4999":
            bench.app.simulate_key(letter)
        await bench.until(pilot, lambda: bool(asked) and asked[-1] == "4999")

        assert len(asked) < len("4999")
        assert bench.tree().count(80) == 2


async def test_styling_a_screen_styles_no_tones_and_draws_nothing_where_colours_stay(
    bench: ReviewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    styled: list[DOMNode] = []
    drawn: list[CrateTree] = []
    apply = Stylesheet.apply

    def styling(
        stylesheet: Stylesheet,
        node: DOMNode,
        *,
        animate: bool = False,
        cache: dict[tuple[Any, ...], RulesMap] | None = None,
    ) -> None:
        styled.append(node)
        apply(stylesheet, node, animate=animate, cache=cache)

    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        monkeypatch.setattr(Stylesheet, "apply", styling)
        monkeypatch.setattr(CrateTree, "refresh", lambda tree: drawn.append(tree))
        bench.app.update_styles(bench.app.screen)  # As another class of the screen does, at once.
        tree = bench.tree()
        monkeypatch.undo()

    assert tree in styled
    assert not [part for node in styled for part in node.classes if part.startswith("sheet--")]
    assert not drawn


@pytest.mark.parametrize(("key", "shown"), [("x", "notice"), ("slash", "filter-row")])
async def test_a_line_that_comes_styles_nothing_but_itself(
    bench: ReviewBench, monkeypatch: pytest.MonkeyPatch, key: str, shown: str
) -> None:
    styled: list[DOMNode] = []
    update = bench.app.update_styles

    def counting(node: DOMNode, animate: bool = True) -> None:
        styled.append(node)
        update(node, animate)

    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        monkeypatch.setattr(bench.app, "update_styles", counting)
        await pilot.press(key)
        await bench.until(pilot, lambda: bench.displays(f"#{shown}"))
        monkeypatch.undo()

        # The focus that a filter gets is told to what loses it and to what gets it.
        told = {node.id for node in styled if node.id not in {"tree", "filter"}}
        assert told == {shown}


async def test_a_list_of_thousands_is_made_as_far_as_it_is_seen(
    make_bench: type[ReviewBench], proposals: list[Proposal], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    bench = make_bench(crowd(proposals[0], 250))
    rule_text = Agenda.rule_text

    def counting(agenda: Agenda, proposal: Proposal) -> str:
        asked.append(proposal.id)
        return rule_text(agenda, proposal)

    monkeypatch.setattr(Agenda, "rule_text", counting)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("D")
        await bench.until(pilot, lambda: bench.is_at(BatchScreen))
        await pilot.pause()
        rows = bench.app.screen.query_one("#batch-rows", BlockSheet)
        assert 0 < len(asked) < 200
        assert rows.max_scroll_y > MANY

        await pilot.press("end")
        assert len(asked) == MANY
        await bench.until(pilot, lambda: rows.scroll_offset.y == rows.max_scroll_y)
        last = rows.count(rows.scrollable_content_region.width) - 1
        assert rows.line(last, rows.scrollable_content_region.width).left
        assert rows.line(last - 1, rows.scrollable_content_region.width).left


async def test_a_screen_is_styled_again_when_it_comes_up_only_if_the_theme_is_another(
    bench: ReviewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    styled: list[DOMNode] = []
    update = bench.app.update_styles

    def counting(node: DOMNode, animate: bool = True) -> None:
        styled.append(node)
        update(node, animate)

    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        await pilot.pause()
        monkeypatch.setattr(bench.app, "update_styles", counting)
        await pilot.press("question_mark")
        await bench.until(pilot, lambda: bench.is_at(HelpScreen))
        await pilot.press("escape")
        await bench.until(pilot, lambda: not bench.is_at(HelpScreen))
        screens = [node for node in styled if isinstance(node, Screen)]
        assert screens == []

        accent = tone_of(bench, "accent")
        bench.app.theme = "textual-light"
        await bench.until(pilot, lambda: tone_of(bench, "accent") != accent)
        await pilot.press("question_mark")
        await bench.until(pilot, lambda: bench.is_at(HelpScreen))
        _, ground = bench.app.screen.background_colors
        assert ground.brightness > 0.5


def tone_of(bench: ReviewBench, tone: str) -> object:
    """Return how a tone looks on the tree."""
    tree = bench.tree()
    return tone_style(tree, tree.rich_style, tone)


async def test_what_was_read_before_is_left_alone_by_the_collector(bench: ReviewBench) -> None:
    frozen: list[int] = []

    class EndedError(Exception):
        pass

    def run(**_: object) -> None:
        frozen.append(gc.get_freeze_count())
        raise EndedError

    before = gc.get_freeze_count()
    bench.app.run = run  # type: ignore[method-assign] # it takes the terminal
    with pytest.raises(EndedError):
        bench.app.present()

    assert frozen[0] > before
    assert gc.get_freeze_count() == 0
