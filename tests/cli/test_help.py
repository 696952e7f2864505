from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import program_text


def buildperm(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "buildperm", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def test_help_names_every_command_and_where_to_begin() -> None:
    told = buildperm("--help")

    assert told.returncode == 0
    for word in ("learn", "ci", "demo", "Cargo.toml", "Start with `buildperm demo`"):
        assert word in told.stdout


@pytest.mark.parametrize("command", ["learn", "ci", "demo"])
@pytest.mark.quick(1)
def test_every_command_explains_itself(command: str) -> None:
    told = buildperm(command, "--help")

    assert told.returncode == 0
    assert "Usage: " in told.stdout
    assert told.stderr == ""


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("cache", "  verify           read all of them, and remove what is damaged\n"),
        ("config", "      buildperm config --example > ~/.config/buildperm/config.toml\n"),
    ],
)
def test_what_is_set_line_by_line_stays_so(command: str, line: str) -> None:
    told = buildperm(command, "--help").stdout

    assert line in told
    assert "\\b" not in told


def test_an_unknown_command_or_option_is_a_usage_error() -> None:
    assert buildperm("leran").returncode == 2
    assert buildperm("ci", "--frobnicate").returncode == 2


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("lern",), "Did you mean `buildperm learn`?"),
        (("reviw", "--no-tui"), "Did you mean `buildperm review`?"),
        (("help",), "Did you mean `buildperm --help`?"),
        (("build",), "To hold that build to its grants: buildperm ci -- build"),
        (("learn", "--release"), "go after `--`: buildperm learn -- --release"),
        (("ci", "--features", "a b"), "go after `--`: buildperm ci -- --features 'a b'"),
        (("review", "-p", "x"), "go after `--`: buildperm review -- -p x"),
        (("learn", "--no-tui", "--locked"), "buildperm learn --no-tui -- --locked"),
        (("learn", "--accpt", "low"), "Did you mean '--accept'?"),
    ],
)
@pytest.mark.quick(3)
def test_what_was_meant_is_suggested(words: tuple[str, ...], suggestion: str) -> None:
    told = buildperm(*words)

    assert told.returncode == 2
    assert suggestion in told.stderr


@pytest.mark.parametrize("words", [("zzz",), ("show", "--zzz"), ("learn", "--acept", "low")])
@pytest.mark.quick(1)
def test_nothing_is_suggested_that_does_not_fit(words: tuple[str, ...]) -> None:
    told = buildperm(*words)

    assert told.returncode == 2
    assert "go after" not in told.stderr


def test_a_hostile_word_is_only_text() -> None:
    told = buildperm("le\x1b[31marn", "::error::x")

    assert told.returncode == 2
    assert "\x1b" not in told.stderr


@pytest.mark.parametrize("command", ["learn", "ci"])
def test_a_folder_without_cargo_toml_is_one_clear_error(tmp_path: Path, command: str) -> None:
    told = buildperm(command, folder=tmp_path)

    assert told.returncode == 2
    assert "could not find `Cargo.toml`" in told.stderr
    assert "Traceback" not in told.stderr


def test_help_is_quick_because_it_imports_no_front_end() -> None:
    code = program_text("asks_for_help.py")

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)

    assert ran.returncode == 0, ran.stderr.decode()
