from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.cli import options
from buildperm.errors import BuildpermError
from buildperm.policy.review_state import Review
from buildperm.presentation.front_end import Ran, ReviewEnd, ReviewSession
from buildperm.presentation.plain_prompt import PlainPrompt
from buildperm.tui.app import Screens
from buildperm.tui.appearance import Appearance

if TYPE_CHECKING:
    from buildperm.presentation.front_end import FrontEnd

BOTH: tuple[FrontEnd, ...] = (
    PlainPrompt(),
    Screens(Appearance()),
)  # mypy holds them to the protocol.


class Stream(io.StringIO):
    """A standard stream that may be a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("terminals", "no_tui", "chosen"),
    [
        ((True, True, True), False, "_LazyScreens"),
        ((True, True, True), True, "PlainPrompt"),
        ((True, False, True), False, "PlainPrompt"),
        ((True, True, False), False, "PlainPrompt"),
        ((False, True, True), False, "NoneType"),
        ((False, True, True), True, "NoneType"),
    ],
)
def test_the_screens_need_a_terminal_everywhere_and_answers_one_to_come_from(
    monkeypatch: pytest.MonkeyPatch, terminals: tuple[bool, ...], no_tui: bool, chosen: str
) -> None:
    for name, is_terminal in zip(("stdin", "stdout", "stderr"), terminals, strict=True):
        monkeypatch.setattr(f"sys.{name}", Stream(is_terminal=is_terminal))

    monkeypatch.setenv("TERM", "xterm")

    assert type(options.front_end(no_tui=no_tui)).__name__ == chosen


def chosen_on_terminals(monkeypatch: pytest.MonkeyPatch, settings: Path, text: str) -> str:
    """Return the front end for a person with terminals everywhere and a configuration file."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", Stream(is_terminal=True))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(settings))
    path = settings / "buildperm/config.toml"
    path.parent.mkdir()
    path.write_text(text)
    return type(options.front_end(no_tui=False)).__name__


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_moves_no_cursor_gets_no_screens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setenv("TERM", kind)

    assert chosen_on_terminals(monkeypatch, tmp_path, "") == "PlainPrompt"


def test_a_person_may_want_no_screens_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    assert chosen_on_terminals(monkeypatch, tmp_path, "screens = false\n") == "PlainPrompt"


@pytest.mark.parametrize(
    "text", ["theme = 'norb'", "keys.review.allow = 'd'", "keys.review.alow = 'y'", "x = 1"]
)
def test_what_is_wrong_in_the_file_is_said_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    with pytest.raises(BuildpermError, match=r"config\.toml: "):
        chosen_on_terminals(monkeypatch, tmp_path, text)


def test_where_nothing_is_to_be_decided_plain_text_keeps_everything_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = ReviewSession(
        Review(()),
        preview=lambda: (b"", b""),
        verify=lambda progress: (),
        journal=lambda entry: None,
        heading="learn  ws",
        summary="",
        ran=Ran(3),
    )

    assert PlainPrompt().conduct(session) is ReviewEnd.KEEP
    assert (
        "3 build scripts within the baseline and their grants: nothing to decide."
        in capsys.readouterr().err
    )
