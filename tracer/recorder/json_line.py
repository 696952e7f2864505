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


def process(key: int, parent: int, program: bytes, argv: tuple[bytes, ...]) -> str:
    """Write a process."""
    return (
        f'{{"type":"process","pid":{key},"parent":{parent},'
        f'"program":{_text(program)},"argv":{_texts(argv)}}}\n'
    )


def event(key: Key, at: int, pid: int, count: int) -> str:
    """Write an event as `tracer.fields` says; `pid` is of no meaning in one without a process."""
    head, has_process, writers = _EVENTS[key[0]]
    pairs = zip(writers, key[2:], strict=True)
    fields = "".join(
        [write(value) for (write, is_optional), value in pairs if value or not is_optional]
    )
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


def _field(field: Field) -> tuple[Callable[[Any], str], bool]:
    """Return what writes one field of an event, and whether an empty one is left out.

    The comma before it is part of it.
    """
    start = f',"{field.name}":'
    if field.kind == BYTES:  # Nearly every event has one: without a call in between.
        return lambda given: f'{start}"{encode(given)}"', field.is_optional
    if field.kind == WORD:
        return (start + '"{}"').format, field.is_optional
    write = _WRITERS[field.kind]
    return lambda given: start + write(given), field.is_optional


_WRITERS: dict[str, Callable[[Any], str]] = {
    BYTE_STRINGS: _texts,
    NAME: _quoted,
    TEXT: _quoted,
    NUMBER: str,
    FLAG: lambda _: "true",  # Left out if false.
}
_EVENTS = {
    kind: (
        f'{{"type":"{kind}","at":',
        kind not in WITHOUT_PROCESS,
        tuple(map(_field, fields)),
    )
    for kind, fields in EVENTS.items()
}
