from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import buildperm


@pytest.mark.slow  # `make demo` is the same, in front of a person.
def test_the_demo_steals_without_buildperm_and_not_with_it(tmp_path: Path) -> None:
    shown = buildperm("demo", "--no-tui", folder=tmp_path, extra={"TMPDIR": str(tmp_path)})

    assert shown.returncode == 0, shown.stdout + shown.stderr
    without, learned, held = shown.stdout.split("   $ ")[1:]
    assert "STOLEN" in without
    assert "planted-token-that-opens-nothing" in without
    assert "WRITTEN: left-padding-was-here.txt" in without
    assert "STOLEN" not in learned + held
    assert "Nothing was stolen, nothing was written outside OUT_DIR." in held
    assert "Exit code 20" in held
    assert "planted" not in held
    assert not list(tmp_path.iterdir())  # It cleans up behind itself.


@pytest.mark.slow
def test_the_demo_leaves_its_folder_when_asked_to(tmp_path: Path) -> None:
    shown = buildperm(
        "demo", "--no-tui", "--keep", folder=tmp_path, extra={"TMPDIR": str(tmp_path)}
    )

    (folder,) = tmp_path.iterdir()
    assert f"The demo's folder is kept: {folder}" in shown.stdout
    assert "[workspace.metadata.buildperm]" in (folder / "workspace/Cargo.toml").read_text()
