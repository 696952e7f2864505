"""The events of a recording and their fields, in the order in which a line has them.

Lines are written (`recorder.json_line`), bounded (`recorder.writer`) and read (`recording.parser`)
as this table says. Tests hold three more to it: the classes in `recording.event`, the methods of
the writer, and `recording.schema.json`. Every line also has `type` and `at`, `pid` unless the event
is in `WITHOUT_PROCESS`, and `count` unless that is 1.

Part of the supervisor: imports nothing.
"""

from __future__ import annotations

# What a field holds, and how a line has it.
BYTES = "bytes"  # In notation.
BYTE_STRINGS = "byte strings"  # A list of them.
WORD = "word"  # One of an enumeration.
NAME = "name"  # A text from the recorder's own tables; takes nothing of the bounds.
TEXT = "text"  # Any other text.
NUMBER = "number"
FLAG = "flag"  # Left out if false.


class Field:
    """One field of an event."""

    __slots__ = ("is_optional", "kind", "name")

    def __init__(self, name: str, kind: str, *, is_optional: bool = False) -> None:
        """Describe a field.

        Args:
            name: In the line, and in the class of the event.
            kind: One of the above.
            is_optional: A line leaves it out if it is 0, false or empty.
        """
        self.name = name
        self.kind = kind
        self.is_optional = is_optional or kind == FLAG


_ERRNO = Field("errno", NUMBER, is_optional=True)
_REFUSED = Field("refused", FLAG)
_RACED = Field("raced", FLAG)

EVENTS: dict[str, tuple[Field, ...]] = {
    "opened": (
        Field("path", BYTES),
        Field("mode", WORD),
        Field("creates", FLAG),
        _ERRNO,
        _REFUSED,
        _RACED,
        Field("directory", FLAG),
    ),
    "changed": (
        Field("change", WORD),
        Field("path", BYTES),
        Field("other", BYTES),
        _ERRNO,
        _REFUSED,
        _RACED,
    ),
    "executed": (
        Field("path", BYTES),
        Field("requested", BYTES),
        Field("argv", BYTE_STRINGS),
        _ERRNO,
        _REFUSED,
    ),
    "socket": (
        Field("use", WORD),
        Field("family", NAME),
        Field("address", TEXT),
        _ERRNO,
        _REFUSED,
        Field("sent", NUMBER, is_optional=True),
        Field("received", NUMBER, is_optional=True),
    ),
    "call": (
        Field("call", NAME),
        Field("errno", NUMBER),
    ),
    "environment": (
        Field("name", BYTES),
        Field("present", FLAG),
        Field("withheld", FLAG),
        Field("secret", TEXT, is_optional=True),
    ),
    "directive": (
        Field("key", TEXT),
        Field("value", TEXT),
        Field("verdict", WORD),
    ),
}

WITHOUT_PROCESS = ("directive",)
"""Events of the whole run."""
