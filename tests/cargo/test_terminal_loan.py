"""Standard input of what Cargo runs: a pipe, and a terminal with its job control."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.programs import CHILDREN

USER = CHILDREN / "terminal_user.py"
ASKS = "printf 'ask> '; read -r said; echo got $said"


class Terminal:
    """A terminal with one program on it, and whoever types there."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execv(sys.executable, [sys.executable, str(USER), *words])
        self._seen = b""

    def expect(self, text: bytes) -> None:
        """Read until `text` comes; pytest's own time limit bounds it."""
        while text not in self._seen:
            piece = os.read(self._descriptor, 4096)  # EIO at the end: the test fails.
            self._seen += piece
        self._seen = self._seen.partition(text)[2]

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for each in made:
        each.close()


def terminal(terminals: list[Terminal], tmp_path: Path, *words: str) -> Terminal:
    terminals.append(Terminal(words, tmp_path))
    return terminals[-1]


def test_what_cargo_runs_reads_from_a_pipe(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, str(USER), "read -r said; echo got $said"],
        cwd=tmp_path,
        input=b"alice\nbob\n",
        capture_output=True,
        check=True,
    )

    assert b"got alice\n" in told.stdout


def test_what_cargo_runs_reads_from_the_terminal_and_gives_it_back(
    terminals: list[Terminal], tmp_path: Path
) -> None:
    used = terminal(terminals, tmp_path, ASKS)

    used.expect(b"ask> ")
    used.type(b"alice\n")
    used.expect(b"got alice")
    used.expect(b"ended 0 False")
    used.type(b"bob\n")

    used.expect(b"then bob")


def test_ctrl_c_ends_what_cargo_runs_as_an_interruption(
    terminals: list[Terminal], tmp_path: Path
) -> None:
    used = terminal(terminals, tmp_path, ASKS)

    used.expect(b"ask> ")
    used.type(b"\x03")

    used.expect(b"ended 130 True")
    used.type(b"bob\n")
    used.expect(b"then bob")


def test_ctrl_c_is_for_the_program_that_wants_it(terminals: list[Terminal], tmp_path: Path) -> None:
    waits = "trap 'echo caught; exit 7' INT; printf 'ask> '; while :; do read -r said; done"
    used = terminal(terminals, tmp_path, waits)

    used.expect(b"ask> ")
    used.type(b"\x03")

    used.expect(b"caught")
    used.expect(b"ended 7 False")


def test_ctrl_z_stops_both_and_they_go_on_together(
    terminals: list[Terminal], tmp_path: Path
) -> None:
    used = terminal(terminals, tmp_path, "shell", ASKS)

    used.expect(b"ask> ")
    used.type(b"\x1a")
    used.expect(b"stopped")
    used.type(b"hello\n")
    used.expect(b"shell hello")
    used.type(b"alice\n")

    used.expect(b"got alice")
    used.expect(b"ended 0 False")


def test_ctrl_z_without_a_shell_that_would_go_on_stops_nothing(
    terminals: list[Terminal], tmp_path: Path
) -> None:
    used = terminal(terminals, tmp_path, ASKS)

    used.expect(b"ask> ")
    used.type(b"\x1a")
    used.expect(b"^Z")
    used.type(b"alice\n")

    used.expect(b"got alice")
