"""Writes events of a recording, one on a line, in plain words."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from buildperm.printable import printable
from buildperm.report.shell_line import shell_line
from buildperm.rules.pattern import locate
from buildperm.tracer.notation import encode
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
    SocketUse,
    SocketUsed,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENED: Final = {
    OpenMode.READ: "read",
    OpenMode.WRITE: "write",
    OpenMode.READ_WRITE: "read+write",
    OpenMode.PATH: "look up",
    OpenMode.LOOK: "look at",
}
_CHANGED: Final = {
    Change.REMOVED: "remove",
    Change.RENAMED: "rename",
    Change.LINKED: "hard link",
    Change.SYMLINKED: "symlink",
    Change.DIRECTORY_MADE: "make folder",
    Change.NODE_MADE: "make node",
    Change.TRUNCATED: "truncate",
    Change.MODE_CHANGED: "change mode",
    Change.OWNER_CHANGED: "change owner",
    Change.TIMES_CHANGED: "set times",
    Change.ATTRIBUTE_CHANGED: "set attribute",
    Change.LED_OUT: "leave link",
}
_USED: Final = {
    SocketUse.CREATED: "make socket",
    SocketUse.CONNECTED: "connect",
    SocketUse.BOUND: "listen",
    SocketUse.SENT: "send to",
}
_GATED: Final = {
    Verdict.FREE: "",
    Verdict.GRANTED: "granted",
    Verdict.REFUSED: "refused by buildperm",
    Verdict.FORBIDDEN: "refused by buildperm: can never be granted",
}

VERB_CELLS: Final = max(map(len, (*_OPENED.values(), *_CHANGED.values(), *_USED.values())))
"""The width of the longest verb."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event in words; every text is visible characters only."""

    at_ns: int
    pid: int  # Key of the process; 0 where the event is about the whole run.
    kind: str  # Of the event, as recordings call it: `opened`.
    verb: str
    text: str
    outcome: str  # Empty where it simply worked.
    is_refused: bool  # By buildperm.
    has_failed: bool  # For another reason.
    count: int
    errno: int = 0  # Why it failed, if it did.

    @property
    def brief(self) -> str:
        """How it went, in a word or two; empty where it simply worked."""
        if self.is_refused:
            return "withheld" if self.kind == EnvironmentRead.TYPE else "refused"
        if self.errno in (errno.ENOENT, errno.ENOTDIR):
            return "not there"
        return error_text(self.errno).partition(" (")[0] if self.errno else self.outcome


def event_line(event: Event, places: Mapping[str, bytes]) -> EventLine:
    """Write one event; `places` are the folders that have a name: see `Header.places`."""
    match event:
        case FileOpened():
            verb = "create" if event.creates and event.mode is not OpenMode.READ else ""
            text = _path(event.path, places)
            return _line(event, event.pid, verb or _OPENED[event.mode], text, event)
        case PathChanged():
            text = _path(event.path, places)
            if event.change in (Change.SYMLINKED, Change.LED_OUT):
                text += f" -> {encode(event.other)}"
            elif event.other:
                text = f"{_path(event.other, places)} -> {text}"
            return _line(event, event.pid, _CHANGED[event.change], text, event)
        case Executed():
            text = shell_line(event.argv or (event.requested,))
            if event.argv and os.path.basename(event.argv[0]) != os.path.basename(event.path):
                text += f"  ({_path(event.path, places)})"
            return _line(event, event.pid, "run", text, event)
        case SocketUsed():
            return _line(event, event.pid, _USED[event.use], _address(event), event)
        case CallRefused():
            text = printable(event.call)
            outcome = f"refused by buildperm ({_errno_name(event.errno)})"
            return EventLine(
                event.at_ns, event.pid, event.TYPE, "call", text, outcome, True, False, event.count
            )
        case EnvironmentRead():
            outcome = "" if event.present else "not set"
            if event.withheld:
                why = f": {printable(event.secret)}" if event.secret else ""
                outcome = f"withheld by buildperm{why}"
            return EventLine(
                event.at_ns,
                event.pid,
                event.TYPE,
                "variable",
                encode(event.name),
                outcome,
                event.withheld,
                not event.present and not event.withheld,
                event.count,
            )
        case DirectivePrinted():
            text = printable(f"{event.key}={event.value}" if event.value else event.key)
            refused = event.verdict in (Verdict.REFUSED, Verdict.FORBIDDEN)
            outcome = _GATED[event.verdict]
            return EventLine(
                event.at_ns, 0, event.TYPE, "tell Cargo", text, outcome, refused, False, event.count
            )
        case _:
            assert_never(event)


def time_text(at_ns: int) -> str:
    """Write a moment of a recording, in seconds since it began."""
    return f"{at_ns / 1e9:.3f}"


def error_text(number: int) -> str:
    """Say why a call failed: `no such file or directory (ENOENT)`."""
    said = os.strerror(number)
    return f"{said[:1].lower()}{said[1:]} ({_errno_name(number)})"


def _line(
    event: Event,
    pid: int,
    verb: str,
    text: str,
    how: FileOpened | PathChanged | Executed | SocketUsed,
) -> EventLine:
    outcome = error_text(how.errno) if how.errno else ""
    if how.refused:
        code = f" ({_errno_name(how.errno)})" if how.errno else ""
        outcome = f"refused by buildperm{code}"
    failed = bool(how.errno) and not how.refused
    return EventLine(
        event.at_ns,
        pid,
        event.TYPE,
        verb,
        text,
        outcome,
        how.refused,
        failed,
        event.count,
        how.errno,
    )


def _path(path: bytes, places: Mapping[str, bytes]) -> str:
    if path.startswith(b"/"):
        return locate(path, places)
    return encode(path) or "(a pipe, a socket, or a file without a name)"


def _address(event: SocketUsed) -> str:
    text = printable(event.address)
    if event.use is SocketUse.CREATED:
        return f"{printable(event.family)} {text}"
    if event.sent or event.received:
        text += f"  sent {event.sent:,} bytes, received {event.received:,}"
    return text if event.family != "unix" else f"unix {text}"


def _errno_name(number: int) -> str:
    return errno.errorcode.get(number, f"error {number}")
