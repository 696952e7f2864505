from __future__ import annotations

import sys

import pytest

from buildperm.presentation import console

HOSTILE = "ev\x1b[2Jil\u202e.rs"


def test_data_and_talk_go_to_their_own_streams_and_are_fit_for_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.print_line(HOSTILE)
    console.print_message(HOSTILE)
    console.print_warning(HOSTILE)

    said, told = capsys.readouterr()
    assert said == "ev%1B[2Jil%E2%80%AE.rs\n"
    assert told == "ev%1B[2Jil%E2%80%AE.rs\nwarning: ev%1B[2Jil%E2%80%AE.rs\n"


def test_emphasis_is_for_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console.print_line("stolen", emphasis="red")
    assert capsys.readouterr().out == "stolen\n"

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.print_line("stolen\x1b[0m", emphasis="red")
    assert capsys.readouterr().out == "\x1b[31mstolen%1B[0m\x1b[0m\n"


def test_what_is_said_while_a_screen_is_up_comes_after_it_in_its_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.hold()
    try:
        console.print_message("first")
        console.write("data\n")
        console.hold()  # Another screen takes over.
        console.print_message("second")
        assert capsys.readouterr() == ("", "")
    finally:
        console.release()

    assert capsys.readouterr() == ("data\n", "first\nsecond\n")
    console.print_message("third")
    assert capsys.readouterr().err == "third\n"


@pytest.mark.parametrize(
    ("variables", "has_colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "unknown"}, False),
    ],
)
def test_no_colour_where_nobody_wants_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, has_colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert console.has_colour() is has_colour
