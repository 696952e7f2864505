"""Applications over reviews, for every test of the screens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.css.stylesheet import Stylesheet

from tests.tui.review_bench import after_update, bench, make_bench, proposals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.css.model import RuleSet
    from textual.css.types import CSSLocation

__all__ = ["after_update", "bench", "make_bench", "proposals"]

_parse = Stylesheet._parse_rules  # It keeps what it has parsed, but for one application only.
_parsed: dict[tuple[object, ...], list[RuleSet]] = {}


def _parse_once(
    stylesheet: Stylesheet,
    css: str,
    read_from: CSSLocation,
    is_default_rules: bool = False,
    tie_breaker: int = 0,
    scope: str = "",
) -> list[RuleSet]:
    variables = tuple(stylesheet._variables.items())
    key = (css, read_from, is_default_rules, tie_breaker, scope, variables)
    if key not in _parsed:
        _parsed[key] = _parse(stylesheet, css, read_from, is_default_rules, tie_breaker, scope)
    return _parsed[key]


@pytest.fixture(autouse=True, scope="session")
def _styles_parsed_once() -> Iterator[None]:
    """Parse the styles for the first application of hundreds: it takes a quarter of their start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", _parse_once)
        yield
