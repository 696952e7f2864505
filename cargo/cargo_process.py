"""Runs Cargo, follows the build scripts it runs, and ends everything when told to."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from buildperm.cargo import terminal_loan
from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.cargo.script_progress import (
    Progress,
    ProgressFile,
    ScriptEnded,
    ScriptStarted,
    parse,
)
from buildperm.cargo.terminal_loan import TerminalLoan
from buildperm.errors import BuildpermError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from buildperm.cargo.message_stream import Artifact, MessageStream

_TICK_MS = 100  # How often the progress file is looked at.
_GRACE_S = 2.0  # From the first interruption to SIGKILL.
_CARGO_FAILED = 101  # What it exits with where something did not build.
# Not imported: it gives Ctrl+C its default meaning for whoever does so.
_DIE_WITH_PARENT = str(PurePath(__file__).with_name("die_with_parent.py"))
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SIGNALS = tuple(number for number in signal.Signals if number.name in _NAMES)
_SAID_MOST = 1 << 18  # Bytes.


@dataclass(frozen=True, slots=True)
class CargoResult:
    """How a run of Cargo ended."""

    exit_code: int  # Cargo's own; 128 and the number of the signal that killed it; 130.
    interrupted: bool
    units: frozenset[Path]  # Folders of the build script runs that took part, fresh ones too.
    ran: frozenset[Path]  # Those of them that were not fresh.
    overwritten: frozenset[Path]  # Runs whose recording another run has replaced.
    unended: tuple[tuple[str, str], ...]  # Crates with versions of which a run was not recorded.
    unheld: tuple[tuple[str, str], ...]  # Those whose script could not be held, and did not run.
    artifacts: frozenset[Artifact]  # What Cargo has compiled, fresh or not.
    is_complete: bool  # `units` holds all of them: Cargo reported everything that it built.
    said: str = ""  # The end of what Cargo and the scripts said, as far as it was not a terminal's.


class CargoProcess:
    """One run of Cargo in a process group of its own.

    `run` blocks; `interrupt` may be called from anywhere else, a signal handler included. In the
    main thread `run` also takes SIGINT, SIGTERM and SIGHUP as interruptions. The kernel kills Cargo
    as soon as the thread that called `run` is gone, however that happened.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        progress: Path,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_output: Callable[[bytes], None] | None = None,
        messages: MessageStream | None = None,
        keeps_going: bool = False,
        serves: bool = False,
        has_input: bool = False,
    ) -> None:
        """Prepare to run `command`.

        `progress` is the file that supervisors append to. Cargo's output goes where our own goes,
        or in pieces to `on_output`. `messages` takes Cargo's JSON messages out of its standard
        output, where it writes any. `keeps_going`: Cargo builds all that it can, whatever fails.
        `serves`: a fork server starts the supervisors. `has_input`: what Cargo runs reads our
        standard input; a terminal is Cargo's until it ends.
        """
        self._command = list(command)
        self._folder = folder
        self._environment = dict(environment)
        self._progress = ProgressFile(progress)
        self._on_progress = on_progress
        self._on_output = on_output
        self._messages = messages
        self._keeps_going = keeps_going
        self._serves = serves
        self._has_input = has_input
        self._loan: TerminalLoan | None = None
        self._ran: set[Path] = set()  # As supervisors tell.
        self._overwritten: set[Path] = set()
        self._unheld: set[tuple[str, str]] = set()
        self._running: dict[int, tuple[str, str]] = {}  # By supervisor.
        self._unrecorded: set[tuple[str, str]] = set()
        self._interruptions = 0
        self._said = bytearray()
        self._wake = self._woken = -1  # A pipe while it runs.

    def interrupt(self) -> None:
        """End Cargo and all that it has started: kindly at first, at once when called again."""
        self._interruptions += 1
        try:
            os.write(self._woken, b"!")
        except OSError:
            pass  # The pipe is full, so the wake-up is on its way; or nothing runs now.

    def run(self) -> CargoResult:
        """Run Cargo to its end.

        Raises:
            BuildpermError: It cannot be started.
        """
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        previous = {}
        if threading.current_thread() is threading.main_thread():
            previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            if self._serves:
                with ForkServerClient(self._environment["BUILDPERM_SESSION"]) as server:
                    self._environment |= server.environment
                    exit_code = self._run(server.ended)
            else:
                exit_code = self._run()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            woken, self._woken = self._woken, -1  # First: a late `interrupt` must hit nothing else.
            os.close(woken)
            os.close(self._wake)
            self._progress.close()
        interrupted = self._interruptions > 0
        return CargoResult(
            exit_code=ExitCode.INTERRUPTED if interrupted else exit_code,
            interrupted=interrupted,
            units=frozenset(self._ran | (self._messages.units if self._messages else set())),
            ran=frozenset(self._ran),
            overwritten=frozenset(self._overwritten),
            unended=tuple(sorted({*self._running.values(), *self._unrecorded})),
            unheld=tuple(sorted(self._unheld)),
            artifacts=frozenset(self._messages.artifacts if self._messages else ()),
            is_complete=not interrupted and self._has_reported_all(exit_code),
            said=self._said.decode("utf-8", "replace"),
        )

    def _has_reported_all(self, exit_code: int) -> bool:
        """Tell whether Cargo has reported every run, fresh ones too."""
        if self._messages is None or self._messages.is_unclear:
            return False
        return exit_code == 0 or (self._keeps_going and exit_code == _CARGO_FAILED)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupt()

    def _run(self, server: int = -1) -> int:
        """Run Cargo; `server` can be read once the fork server has ended, if there is one."""
        captures = self._on_output is not None
        is_lent = self._has_input and terminal_loan.is_ours()
        terminal = "terminal" if is_lent else "none"
        launcher = [sys.executable, "-IS", _DIE_WITH_PARENT, str(os.getpid()), terminal]
        try:
            cargo = subprocess.Popen(
                launcher + self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=None if self._has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE if captures or self._messages else None,
                # On a terminal Cargo draws how far it is, in colours.
                stderr=subprocess.PIPE if captures or not os.isatty(2) else None,
                close_fds=False,  # Ours are closed anyway; what make gave us is for Cargo too.
                process_group=0,
            )
        except OSError as error:
            raise BuildpermError(f"cannot run `{self._command[0]}`: {error.strerror}") from error
        ended = os.pidfd_open(cargo.pid)
        if self._has_input and os.isatty(0):
            self._loan = TerminalLoan(cargo.pid)
        try:
            self._follow(cargo, ended, server)
            if self._loan is not None and _was_interrupted(cargo.pid):
                self._interruptions += 1  # By Ctrl+C: only who has the terminal is told of it.
            if self._interruptions:
                # Cargo is not reaped yet, so the number of its group cannot mean another one.
                _kill(cargo.pid, signal.SIGKILL)
            status = cargo.wait()
        except BaseException:
            _kill(cargo.pid, signal.SIGKILL)
            cargo.wait()
            raise
        finally:
            if self._loan is not None:
                self._loan.end()
            os.close(ended)
            for pipe in (cargo.stdout, cargo.stderr):
                if pipe is not None:
                    pipe.close()
        self._report_progress()
        if status < 0 and not self._interruptions:
            self._tell_killed(-status)
        return status if status >= 0 else 128 - status

    def _tell_killed(self, number: int) -> None:
        """Say why the build stops in the middle: Cargo cannot."""
        name = signal.strsignal(number) or "unknown"
        text = (
            f"buildperm: Cargo was ended by signal {number} ({name}), which did not come from "
            "buildperm: the build is incomplete\n"
            "  Somebody else has sent it, or memory ran out. Run the command again.\n"
        )
        if self._on_output is not None:
            self._on_output(text.encode())
        else:
            sys.stderr.write(text)

    def _follow(self, cargo: subprocess.Popen[bytes], ended: int, server: int) -> None:
        """Pass everything on until Cargo ends, without waiting for what outlives it."""
        poll = select.poll()
        if server >= 0:
            poll.register(server, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.register(ended, select.POLLIN)
        pipes = {
            pipe.fileno(): pipe is cargo.stdout for pipe in (cargo.stdout, cargo.stderr) if pipe
        }
        for descriptor in pipes:
            os.set_blocking(descriptor, False)
            poll.register(descriptor, select.POLLIN)
        sent = 0
        deadline = 0.0
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_TICK_MS)}
            has_ended = ended in ready
            for descriptor in list(pipes):
                if not has_ended and descriptor not in ready:
                    continue
                if not self._pump(descriptor, is_stdout=pipes[descriptor], to_the_end=has_ended):
                    poll.unregister(descriptor)
                    del pipes[descriptor]
            if has_ended:
                self._sort(None)  # Somebody else may still hold the pipe, and it never ends.
                return
            if server in ready:
                raise BuildpermError(  # Stubs would wait for its reply, and Cargo for them.
                    "the process that supervises build scripts has been killed",
                    hint="Free some memory, if that is why, and run the command again.",
                )
            self._report_progress()
            if self._loan is not None:
                self._loan.follow()
            if self._wake in ready:
                os.read(self._wake, 64)
            if self._interruptions > sent:
                _kill(cargo.pid, signal.SIGINT if sent == 0 else signal.SIGKILL)
                deadline = deadline or time.monotonic() + _GRACE_S
                sent = self._interruptions
            elif deadline and time.monotonic() > deadline:
                _kill(cargo.pid, signal.SIGKILL)

    def _pump(self, descriptor: int, *, is_stdout: bool, to_the_end: bool) -> bool:
        """Pass on what Cargo wrote; say whether there may be more."""
        while True:
            try:
                piece = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if is_stdout:
                self._sort(piece or None)
            else:
                self._write(piece, 2)
            if not piece:
                return False
            if not to_the_end:
                return True

    def _sort(self, piece: bytes | None) -> None:
        """Pass on Cargo's standard output without its JSON messages; None is the end."""
        if self._messages is None:
            self._write(piece or b"")
            return
        for text in self._messages.finish() if piece is None else self._messages.sort(piece):
            self._write(text)

    def _write(self, piece: bytes, descriptor: int = 1) -> None:
        self._said += piece
        if len(self._said) > 2 * _SAID_MOST:
            del self._said[:-_SAID_MOST]
        if self._on_output is not None:
            if piece:
                self._on_output(piece)
            return
        while piece:
            piece = piece[os.write(descriptor, piece) :]

    def _report_progress(self) -> None:
        for line in self._progress.lines():
            step = parse(line)
            if step is None:
                continue
            self._note(step)
            self._on_progress(step)

    def _note(self, step: Progress) -> None:
        match step:
            case ScriptStarted():
                self._running[step.pid] = step.crate, step.version
            case ScriptEnded():
                self._running.pop(step.pid, None)
                if step.recording is None:
                    is_unheld = step.exit_code == ExitCode.CANNOT_ENFORCE
                    missing = self._unheld if is_unheld else self._unrecorded
                    missing.add((step.crate, step.version))
                else:
                    folder = step.recording.parent.parent
                    (self._overwritten if folder in self._ran else self._ran).add(folder)


def _was_interrupted(pid: int) -> bool:
    """Tell whether a child that has ended, and is not reaped yet, was ended by SIGINT."""
    how = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return how is not None and how.si_code != os.CLD_EXITED and how.si_status == signal.SIGINT


def _kill(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # Its last process has ended.
