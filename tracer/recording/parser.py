"""Reads one line of a recording: every field is checked, and what is wrong is said."""

from __future__ import annotations

from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

from buildperm.tracer import fields as table
from buildperm.tracer.notation import decode
from buildperm.tracer.recording.event import Event, RecordedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from enum import StrEnum

_T = TypeVar("_T")


class Fields:
    """One line; each field is checked when it is read."""

    __slots__ = ("line",)

    def __init__(self, line: object) -> None:
        if not isinstance(line, dict):
            raise TypeError("it is not an object")
        self.line: dict[str, Any] = line

    def text(self, name: str, default: str | None = None) -> str:
        return self._checked(name, str, default)

    def raw(self, name: str) -> bytes:
        return decode(self._checked(name, str, None))

    def number(self, name: str, default: int | None = None) -> int:
        return self._checked(name, int, default)

    def flag(self, name: str) -> bool:
        """Read whether something holds; it does not where there is no such field."""
        return self._checked(name, bool, False)

    def known_number(self, name: str) -> int | None:
        """Read a number; None where there is none."""
        return self._checked(name, int, None) if name in self.line else None

    def texts(self, name: str, default: list[str] | None = None) -> tuple[str, ...]:
        return tuple(_texts(name, self._checked(name, list, default)))

    def places(self, name: str, default: dict[str, str] | None = None) -> dict[str, bytes]:
        found = self._checked(name, dict, default)
        return {token: decode(place) for token, place in found.items()}

    def reasons(self, name: str) -> dict[bytes, str]:
        """Read texts by path; none where there is no such field."""
        given = self._checked(name, dict, {})
        return dict(zip(map(decode, given), _texts(name, given.values()), strict=True))

    def _checked(self, name: str, kind: type[_T], default: _T | None) -> _T:
        value = self.line.get(name, default)
        if type(value) is not kind:
            raise _mistyped(self.line, name, kind)
        return value


def event(kind: str, fields: Fields) -> Event:
    """Read an event.

    Raises:
        ValueError, TypeError: Something is wrong with it.
        KeyError: There is no such kind.
    """
    make, readers = _EVENTS[kind]
    line = fields.line
    return make(*[read(line) for read in readers])


def process(fields: Fields) -> RecordedProcess:
    """Read a process.

    Raises:
        ValueError, TypeError: Something is wrong with it.
    """
    argv = tuple(map(decode, fields.texts("argv")))
    return RecordedProcess(
        fields.number("pid"),
        fields.number("parent"),
        fields.raw("program"),
        argv,
        fields.known_number("started"),
        fields.known_number("ended"),
        fields.known_number("status"),
    )


def _readers(cls: type[Event]) -> list[Callable[[Mapping[str, Any]], Any]]:
    """Return what reads each field of an event out of a line, in the order of its class."""
    hints = get_type_hints(cls)
    listed = {field.name: field for field in table.EVENTS[cls.TYPE]}
    shared = {
        "at_ns": _plain("at", int, None),
        "pid": _plain("pid", int, None),
        "count": _plain("count", int, 1),
    }
    return [
        shared.get(field.name) or _reader(listed[field.name], hints[field.name])
        for field in fields_of(cls)
    ]


def _reader(field: table.Field, hint: Callable[[str], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Return what reads one field; `hint` is its type in the class of the event."""
    name = field.name
    if field.kind == table.FLAG:
        return _plain(name, bool, False)
    if field.kind == table.NUMBER:
        return _plain(name, int, 0 if field.is_optional else None)
    if field.kind == table.BYTE_STRINGS:
        read_list = _plain(name, list, [] if field.is_optional else None)
        return lambda line: tuple(map(decode, _texts(name, read_list(line))))
    default = "" if field.is_optional else None
    if field.kind == table.BYTES:
        return _converted(name, decode, default)
    if field.kind == table.WORD:
        # A look into a table takes a fifth of a call of the class.
        members: dict[str, Any] = {word.value: word for word in cast("type[StrEnum]", hint)}
        return _converted(name, lambda text: members.get(text) or hint(text), default)
    return _plain(name, str, default)


def _converted(
    name: str, convert: Callable[[str], _T], default: str | None
) -> Callable[[Mapping[str, Any]], _T]:
    """Return what reads a field that is a text in the line."""

    def read(line: Mapping[str, Any]) -> _T:
        text = line.get(name, default)
        if type(text) is not str:
            raise _mistyped(line, name, str)
        return convert(text)

    return read


def _plain(name: str, kind: type[_T], default: _T | None) -> Callable[[Mapping[str, Any]], _T]:
    """Return what reads a field that is of type `kind` in the line, too."""

    def read(line: Mapping[str, Any]) -> _T:
        value = line.get(name, default)
        if type(value) is not kind:
            raise _mistyped(line, name, kind)
        return value

    return read


def _texts(name: str, given: Collection[Any]) -> Collection[str]:
    """Return the values of the field `name`, all of which have to be texts."""
    for text in given:
        if type(text) is not str:
            raise TypeError(f"`{name}` holds something else than texts")
    return given


def _mistyped(line: Mapping[str, Any], name: str, kind: type) -> TypeError:
    problem = "is not" if name in line else "is missing or not"
    return TypeError(f"`{name}` {problem} of type {kind.__name__}")


_EVENTS: dict[str, tuple[Callable[..., Event], list[Callable[[Mapping[str, Any]], Any]]]] = {
    cls.TYPE: (cls, _readers(cls)) for cls in get_args(Event)
}
