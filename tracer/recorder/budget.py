"""How much a recording may hold: what is kept is bounded in number and in bytes.

Refused events have bounds of their own, so that nobody can hide one behind a flood of others.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.fields import BYTE_STRINGS, BYTES, TEXT
from buildperm.tracer.fields import EVENTS as _FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.fields import Field
    from buildperm.tracer.recorder.json_line import Key

EVENTS = 250_000
REFUSED_EVENTS = 50_000
PROCESSES = 50_000
TEXT_BYTES = 96 << 20
REFUSED_TEXT_BYTES = 24 << 20
PROCESS_TEXT_BYTES = 32 << 20


class Budget:
    """How much more may be kept."""

    __slots__ = ("entries", "size")

    def __init__(self, entries: int, size: int) -> None:
        self.entries = entries
        self.size = size

    def take(self, size: int) -> bool:
        """Use one entry and `size` bytes; False where either is exhausted."""
        if self.entries <= 0 or self.size < size:
            return False
        self.entries -= 1
        self.size -= size
        return True


def _measure(fields: tuple[Field, ...]) -> Callable[[Key], int]:
    """Return what adds up the sizes of an event with such `fields`."""
    texts = [at for at, field in enumerate(fields, 2) if field.kind in (BYTES, TEXT)]
    lists = [at for at, field in enumerate(fields, 2) if field.kind == BYTE_STRINGS]
    # Each event that is new is measured, and most look like one of these: no loop for them.
    match texts, lists:
        case [only], []:
            return lambda key: len(key[only])
        case [first, second], []:
            return lambda key: len(key[first]) + len(key[second])
        case [first, second], [many]:
            return lambda key: len(key[first]) + len(key[second]) + sum(map(len, key[many]))
        case _:
            return lambda key: (
                sum([len(key[at]) for at in texts])
                + sum([len(string) for at in lists for string in key[at]])
            )


SIZES = {kind: _measure(fields) for kind, fields in _FIELDS.items()}
"""By type of event, what returns how many of its bytes come from outside buildperm."""
