"""The filter language of a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.presentation.event_filter import KINDS, STATES, kinds_of, parse_filter
from buildperm.presentation.event_text import event_line
from buildperm.presentation.traced_run import TracedEvent
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

READ, BOTH = OpenMode.READ, OpenMode.READ_WRITE
EVENTS: dict[str, tuple[Event, str]] = {
    "hosts": (FileOpened(1, 7, b"/etc/Hosts", READ, False, 0, False, False), "git[7]"),
    "absent": (FileOpened(2, 7, b"/absent", READ, False, 2, False, False), "git[7]"),
    "key": (FileOpened(3, 8, b"/key", BOTH, False, 13, True, False), "sh[8]"),
    "made": (FileOpened(4, 8, b"/made", OpenMode.WRITE, True, 0, False, False), "sh[8]"),
    "gone": (PathChanged(5, 8, Change.REMOVED, b"/gone", b"", 0, False), "sh[8]"),
    "ran": (Executed(6, 8, b"/bin/git", b"/bin/git", (b"git", b"log"), 0, False), "sh[8]"),
    "net": (SocketUsed(7, 7, SocketUse.CONNECTED, "inet", "10.0.0.1:9", 13, True), "git[7]"),
    "call": (CallRefused(8, 7, "ptrace", 1), "git[7]"),
    "token": (EnvironmentRead(9, 8, b"TOKEN", False, True), "sh[8]"),
    "said": (DirectivePrinted(10, "rustc-env", "A=b", Verdict.GRANTED), ""),
    "looked": (FileOpened(11, 8, b"/seen", OpenMode.PATH, False, 0, False, False), "sh[8]"),
}


def traced(event: Event, who: str) -> TracedEvent:
    """Put an event in words."""
    line = event_line(event, {})
    return TracedEvent(0, event, line, who, f"{line.verb} {line.text} {line.outcome} {who}".lower())


def found(words: str) -> set[str]:
    """Return the names of the events that a filter lets through."""
    test = parse_filter(words)
    return {name for name, (event, who) in EVENTS.items() if test(traced(event, who))}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", set(EVENTS)),
        ("kind:read", {"hosts", "absent", "key"}),
        ("kind:write", {"key", "made", "gone"}),
        ("kind:exec", {"ran"}),
        ("kind:env", {"token"}),
        ("kind:net", {"net"}),
        ("kind:cargo", {"said"}),
        ("kind:directives", {"said"}),
        ("kind:system", {"call"}),
        ("kind:lookup", {"looked"}),
        ("is:refused", {"key", "net", "call", "token"}),
        ("is:failed", {"absent"}),
        ("is:done -by:sh", {"hosts", "said"}),
        ("by:git", {"hosts", "absent", "net", "call"}),
        ("by:*[8]", set()),
        ("by:s?[[]8]", {"key", "made", "gone", "ran", "token", "looked"}),
        ("HOSTS", {"hosts"}),
        ("git -by:git", {"ran"}),
        ("no such file", {"absent"}),
        ("-kind:read -kind:write -kind:exec -kind:net -kind:env", {"call", "said", "looked"}),
        ("nothing:here", set()),
    ],
)
def test_every_word_has_to_hold(words: str, names: set[str]) -> None:
    assert found(words) == names


@pytest.mark.parametrize("words", ["kind:fire", "is:on", "-kind:"])
def test_a_word_for_what_does_not_exist_is_an_error(words: str) -> None:
    with pytest.raises(BuildpermError, match="filter: ") as caught:
        parse_filter(words)

    assert caught.value.hint


def test_an_error_guesses_what_was_meant() -> None:
    with pytest.raises(BuildpermError) as caught:
        parse_filter("is:refusd")

    assert caught.value.hint == "Did you mean `is:refused`?"


@given(st.text())
def test_whatever_is_typed_is_a_filter_or_an_error(words: str) -> None:
    try:
        found(words)
    except BuildpermError:
        pass


@given(st.text(alphabet=st.characters(exclude_characters=":", exclude_categories=["Z", "C"])))
def test_a_word_and_its_negation_share_everything(word: str) -> None:
    if not word or word.startswith("-"):
        return
    assert found(word) | found(f"-{word}") == set(EVENTS)
    assert not found(word) & found(f"-{word}")


def test_each_event_is_of_a_kind_that_can_be_asked_for() -> None:
    assert {kind for event, _ in EVENTS.values() for kind in kinds_of(event)} == set(KINDS)
    assert set().union(*(found(f"is:{state}") for state in STATES)) == set(EVENTS)
