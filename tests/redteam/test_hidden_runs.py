"""Build scripts that hid one of their runs behind another, and macros that spoke for Cargo.

Cargo may run one script several times in a build, with nothing in a recording to tell these runs
apart: here for the host and for the target, where OPT_LEVEL differs.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import buildperm, is_orderly, kill_group, start
from tests.programs import program_text
from tests.redteam.packages import crate, lock_file_text, workspace

TWO_FACED = program_text("two_faced.rs")
ONE_FACE = ("-p", "two-faced")
"""Runs it for the target alone: whatever is built after that, this run is the older one."""
HONEST = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=BUILT={}", std::env::var("OPT_LEVEL").unwrap());
}
"""
WAITING = b"31.4159"  # Seconds; nobody waits for so long.
SECRET = "$WORKSPACE/elsewhere.txt"


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace whose member depends on two crates for the target and for the host."""
    folder = workspace(tmp_path_factory.mktemp("twice") / "ws", "app")
    (folder / "elsewhere.txt").write_text("secret")
    both = "".join(f'{name} = {{ path = "../{name}" }}\n' for name in ("two-faced", "honest"))
    crate(
        folder / "app",
        "fn main() {}",
        manifest=f"[dependencies]\n{both}[build-dependencies]\n{both}",
    )
    crate(folder / "two-faced", TWO_FACED)
    crate(folder / "honest", HONEST)
    return folder


@pytest.fixture(scope="module")
def refused(twice: Path) -> str:
    """Return what `ci` says about it."""
    assert buildperm("ci", "--", "build", *ONE_FACE, folder=twice).returncode == 20
    told = buildperm("ci", folder=twice)
    assert told.returncode == 20, told.stdout + told.stderr
    return told.stdout


@pytest.mark.slow
def test_a_run_does_not_hide_another_that_is_older(twice: Path, refused: str) -> None:
    assert "two-faced" in refused
    assert SECRET in refused
    assert "honest" not in refused

    again = buildperm("ci", folder=twice)  # Everything is fresh.

    assert again.returncode == 20
    assert SECRET in again.stdout


@pytest.mark.slow
def test_all_runs_are_asked_about_once_kept_and_told(twice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    shutil.copytree(twice, folder, ignore=shutil.ignore_patterns("target"))
    asked = buildperm("learn", "--no-tui", folder=folder)
    assert asked.returncode == 3, asked.stderr
    assert "1 undecided: `buildperm ci` will block it" in asked.stderr

    decided = buildperm("learn", "--no-tui", "--accept", "medium", folder=folder)

    assert decided.returncode == 0, decided.stderr
    assert f'"read {SECRET}"' in lock_file_text(folder)
    assert buildperm("check", folder=folder).returncode == 0
    assert buildperm("ci", folder=folder).returncode == 0
    why = buildperm("why", "two-faced", f"read:{SECRET}", folder=folder)
    assert "Seen 1 time while learning " in why.stdout
    rule = f"read:{SECRET}"
    simulated = buildperm("simulate", "two-faced", "--remove", rule, folder=folder)
    assert simulated.returncode == 20
    assert "1 access would be refused" in simulated.stdout


@pytest.mark.slow
def test_what_one_context_shows_is_not_replaced_by_what_another_does(tmp_path: Path) -> None:
    contexts = 'contexts = ["check -p first", "check -p second"]'
    folder = workspace(tmp_path / "ws", "first", "second", contexts=contexts)
    (folder / "elsewhere.txt").write_text("secret")
    depends = 'two-faced = { path = "../two-faced" }\n'
    crate(folder / "first", manifest=f"[dependencies]\n{depends}")
    crate(folder / "second", "fn main() {}", manifest=f"[build-dependencies]\n{depends}")
    crate(folder / "two-faced", TWO_FACED)

    told = buildperm("learn", "--no-tui", "--accept", "medium", folder=folder)

    assert told.returncode == 0, told.stderr
    assert f'"read {SECRET}"' in lock_file_text(folder)
    reviewed = buildperm("review", "--no-tui", "--", "check", "-p", "second", folder=folder)
    assert reviewed.returncode == 0, reviewed.stderr
    assert f'"read {SECRET}"' in lock_file_text(folder)


@pytest.mark.slow
def test_a_run_that_fails_is_not_forgotten_for_one_that_does_not(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws", "turncoat", "reader")
    (folder / "note.txt").write_text("x")
    crate(
        folder / "turncoat",
        program_text("turncoat.rs"),
    )
    crate(folder / "reader", 'fn main() { std::fs::read("../note.txt").unwrap(); }')

    told = buildperm("learn", "--no-tui", "--accept", "low", folder=folder)

    assert "going on under the new grants" in told.stderr  # The second round is harmless.
    assert told.returncode == 3, told.stderr
    assert "1 undecided: `buildperm ci` will block it" in told.stderr
    assert 'crate = "turncoat"' not in lock_file_text(folder)
    assert buildperm("check", folder=folder).returncode == 21


LITTERING = program_text("long_program_names.rs")


@pytest.mark.slow
def test_one_look_shows_all_that_fail(tmp_path: Path) -> None:
    names = ("first", "fourth", "second", "third")
    folder = workspace(tmp_path / "ws", *names)
    (folder / "elsewhere.txt").write_text("secret")
    for name in names:
        crate(folder / name, 'fn main() { std::fs::read("../elsewhere.txt").unwrap(); }')
    (folder / "fourth/build.rs").write_text(LITTERING)

    for words in (["build", "-j1"], ["test", "-j1"]):
        told = buildperm("ci", "--", *words, folder=folder)

        assert told.returncode == 20, told.stderr
        assert [name for name in names if name in told.stdout] == list(names)


@pytest.mark.slow
def test_a_run_that_took_no_part_is_no_finding(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws", "app")
    (folder / "elsewhere.txt").write_text("secret")
    crate(
        folder / "app",
        program_text("reads_with_feature.rs"),
        manifest="[features]\nbad = []\n",
    )

    told = [
        buildperm("ci", "--", *words, folder=folder).returncode
        for words in (["build", "--features", "bad"], ["build"], ["test"])
    ]
    (folder / "app/src/lib.rs").write_text("no Rust")
    told.append(buildperm("ci", folder=folder).returncode)

    assert told == [20, 0, 0, 101]


MACRO = program_text("speaking_macro.rs")


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace with a macro that prints its file `said`, and that nobody holds."""
    unheld = 'compile = "off"'
    folder = workspace(tmp_path_factory.mktemp("speaking") / "ws", "app", "macros", contexts=unheld)
    (folder / "elsewhere.txt").write_text("secret")
    crate(
        folder / "app",
        'fn main() { let _ = std::fs::read("../elsewhere.txt"); }',
        manifest='[dependencies]\nmacros = { path = "../macros" }\n',
        source="macros::speak!();\n",
    )
    crate(folder / "macros", manifest="[lib]\nproc-macro = true\n", source=MACRO)
    return folder


def speak(folder: Path, said: bytes) -> None:
    (folder / "macros/said").write_bytes(said)
    with (folder / "app/src/lib.rs").open("a") as file:
        file.write("\n")  # Has it expanded anew.


def test_a_macro_cannot_break_what_reads_cargos_messages(speaking: Path) -> None:
    start = b'{"reason":"build-script-executed"'
    lines = [
        start + b"}",
        start + b',"package_id":"app","out_dir":["/etc"]}',
        start + b',"package_id":"app","out_dir":"/etc/out"}',
        start + b',"package_id":"app","out_dir":"\\ud800\\u0000/out"}',
        start + b',"package_id":"app","out_dir":' + b"[" * 100_000,
        b'{"reason":"hello","harmless":true}',
        b'{"reason":17}',
        b"harmless",
    ]
    speak(speaking, b"\n".join(lines) + b"\n")

    told = buildperm("ci", folder=speaking)

    assert is_orderly(told.stderr), told.stderr
    assert told.returncode == 20, told.stderr  # For what the script did, and nothing else.
    said = told.stdout.encode().split(b"\n")
    assert [line for line in lines if line in said] == lines
    assert SECRET in told.stdout


@pytest.mark.slow
def test_a_recording_that_somebody_removed_does_not_count_as_harmless(speaking: Path) -> None:
    (speaking / "macros/wipe").write_text("")
    speak(speaking, b"")
    (speaking / "app/build.rs").write_text((speaking / "app/build.rs").read_text() + "\n")

    told = buildperm("ci", folder=speaking)
    (speaking / "macros/wipe").unlink()
    again = buildperm("ci", folder=speaking)

    assert told.returncode == 23, told.stdout + told.stderr
    assert "recording is missing" in told.stderr
    assert again.returncode == 20


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def supervisors(command: int) -> Iterator[int]:
    """Yield the supervisors whose script is waiting."""
    for server in children(command):
        for supervisor in children(server):
            programs = (each for script in children(supervisor) for each in children(script))
            if any(WAITING in words(program) for program in programs):
                yield supervisor


@pytest.mark.slow
def test_a_run_whose_supervisor_was_killed_is_a_finding(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws", "killer", "other")
    waiting = f'std::process::Command::new("sleep").arg("{WAITING.decode()}").status().unwrap();'
    crate(folder / "killer", f"fn main() {{ {waiting} }}")
    crate(folder / "other", "fn main() {}")
    table = '[workspace.metadata.buildperm.crates.killer]\nexec = ["sleep"]\n'
    manifest = folder / "Cargo.toml"
    manifest.write_text(
        f"{manifest.read_text()}[workspace.metadata.buildperm]\nversion = 1\n{table}"
    )

    for command, status in (("ci", 20), ("learn", 101)):
        started = start(command, folder=folder)
        try:
            while not (found := list(supervisors(started.pid))):
                assert started.poll() is None
                time.sleep(0.05)
            os.kill(found[0], signal.SIGKILL)
            said = b"".join(started.communicate(timeout=120)).decode()
        finally:
            kill_group(started)
        assert started.returncode == status, said
        assert "killer 0.1.0: a run of it was not recorded to its end" in said
    assert 'crate = "killer"' not in lock_file_text(folder)


@pytest.mark.slow
def test_a_run_whose_recording_cannot_be_written_is_a_finding(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws", "filling", "other")
    (folder / "secret.txt").write_text("secret")
    crate(folder / "filling", 'fn main() { let _ = std::fs::read("../secret.txt"); }')
    crate(folder / "other", "fn main() {}")

    for command, status in (("ci", 20), ("learn", 101)):
        buildperm(command, folder=folder)
        (recording,) = folder.glob(f"target/buildperm/{command}/debug/build/filling-*/*/*.jsonl")
        recording.unlink()
        recording.mkdir()  # As good as a disk that the script has filled.
        told = buildperm(command, folder=folder)

        said = told.stdout + told.stderr
        assert told.returncode == status, said
        assert "filling 0.1.0: a run of it was not recorded to its end" in said
    assert 'crate = "filling"' not in lock_file_text(folder)
