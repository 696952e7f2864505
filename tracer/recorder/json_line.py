"""Writes one line of a recording as JSON, by hand: importing `json` costs more than all of it.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Key: TypeAlias = tuple[object, ...]
    """What tells one event from another: its type, its chain of programs, its own fields."""


def process(key: int, parent: int, program: bytes, argv: tuple[bytes, ...]) -> str:
    """Write a process."""
    return (
        f'{{"type":"process","pid":{key},"parent":{parent},'
        f'"program":{_text(program)},"argv":{_texts(argv)}}}\n'
    )


def event(key: Key, at: int, pid: int, count: int) -> str:
    """Write an event; false, errno 0 and count 1 are left out."""
    times = f',"count":{count}' if count > 1 else ""
    where = f'"at":{at}' if key[0] == "directive" else f'"at":{at},"pid":{pid}'
    return f'{{"type":"{key[0]}",{where},{_fields(key)}{times}}}\n'


def _fields(key: Key) -> str:
    match key:
        case ("opened", _, bytes(path), mode, creates, errno, refused, raced):
            return (
                f'"path":{_text(path)},"mode":"{mode}"{_flag("creates", creates)}'
                f"{_errno(errno)}{_flag('refused', refused)}{_flag('raced', raced)}"
            )
        case ("changed", _, change, bytes(path), bytes(other), errno, refused, raced):
            return (
                f'"change":"{change}","path":{_text(path)},"other":{_text(other)}'
                f"{_errno(errno)}{_flag('refused', refused)}{_flag('raced', raced)}"
            )
        case ("executed", _, bytes(path), bytes(requested), tuple(argv), errno, refused):
            return (
                f'"path":{_text(path)},"requested":{_text(requested)},"argv":{_texts(argv)}'
                f"{_errno(errno)}{_flag('refused', refused)}"
            )
        case ("socket", _, use, str(family), str(address), errno, refused, *carried):
            return (
                f'"use":"{use}","family":{_quoted(family)},"address":{_quoted(address)}'
                f"{_errno(errno)}{_flag('refused', refused)}{_carried(carried)}"
            )
        case ("call", _, str(name), errno):
            return f'"call":{_quoted(name)},"errno":{errno}'
        case ("environment", _, bytes(name), present, withheld, str(secret)):
            flags = _flag("present", present) + _flag("withheld", withheld)
            why = f',"secret":{_quoted(secret)}' if secret else ""
            return f'"name":{_text(name)}{flags}{why}'
        case ("directive", str(name), str(text), verdict):
            return f'"key":{_quoted(name)},"value":{_quoted(text)},"verdict":"{verdict}"'
        case _:
            raise AssertionError(key)


def _flag(name: str, is_set: object) -> str:
    return f',"{name}":true' if is_set else ""


def _errno(number: object) -> str:
    return f',"errno":{number}' if number else ""


def _carried(counts: list[object]) -> str:
    """Write the bytes of a connection, sent and received."""
    named = zip(("sent", "received"), counts, strict=False)
    return "".join(f',"{name}":{count}' for name, count in named if count)


def _text(raw: bytes) -> str:
    return f'"{encode(raw)}"'  # the notation has neither quotes nor backslashes


def _texts(raw: tuple[bytes, ...]) -> str:
    return f"[{','.join(map(_text, raw))}]"


def _quoted(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
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
