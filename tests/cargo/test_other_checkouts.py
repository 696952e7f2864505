from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.cargo import other_checkouts
from tests.git_repository import commit, git


def test_a_linked_work_tree_leads_to_the_same_folder_of_the_main_one(tmp_path: Path) -> None:
    main, linked = tmp_path / "main", tmp_path / "linked"
    (main / "part").mkdir(parents=True)
    (main / "part/file").write_text("x")
    git(main, "init", "-q")
    commit(main)
    git(main, "worktree", "add", "-q", str(linked), "-b", "other")
    assert other_checkouts.main_of(linked) == main
    assert other_checkouts.main_of(linked / "part") == main / "part"
    assert other_checkouts.main_of(main) is None
    assert other_checkouts.main_of(main / "part") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gitdir: ",
        "gitdir: /",
        "gitdir: ../.git/modules/part\n",
        "gitdir: \0\n",
        "\xff",
        "x" * 9999,
    ],
)
def test_whatever_stands_in_a_git_file_is_no_work_tree(tmp_path: Path, text: str) -> None:
    (tmp_path / ".git").write_text(text)
    assert other_checkouts.main_of(tmp_path) is None


def test_a_target_directory_tells_that_it_was_held(tmp_path: Path) -> None:
    assert not other_checkouts.was_held(tmp_path)
    (tmp_path / "buildperm-compile").mkdir()
    assert other_checkouts.was_held(tmp_path)
