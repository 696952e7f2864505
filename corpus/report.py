"""Writes the figures of docs/report.md and docs/rfc.md, between their markers: `make report`.

`python -m corpus.report` prints each block; with `--write` it writes the documents. It builds
nothing and needs no network: it counts the committed results and copies the tables of
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from corpus.entries import load
from corpus.figures import MEASUREMENTS, figures
from corpus.records import records, write

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENTS = (DOCS / "report.md", DOCS / "rfc.md")
_BLOCK = re.compile(
    r"(?P<begin><!-- (?P<name>[a-z-]+): made by `make report` -->\n)"
    r"(?:(?!<!-- ).)*?(?P<end><!-- end of (?P=name) -->)",
    re.DOTALL,
)


def with_figures(text: str, made: Mapping[str, str]) -> str:
    """Return a document with each of its blocks made anew.

    Raises:
        ValueError: A block has no end, or there is no block of that name.
    """
    names = [each["name"] for each in _BLOCK.finditer(text)]
    unknown = sorted(set(names) - made.keys())
    if unknown or text.count("made by `make report` -->") != len(names):
        raise ValueError(f"blocks that nobody makes, or without an end: {unknown}")
    return _BLOCK.sub(lambda block: f"{block[1]}\n{made[block['name']]}\n\n{block['end']}", text)


def current() -> dict[str, str]:
    """Return every block as the committed results have it."""
    return figures(load(), records(), MEASUREMENTS.read_text(encoding="utf-8"))


def write_report() -> None:
    """Write the figures into the documents anew."""
    made = current()
    for path in DOCUMENTS:
        write(path, with_figures(path.read_text(encoding="utf-8"), made))


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m corpus.report", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/report.md and docs/rfc.md")
    if parser.parse_args().write:
        write_report()
        return 0
    for name, block in current().items():
        print(f"## {name}\n\n{block}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
