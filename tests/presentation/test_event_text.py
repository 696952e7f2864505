"""Events in words."""

from __future__ import annotations

import pytest
from hypothesis import given

from buildperm.presentation.event_text import VERB_CELLS, error_text, event_line
from buildperm.printable import is_visible
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
from tests.tracer.recorded_events import events

PLACES = {"OUT_DIR": b"/work/target/out", "WORKSPACE": b"/work"}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            FileOpened(0, 7, b"/work/a.proto", OpenMode.READ, False, 0, False, False),
            ("read", "$WORKSPACE/a.proto", ""),
        ),
        (
            FileOpened(0, 7, b"/work/target/out/x", OpenMode.WRITE, True, 0, False, False),
            ("create", "$OUT_DIR/x", ""),
        ),
        (
            FileOpened(0, 7, b"/absent", OpenMode.READ, False, 2, False, False),
            ("read", "/absent", "no such file or directory (ENOENT)"),
        ),
        (
            PathChanged(0, 7, Change.RENAMED, b"/work/new", b"/work/old", 13, True),
            ("rename", "$WORKSPACE/old -> $WORKSPACE/new", "refused by buildperm (EACCES)"),
        ),
        (
            PathChanged(0, 7, Change.SYMLINKED, b"/work/link", b"../x", 0, False),
            ("symlink", "$WORKSPACE/link -> ../x", ""),
        ),
        (
            Executed(0, 7, b"/bin/dash", b"/bin/sh", (b"sh", b"-c", b"a b"), 0, False),
            ("run", "sh -c 'a b'  (/bin/dash)", ""),
        ),
        (Executed(0, 7, b"/bin/ls", b"/bin/ls", (), 0, False), ("run", "/bin/ls", "")),
        (
            SocketUsed(0, 7, SocketUse.CONNECTED, "host", "a.b:443", 0, False, 1, 5, 1200),
            ("connect", "a.b:443  sent 5 bytes, received 1,200", ""),
        ),
        (
            SocketUsed(0, 7, SocketUse.CONNECTED, "host", "a.b:443", 0, True),
            ("connect", "a.b:443", "refused by buildperm"),
        ),
        (CallRefused(0, 7, "ptrace", 1), ("call", "ptrace", "refused by buildperm (EPERM)")),
        (EnvironmentRead(0, 7, b"CC", False, False), ("variable", "CC", "not set")),
        (
            EnvironmentRead(0, 7, b"TOKEN", False, True, 1, "an API token"),
            ("variable", "TOKEN", "withheld by buildperm: an API token"),
        ),
        (
            DirectivePrinted(0, "rustc-env", "LD_PRELOAD=/x", Verdict.FORBIDDEN),
            ("tell Cargo", "rustc-env=LD_PRELOAD=/x",
             "refused by buildperm: can never be granted"),
        ),
    ],
)  # fmt: skip
def test_an_event_says_what_was_done_and_how_it_went(
    event: Event, told: tuple[str, str, str]
) -> None:
    line = event_line(event, PLACES)

    assert (line.verb, line.text, line.outcome) == told


@given(events)
def test_nothing_in_it_is_invisible_whatever_was_done(event: Event) -> None:
    line = event_line(event, PLACES)

    assert is_visible(line.text)
    assert is_visible(line.outcome)
    assert is_visible(line.brief)
    assert len(line.verb) <= VERB_CELLS
    assert bool(line.brief) == bool(line.outcome)
    assert not (line.is_refused and line.has_failed)


def test_an_unknown_error_has_its_number() -> None:
    assert error_text(4095).endswith("(error 4095)")
