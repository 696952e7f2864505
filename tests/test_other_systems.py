"""What works where there is no Linux: all that only reads. What would run a script says so."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import buildperm
from buildperm import cli
from tests.cli.learnt_workspace import LearntWorkspace, learnt
from tests.command import environment, is_orderly

__all__ = ["learnt"]

_PROGRAM = Path(__file__).with_name("other_system.py")


def _modules() -> list[str]:
    found = pkgutil.walk_packages(buildperm.__path__, "buildperm.")
    return [each.name for each in found if ".examples" not in each.name]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_every_module_can_be_imported(system: str) -> None:
    names = _modules()
    assert len(names) > 500

    told = subprocess.run(
        [sys.executable, _PROGRAM, system, "import", *names],
        capture_output=True,
        check=False,
        text=True,
    )

    assert told.stdout + told.stderr == ""
    assert told.returncode == 0


def test_what_is_taken_away_is_missed() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from other_system import become; "
        "become('win32'); import fcntl"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, _PROGRAM.parent],
        capture_output=True,
        check=False,
        text=True,
    )

    assert "fcntl" in told.stderr
    assert told.returncode != 0


def _elsewhere(
    learnt: LearntWorkspace, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    told = subprocess.run(
        [sys.executable, _PROGRAM, "darwin", "run", *words],
        cwd=learnt.folder,
        env=environment({**learnt.registry.environment, **variables}),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=240,
    )
    assert is_orderly(told.stdout), told.stdout
    assert is_orderly(told.stderr), told.stderr
    return told


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("learn", "--no-tui"),
        ("ci",),
        ("ci", "--", "build"),
        ("review",),
        ("demo",),
        ("doctor",),
        ("enable",),
        ("watch",),
        ("info", "helper"),
        ("index", "folder", "helper"),
        ("env-diff", "app", "RELEASE_CHANNEL"),
        ("decide", "abc", "deny"),
        ("root", "digest", "folder"),
        ("root", "unpack", "image", "folder"),
    ],
    ids=lambda words: " ".join(words),
)
def test_what_runs_scripts_refuses_in_one_sentence(
    learnt: LearntWorkspace, words: tuple[str, ...]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in learnt.folder.rglob("*")}

    told = _elsewhere(learnt, *words)

    assert told.returncode == 23, told.stderr
    first, hint = told.stderr.splitlines()
    assert first == "buildperm: only Linux can hold a build, and this is macOS"
    assert "Linux container" in hint
    assert told.stdout == ""
    assert {path: path.stat().st_mtime_ns for path in learnt.folder.rglob("*")} == before


def test_each_command_is_in_the_table_of_what_works_elsewhere() -> None:
    text = (Path(__file__).parents[1] / "docs/other-systems.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([a-z-]+)[ `]", row.split(" | ")[0])}
    assert told == set(cli._COMMANDS)


@pytest.mark.slow
def test_results_are_shared_from_there_too(learnt: LearntWorkspace, tmp_path: Path) -> None:
    """None of Linux fit there; but a key can be made, and no store holds anything up."""
    made = _elsewhere(learnt, "cache", "keygen", str(tmp_path / "key"))
    key = made.stdout.strip()
    assert (made.returncode, key.startswith("ed25519:")) == (0, True), made.stderr
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    manifest = learnt.folder / "Cargo.toml"
    before = manifest.read_text()
    store = f'cache = {{ store = "file://{tmp_path}/store", keys = ["{key}"] }}'
    manifest.write_text(before.replace("version = 1\n", f"version = 1\n{store}\n", 1))
    try:
        pulled = _elsewhere(learnt, "cache", "pull")
        variables = {"BUILDPERM_CACHE_KEY_FILE": str(tmp_path / "key")}
        pushed = _elsewhere(learnt, "cache", "push", **variables)
    finally:
        manifest.write_text(before)

    assert (pulled.returncode, "0 results pulled" in pulled.stderr) == (0, True), pulled.stderr
    assert "the store has nothing for" in pulled.stderr
    assert (pushed.returncode, f"signed by {key}" in pushed.stderr) == (0, True), pushed.stderr


def test_windows_starts_without_the_signals_of_others() -> None:
    """What does not need a path of the system: Python here has none of Windows."""
    told = subprocess.run(
        [sys.executable, _PROGRAM, "win32", "run", "--help"],
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )

    assert (told.returncode, "Usage: buildperm" in told.stdout) == (0, True), told.stderr


@pytest.mark.slow
def test_its_help_is_there_all_the_same(learnt: LearntWorkspace) -> None:
    told = _elsewhere(learnt, "learn", "--help")

    assert told.returncode == 0
    assert "Usage: buildperm learn" in told.stdout


def _timeless(said: str) -> str:
    return re.sub(r"\d+ (second|minute)s? ago", "just now", said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "--format", "json"),
        ("show",),
        ("show", "helper"),
        ("why", "app", "read:$WORKSPACE/schema/a.txt"),
        ("why", "helper@1.0.0", "exec:cc"),
        ("simulate", "helper", "--remove", "preset:cc"),
        ("trace", "app"),
        ("pending",),
        ("status",),
        ("config",),
        ("export",),
        ("disable",),
        ("cache", "show"),
        ("cache", "verify"),
        ("cache", "clear"),
        ("cache", "explain", "app"),
        ("cache", "pull"),
        ("cache", "push"),
    ],
    ids=lambda words: " ".join(words),
)
def test_what_only_reads_says_what_it_says_on_linux(
    learnt: LearntWorkspace, words: tuple[str, ...]
) -> None:
    here = learnt.run(*words)

    told = _elsewhere(learnt, *words)

    assert told.returncode == here.returncode, told.stderr
    assert _timeless(told.stdout) == _timeless(here.stdout)


@pytest.mark.slow
def test_a_report_of_ci_can_be_decided_about(learnt: LearntWorkspace, tmp_path: Path) -> None:
    with learnt.granting(helper=""):
        report = tmp_path / "ci.json"
        report.write_text(learnt.run("ci", "--format", "json").stdout)
        words = ("review", "--no-tui", "--dry-run", "--from", str(report))
        here = learnt.run(*words)

        told = _elsewhere(learnt, *words)

        assert "undecided: app 0.1.0: run perl (high)" in told.stderr
        assert (told.returncode, told.stdout, told.stderr) == (
            here.returncode,
            here.stdout,
            here.stderr,
        )
