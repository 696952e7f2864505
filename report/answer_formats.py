"""What the answer of a command that only looks can be written as: one entry a format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from buildperm.printable import drawable


class CommandResult(Protocol):
    """What a command has found out."""

    def lines(self) -> Iterable[str]:
        """Return lines for people, the verdict first."""

    def document(self) -> Mapping[str, object]:
        """Return a document for machines: everything, with the version of the format."""


def _text(result: CommandResult) -> str:
    return "".join(f"{drawable(line)}\n" for line in result.lines())


def _json(result: CommandResult) -> str:
    return json.dumps(result.document(), indent=2) + "\n"


ANSWER_FORMATS: dict[str, Callable[[CommandResult], str]] = {"text": _text, "json": _json}
"""By name, in the order in which they are offered; the first is what is written unasked."""
