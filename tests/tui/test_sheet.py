"""Sheets of lines: they are as wide as what is seen of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App
from textual.geometry import Size

from buildperm.tui.widgets.block_sheet import Block
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult


class Shown(App[None]):
    """A page, and nothing else."""

    CSS = "Page { width: 30; height: 10; }"

    def compose(self) -> ComposeResult:
        yield Page()


def wrapped(letters: int, cells: int) -> Iterator[Line]:
    """Yield the lines of a text that is wrapped anywhere."""
    for begin in range(0, letters, max(cells, 1)):
        yield Line((("x" * min(cells, letters - begin), ""),))


@given(st.text("ab \u4e2d\u0301", max_size=60), st.text("x \u4e2d", max_size=8), st.integers(1, 40))
def test_the_height_of_a_text_is_the_number_of_its_lines(text: str, lead: str, cells: int) -> None:
    block = Block(((lead, ""),), text)

    assert block.height(cells) == len(block.lines(cells))


@pytest.mark.parametrize("before", [0, 600])
@pytest.mark.parametrize(
    ("letters", "size"),
    [
        pytest.param(300, Size(30, 10), id="all of it is seen"),
        pytest.param(301, Size(28, 11), id="one line more, and a bar"),
        pytest.param(580, Size(28, 21), id="the bar takes a line's worth"),
    ],
)
@pytest.mark.quick(2)
async def test_a_page_is_wrapped_beside_its_scroll_bar(
    letters: int, size: Size, before: int
) -> None:
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        page = app.query_one(Page)
        page.show(lambda cells: wrapped(before, cells))
        await pilot.pause()

        page.show(lambda cells: wrapped(letters, cells))
        await pilot.pause()

        assert page.virtual_size == size
        assert page.scrollable_content_region.width == size.width
        assert page.max_scroll_y == size.height - 10
