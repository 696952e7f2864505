"""Textual's parser, on whose private class the terminal driver relies."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from buildperm.tui.terminal_parser import ESCAPE_S, new_parser

if TYPE_CHECKING:
    from textual.message import Message

CHANGED = "Textual has changed how it reads the terminal: look at tui/terminal_parser.py and {}"


def test_the_driver_of_textual_still_uses_this_parser() -> None:
    used = getattr(linux_driver, "XTermParser", None)
    assert type(new_parser(is_debugging=False)) is used, CHANGED.format("what replaces XTermParser")
    source = inspect.getsource(LinuxDriver.run_input_thread)
    for part in ("XTermParser(self._debug)", "feed(unicode_data)", "tick()", "process_message"):
        assert part in source, CHANGED.format(f"what stands for `{part}`")


@pytest.mark.parametrize(
    ("text", "keys"),
    [("a", ["a"]), ("nd", ["n", "d"]), ("\r", ["enter"]), ("\x1b[A", ["up"]), ("ä?", ["ä", "?"])],
)
def test_text_becomes_keys(text: str, keys: list[str]) -> None:
    parser = new_parser(is_debugging=False)
    found: list[Message] = [*parser.feed(text), *parser.tick()]

    told = [each.character or each.key for each in found if isinstance(each, events.Key)]
    assert [each if each != "\r" else "enter" for each in told] == keys, CHANGED.format("`feed`")


def test_a_paste_that_the_terminal_tells_is_one_message() -> None:
    parser = new_parser(is_debugging=False)
    found = [*parser.feed("\x1b[200~add it\x1b[201~"), *parser.tick()]

    pastes = [each.text for each in found if isinstance(each, events.Paste)]
    assert pastes == ["add it"], CHANGED.format("bracketed pastes")
    assert not [each for each in found if isinstance(each, events.Key)]


def test_an_escape_waits_no_longer_than_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESCDELAY", raising=False)
    parser = new_parser(is_debugging=False)
    assert not [*parser.feed("\x1b")], CHANGED.format("Escape")

    time.sleep(ESCAPE_S)

    (key,) = parser.tick()
    assert isinstance(key, events.Key), CHANGED.format("ESCAPE_DELAY")
    assert key.key == "escape"
