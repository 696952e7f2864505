"""Runs a compiler with the shim in it, and starts the macro hosts that it asks for, unconfined.

For compiling what buildperm itself has written, to see how a compiler and its macros talk. The
launcher does it for everything else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildperm.sandbox import foreseen_calls

_MESSAGE_MOST = 256 << 10
_PATIENCE_S = 10
# It may well crash, which is nothing to keep.
_COMPILER = 'ulimit -c 0; exec "$0" "$@"'
_HOST = 'ulimit -c 0; exec "$0" "$1" 3<&0 </dev/null'


@dataclass(frozen=True, slots=True)
class CompilerRun:
    """What a compiler did, and what its shim said."""

    status: int
    stdout: bytes
    stderr: bytes
    messages: tuple[tuple[bytes, ...], ...]  # Each in words.


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimmedCompiler:
    """A way to run compilers: which shim and host, and what the shim is told."""

    shim: Path
    host: Path
    layout: int
    foreseen: str = foreseen_calls.NONE
    flags: int = 0
    withheld: tuple[str, ...] = ()
    kept_table: bytes = b""
    """Answers when the shim asks for a table of macros; empty for none."""

    def run(
        self, command: Sequence[str | Path], *, environ: Mapping[str, str], timeout_s: float
    ) -> CompilerRun:
        """Run `command` to its end; the hosts end with it.

        Raises:
            OSError: It cannot be started.
            subprocess.TimeoutExpired: It did not end in time.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answers = _Answers(ours, self.host, self.kept_table, environ)
        with ours:
            with theirs:
                numbers = (theirs.fileno(), self.layout, self.flags)
                control = (*numbers, self.foreseen, *self.withheld)
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _COMPILER, *command],
                    env={
                        **environ,
                        "LD_PRELOAD": str(self.shim),
                        "BUILDPERM_SHIM": " ".join(map(str, control)),
                    },
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            answering = threading.Thread(target=answers.give)
            answering.start()
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            finally:
                with contextlib.suppress(ProcessLookupError):  # It, and what it left running.
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                ours.shutdown(socket.SHUT_RDWR)
                answering.join()
                answers.end()
        return CompilerRun(process.returncode, stdout, stderr, tuple(answers.messages))


@dataclass(slots=True)
class _Answers:
    """What the launcher would do at the other end of the control socket."""

    control: socket.socket
    host: Path
    kept_table: bytes
    environ: Mapping[str, str]
    messages: list[tuple[bytes, ...]] = field(default_factory=list)
    hosts: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def give(self) -> None:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.control, _MESSAGE_MOST, 1)
            except OSError:
                return
            try:
                if not message:
                    return
                self._answer(message, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _answer(self, message: bytes, descriptors: list[int]) -> None:
        subject, *words = message.removesuffix(b"\0").split(b"\0")
        self.messages.append((subject, *words))
        if subject == b"host" and descriptors:
            command = ["/bin/sh", "-c", _HOST, str(self.host), os.fsdecode(words[0])]
            self.hosts.append(
                subprocess.Popen(
                    command,
                    env=self.environ,
                    stdin=descriptors[0],
                    stdout=subprocess.DEVNULL,
                )
            )
        elif subject == b"table?" and descriptors:
            kept = self.kept_table
            with socket.socket(fileno=os.dup(descriptors[0])) as asking:
                asking.send(b"table\0" + kept if kept else b"none\0")

    def end(self) -> None:
        """End the hosts, which read the end of their stream at this time."""
        for host in self.hosts:
            try:
                host.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                host.kill()
                host.wait()
