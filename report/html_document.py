"""Writes the HTML report: one file that asks nobody for anything and runs nothing of others.

Jinja escapes whatever is put into the page, and `_visible` makes it printable before. Text stands
between tags or in quoted attributes that hold text; none is put into an address, a style or a
script. Should all that fail, the page's own policy still allows no script and no style but the two
below, whose digests it names, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path, PurePath
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from buildperm import __version__
from buildperm.printable import shown
from buildperm.report.html_page import ReportPage

MARK: Final = '<meta name="generator" content="buildperm'
"""Is near the beginning of each report: a file without it was made by somebody else."""

_FOLDER: Final = PurePath(__file__).parent


def document(page: ReportPage) -> str:
    """Write the report as one HTML document."""
    style, script = _file("html_page.css"), _file("html_page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template("html_page.jinja")
        .render(
            page=page,
            version=__version__,
            policy=policy,
            style=Markup(style),  # noqa: S704 - a file of ours
            script=Markup(script),  # noqa: S704 - a file of ours
        )
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["worded"] = _worded
    return made


def _visible(value: object) -> object:
    """Make a text printable; numbers, and markup of ours, stay as they are."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _worded(text: str) -> Markup:
    """Set apart what a sentence has between backquotes."""
    pieces = [escape(piece) for piece in shown(text).split("`")]
    if len(pieces) % 2 == 0:
        return escape(shown(text))  # One of them is no quotation mark.
    return Markup().join(
        Markup("<code>{}</code>").format(piece) if number % 2 else piece
        for number, piece in enumerate(pieces)
    )


def _file(name: str) -> str:
    return Path(_FOLDER, name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
