"""How `ci` observes: compilers lightly unless told otherwise, and what follows from that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.command import buildperm, is_orderly, member

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="other processors observe everything"
)

_COMPILES = """
use std::{env, path::PathBuf, process::Command};
fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let told = Command::new("cc").args(["-c", "part.c", "-o"]).arg(out.join("part.o")).status();
    assert!(told.unwrap().success());
}
"""
_LOOKS = """
fn main() {
    assert!(std::path::Path::new("../../notes.txt").exists());
}
"""
_OPENS = _LOOKS.replace("assert!(std", 'assert!(std::fs::read("../../notes.txt").is_err() || std')
_READ = "$WORKSPACE/shared/**"
_TABLE = f"""
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates.sample]
reviewed = ["0.1.0"]
presets = ["cc"]
read = ["{_READ}"]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Make a workspace whose script compiles C that includes a header from beside the package."""
    made = member(tmp_path / "ws", _COMPILES)
    manifest = made / "Cargo.toml"
    manifest.write_text(manifest.read_text().partition("[workspace.metadata")[0] + _TABLE)
    package = next(path.parent for path in made.rglob("build.rs"))
    (made / "shared").mkdir()
    (made / "shared/part.h").write_text("#define PART 1\n")
    (package / "part.c").write_text(f'#include "{made}/shared/part.h"\nint part = PART;\n')
    return made


def ci(workspace: Path, *words: str, status: int = 0) -> dict[str, Any]:
    """Build held, and return what the report says about the script."""
    told = buildperm("ci", "--format", "json", *words, folder=workspace)
    assert told.returncode == status, told.stderr
    (script,) = json.loads(told.stdout)["scripts"]
    found: dict[str, Any] = script
    return found


def header_was_seen(script: dict[str, Any]) -> bool:
    return any(each["target"].endswith("shared/part.h") for each in script["evidence"])


@pytest.mark.slow
def test_compilers_are_observed_lightly_unless_told_otherwise(workspace: Path) -> None:
    light = ci(workspace)
    full = ci(workspace, "--observe", "everything")
    again = ci(workspace)

    assert [each["observation"] for each in (light, full, again)] == ["light", "full", "light"]
    assert [header_was_seen(each) for each in (light, full, again)] == [False, True, False]
    # All else is the same in both.
    kept = [
        {
            (access["kind"], access["target"], access["outcome"])
            for access in each["evidence"]
            if access["kind"] != "read"
        }
        for each in (light, full)
    ]
    assert kept[0] == kept[1]
    assert light["findings"] == full["findings"] == []


@pytest.mark.slow
def test_the_report_for_people_says_how_it_was_observed(workspace: Path) -> None:
    light = buildperm("ci", folder=workspace)
    full = buildperm("ci", "--observe", "everything", folder=workspace)

    sentence = "which files C compilers read is not listed"
    assert is_orderly(light.stderr)
    assert sentence in light.stderr
    assert sentence not in full.stderr


@pytest.mark.slow
def test_a_grant_that_only_a_compiler_uses_is_not_called_unused(workspace: Path) -> None:
    script = ci(workspace, "--deny-unused")

    assert script["observation"] == "full"
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace(_READ, "$WORKSPACE/elsewhere/**"))
    (workspace / "elsewhere").mkdir()
    ci(workspace, "--deny-unused", status=20)  # The header is refused.


def test_what_a_compiler_is_refused_is_a_finding(workspace: Path) -> None:
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace(f'read = ["{_READ}"]\n', ""))

    script = ci(workspace, status=20)

    assert header_was_seen(script)
    (finding,) = script["findings"]
    assert "shared" in finding["title"]


@pytest.mark.slow
def test_other_commands_know_that_a_recording_may_not_show_everything(workspace: Path) -> None:
    ci(workspace)

    told = buildperm("simulate", "sample", "--remove", f"read:{_READ}", folder=workspace)

    assert "may not show everything: files that compilers read are not listed" in told.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("script", "is_look"), [(_LOOKS, True), (_OPENS, False)])
def test_where_all_is_there_a_look_is_neither_refused_nor_called_reading(
    tmp_path: Path, script: str, *, is_look: bool
) -> None:
    made = member(tmp_path / "ws", script)
    (made.parent / "notes.txt").write_text("x")
    looked = "only looked whether it is there; nothing of it was read"
    told = "let through" if not is_look else looked
    extra = {"BUILDPERM_RUNTIME": "portable"}

    learnt = buildperm("learn", "--no-tui", "--accept", "none", folder=made, extra=extra)
    assert learnt.returncode == 3, learnt.stderr
    hidden = "1 undecided: the runtime `full` will hide it"
    assert (hidden in learnt.stderr) is is_look, learnt.stderr
    assert ("`buildperm ci` will block it" in learnt.stderr) is not is_look
    why = buildperm("why", "sample", f"read:{made.parent}/notes.txt", folder=made, extra=extra)
    assert told in why.stdout, why.stdout
    for words in ((), ("--observe", "everything"), ("--deny-unused",)):
        held = buildperm("ci", *words, folder=made, extra=extra)
        assert held.returncode == (0 if is_look else 20), held.stdout
        assert "NOT blocked" not in held.stdout
