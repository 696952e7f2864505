"""Cargo's messages on its standard output, told apart from what others print there.

Cargo passes on what rustc writes, and so what procedural macros print. Whatever is not a message of
Cargo's to the last key is text. Nobody can take a run away by printing something; and what may be a
message that cannot be understood is `unclear`, so that more counts rather than less.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HEAD = b'{"reason":'  # As Cargo writes it; nobody else's JSON has to begin so.
_RAN = b'{"reason":"build-script-executed"'
_MOST = 32 << 20  # Bytes of one message: it holds what a build script has printed.
_KEYS = {  # The Cargo book, "External tools", and src/util/machine_message.rs of Cargo.
    "compiler-artifact": {"package_id", "target", "profile", "features", "filenames", "fresh"},
    "compiler-message": {"package_id", "target", "message"},
    "build-finished": {"success"},
    "timing-info": {"package_id", "target", "mode", "duration"},
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something that Cargo has compiled, now or before."""

    package: str  # Cargo's package ID.
    crate: str  # As rustc calls it.
    features: tuple[str, ...]  # Sorted.
    files: tuple[str, ...]


class MessageStream:
    """Sorts one stream; `units` and `is_unclear` say what came out so far."""

    def __init__(self, unit_of: Callable[[str], Path | None], *, keeps: bool = False) -> None:
        """Begin; `unit_of` finds the run with an OUT_DIR, or None if it is none.

        `keeps`: somebody has asked for the messages, and gets them beside the rest.
        """
        self.units: set[Path] = set()
        self.artifacts: set[Artifact] = set()
        self.is_unclear = False  # There may be runs that are not in `units`.
        self._unit_of = unit_of
        self._keeps = keeps
        # Of the line that has not ended yet:
        self._pieces: list[bytes] = []  # What is held back, as it may be a message.
        self._size = 0
        self._start = b""  # As much as tells.
        self._is_text = False  # Nothing is held back.

    def sort(self, piece: bytes) -> Iterator[bytes]:
        """Take what was written, and yield what is to be passed on."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            yield from self._add(line)
            yield from self._end()
        yield from self._add(rest)

    def finish(self) -> Iterator[bytes]:
        """Yield what is left at the end: a line without an end is no message."""
        self._suspect(self._start)
        yield from self._pieces
        self._begin()

    def _add(self, part: bytes) -> Iterator[bytes]:
        """Take a part of a line; hold it back as long as it may be a message."""
        if self._is_text:
            if part:
                yield part
            return
        if not part:
            return
        self._pieces.append(part)
        self._size += len(part)
        self._start += part[: len(_RAN) - len(self._start)]
        if not _HEAD.startswith(self._start[: len(_HEAD)]) or self._size > _MOST:
            self._suspect(self._start)
            yield from self._pieces
            self._begin()
            self._is_text = True

    def _end(self) -> Iterator[bytes]:
        is_text, line = self._is_text, b"".join(self._pieces)
        self._begin()
        if is_text:
            yield b"\n"
        elif not self._takes(line) or self._keeps:
            yield line + b"\n"

    def _begin(self) -> None:
        self._pieces, self._size, self._start, self._is_text = [], 0, b"", False

    def _takes(self, line: bytes) -> bool:
        """Tell whether `line` is a message of Cargo's; note the run that it is about."""
        if not line.startswith(_HEAD):
            return False
        try:
            message: Any = json.loads(line)
        except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, a too long number.
            self._suspect(line)
            return False
        match message:
            case {"reason": "build-script-executed", "package_id": str(), "out_dir": str(out_dir)}:
                unit = self._unit_of(out_dir)
                if unit is None:
                    self._suspect(line)
                    return False
                self.units.add(unit)
                return True
            case {"reason": "compiler-artifact", "package_id": str(package)}:
                artifact = _artifact(package, message)
                if artifact is not None:
                    self.artifacts.add(artifact)
                return artifact is not None
            case {"reason": str(reason)}:
                self._suspect(line)
                return reason in _KEYS and _KEYS[reason] <= set(message)
            case _:
                return False

    def _suspect(self, line: bytes) -> None:
        """Take note of what may be a message about a run, and cannot be understood."""
        self.is_unclear |= line.startswith(_RAN)


def _artifact(package: str, message: dict[str, Any]) -> Artifact | None:
    """Read a message about something that was compiled; None if it is not one of Cargo's."""
    match message:
        case {
            "target": {"name": str(name)},
            "features": [*features],
            "filenames": [*files],
        } if _KEYS["compiler-artifact"] <= set(message) and "/" not in name:
            crate = name.replace("-", "_")
            told = tuple(sorted(map(str, features)))
            return Artifact(package, crate, told, tuple(map(str, files)))
        case _:
            return None
