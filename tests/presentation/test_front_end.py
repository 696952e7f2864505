from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from buildperm.cli import options
from buildperm.policy.review_state import Review
from buildperm.presentation.front_end import Ran, ReviewEnd, ReviewSession
from buildperm.presentation.plain_prompt import PlainPrompt
from buildperm.tui.app import Screens

if TYPE_CHECKING:
    from buildperm.presentation.front_end import FrontEnd

BOTH: tuple[FrontEnd, ...] = (PlainPrompt(), Screens())  # mypy holds them to the protocol.


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

    assert type(options.front_end(no_tui=no_tui)).__name__ == chosen


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
    assert "3 build scripts within the baseline: nothing to decide." in capsys.readouterr().err
