"""Whether everything is as it was reviewed, found without a build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.command import LEARN, buildperm, is_orderly, member

READS = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../data.txt");
}
"""
SCHEMA = Path(__file__).parents[2] / "report/ci.schema.json"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace whose one build script is reviewed."""
    folder = member(tmp_path_factory.mktemp("reviewed") / "ws", READS)
    (folder / "data.txt").write_text("data")
    learned = buildperm(*LEARN, folder=folder)
    assert learned.returncode == 0, learned.stderr
    return folder


@pytest.fixture
def workspace(reviewed: Path, tmp_path: Path) -> Path:
    """Return a copy without what was built, as in a fresh clone."""
    unbuilt = shutil.ignore_patterns("target")
    return Path(shutil.copytree(reviewed, tmp_path / "ws", ignore=unbuilt))


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _state(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_reviewed_is_fine_and_nothing_is_touched(workspace: Path) -> None:
    before = _state(workspace)

    checked = buildperm("check", folder=workspace)

    assert checked.returncode == 0
    assert checked.stdout == ""
    assert "1 build script, as reviewed." in checked.stderr
    assert _state(workspace) == before


def test_what_was_never_reviewed_is_named_and_nothing_is_built(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "Cargo.lock").write_text(
        'version = 4\n\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'
    )
    before = _state(folder)

    checked = buildperm("check", folder=folder)

    assert checked.returncode == 21
    assert "sample 0.1.0 has a build script that nobody has reviewed" in checked.stdout
    assert checked.stdout.count("1 build script to review; nothing was built.") == 1
    assert "to review" not in checked.stderr
    assert _state(folder) == before


@pytest.mark.slow
def test_a_document_leaves_the_count_to_people(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "Cargo.lock").write_text(
        'version = 4\n\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'
    )

    checked = buildperm("check", "--format", "json", folder=folder)

    assert checked.stderr.count("1 build script to review.") == 1


@pytest.mark.slow
def test_a_workspace_without_build_scripts_is_fine(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "sample/build.rs").unlink()
    learned = buildperm(*LEARN, folder=folder)
    checked = buildperm("check", folder=folder)

    assert (learned.returncode, checked.returncode) == (0, 0)
    assert "0 build scripts" in checked.stderr


def _script(folder: Path) -> None:
    _edit(folder / "sample/build.rs", "fn main", "// Changed.\nfn main")


def _module(folder: Path) -> None:
    _edit(folder / "sample/build.rs", "fn main", "mod more;\nfn main")
    (folder / "sample/more.rs").write_text("")


def _version(folder: Path) -> None:
    _edit(folder / "sample/Cargo.toml", "0.1.0", "0.2.0")
    _edit(folder / "Cargo.lock", "0.1.0", "0.2.0")


def _feature(folder: Path) -> None:
    with (folder / "sample/Cargo.toml").open("a") as file:
        file.write('\n[features]\ndefault = ["fast"]\nfast = []\n')


def _grant(folder: Path) -> None:
    _edit(folder / "Cargo.toml", 'read = ["$WORKSPACE/data.txt"]\n', "")


def _context(folder: Path) -> None:
    _edit(
        folder / "Cargo.toml",
        "[workspace.metadata.buildperm]\n",
        '[workspace.metadata.buildperm]\ncontexts = ["check --keep-going", "check --release"]\n',
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_script, "build.rs changed"),
        (_module, "build.rs changed"),
        (_version, "was 0.1.0"),
        (_feature, "features: + default, + fast"),
        (_grant, "seen reading `$WORKSPACE/data.txt`, which is not granted"),
        (_context, "never recorded with `check --release`, which Cargo.toml declares"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.quick(1)
def test_every_change_is_told_until_it_is_reviewed(
    workspace: Path, change: Callable[[Path], None], told: str
) -> None:
    change(workspace)

    checked = buildperm("check", folder=workspace)
    reviewed = buildperm("review", "--no-tui", "--accept", "medium", folder=workspace)
    again = buildperm("check", folder=workspace)

    assert checked.returncode == 21
    assert told in checked.stdout
    assert is_orderly(checked.stdout)
    assert reviewed.returncode == 0, reviewed.stderr
    assert again.returncode == 0, again.stdout


@pytest.mark.slow
def test_a_file_that_the_script_includes_counts_as_its_source(workspace: Path) -> None:
    (workspace / "sample/table.rs").write_text("1")
    _edit(workspace / "sample/build.rs", "fn main() {", 'fn main() { let _ = include!("table.rs");')
    first = buildperm("review", "--no-tui", folder=workspace)
    (workspace / "sample/table.rs").write_text("2")

    checked = buildperm("check", folder=workspace)

    assert first.returncode == 0, first.stderr
    assert checked.returncode == 21
    assert "table.rs changed" in checked.stdout


def test_what_is_kept_for_nobody_is_a_note(workspace: Path) -> None:
    with (workspace / "Cargo.toml").open("a") as file:
        file.write('\n[workspace.metadata.buildperm.crates.gone]\nread = ["$WORKSPACE/x"]\n')

    checked = buildperm("check", folder=workspace)

    assert checked.returncode == 0
    assert "note: Cargo.toml grants something to nobody: gone" in checked.stderr


def test_the_document_keeps_to_its_schema(workspace: Path) -> None:
    fine = buildperm("check", "--format", "json", folder=workspace)
    _version(workspace)
    changed = buildperm("check", "--format", "json", folder=workspace)

    schema = json.loads(SCHEMA.read_text())
    for told in (fine, changed):
        jsonschema.validate(json.loads(told.stdout), schema)
    document = json.loads(changed.stdout)
    assert document["exit"] == changed.returncode == 21
    assert [each["crate"] for each in document["pending"]] == ["sample"]
    assert document["pending"][0]["before"] == "0.1.0"
    assert document["scripts"] == []


def _newer(text: str) -> str:
    return text.replace("version = 4", "version = 9", 1)


def _half(text: str) -> str:
    return text[: text.rindex('"')]


def _outdated(text: str) -> str:
    return text.replace('"0.1.0"', '"0.0.9"')


def _conflict(text: str) -> str:
    return text.replace("version", "<<<<<<< ours\nversion", 1)


@pytest.mark.parametrize("command", [("check",), ("review", "--no-tui"), ("ci",), ("show",)])
@pytest.mark.parametrize("harm", [_newer, _half, _conflict], ids=lambda harm: harm.__name__)
@pytest.mark.quick(1)
def test_a_lock_file_of_cargos_that_is_no_good_is_one_clear_error(
    workspace: Path, harm: Callable[[str], str], command: tuple[str, ...]
) -> None:
    lock = workspace / "Cargo.lock"
    lock.write_text(harm(lock.read_text()))
    before = _state(workspace)

    told = buildperm(*command, folder=workspace)

    assert told.returncode == 2, told.stderr
    assert told.stdout == ""
    assert told.stderr.count("buildperm: ") == 1
    assert "hint: " in told.stderr
    assert is_orderly(told.stderr)
    assert _state(workspace) == before


@pytest.mark.slow
def test_a_lock_file_that_does_not_fit_is_left_for_cargo_to_complete(workspace: Path) -> None:
    lock = workspace / "Cargo.lock"
    lock.write_text(_outdated(lock.read_text()))
    before = _state(workspace)

    told = buildperm("check", folder=workspace)

    assert told.returncode == 2, told.stderr
    assert "Run `cargo fetch`, which completes Cargo.lock" in told.stderr
    assert _state(workspace) == before


@pytest.mark.parametrize("command", [("check",), ("review", "--no-tui"), ("ci",), ("show",)])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            lambda text: text.replace("version = 1", "version = 9", 1),
            "written by a newer buildperm",
        ),
        (_half, "buildperm.lock:"),
        (_conflict, "an unfinished merge"),
    ],
    ids=["newer", "half", "conflict"],
)
@pytest.mark.quick(1)
def test_a_lock_file_of_ours_that_is_no_good_is_one_clear_error(
    workspace: Path, harm: Callable[[str], str], said: str, command: tuple[str, ...]
) -> None:
    lock = workspace / "buildperm.lock"
    lock.write_text(harm(lock.read_text()))
    before = _state(workspace)

    told = buildperm(*command, folder=workspace)

    assert told.returncode == 2, told.stderr
    assert said in told.stderr
    assert "hint: " in told.stderr
    assert told.stdout == ""
    assert is_orderly(told.stderr)
    assert {name: raw for name, raw in _state(workspace).items() if "target" not in name} == {
        name: raw for name, raw in before.items() if "target" not in name
    }
