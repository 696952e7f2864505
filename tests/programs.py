"""The programs in tests/children, which tests run as build scripts or let build scripts start."""

from __future__ import annotations

from pathlib import Path

CHILDREN = Path(__file__).parent / "children"


def program(name: str, **values: str) -> str:
    """Return the text of a program, with a value in the place of each `__NAME__` in it.

    Raises:
        ValueError: The program has no such place.
    """
    text = (CHILDREN / name).read_text()
    for key, value in values.items():
        if f"__{key}__" not in text:
            raise ValueError(f"{name} has no __{key}__")
        text = text.replace(f"__{key}__", value)
    return text
