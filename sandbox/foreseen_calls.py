"""Finds out to which calls of macros a tool chain's compiler gives answers that are known before.

A macro of `interface_probe/macros.rs` makes token streams in each way, and drops them, between
marks. What it asked of the compiler and was answered says which calls these are. Nothing is guessed
from a version; what is not seen beyond doubt is not foreseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

NONE = "0"
"""Nothing is foreseen: every call waits for its answer."""

_MARK = b"buildperm_mark_"
_TIMES = 3  # That the macro does each thing.
_DROP, _MAKE = b"drop", (b"clone", b"tree", b"trees", b"streams")
_HANDLE = 4  # Bytes.
_OK = b"\0"
_NO_COUNTER, _MOST = 0xFF, 7  # As in bridge.h.


@dataclass(frozen=True, slots=True)
class _Call:
    """What a macro asked, what it was answered, and which counter moved by one, if one did."""

    asked: bytes
    answered: bytes
    counter: bytes

    @property
    def handle(self) -> int:
        """Return the handle that the answer is, which is never 0; 0 for other answers."""
        if len(self.answered) != 1 + _HANDLE or not self.answered.startswith(_OK):
            return 0
        return int.from_bytes(self.answered[1:], "little")


def find(messages: Iterable[Sequence[bytes]]) -> str:
    """Return `struct foreseen` of bridge.h in hexadecimal, or NONE.

    Args:
        messages: What a shim said that tells calls, while the probe's crate was compiled.
    """
    try:
        calls = [
            _Call(bytes.fromhex(asked.decode()), bytes.fromhex(answered.decode()), counter)
            for subject, asked, answered, counter in (each for each in messages if len(each) == 4)
            if subject == b"called"
        ]
    except ValueError:
        return NONE
    sections = dict(_sections(calls))
    dropped = sections.get(_DROP, [])
    head = len(dropped[0].asked) - _HANDLE if dropped else 0
    if head not in (1, 2) or any(len(each.asked) != head + _HANDLE for each in dropped):
        return NONE
    drop = _method(dropped, head)
    if not drop or any(each.answered != _OK for each in _of(drop, calls)):
        return NONE
    makes = [
        method
        for name in _MAKE
        if (method := _method(sections.get(name, []), head))
        and _is_counted(sections[name])
        and all(each.handle for each in _of(method, calls))
    ]
    mark = _method([each for each in calls if _MARK in each.asked], head, times=0)
    if len({drop, mark, *makes}) != 2 + len(makes) or len(makes) > _MOST:
        return NONE
    counters = {each.counter for method in makes for each in _of(method, calls)}
    counter = int(counters.pop()) if len(counters) == 1 and b"-" not in counters else _NO_COUNTER
    methods = [drop, *makes, *[drop] * (_MOST - len(makes))]
    return (bytes([head, counter]) + b"".join(each.ljust(2, b"\0") for each in methods)).hex()


def _sections(calls: Iterable[_Call]) -> Iterator[tuple[bytes, list[_Call]]]:
    """Yield what was asked behind each mark, up to the next one, by the mark's name."""
    section: list[_Call] = []
    for call in calls:
        _, is_mark, name = call.asked.partition(_MARK)
        if is_mark:
            section = []
            yield name, section
        else:
            section.append(call)


def _method(calls: Sequence[_Call], head: int, times: int = _TIMES) -> bytes:
    """Return the first bytes of all `calls`; none where they differ, or are not so many."""
    found = {each.asked[:head] for each in calls}
    return found.pop() if len(found) == 1 and len(calls) == (times or len(calls)) else b""


def _of(method: bytes, calls: Iterable[_Call]) -> Iterator[_Call]:
    return (each for each in calls if each.asked.startswith(method))


def _is_counted(calls: Sequence[_Call]) -> bool:
    first = calls[0].handle
    return first > 0 and [each.handle for each in calls] == [*range(first, first + len(calls))]
