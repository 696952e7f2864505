"""Build scripts that fail, flood, fork or do not end: an orderly result, and nothing is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, is_orderly, kill_group, member, start
from tests.programs import program_text

BOTH = pytest.mark.parametrize("command", [LEARN, CI], ids=["learn", "ci"])
SLEEP = "loop { std::thread::sleep(std::time::Duration::from_secs(1)); }"
CHILD = "std::process::Command::new(std::env::current_exe().unwrap()).arg("


def runs_below(folder: Path) -> list[str]:
    """List the processes whose program lies in `folder`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(str(folder)):
                found.append(pid)
        except OSError:
            continue  # It has ended meanwhile, or is a thread of the kernel.
    return found


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("fn main() { this is no Rust }", "expected one of"),
        ("fn main() { std::process::exit(1) }", "exit status: 1"),
        ('fn main() { panic!("no \\x1b[31mred\\x07") }', "no red"),
        ("fn main() { std::process::abort() }", "134"),
    ],
    ids=["no-rust", "exit", "panic", "signal"],
)
@BOTH
@pytest.mark.quick(1)
def test_a_script_that_fails_of_its_own_passes_on_cargos_code(
    tmp_path: Path, command: tuple[str, ...], build: str, said: str
) -> None:
    folder = member(tmp_path / "ws", build)
    before = (folder / "Cargo.toml").read_bytes()

    told = buildperm(*command, folder=folder)

    assert told.returncode == 101, told.stderr
    assert said in told.stderr
    assert is_orderly(told.stdout + told.stderr), told.stderr
    assert (folder / "Cargo.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("command", "number"),
    [(LEARN, signal.SIGINT), (CI, signal.SIGTERM)],
    ids=["learn", "ci"],
)
@pytest.mark.slow
def test_a_script_with_a_child_that_never_ends_is_ended_with_it(
    tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    build = program_text("child_without_end.rs")
    folder = member(tmp_path / "ws", build)
    before = (folder / "Cargo.toml").read_bytes()
    running = start(*command, folder=folder)
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob("target/buildperm/*/debug/build/*/out/up")):
            assert time.monotonic() < deadline, "the build script did not start"
            assert running.poll() is None, running.communicate()[1].decode()
            time.sleep(0.05)
        were = runs_below(folder)

        running.send_signal(number)
        said = running.communicate(timeout=120)[1].decode()
    finally:
        kill_group(running)

    assert running.returncode == 130
    assert is_orderly(said), said
    assert len(were) == 3  # Its stub, the script, and its child.
    assert not runs_below(folder)
    assert (folder / "Cargo.toml").read_bytes() == before


@pytest.mark.parametrize(("command", "code"), [(LEARN, 101), (CI, 20)], ids=["learn", "ci"])
@pytest.mark.quick(1)
def test_a_flood_on_standard_output_fails_the_run(
    tmp_path: Path, command: tuple[str, ...], code: int
) -> None:
    build = program_text("floods_stdout.rs")
    folder = member(tmp_path / "ws", build)
    before = (folder / "Cargo.toml").read_bytes()

    told = buildperm(*command, folder=folder)

    assert told.returncode == code, told.stderr[-2000:]
    assert "printed more to standard output than a run may" in told.stdout + told.stderr
    assert len(told.stdout + told.stderr) < 100_000
    assert (folder / "Cargo.toml").read_bytes() == before


@pytest.mark.slow
def test_a_flood_on_standard_error_is_cut_and_the_build_goes_on(tmp_path: Path) -> None:
    build = program_text("floods_stderr.rs")
    folder = member(tmp_path / "ws", build)

    held = buildperm("ci", "--", "-vv", folder=folder)

    assert held.returncode == 0, held.stderr[-2000:]
    assert "the rest of what the build script says is left out" in held.stderr
    assert 1 << 20 < len(held.stderr) < 20 << 20


@pytest.mark.slow
@BOTH
def test_two_hundred_children_at_once_are_no_reason_to_fail(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    build = program_text("many_children.rs")
    folder = member(tmp_path / "ws", build)

    told = buildperm(*command, folder=folder)

    assert told.returncode == 0, told.stderr
    assert "all done" in told.stderr
    assert is_orderly(told.stdout + told.stderr), told.stderr


@BOTH
@pytest.mark.quick(1)
def test_a_daemon_is_ended_with_the_script_that_left_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    build = program_text("leaves_child.rs")
    folder = member(tmp_path / "ws", build)

    told = buildperm(*command, "--", "check", "-vv", folder=folder)

    assert told.returncode == 0, told.stderr
    assert "ended 1 process that it left running" in told.stderr
    assert not runs_below(folder)


@pytest.mark.slow
def test_more_names_than_a_recording_holds_are_told(tmp_path: Path) -> None:
    build = program_text("many_attempts.rs")
    folder = member(tmp_path / "ws", build)

    told = buildperm(*LEARN, folder=folder)

    assert told.returncode == 0, told.stderr[-2000:]
    assert "found 0" in told.stderr
    assert "did not fit into the recording" in told.stderr
    assert is_orderly(told.stdout + told.stderr)
    assert len(told.stdout + told.stderr) < 10_000
