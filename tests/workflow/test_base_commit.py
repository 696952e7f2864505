"""The commit that grants are compared with, in a repository that is not trusted."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.workflow import base_commit
from tests.git_repository import commit, git

FILES = ("Cargo.toml", "Cargo.lock")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository with a branch `other` that has another Cargo.toml than HEAD."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "Cargo.toml").write_text("old")
    commit(tmp_path)
    git(tmp_path, "branch", "other")
    (tmp_path / "Cargo.toml").write_text("new")
    commit(tmp_path)
    return tmp_path


def test_what_stood_there_is_read_and_what_did_not_is_left_out(folder: Path) -> None:
    found = base_commit.find(folder, "other")

    assert found.files(FILES) == {"Cargo.toml": b"old"}
    assert str(found) == f"other ({git(folder, 'rev-parse', 'other')[:12]})"


@pytest.mark.parametrize("name", ["HEAD~1", "main@{0}", "other^{commit}"])
def test_every_way_to_name_a_commit_will_do(folder: Path, name: str) -> None:
    assert base_commit.find(folder, name).commit


def test_the_name_of_a_branch_may_hold_what_a_renderer_ignores(folder: Path) -> None:
    name = "fix-\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}"
    git(folder, "branch", name)

    assert base_commit.find(folder, name).commit


@pytest.mark.parametrize(
    "name",
    [
        "--output=planted",
        "-h",
        "--batch-all-objects",
        "",
        "nope",
        "main:Cargo.toml",
        "main^{tree}",
        "main\nother",
        "main\0other",
        "\x1b[2J",
        "$(touch planted)",
        "\udcff",
    ],
)
@pytest.mark.quick(4)
def test_what_names_no_commit_is_refused_and_is_no_option(folder: Path, name: str) -> None:
    before = sorted(os.listdir(folder))

    with pytest.raises(BuildpermError) as refused:
        base_commit.find(folder, name)

    assert refused.value.hint
    assert sorted(os.listdir(folder)) == before


PROGRAMS = (
    "core.fsmonitor",
    "core.pager",
    "core.sshCommand",
    "core.gitProxy",
    "core.editor",
    "core.askPass",
    "credential.helper",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "gpg.program",
    "pager.cat-file",
    "uploadpack.packObjectsHook",
)


def planted(folder: Path) -> Path:
    """Make everything that git may be told to run leave a mark; return the mark."""
    marker = folder.parent / f"{folder.name}-ran"
    told = f"touch '{marker}'; cat"
    for setting in PROGRAMS:
        git(folder, "config", setting, told)
    for builtin in ("cat-file", "ls-tree", "rev-parse", "merge-base"):
        git(folder, "config", f"alias.{builtin}", f"!{told}")
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (folder / ".git/info/attributes").write_text("* filter=evil diff=evil\n")
    hooks = folder / ".git/evil"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "fsmonitor-watchman", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\n{told}\n")
        (hooks / name).chmod(0o755)
    git(folder, "config", "core.hooksPath", str(hooks))
    return marker


def test_nothing_of_the_repository_is_run(folder: Path) -> None:
    marker = planted(folder)

    found = base_commit.find(folder, "other")

    assert found.files(FILES) == {"Cargo.toml": b"old"}
    assert found.manifests() == {}
    assert not marker.exists()
    git(folder, "status")  # A plain command of git falls for it.
    assert marker.exists()


def test_what_a_partial_clone_lacks_is_not_fetched(folder: Path) -> None:
    marker = folder.parent / f"{folder.name}-fetched"
    blob = git(folder, "rev-parse", "other:Cargo.toml")
    (folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "extensions.partialClone", "evil")
    git(folder, "config", "remote.evil.promisor", "true")
    git(folder, "config", "remote.evil.url", f"ext::touch {marker}")
    git(folder, "config", "protocol.ext.allow", "always")

    with pytest.raises(BuildpermError, match="this clone is partial"):
        base_commit.find(folder, "other").files(FILES)

    assert not marker.exists()
    with pytest.raises(subprocess.CalledProcessError):
        git(folder, "cat-file", "blob", blob)
    assert marker.exists()  # A plain command of git fetches, by whatever program is named.


def test_objects_are_not_replaced(folder: Path) -> None:
    git(folder, "replace", git(folder, "rev-parse", "other"), git(folder, "rev-parse", "main"))

    assert base_commit.find(folder, "other").files(FILES) == {"Cargo.toml": b"old"}


def _at_other(folder: Path) -> None:
    git(folder, "switch", "--quiet", "other")


def test_a_link_is_not_followed(folder: Path) -> None:
    _at_other(folder)
    (folder / "real.toml").write_text("wide")
    (folder / "Cargo.toml").unlink()
    (folder / "Cargo.toml").symlink_to("real.toml")
    commit(folder)

    with pytest.raises(BuildpermError, match=r"other:Cargo\.toml is a symbolic link"):
        base_commit.find(folder, "other").files(FILES)


def test_a_folder_or_a_submodule_is_no_file(folder: Path) -> None:
    _at_other(folder)
    (folder / "Cargo.toml").unlink()
    (folder / "Cargo.toml").mkdir()
    (folder / "Cargo.toml/x").write_text("")
    commit(folder)

    with pytest.raises(BuildpermError, match=r"other:Cargo\.toml is no file"):
        base_commit.find(folder, "other").files(FILES)


def test_what_is_huge_is_not_read(folder: Path) -> None:
    _at_other(folder)
    (folder / "Cargo.toml").write_bytes(b"#" * (base_commit.LARGEST + 1))
    commit(folder)

    with pytest.raises(BuildpermError, match="too large"):
        base_commit.find(folder, "other").files(FILES)


def test_a_pointer_of_lfs_is_no_cargo_toml(folder: Path) -> None:
    _at_other(folder)
    (folder / "Cargo.toml").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    commit(folder)

    with pytest.raises(BuildpermError, match="pointer of Git LFS"):
        base_commit.find(folder, "other").files(FILES)


@pytest.mark.parametrize(
    "name", [b"a b", "ü\u202e".encode(), b"\xff*?[x]", b":(glob)", b"-x", b"\n"]
)
def test_every_name_of_a_folder_will_do(folder: Path, name: bytes) -> None:
    inner = folder / os.fsdecode(name)
    inner.mkdir()
    (inner / "Cargo.toml").write_text("buildperm")
    commit(folder)
    (inner / "Cargo.toml").write_text("changed")

    found = base_commit.find(inner, "HEAD")

    assert found.files(FILES) == {"Cargo.toml": b"buildperm"}
    assert list(found.manifests().values()) == [b"buildperm"]


def test_two_bases_are_none(folder: Path) -> None:
    """An attacker would choose the one that granted most."""
    git(folder, "switch", "--quiet", "other")
    commit(folder, "theirs")
    git(folder, "switch", "--quiet", "--create", "criss", "main")
    git(folder, "merge", "--quiet", "--strategy=ours", "--message=m", "other")
    git(folder, "switch", "--quiet", "other")
    git(folder, "merge", "--quiet", "--strategy=ours", "--message=m", "main")
    git(folder, "switch", "--quiet", "criss")

    found = base_commit.find(folder, "other")

    assert found.commit == git(folder, "rev-parse", "other")
    assert "several commits" in found.note


def test_no_base_is_none(folder: Path) -> None:
    git(folder, "switch", "--quiet", "--orphan", "alone")
    commit(folder)

    found = base_commit.find(folder, "other")

    assert found.commit == git(folder, "rev-parse", "other")
    assert "no commit" in found.note


def test_a_folder_of_gits_own_is_no_work_tree(folder: Path) -> None:
    with pytest.raises(BuildpermError, match="not in a git repository"):
        base_commit.find(folder / ".git", "other")
