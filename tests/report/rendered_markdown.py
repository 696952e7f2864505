"""Reads Markdown as a renderer would, and tells whether anything foreign got out of its code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

_READER = MarkdownIt("gfm-like")  # Tables, bare links and raw HTML are on.
_PLAIN = {
    *("heading", "paragraph", "strong", "table", "thead", "tbody", "tr", "th", "td"),
    *("bullet_list", "list_item"),
}
_CODE = {"code_inline", "fence"}
# No `@`, `#`, `&`, `<`, `[`, `` ` ``, `/`, `\`, `|` …: whatever else a text has is foreign.
_OWN_WORDS = re.compile(r"[A-Za-z0-9 ,.:]*")
_OWN_HTML = re.compile(
    r"<details>\n<summary><code>(?P<name>[^<>\n]*)</code>: [0-9,]+ findings?</summary>\n"
    r"|</details>\n"
)


def tokens(source: str) -> list[Token]:
    """Return all tokens of `source` in their order, the inline ones in place of their block."""
    return list(_flat(_READER.parse(source)))


def code(source: str) -> list[str]:
    """Return what `source` shows as code, span by span and block by block."""
    return [token.content for token in tokens(source) if token.type in _CODE]


def escaped(source: str) -> list[str]:
    """Return what of `source` is neither code nor ours, as a renderer would take it."""
    return [found for token in tokens(source) if (found := _escaped(token))]


def _escaped(token: Token) -> str:
    kind = token.type.removesuffix("_open").removesuffix("_close")
    if token.type in _CODE or token.type in ("softbreak", "hr") or kind in _PLAIN:
        return token.info if token.info not in ("", "text", "toml") else ""
    if token.type == "text":
        return "" if _OWN_WORDS.fullmatch(token.content) else token.content
    if token.type == "html_block" and _OWN_HTML.fullmatch(token.content):
        return ""
    return f"{token.type}: {token.content}{token.attrs or ''}"


def _flat(found: list[Token]) -> Iterator[Token]:
    for token in found:
        if token.type == "inline":
            yield from _flat(token.children or [])
        else:
            yield token
