"""The filter language of a trace: `kind:exec is:refused by:git -HOME some text`."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, TypeAlias

from buildperm.errors import BuildpermError
from buildperm.tracer.recording.event import (
    CallRefused,
    Change,
    DirectivePrinted,
    EnvironmentRead,
    Executed,
    FileOpened,
    OpenMode,
    PathChanged,
    SocketUsed,
)

if TYPE_CHECKING:
    from buildperm.presentation.event_text import EventLine
    from buildperm.presentation.traced_run import TracedEvent
    from buildperm.tracer.recording.event import Event

EventTest: TypeAlias = Callable[["TracedEvent"], bool]
"""Whether an event is let through."""

KINDS: Final = ("exec", "read", "write", "env", "net", "cargo", "system", "lookup")
"""Of what kind an event can be; the words of the review, `cargo` for what was told to Cargo."""

STATES: Final = ("done", "failed", "refused")
"""How an event can have gone."""

FIELDS: Final = ("kind", "is", "by")
"""The words that may stand before a colon."""

_RENAMED: Final = {"directives": "cargo", "directive": "cargo", "variable": "env", "run": "exec"}


def parse_filter(words: str) -> EventTest:
    """Read a filter: every word must hold; `-` before a word negates it; case is ignored.

    Raises:
        BuildpermError: A word asks for what does not exist.
    """
    tests = [_test(word) for word in words.split()]
    if len(tests) == 1:
        return tests[0]
    return lambda event: all(test(event) for test in tests)


def kinds_of(event: Event) -> tuple[str, ...]:
    """Return what kinds an event is of; a file can be opened for reading and writing at once."""
    match event:
        case FileOpened(mode=OpenMode.READ, creates=False):
            return ("read",)
        case FileOpened(mode=OpenMode.PATH | OpenMode.LOOK):
            return ("lookup",)
        case FileOpened(mode=OpenMode.READ_WRITE):
            return "read", "write"
        case FileOpened():
            return ("write",)
        case PathChanged(change=Change.LINKED):
            return "read", "write"
        case PathChanged():
            return ("write",)
        case Executed():
            return ("exec",)
        case SocketUsed():
            return ("net",)
        case EnvironmentRead():
            return ("env",)
        case DirectivePrinted():
            return ("cargo",)
        case CallRefused():
            return ("system",)


def _test(word: str) -> EventTest:
    if len(word) > 1 and word.startswith("-"):
        inner = _test(word[1:])
        return lambda event: not inner(event)
    field, colon, value = word.partition(":")
    if not colon or field not in FIELDS:
        text = word.lower()
        return lambda event: text in event.searched
    match field:
        case "kind":
            kind = _one_of(_RENAMED.get(value, value), KINDS, field)
            return lambda event: kind in kinds_of(event.event)
        case "is":
            state = _one_of(value, STATES, field)
            return lambda event: _state(event.line) == state
        case _:
            pattern = (value if set(value) & set("*?[") else f"{value}*").lower()
            return lambda event: fnmatchcase(event.who.lower(), pattern)


def _state(line: EventLine) -> str:
    if line.is_refused:
        return "refused"
    return "failed" if line.has_failed else "done"


def _one_of(value: str, known: tuple[str, ...], field: str) -> str:
    if value in known:
        return value
    near = get_close_matches(value, known, 1)
    hint = f"Did you mean `{field}:{near[0]}`?" if near else ""
    raise BuildpermError(
        f"filter: `{field}:` can be {', '.join(known)}, not `{value}`",
        hint=hint or f"Write one of them behind `{field}:`.",
    )
