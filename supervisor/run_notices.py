"""Notifies the command that runs Cargo of each build script's start and end: JSON Lines.

Part of the supervisor: os, time and `printable` only.
"""

from __future__ import annotations

import os
import time

from buildperm.printable import is_visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage


class RunNotices:
    """The notices of one run. Each is one write to a file opened for appending, so none mix."""

    def __init__(self, path: bytes, package: SessionPackage) -> None:
        self._path = path  # Empty: nobody listens.
        self._who = f'"crate":{quoted(package["crate"])},"version":{quoted(package["version"])}'
        self._began_ns = time.monotonic_ns()

    def started(self) -> None:
        """Say that the script is about to run."""
        self._append(
            f'{{"event":"started",{self._who},"pid":{os.getpid()},"at":{int(time.time())}}}\n'
        )

    def ended(self, exit_status: int, recording: str) -> None:
        """Say what the supervisor exits with, and where the recording is, in notation."""
        duration_ns = time.monotonic_ns() - self._began_ns
        self._append(
            f'{{"event":"ended",{self._who},"pid":{os.getpid()},"exit":{exit_status},'
            f'"recording":{quoted(recording)},"duration_ns":{duration_ns}}}\n'
        )

    def _append(self, line: str) -> None:
        if not self._path:
            return
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError:
            pass  # The command is gone; its build goes on and is recorded all the same.


def quoted(text: str) -> str:
    """Write `text` as a JSON string: RFC 8259, section 7."""
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    if not is_visible(text):
        text = "".join(
            character if is_visible(character) else f"\\u{ord(character):04x}"
            for character in text
            if ord(character) < 0x10000
        )
    return f'"{text}"'
