"""Reads one line of a recording: every field is checked, and what is wrong is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from buildperm.tracer.notation import decode
from buildperm.tracer.recording.event import (
    CallRefused,
    Change,
    DirectivePrinted,
    EnvironmentRead,
    Event,
    Executed,
    FileOpened,
    OpenMode,
    PathChanged,
    RecordedProcess,
    SocketUse,
    SocketUsed,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Fields:
    """One line, with its fields checked as they are asked for."""

    __slots__ = ("_fields",)

    def __init__(self, fields: object) -> None:
        if not isinstance(fields, dict):
            raise TypeError("it is not an object")
        self._fields: dict[str, Any] = fields

    def text(self, name: str, default: str | None = None) -> str:
        return self._checked(name, str, default)

    def raw(self, name: str) -> bytes:
        return decode(self._checked(name, str, None))

    def number(self, name: str, default: int | None = None) -> int:
        return self._checked(name, int, default)

    def flag(self, name: str) -> bool:
        return self._checked(name, bool, False)

    def texts(self, name: str, default: list[str] | None = None) -> tuple[str, ...]:
        listed = self._checked(name, list, default)
        for text in listed:
            if type(text) is not str:
                raise TypeError(f"`{name}` holds something else than texts")
        return tuple(listed)

    def places(self, name: str, default: dict[str, str] | None = None) -> dict[str, bytes]:
        found = self._checked(name, dict, default)
        return {token: decode(place) for token, place in found.items()}

    def reasons(self, name: str) -> dict[bytes, str]:
        """Read texts by path; none where there is no such field."""
        read = {decode(path): text for path, text in self._checked(name, dict, {}).items()}
        for text in read.values():
            if type(text) is not str:
                raise TypeError(f"`{name}` holds something else than texts")
        return read

    def _checked(self, name: str, kind: type[_T], default: _T | None) -> _T:
        value = self._fields.get(name, default)
        if type(value) is not kind:
            problem = "is not" if name in self._fields else "is missing or not"
            raise TypeError(f"`{name}` {problem} of type {kind.__name__}")
        return value


def event(kind: str, fields: Fields) -> Event:
    """Read an event.

    Raises:
        ValueError, TypeError: Something is wrong with it.
        KeyError: There is no such kind.
    """
    return _EVENTS[kind](fields)


def process(fields: Fields) -> RecordedProcess:
    """Read a process.

    Raises:
        ValueError, TypeError: Something is wrong with it.
    """
    argv = tuple(map(decode, fields.texts("argv")))
    return RecordedProcess(
        fields.number("pid"), fields.number("parent"), fields.raw("program"), argv
    )


def _opened(fields: Fields) -> FileOpened:
    return FileOpened(
        fields.number("at"),
        fields.number("pid"),
        fields.raw("path"),
        OpenMode(fields.text("mode")),
        fields.flag("creates"),
        fields.number("errno", 0),
        fields.flag("refused"),
        fields.flag("raced"),
        fields.number("count", 1),
    )


def _changed(fields: Fields) -> PathChanged:
    return PathChanged(
        fields.number("at"),
        fields.number("pid"),
        Change(fields.text("change")),
        fields.raw("path"),
        fields.raw("other"),
        fields.number("errno", 0),
        fields.flag("refused"),
        fields.number("count", 1),
        fields.flag("raced"),
    )


def _executed(fields: Fields) -> Executed:
    return Executed(
        fields.number("at"),
        fields.number("pid"),
        fields.raw("path"),
        fields.raw("requested"),
        tuple(map(decode, fields.texts("argv"))),
        fields.number("errno", 0),
        fields.flag("refused"),
        fields.number("count", 1),
    )


def _socket(fields: Fields) -> SocketUsed:
    return SocketUsed(
        fields.number("at"),
        fields.number("pid"),
        SocketUse(fields.text("use")),
        fields.text("family"),
        fields.text("address"),
        fields.number("errno", 0),
        fields.flag("refused"),
        fields.number("count", 1),
        fields.number("sent", 0),
        fields.number("received", 0),
    )


def _call(fields: Fields) -> CallRefused:
    return CallRefused(
        fields.number("at"),
        fields.number("pid"),
        fields.text("call"),
        fields.number("errno", 0),
        fields.number("count", 1),
    )


def _environment(fields: Fields) -> EnvironmentRead:
    return EnvironmentRead(
        fields.number("at"),
        fields.number("pid"),
        fields.raw("name"),
        fields.flag("present"),
        fields.flag("withheld"),
        fields.number("count", 1),
        fields.text("secret", ""),
    )


def _directive(fields: Fields) -> DirectivePrinted:
    return DirectivePrinted(
        fields.number("at"),
        fields.text("key"),
        fields.text("value"),
        Verdict(fields.text("verdict")),
        fields.number("count", 1),
    )


_EVENTS: dict[str, Callable[[Fields], Event]] = {
    "opened": _opened,
    "changed": _changed,
    "executed": _executed,
    "socket": _socket,
    "call": _call,
    "environment": _environment,
    "directive": _directive,
}
