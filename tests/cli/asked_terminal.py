"""A terminal of its own in which a command runs, and a person who reads and types there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TIMEOUT_S = 240


class AskedTerminal:
    """One command with a controlling terminal, in the foreground of which it is."""

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        self._screen, inner = pty.openpty()
        self._inner = inner  # Kept open: its modes are looked at when all others have ended.
        self.modes = termios.tcgetattr(inner)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**variables, "TERM": "xterm-256color"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.shown = ""

    def read(self, seconds: float = 0.1) -> str:
        """Read what comes within some time; return all that was shown so far."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if select.select([self._screen], [], [], left_s)[0]:
                self.shown += os.read(self._screen, 1 << 16).decode("utf-8", "replace")
        return self.shown

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until the text was shown so often."""
        until_s = time.monotonic() + TIMEOUT_S
        while self.shown.count(text) < count:
            assert time.monotonic() < until_s, f"no {text!r} in {self.shown!r}"
            assert self.process.poll() is None or text in self.read(0.5), self.shown
            self.read()

    def wait_for_question(self, count: int = 1) -> None:
        """Wait until an answer is taken, for the so-manieth time."""
        self.wait_for("Answer within", count)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def end(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        until_s = time.monotonic() + TIMEOUT_S
        while self.process.poll() is None:
            assert time.monotonic() < until_s, self.shown
            self.read()
        self.read(0.3)
        return self.process.returncode

    @property
    def lines(self) -> list[str]:
        """What was shown, without what moves the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.shown).split("\n")

    def has_modes_as_before(self) -> bool:
        return termios.tcgetattr(self._inner) == self.modes

    def kill(self) -> None:
        """End whatever is left of its session."""
        with_session = f" {self.process.pid} "
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and with_session in _session(entry):
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, IndexError):
                pass
        self.process.wait()

    def left(self, name: str) -> list[int]:
        """Return the processes of its session whose command line names something."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                is_ours = entry.name.isdigit() and f" {self.process.pid} " in _session(entry)
                if is_ours and name.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (OSError, IndexError):
                pass
        return found

    def close(self) -> None:
        self.kill()
        os.close(self._screen)
        os.close(self._inner)


def _session(entry: Path) -> str:
    """Return the number of a process's session between blanks: proc_pid_stat(5), (6)."""
    return f" {(entry / 'stat').read_text().rpartition(')')[2].split()[3]} "


@contextmanager
def asked(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[AskedTerminal]:
    terminal = AskedTerminal(command, folder, variables)
    try:
        yield terminal
    finally:
        terminal.close()
