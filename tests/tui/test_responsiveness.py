"""Five thousand proposals: the work behind a key press is counted, not timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.css.stylesheet import Stylesheet

from buildperm.tui.widgets.crates import CrateTree
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
