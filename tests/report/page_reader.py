"""Takes an HTML page apart, for tests of what is markup in it and what is text."""

from __future__ import annotations

from html.parser import HTMLParser

_HEARD = ("aria-label", "title")
"""Attributes that hold text."""

_VOID = {"meta", "input"}


class PageReader(HTMLParser):
    """Takes a page apart: what is markup, and what is text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.skeleton: list[tuple[object, ...]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _HEARD:
                self.texts.append(value or "")
        kept = tuple((name, None if name in _HEARD else value) for name, value in attrs)
        self.skeleton.append((tag, kept))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skeleton.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.skeleton.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.skeleton.append(("comment", data))
