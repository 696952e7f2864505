"""Writes one line of a recording as JSON, by hand: to import `json` takes longer than that.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.printable import is_visible
from buildperm.tracer.fields import (
    BYTE_STRINGS,
    BYTES,
    EVENTS,
    FLAG,
    NAME,
    NUMBER,
    TEXT,
    WITHOUT_PROCESS,
    WORD,
)
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from buildperm.tracer.fields import Field

    Key: TypeAlias = tuple[Any, ...]
    """What tells one event from another: its type, its chain of programs, its own fields."""

    ProcessEntry: TypeAlias = tuple[int, bytes, tuple[bytes, ...], int, "int | None", "int | None"]
    """The key of what made a process, its program and arguments, when it began and ended, and its
    wait status; the last two as far as they are known."""

    _Writers: TypeAlias = tuple[Callable[[Any], str], ...]
    _EventWriter: TypeAlias = tuple[str, bool, _Writers, int, _Writers]
    """How its line begins, whether it has a process, what writes its required fields, where in the
    key the optional ones begin, and what writes these."""


def process(key: int, entry: ProcessEntry) -> str:
    """Write a process."""
    parent, program, argv, started, ended, status = entry
    until = "" if ended is None else f',"ended":{ended}'
    how = "" if status is None else f',"status":{status}'
    return (
        f'{{"type":"process","pid":{key},"parent":{parent},"program":{_text(program)},'
        f'"argv":{_texts(argv)},"started":{started}{until}{how}}}\n'
    )


def event(key: Key, at: int, pid: int, count: int) -> str:
    """Write an event as `tracer.fields` says; `pid` is of no meaning in one without a process."""
    head, has_process, writers, optional_from, optional_writers = _EVENTS[key[0]]
    required = zip(writers, key[2:optional_from], strict=True)
    fields = "".join([write(value) for write, value in required])
    rest = key[optional_from:]
    if any(rest):
        optional = zip(optional_writers, rest, strict=True)
        fields += "".join([write(value) for write, value in optional if value])
    where = f'{at},"pid":{pid}' if has_process else at
    times = f',"count":{count}' if count > 1 else ""
    return f"{head}{where}{fields}{times}}}\n"


def _text(raw: bytes) -> str:
    return f'"{encode(raw)}"'  # the notation has neither quotes nor backslashes


def _texts(raw: tuple[bytes, ...]) -> str:
    return f"[{','.join(map(_text, raw))}]"


def _quoted(text: str) -> str:
    if is_visible(text) and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_json_character, text)) + '"'


def _json_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if is_visible(character):
        return character
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at]:02x}{raw[at + 1]:02x}" for at in range(0, len(raw), 2))


def value(given: object) -> str:
    """Write a text, a number, a list or a dictionary."""
    if isinstance(given, dict):
        fields = (f"{_quoted(name)}:{value(field)}" for name, field in given.items())
        return "{" + ",".join(fields) + "}"
    if isinstance(given, list):
        return "[" + ",".join(map(value, given)) + "]"
    if isinstance(given, bool):
        return "true" if given else "false"
    return str(given) if isinstance(given, int) else _quoted(str(given))


def _field(field: Field) -> Callable[[Any], str]:
    """Return what writes one field of an event, with the comma before it."""
    start = f',"{field.name}":'
    if field.kind == BYTES:  # Nearly every event has one: without a call in between.
        return lambda given: f'{start}"{encode(given)}"'
    if field.kind == WORD:
        return (start + '"{}"').format
    write = _WRITERS[field.kind]
    return lambda given: start + write(given)


def _event(kind: str, fields: tuple[Field, ...]) -> _EventWriter:
    """Return what writes an event of one type: most have no optional field that is set."""
    required = tuple(field for field in fields if not field.is_optional)
    optional = fields[len(required) :]
    assert all(field.is_optional for field in optional), "optional fields come last"
    return (
        f'{{"type":"{kind}","at":',
        kind not in WITHOUT_PROCESS,
        tuple(map(_field, required)),
        2 + len(required),
        tuple(map(_field, optional)),
    )


_WRITERS: dict[str, Callable[[Any], str]] = {
    BYTE_STRINGS: _texts,
    NAME: _quoted,
    TEXT: _quoted,
    NUMBER: str,
    FLAG: lambda _: "true",  # Left out if false.
}
_EVENTS = {kind: _event(kind, fields) for kind, fields in EVENTS.items()}
