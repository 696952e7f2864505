"""A terminal that has only ASCII gets only ASCII, and two names still never look the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from buildperm import printable
from buildperm.tui.appearance import THEMES, Appearance
from buildperm.tui.ascii_filter import in_ascii
from tests.tui.proposals import realistic
from tests.tui.review_bench import ReviewBench


@pytest.fixture
def _in_ascii() -> Iterator[None]:
    printable.use_ascii(only=True)
    yield
    printable.use_ascii(only=False)


@given(st.text())
def test_a_line_keeps_its_width(text: str) -> None:
    assert in_ascii(text).isascii()
    assert cell_len(in_ascii(text)) == cell_len(text) or not text.isprintable()


@pytest.mark.usefixtures("_in_ascii")
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
@pytest.mark.quick(1)
async def test_every_screen_is_drawn_in_ascii(size: tuple[int, int]) -> None:
    bench = ReviewBench(realistic(), appearance=Appearance(is_ascii_only=True))

    async with bench.app.run_test(size=size) as pilot:
        for keys in ((), ("n",), ("A",), ("escape", "question_mark"), ("escape", "ctrl+p"),
                     ("escape", "slash"), ("escape", "v"), ("escape", "a", "q")):  # fmt: skip
            await pilot.press(*keys)
            await pilot.pause()
            drawn = bench.pixels()
            assert drawn.isascii(), sorted({each for each in drawn if not each.isascii()})


@pytest.mark.usefixtures("_in_ascii")
async def test_names_of_others_are_written_in_notation() -> None:
    one = replace(realistic()[0], crate="caf\u00e9-✓")

    bench = ReviewBench([one], appearance=Appearance(is_ascii_only=True))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert "caf%C3%A9-%E2%9C%93" in bench.pixels()


@pytest.mark.usefixtures("_in_ascii")
def test_plain_text_is_ascii_too() -> None:
    assert printable.drawable("a › b …  ×2 ✓") == "a > b ...  x2 v"  # noqa: RUF001 - our own signs
    assert printable.log_line("caf\u00e9") == "caf%C3%A9"
    assert printable.shown("✓") == "%E2%9C%93"


@pytest.mark.parametrize("theme", ["high-contrast", "textual-light", "ansi-dark"])
@pytest.mark.quick(1)
async def test_every_theme_shows_the_inbox(theme: str) -> None:
    assert theme in THEMES
    bench = ReviewBench(realistic(), appearance=Appearance(theme=theme))

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert bench.app.theme == theme
        assert "openssl-sys" in bench.pixels()
