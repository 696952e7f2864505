"""The last day on which a crate's grants hold: how it is written, and whether it is over."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def today() -> date:
    """Return the day by which grants end: in UTC, so that it is one day on every machine."""
    return datetime.now(UTC).date()


def parse(text: str) -> date:
    """Read a day as `expires` has it: `2027-01-31`; `str` of the day writes it back.

    Raises:
        ValueError: It is no day; the text says what is wrong, as a clause.
    """
    if not _FORM.fullmatch(text):
        raise ValueError("must be a day such as `2027-01-31`")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("is no day of the calendar") from error


def is_over(expires: date | None, on: date) -> bool:
    """Tell whether grants with this last day have ended; the last day itself still counts."""
    return expires is not None and on > expires


def sentence(expires: date) -> str:
    """Say that grants have ended, as a clause."""
    return f"the grants ended on {expires}"
