"""`learn` on a terminal: its build hands over to the inbox, and is stopped cleanly."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.cli.waiting_script import WAITS
from tests.command import environment, member

READS = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read("../data.txt");
}
"""


class Terminal:
    """A command on a terminal of its own, with everything that it has written there."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.child, self._terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            command = [sys.executable, "-m", "buildperm", *words]
            changes = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
            os.execve(command[0], command, environment(changes))
        os.set_blocking(self._terminal, False)
        self.said = ""

    def until(self, words: str) -> None:
        """Read until it has written `words`."""
        self._read(lambda: words in self.said)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def ended(self) -> int:
        """Wait until it has ended; return its exit code."""
        self._read(lambda: False)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])

    def _read(self, holds: object) -> None:
        assert callable(holds)
        deadline = time.monotonic() + 120
        while not holds():
            assert time.monotonic() < deadline, self.said[-3000:]
            try:
                piece = os.read(self._terminal, 1 << 16)
            except BlockingIOError:
                time.sleep(0.05)
                continue
            except OSError:
                return  # The other end is closed.
            self.said += piece.decode(errors="replace")


def test_the_build_hands_over_to_the_inbox_without_leaving_the_screen(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")
    terminal = Terminal(folder, "learn")

    terminal.until("build script")
    terminal.until("New here?")
    assert "\x1b[?1049l" not in terminal.said
    terminal.press(b"q")
    code = terminal.ended()

    assert code == 3
    text = terminal.said.rpartition("\x1b[?1049l")[2]
    assert "Compiling sample" in text  # Cargo's log and the summary stay in the terminal.
    assert "1 undecided" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.quick(1)
def test_a_signal_that_ends_the_inbox_gives_the_terminal_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")
    terminal = Terminal(folder, "learn")
    terminal.until("New here?")

    os.kill(terminal.child, number)

    assert terminal.ended() == 130
    assert terminal.said.rfind("\x1b[?1049l") > terminal.said.rfind("\x1b[?1049h")
    assert terminal.said.rfind("\x1b[?25h") > terminal.said.rfind("\x1b[?25l")
    for mouse in ("1000", "1003", "1006"):
        assert terminal.said.rfind(f"\x1b[?{mouse}l") > terminal.said.rfind(f"\x1b[?{mouse}h")
    assert "Traceback" not in terminal.said


@pytest.mark.parametrize("how", ["keys", "signal"])
@pytest.mark.slow
def test_a_build_that_is_stopped_leaves_nothing_behind(tmp_path: Path, how: str) -> None:
    folder = member(tmp_path / "ws", WAITS)
    terminal = Terminal(folder, "learn")
    terminal.until("Running")
    if how == "keys":
        terminal.press(b"\x03")
        terminal.until("Stop the build?")
        terminal.press(b"\x03")
    else:
        os.kill(terminal.child, signal.SIGTERM)

    assert terminal.ended() == 130

    text = terminal.said.rpartition("\x1b[?1049l")[2]
    assert "Stopped; nothing was written." in text
    assert "buildperm" not in (folder / "Cargo.toml").read_text()
    running = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(folder).encode() in _command_line(entry)
    ]
    assert running == []


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
