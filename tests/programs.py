"""The programs in tests/children, which tests run as build scripts or let build scripts start."""

from __future__ import annotations

import re
from pathlib import Path

CHILDREN = Path(__file__).parent / "children"
_PLACE = re.compile("__([A-Z]+(?:_[A-Z]+)*)__")


def program_text(name: str, **values: str) -> str:
    """Return the text of a program, with a value in the place of each `__NAME__` in it.

    Raises:
        ValueError: The places of the program are others than those that have a value.
    """
    text = (CHILDREN / name).read_text()
    places = set(_PLACE.findall(text))
    if places != values.keys():
        raise ValueError(f"{name} has the places {places}, not {set(values)}")
    return _PLACE.sub(lambda place: values[place[1]], text)


def only_compiler(folder: Path, compiler: str | None) -> Path:
    """Make a folder for PATH with nothing but a `cc`, a shell script; for None, not even that."""
    folder.mkdir()
    if compiler:
        (folder / "cc").write_text(f"#!/bin/sh\n{compiler}\n")
        (folder / "cc").chmod(0o700)
    return folder
