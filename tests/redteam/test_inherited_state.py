"""What a build script gets from its parent, or leaves behind: each works without a sandbox."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench import processes_with, wait_until
from tests.programs import program_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench import Bench

_TIOCSTI = Path("/proc/sys/dev/tty/legacy_tiocsti")

# The descriptor is told by its number, as an attacker would try all of them.
_READS_DESCRIPTOR = program_text("reads_descriptors.py")
_DAEMON = program_text("leaves_daemon.py")
_WRITES_TERMINAL = program_text("writes_to_terminal.py")
_INJECTS = program_text("injects_input.py")


def _without(bench: Bench, body: str, **options: object) -> subprocess.Popen[bytes]:
    """Start the script itself, as plain Cargo would."""
    bench.script(body)
    return subprocess.Popen([bench.top / "script.py"], env=bench.variables(), **options)  # type: ignore[call-overload,no-any-return]  # passed on as they are


def test_an_inherited_descriptor_gives_nothing_away(own_bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("inherited-secret")
    descriptor = os.open(secret, os.O_RDONLY)
    try:
        with _without(
            own_bench, _READS_DESCRIPTOR, pass_fds=(descriptor,), stdout=subprocess.PIPE
        ) as plain:
            control = plain.communicate()[0]
        ended = own_bench.run(own_bench.script(_READS_DESCRIPTOR), pass_fds=(descriptor,))
    finally:
        os.close(descriptor)

    assert control == b"SECRET\n"
    assert ended.stdout == b"nothing\n"


def test_a_daemon_ends_with_the_run_and_is_told_of(own_bench: Bench) -> None:
    mark = f"redteam-daemon-{os.getpid()}"
    own_bench.environment = {"CARGO_PKG_NAME": mark}
    with _without(own_bench, _DAEMON) as plain:
        plain.wait()
    control = processes_with(mark.encode())
    for pid in control:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: processes_with(mark.encode()) == [])

    ended = own_bench.run(own_bench.script(_DAEMON))

    assert len(control) == 1
    assert processes_with(mark.encode()) == []
    assert ended.of("end")[0]["left_running"] == 1
    assert b"ended 1 process that it left running" in ended.stderr


@contextlib.contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """Make a terminal; yield the emulator's side and the side that programs run on."""
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    try:
        yield master, slave
    finally:
        os.close(master)
        os.close(slave)


def _on_terminal(command: list[str], environment: dict[str, str], slave: int) -> None:
    """Run a command with this controlling terminal, as a shell does."""

    def take() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    subprocess.run(
        command,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=take,
        check=False,
        timeout=60,
    )


def _waiting(descriptor: int) -> bytes:
    """Return what can be read at once."""
    found = b""
    while select.select([descriptor], [], [], 0)[0]:
        found += os.read(descriptor, 4096)
    return found


def _prepared(bench: Bench, body: str) -> Path:
    """Install a script and write its session; return the stub."""
    placed = bench.script(body)
    with bench.start(placed) as process:  # Which writes the session.
        process.communicate()
    return placed


def test_no_escape_sequence_reaches_the_terminal_of_the_build(own_bench: Bench) -> None:
    placed = _prepared(own_bench, _WRITES_TERMINAL)
    with _terminal() as (master, slave):
        _on_terminal([str(own_bench.top / "script.py")], own_bench.variables(), slave)
        control = _waiting(master)
        _on_terminal([str(placed)], own_bench.variables(), slave)
        held = _waiting(master)

    assert b"owned" in control
    assert b"owned" not in held
    assert b"\x1b" not in held


def test_nothing_is_typed_into_the_terminal_of_the_build(own_bench: Bench) -> None:
    if _TIOCSTI.exists() and _TIOCSTI.read_text().strip() == "0" and os.getuid() != 0:
        pytest.skip("no TIOCSTI")  # The kernel refuses it to everybody: dev.tty.legacy_tiocsti.
    placed = _prepared(own_bench, _INJECTS)
    with _terminal() as (_, slave):
        _on_terminal([str(own_bench.top / "script.py")], own_bench.variables(), slave)
        control = _waiting(slave)
        _on_terminal([str(placed)], own_bench.variables(), slave)
        held = _waiting(slave)

    assert b"owned" in control
    assert held == b""
