"""Who changed a line, as git says it in a repository that is not trusted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.workflow.line_history import LineChange, blame

DATE = "2026-08-01T23:30:00 -0500"


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Eve", "-c", "user.email=eve@example.org")
    subprocess.run(
        ["git", *who, *words],
        cwd=folder,
        env={**os.environ, "GIT_AUTHOR_DATE": DATE},
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of three lines that is committed."""
    git(tmp_path, "init", "--quiet")
    path = tmp_path / "Cargo.toml"
    path.write_text("a\nb\nc\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=one")
    return path


@pytest.mark.parametrize("content", ["a\nb\nc\n", "a\nnew\nc\n"])
@pytest.mark.parametrize(
    ("setting", "attribute"),
    [
        ("filter.evil.clean", "filter=evil"),
        ("filter.evil.smudge", "filter=evil"),
        ("filter.evil.process", "filter=evil"),
        ("diff.evil.textconv", "diff=evil"),
        ("diff.evil.command", "diff=evil"),
        ("core.fsmonitor", "diff"),
    ],
)
@pytest.mark.quick(4)
def test_nothing_of_the_repository_is_run(
    file: Path, setting: str, attribute: str, content: str
) -> None:
    marker = file.with_name("ran")
    git(file.parent, "config", setting, f"touch {marker}; cat")
    file.with_name(".gitattributes").write_text(f"Cargo.toml {attribute}\n")
    file.write_text(content)

    found = blame(file, [1, 3])

    assert not marker.exists()
    assert {line: change.author for line, change in found.items()} == {1: "Eve", 3: "Eve"}


def test_the_attack_would_work_with_a_plain_git_blame(file: Path) -> None:
    marker = file.with_name("ran")
    git(file.parent, "config", "filter.evil.clean", f"touch {marker}; cat")
    file.with_name(".gitattributes").write_text("Cargo.toml filter=evil\n")

    git(file.parent, "blame", "Cargo.toml")

    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "committed"),
    [
        ("a\nb\nc\n", {1, 2, 3}),
        ("a\r\nb\r\nc\r\n", {1, 2, 3}),
        ("a\nnew\nb\nc\n", {1, 3, 4}),
        ("b\nc\n", {1, 2}),
        ("new\na\nb\nc\nnew\n", {2, 3, 4}),
        ("x\n", set()),
    ],
)
def test_a_line_is_found_where_it_stands_now(file: Path, content: str, committed: set[int]) -> None:
    file.write_bytes(content.encode())
    count = content.count("\n")

    found = blame(file, range(1, count + 1))

    assert {line for line, change in found.items() if change.commit} == committed
    assert set(found) == set(range(1, count + 1))


def test_a_file_that_is_not_committed_has_no_history(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("a\n")

    assert blame(other, [1]) == {}
    git(file.parent, "add", "other")
    assert blame(other, [1]) == {}


def test_git_says_nothing_where_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    file = folder / "Cargo.toml"
    file.write_text("a\nb\n")
    outside = blame(file, [1])
    git(folder, "init", "--quiet")
    empty = blame(file, [1])
    git(folder, "add", "Cargo.toml")
    git(folder, "commit", "--quiet", "--message=one")
    first = blame(file, [0, 1, 2])
    file.write_text("a\nc\n")
    git(folder, "commit", "--quiet", "--all", "--message=two")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{folder}", "two")
    # Of the oldest commit there is, nobody knows what it changed.
    shallow = blame(tmp_path / "two/Cargo.toml", [1, 2])
    beyond = blame(file, [1, 9])
    link = tmp_path / "Cargo.toml"
    link.symlink_to(file)
    linked = blame(link, [2])
    monkeypatch.setenv("PATH", str(tmp_path))
    without = blame(file, [1])

    assert outside == empty == shallow == beyond == without == {}
    assert {line: str(change) for line, change in first.items()} == {
        1: "2026-08-01 by Eve",
        2: "2026-08-01 by Eve",
    }
    assert str(linked[2]) == "2026-08-01 by Eve"
    assert str(LineChange("", "", "")) == "not committed yet"
