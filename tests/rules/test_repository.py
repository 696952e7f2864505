"""Git's own folder of a workspace: only of a repository that names the workspace in its turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.rules import repository


def _repository(folder: Path) -> Path:
    """Make what is a repository by its files."""
    (folder / "objects").mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text("[core]\n\tbare = false\n")
    return folder


def _worktree(main: Path, tree: Path, back: str = "", shared: str = "../..") -> Path:
    own = main / "worktrees/x"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("0" * 40)
    (own / "gitdir").write_text(f"{back or tree / '.git'}\n")
    (own / "commondir").write_text(f"{shared}\n")
    tree.mkdir(parents=True, exist_ok=True)
    (tree / ".git").write_text(f"gitdir: {own}\n")
    return own


def _found(workspace: Path) -> list[Path]:
    return [Path(os.fsdecode(each)) for each in repository.folders(os.fsencode(workspace))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder without links above it."""
    return tmp_path.resolve()


def test_a_worktree_leads_to_its_repository(root: Path) -> None:
    main = _repository(root / "main/.git")
    own = _worktree(main, root / "tree")

    assert _found(root / "tree") == [own, main]
    assert _found(root / "tree/crates/a") == [own, main]
    assert repository.common(os.fsencode(root / "tree")) == os.fsencode(main)


def test_a_worktree_may_be_named_by_relative_paths(root: Path) -> None:
    main = _repository(root / "main/.git")
    own = _worktree(main, root / "tree", back="../../../../tree/.git")
    (root / "tree/.git").write_text("gitdir: ../main/.git/worktrees/x\n")

    assert _found(root / "tree") == [own, main]


def test_a_submodule_leads_to_its_own_folder(root: Path) -> None:
    _repository(root / ".git")
    own = _repository(root / ".git/modules/sub")
    (own / "config").write_text('[core]\n\tworktree = "../../../sub"\n[remote "x"]\n\turl = y\n')
    (root / "sub").mkdir()
    (root / "sub/.git").write_text("gitdir: ../.git/modules/sub\n")

    assert _found(root / "sub") == [own]


def test_a_workspace_in_a_larger_repository_leads_to_that(root: Path) -> None:
    main = _repository(root / ".git")
    (root / "rust").mkdir()

    assert _found(root / "rust") == [main]
    assert _found(root) == []  # It is in the workspace.


def _keys(root: Path) -> Path:
    folder = root / "home/.ssh"
    folder.mkdir(parents=True)
    (folder / "id_ed25519").write_text("key")
    return folder


def _elsewhere(root: Path, tree: Path) -> None:
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {_keys(root)}\n")


def _another_repository(root: Path, tree: Path) -> None:
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {_repository(root / 'private/.git')}\n")


def _another_worktree(root: Path, tree: Path) -> None:
    main = _repository(root / "private/.git")
    _worktree(main, root / "other")
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {main}/worktrees/x\n")


def _another_submodule(root: Path, tree: Path) -> None:
    _repository(root / ".git")
    other = _repository(root / ".git/modules/other")
    (other / "config").write_text("[core]\n\tworktree = ../../../other\n")
    tree.mkdir()
    (tree / ".git").write_text("gitdir: ../.git/modules/other\n")


def _worktree_of_its_own_making(root: Path, tree: Path) -> None:
    private = _repository(root / "private/.git")
    _worktree(tree / "made", tree, shared=str(private))


def _link(root: Path, tree: Path) -> None:
    tree.mkdir()
    (tree / ".git").symlink_to(_repository(root / "private/.git"))


def _name_in_another_section(root: Path, tree: Path) -> None:
    other = _repository(root / "private/.git")
    (other / "config").write_text(f"[core]\n[x]\nworktree = {tree}\n")
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {other}\n")


@pytest.mark.parametrize(
    "make",
    [
        _elsewhere,
        _another_repository,
        _another_worktree,
        _another_submodule,
        _worktree_of_its_own_making,
        _link,
        _name_in_another_section,
    ],
)
def test_what_comes_with_the_sources_opens_nobodys_repository(
    make: object, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = root / "tree"
    assert callable(make)
    make(root, tree)
    monkeypatch.chdir(tree)  # Nothing is looked up from where the build runs.

    assert _found(tree) == []
    assert repository.common(os.fsencode(tree)) == b""


@pytest.mark.parametrize("name", ["ws/.git", "fake/gitdir", "fake/config"])
def test_nobody_waits_for_a_fifo_that_came_with_the_sources(root: Path, name: str) -> None:
    (root / "ws").mkdir()
    _repository(root / "fake").joinpath("config").unlink()
    (root / "ws/.git").write_text("gitdir: ../fake\n")
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)

    assert _found(root / "ws") == []
