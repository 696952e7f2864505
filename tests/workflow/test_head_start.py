"""What Cargo says to a head start is used by the command that it was begun for, and by no other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.workflow import head_start
from buildperm.workflow.workspace import open_contexts, open_workspace
from tests.cargo.workspaces import QUIET, package

LEARN = ("check", "--keep-going")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a workspace the current folder, and count calls of rustc by the lines of a file."""
    package(tmp_path / "space", "app", QUIET, tail="[workspace]\n")
    count, programs = tmp_path / "asked", tmp_path / "bin"
    programs.mkdir()
    real = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True)
    (programs / "rustc").write_text(
        f'#!/bin/sh\necho x >>{count}\nexec {real.stdout.strip()}/bin/rustc "$@"\n'
    )
    (programs / "rustc").chmod(0o755)
    monkeypatch.chdir(tmp_path / "space")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CARGO_NET_OFFLINE", "true")
    return count


def test_nothing_is_asked_twice(asked: Path) -> None:
    head_start.begin([], LEARN)

    found = open_workspace([], default=LEARN)

    assert [each.name for each in found.project.metadata.packages.values()] == ["app"]
    assert asked.read_text() == "x\n"


@pytest.mark.parametrize("changed", ["folder", "environment", "locked"])
def test_what_was_asked_for_another_command_is_not_used(
    asked: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_workspace([], default=LEARN)  # Cargo.lock is made.
    head_start.begin([], LEARN, builds=False)
    match changed:
        case "folder":
            monkeypatch.chdir("src")
        case "environment":
            monkeypatch.setenv("RUSTFLAGS", "--cfg other")
        case _:
            pass

    (found,) = open_contexts([], locked=changed == "locked")

    assert found.project.folder == Path.cwd()
    assert found.project.environment == os.environ
    assert asked.read_text() == "x\n" * 3


def test_who_needs_the_answer_says_what_is_wrong(asked: Path) -> None:
    Path("Cargo.toml").write_text("[package\n")
    head_start.begin([], LEARN, builds=False)

    with pytest.raises(BuildpermError, match="Cargo cannot read the workspace"):
        open_workspace([], default=LEARN)


def test_without_a_current_folder_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    head_start.begin([], LEARN)

    with pytest.raises(BuildpermError, match="the current folder cannot be used"):
        open_workspace([], default=LEARN)
