"""Files of a build that others change: it recovers or says what to do, and loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buildperm.cargo import claim
from buildperm.policy.journal import signed
from tests.cli.waiting_script import WAITS, until_up
from tests.command import CI, LEARN, buildperm, is_orderly, kill_group, member, start
from tests.programs import program_text

BOTH = pytest.mark.parametrize("command", [LEARN, CI], ids=["learn", "ci"])
READS = 'fn main() { std::fs::read_to_string("../data.txt").unwrap(); }'
WRITE = program_text("writes_atomically.py")


@pytest.fixture
def public() -> Iterator[Path]:
    """Make a folder that other users may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="buildperm-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("closed", ["file", "folder"])
@pytest.mark.quick(1)
def test_a_manifest_that_cannot_be_written_is_left_as_it_is(public: Path, closed: str) -> None:
    # Root may write everywhere: the child becomes somebody else who owns nothing here.
    folder = public / "closed"
    folder.mkdir()
    manifest = folder / "Cargo.toml"
    manifest.write_bytes(b"before")
    manifest.chmod(0o444 if closed == "file" else 0o666)
    folder.chmod(0o777 if closed == "file" else 0o555)

    tried = subprocess.run(
        [sys.executable, "-c", WRITE, str(manifest)], capture_output=True, text=True, check=False
    )

    assert tried.returncode == 1, tried.stderr
    assert "Permission denied" in tried.stderr, tried.stderr
    assert "Make the file and its folder writable" in tried.stderr
    assert "Traceback" not in tried.stderr
    assert manifest.read_bytes() == b"before"
    assert os.listdir(folder) == ["Cargo.toml"]


@pytest.mark.slow
def test_a_manifest_that_everybody_may_write_is_written(public: Path) -> None:
    public.chmod(0o777)
    manifest = public / "Cargo.toml"
    manifest.write_bytes(b"before")
    if os.getuid() == 0:
        os.chown(manifest, 2000, 2000)

    tried = subprocess.run(
        [sys.executable, "-c", WRITE, str(manifest)], capture_output=True, text=True, check=False
    )

    assert tried.returncode == 0, tried.stderr
    assert manifest.read_bytes() == b"after"


@pytest.mark.slow
def test_a_manifest_that_somebody_edits_during_the_build_keeps_that_edit(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", WAITS)
    (folder / "data.txt").write_text("data")
    running = start(*LEARN, folder=folder)
    try:
        until_up(folder, running)
        with (folder / "Cargo.toml").open("a") as file:
            file.write("# mine\n")
        edited = (folder / "Cargo.toml").read_bytes()
        (folder / "sample/go").touch()
        said = running.communicate(timeout=60)[1].decode()
    finally:
        kill_group(running)
    again = buildperm(*LEARN, folder=folder)

    assert running.returncode == 2, said
    assert "was changed meanwhile; nothing has been written" in said
    assert is_orderly(said)
    assert again.returncode == 0, again.stderr
    assert (folder / "Cargo.toml").read_bytes().startswith(edited)
    assert 'read = ["$WORKSPACE/data.txt"]' in (folder / "Cargo.toml").read_text()


@pytest.mark.slow
def test_two_commands_in_one_workspace_do_not_mix(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", WAITS)
    running = start("ci", folder=folder)
    try:
        until_up(folder, running)
        second = buildperm("ci", folder=folder)
        (folder / "sample/go").touch()
        said = running.communicate(timeout=60)[1].decode()
    finally:
        kill_group(running)

    assert second.returncode == 2, second.stderr
    assert "another buildperm is at work" in second.stderr
    assert "Wait until it is done" in second.stderr
    assert running.returncode == 0, said


@pytest.mark.parametrize("where", ["target", "target/buildperm", "target/buildperm/{}"])
@BOTH
@pytest.mark.quick(1)
def test_a_file_in_place_of_the_target_directory(
    tmp_path: Path, command: tuple[str, ...], where: str
) -> None:
    folder = member(tmp_path / "ws", READS)
    path = folder / where.format(command[0])
    if where.endswith("{}"):
        claim.make(folder / "target")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious")
    before = (folder / "Cargo.toml").read_bytes()

    told = buildperm(*command, folder=folder)

    assert told.returncode == 2, told.stderr
    assert "cannot use the target directory" in told.stderr
    assert "set CARGO_TARGET_DIR" in told.stderr
    assert is_orderly(told.stderr), told.stderr
    assert path.read_text() == "precious"
    assert (folder / "Cargo.toml").read_bytes() == before


@BOTH
@pytest.mark.quick(1)
def test_a_target_directory_that_cannot_be_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = member(tmp_path / "ws", READS)

    told = buildperm(*command, folder=folder, extra={"CARGO_TARGET_DIR": "/proc/target"})

    assert told.returncode == 2, told.stderr
    assert "cannot use the target directory `/proc/target" in told.stderr
    assert is_orderly(told.stderr), told.stderr


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garble(path: Path) -> None:
    path.write_bytes(b"[" * 100_000 + b"\n\xff\x1b]0;x\x07\n" + b"{" * 100_000)


def _clear(path: Path) -> None:
    path.write_bytes(b"")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace that has been learnt and held once."""
    folder = member(tmp_path_factory.mktemp("learned") / "ws", READS)
    (folder / "data.txt").write_text("data")
    for command in (LEARN, CI):
        told = buildperm(*command, folder=folder)
        assert told.returncode == 0, told.stderr
    return folder


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("buildperm-session", _cut),
        ("buildperm-session", _garble),
        ("buildperm-progress", _garble),
        ("buildperm-stub", _cut),
        ("buildperm-rustc-wrapper", _clear),
        ("debug/build/*/buildperm/recording.jsonl", _cut),
        ("debug/build/*/buildperm/recording.jsonl", _garble),
        ("debug/build/*/buildperm/recording.jsonl", _clear),
        ("debug/build/*/buildperm/recording.jsonl", Path.unlink),
        ("debug/build/*/buildperm/context", _cut),
        ("debug/build/*/*.real", Path.unlink),
        ("debug/build/*/build-script-build", _cut),
        ("debug/build/*/build-script-build", Path.unlink),
        ("debug/build/*/buildperm", shutil.rmtree),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
@pytest.mark.parametrize("command", [("ci",), ("learn", "--no-tui")], ids=["ci", "learn"])
@pytest.mark.slow
def test_a_damaged_file_is_made_anew(
    learned: Path, command: tuple[str, ...], name: str, harm: Callable[[Path], None]
) -> None:
    found = list((learned / "target/buildperm" / command[0]).glob(name))
    before = (learned / "Cargo.toml").read_bytes()
    for path in found:
        harm(path)

    told = buildperm(*command, folder=learned)

    assert found
    assert told.returncode == 0, told.stdout + told.stderr
    assert is_orderly(told.stdout + told.stderr), told.stderr
    assert "1 build script" in told.stderr
    assert (learned / "Cargo.toml").read_bytes() == before


@pytest.mark.slow
def test_a_recording_that_is_damaged_in_the_middle_is_named(learned: Path) -> None:
    path = next((learned / "target/buildperm/ci").glob("debug/build/*/buildperm/recording.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[len(lines) // 2] = b'{"type": "opened"\n'
    path.write_bytes(b"".join(lines))

    told = buildperm("ci", folder=learned)
    path.unlink()
    again = buildperm("ci", folder=learned)

    assert told.returncode == 2, told.stderr
    assert f"`{path}` is broken at line {len(lines) // 2 + 1}" in told.stderr
    assert "Delete it and record the build again." in told.stderr
    assert is_orderly(told.stderr), told.stderr
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("harm", [_cut, _garble, _clear], ids=lambda harm: harm.__name__)
@pytest.mark.quick(1)
def test_a_journal_that_is_damaged_loses_no_more_than_its_lines(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    folder = member(tmp_path / "ws", 'fn main() { let _ = std::fs::write("../made", ""); }')
    journal = folder / "target/buildperm/learn/buildperm-journal.jsonl"
    claim.make(folder / "target")
    step = {"version": 1, "act": "decide", "picked": [{"id": "x"}]}
    journal.parent.mkdir()
    journal.write_bytes(signed(journal, step) * 3)
    harm(journal)

    told = buildperm(*LEARN, folder=folder)

    assert told.returncode == 3, told.stderr
    assert is_orderly(told.stderr), told.stderr


@pytest.mark.slow
def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", 'fn main() { let _ = std::fs::write("../made", ""); }')
    claim.make(folder / "target")
    (folder / "target/buildperm/learn/buildperm-journal.jsonl").mkdir(parents=True)

    told = buildperm(*LEARN, folder=folder)

    assert told.returncode == 2, told.stderr
    assert "Remove it to begin anew" in told.stderr
    assert is_orderly(told.stderr), told.stderr
