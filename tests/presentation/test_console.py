from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from buildperm.presentation import console

if TYPE_CHECKING:
    import pytest

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
    console.print_line("stolen\x1b[0m", emphasis="red")
    assert capsys.readouterr().out == "\x1b[31mstolen%1B[0m\x1b[0m\n"
