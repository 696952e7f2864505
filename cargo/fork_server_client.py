"""Runs the fork server as long as Cargo runs: see `buildperm.supervisor.fork_server`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.sandbox.stub import SUPERVISOR
from buildperm.supervisor.fork_request import SERVER

if TYPE_CHECKING:
    from types import TracebackType

_TIMEOUT_S = 10.0

MEMORY = "/dev/shm"  # noqa: S108 - shm_overview(7); what is made there is nobody else's
"""Where the server's folder is: no build script may read or write there, whatever it was granted
of the workspace and its target directory, and while it is recorded neither."""


class ForkServerClient:
    """The fork server for one run of Cargo, from entering to leaving."""

    def __init__(self, session: str) -> None:
        """Start nothing yet; `session` is the file that most scripts will be about."""
        self._session = session
        self.environment: dict[str, str] = {}  # What Cargo has to be given; after entering.
        self.ended = -1  # A descriptor to be read once it has ended; -1: there is none.
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def __enter__(self) -> ForkServerClient:
        """Start it where the machine supports it: stubs can do without.

        It is not waited for either: until it is ready, they do.
        """
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="buildperm-", dir=MEMORY))
            self._process = subprocess.Popen(
                [sys.executable, "-IS", SUPERVISOR, "--serve", self._folder, self._session],
                stdin=subprocess.PIPE,  # It ends when this does, however that happens.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # What the terminal has to say is for the command.
            )
        except OSError:
            self._remove()
            return self
        self.ended = os.pidfd_open(self._process.pid)
        self.environment = {SERVER: str(self._folder)}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, and what it still supervises."""
        if self._process is not None:
            os.close(self.ended)
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()  # The kernel ends its workers.
                self._process.wait()
        self._remove()

    def _remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
