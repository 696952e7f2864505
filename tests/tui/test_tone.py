"""Tones are styled once for all sheets, and look as if each sheet had its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from rich.color import Color
from rich.style import Style
from textual.containers import Container

from buildperm.tui import screen_app
from buildperm.tui.appearance import THEMES, Appearance
from buildperm.tui.screen_app import ScreenApp
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line
from buildperm.tui.widgets.tone import TONE_CLASSES, tone_style

if TYPE_CHECKING:
    from textual.app import ComposeResult


class WithComponents(Page):
    """A sheet that has its tones styled by Textual itself."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*TONE_CLASSES}


class Grounds(ScreenApp[None]):
    """Sheets on every ground that there is."""

    CSS_PATH = str(Path(screen_app.__file__).with_name("app.tcss"))

    def compose(self) -> ComposeResult:
        yield WithComponents()
        yield WithComponents(classes="bar")
        with Container(classes="dialog"):
            yield WithComponents()
        with Container(id="filter-row"):
            yield WithComponents()


@pytest.mark.parametrize("is_colourless", [False, True])
async def test_a_tone_looks_as_a_component_of_the_sheet_would(
    is_colourless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_colourless:
        monkeypatch.setenv("NO_COLOR", "1")
    app = Grounds(Appearance())
    async with app.run_test() as pilot:
        for theme in THEMES:
            app.theme = theme
            await pilot.pause()

            for sheet in app.query(WithComponents):
                for name in TONE_CLASSES:
                    tone = name.removeprefix("sheet--")
                    wanted = sheet.get_component_rich_style(name)
                    if tone not in {"cursor", "critical"}:
                        wanted = _without_ground(wanted)

                    assert tone_style(sheet, sheet.rich_style, tone) == wanted, (theme, tone)


def _without_ground(style: Style) -> Style:
    return Style(color=style.color, bold=style.bold, italic=style.italic, reverse=style.reverse)


async def test_a_theme_that_differs_in_tones_alone_is_drawn() -> None:
    app = Grounds(Appearance())
    async with app.run_test() as pilot:
        muted = {"text-muted": "#12ab56"}
        app.register_theme(replace(app.current_theme, name="other", variables=muted))
        page = app.query(Page).first()
        page.show(lambda cells: [Line((("text", "muted"),))])
        await pilot.pause()
        base, before = page.rich_style, _first_style(page)

        app.theme = "other"
        page.notify_style_update()  # It may come before the styles do.
        assert _first_style(page) == before
        await pilot.pause()

        assert page.rich_style == base
        assert _first_style(page).color == Color.parse("#12ab56")


def _first_style(page: Page) -> Style:
    style = page.render_line(0)._segments[0].style
    assert style is not None
    return style
