"""Loads a JSON report that comes from elsewhere; whatever is wrong with it, the error helps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NoReturn

from buildperm.errors import BuildpermError

BYTES_MOST = 64 << 20
"""A report that is longer is not read."""

_PARTS_MOST = 4_000_000  # Commas and brackets: each costs far more memory than its one byte.
_STANDARD_INPUT = "-"

MAKE_AGAIN = "Make it again: `buildperm ci --report json=PATH`."
"""The hint where a report is of no use."""


def load(path: Path | str) -> tuple[str, object]:
    """Return the name of the report for messages, and what it holds; `-` is standard input.

    Raises:
        BuildpermError: It cannot be read, or is no JSON.
    """
    place = "standard input" if str(path) == _STANDARD_INPUT else str(path)
    return place, _loaded(_raw(path, place), place)


def _raw(path: Path | str, place: str) -> bytes:
    try:
        if str(path) == _STANDARD_INPUT:
            raw = sys.stdin.buffer.read(BYTES_MOST + 1)
        else:
            with open(path, "rb") as file:
                raw = file.read(BYTES_MOST + 1)
    except (OSError, ValueError) as error:  # A NUL in the path is a ValueError.
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BuildpermError(
            f"cannot read the report {place}: {why}",
            hint="Name the file that `buildperm ci --report json=PATH` has written.",
        ) from error
    if len(raw) > BYTES_MOST or sum(map(raw.count, (b",", b"[", b"{"))) > _PARTS_MOST:
        raise BuildpermError(
            f"{place} is too long for a report of a build",
            hint=f"Reports of at most {BYTES_MOST >> 20} MiB are read.",
        )
    return raw


def _loaded(raw: bytes, place: str) -> object:
    if not raw.strip():
        raise BuildpermError(f"{place} is empty", hint=MAKE_AGAIN)
    try:
        text = raw.decode()
        loaded: object = json.loads(text, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BuildpermError(
            f"{place} is no report: not UTF-8 (byte {error.start})", hint=MAKE_AGAIN
        ) from error
    except RecursionError as error:
        raise BuildpermError(f"{place} is no report: nested too deeply", hint=MAKE_AGAIN) from error
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            what = f"it ends in line {error.lineno}, before it is complete"
        else:
            what = f"{error.msg} in line {error.lineno}"
        raise BuildpermError(f"{place} is no complete report: {what}", hint=MAKE_AGAIN) from error
    except ValueError as error:  # A number of thousands of digits, NaN.
        raise BuildpermError(f"{place} is no report: {error}", hint=MAKE_AGAIN) from error
    return loaded


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is no number")
