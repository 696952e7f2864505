"""The documents can be read: short lines, cells that are sentences, links that lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).parents[1]
LONGEST_LINE: Final = 120
LONGEST_CELL: Final = 200
_MADE: Final = re.compile(r"<!-- [^>]*made by [^>]*-->.*?<!-- end[^>]*-->", re.DOTALL)
_FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_MARKDOWN: Final = MarkdownIt("commonmark").enable("table")


def documents() -> list[Path]:
    """Return every document that is written by hand."""
    places = (
        "*.md",
        "docs/*.md",
        "ci/*.md",
        "examples/*.md",
        "benchmarks/*.md",
        "corpus/*.md",
        "tests/crates/*.md",
    )
    found = (path for place in places for path in ROOT.glob(place))
    return sorted(path.relative_to(ROOT) for path in found)


def prose(text: str) -> str:
    """Return `text` without what commands have written, and without blocks of code."""
    return _FENCE.sub("", _MADE.sub("", text))


def long_lines(text: str) -> list[str]:
    """Return the lines of prose that nobody reads in one go; a link alone may take more."""
    lines = [line for line in prose(text).splitlines() if not line.startswith("|")]
    return [
        line
        for line in lines
        if len(line) > LONGEST_LINE and not re.fullmatch(r"\S+", line.strip())
    ]


def long_cells(text: str) -> list[str]:
    """Return the cells of tables that are paragraphs."""
    rows = [line for line in prose(text).splitlines() if line.startswith("|")]
    cells = [cell for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    shown = [re.sub(r"\]\([^)]*\)", "]", cell).strip() for cell in cells]  # Not where links lead.
    return [cell for cell in shown if len(cell) > LONGEST_CELL]


def links(text: str) -> list[str]:
    """Return where links and pictures lead."""
    found = []
    for token in _MARKDOWN.parse(text):
        for each in token.children or ():
            target = each.attrGet("href" if each.type == "link_open" else "src")
            if each.type in ("link_open", "image"):
                found.append(str(target))
    return found


def headings(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub and GitLab make them."""
    tokens = _MARKDOWN.parse(text)
    titles = [
        tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"
    ]
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
    seen: Counter[str] = Counter()
    found = set()
    for anchor in anchors:
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def broken(path: Path, text: str) -> list[str]:
    """Return the links of a document that lead nowhere in this repository."""
    found = []
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / path.parent / name) if name else ROOT / path
        if not target.exists() or (
            anchor and anchor not in headings(target.read_text(encoding="utf-8"))
        ):
            found.append(link)
    return found


@pytest.mark.parametrize("path", documents(), ids=str)
def test_lines_and_cells_are_short(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")

    assert long_lines(text) == []
    assert long_cells(text) == []


@pytest.mark.parametrize("path", documents(), ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_the_readme_leads_to_every_document_for_users() -> None:
    index = links((ROOT / "docs/README.md").read_text(encoding="utf-8"))
    linked = links((ROOT / "README.md").read_text(encoding="utf-8"))

    for path in (ROOT / "docs").glob("*.md"):
        if path.name != "README.md":
            assert path.name in index
            assert f"docs/{path.name}" in linked


def test_what_is_too_long_or_leads_nowhere_is_found() -> None:
    word = "word " * 30
    made = f"<!-- made by `make x` -->\n{word}\n<!-- end -->\n"

    assert long_lines(f"{made}```\n{word}\n```\n| {word} |\n") == []
    assert long_lines(f"# Title\n\n{word}\n") == [word]
    assert long_cells(f"| a | {word * 2} |\n") == [(word * 2).strip()]
    assert long_cells(f"| a | [b]({'c' * 300}) |\n") == []
    assert broken(Path("README.md"), "[a](nobody.md) [b](#nothing) ![c](gone.svg) [d](docs)") == [
        "nobody.md",
        "#nothing",
        "gone.svg",
    ]
