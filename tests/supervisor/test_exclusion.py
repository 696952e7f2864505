"""Splitting a granted tree around what is excluded."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from buildperm.rules.pattern import covers
from buildperm.supervisor.exclusion import Excluded, listable, remainder

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.sampled_from([b"a", b"b", b".ssh"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)


def test_a_tree_without_anything_excluded_is_granted_whole(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)

    assert remainder(root, Excluded([b"/elsewhere", root + b"x", root + b"-"])) == [(root, True)]


def test_what_is_beside_an_excluded_file_is_granted(tmp_path: Path) -> None:
    (tmp_path / "u/.ssh").mkdir(parents=True)
    (tmp_path / "u/src").mkdir()
    (tmp_path / "u/notes").touch()
    (tmp_path / "opt").mkdir()
    root = os.fsencode(tmp_path)

    found = remainder(root, Excluded([root + b"/u/.ssh"]))

    assert sorted(found) == [
        (root + b"/opt", True),
        (root + b"/u/notes", False),
        (root + b"/u/src", True),
    ]


def test_folders_with_closed_files_can_be_listed_and_those_with_closed_folders_cannot(
    tmp_path: Path,
) -> None:
    (tmp_path / "u/.ssh").mkdir(parents=True)
    (tmp_path / "lib/deep").mkdir(parents=True)
    (tmp_path / "lib/deep/key").touch()
    (tmp_path / "lib/socket").symlink_to(tmp_path / "u")
    (tmp_path / "led").symlink_to(tmp_path / "lib")
    root = os.fsencode(tmp_path)
    files = [root + b"/lib/deep/key", root + b"/lib/socket"]

    assert listable(root, Excluded.without_links([])) == [root]
    assert listable(root, Excluded.without_links(files)) == [root]
    for closed in (root + b"/u/.ssh", root + b"/missing", root + b"/u/missing/too"):
        excluded = Excluded.without_links([*files, closed, root + b"/led/deep/key"])
        assert listable(root, excluded) == [root + b"/lib"]
    assert listable(root, Excluded.without_links([root + b"/lib/deep"])) == []


def test_the_whole_file_system_can_be_split() -> None:
    found = remainder(b"/", Excluded([b"/proc", b"/etc/passwd"]))

    assert (b"/usr", True) in found
    assert (b"/etc/group", False) in found
    assert {b"/", b"/proc", b"/etc", b"/etc/passwd"}.isdisjoint(path for path, _ in found)
    assert Excluded([b"/"]).above(b"/usr") == [b"/"]


def test_a_root_in_an_excluded_folder_is_not_granted(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)

    assert Excluded([root]).above(root) == [root]
    assert Excluded([os.path.dirname(root)]).above(root) == [os.path.dirname(root)]
    assert remainder(root + b"/missing", Excluded([])) == []


def test_a_link_beside_an_excluded_file_is_left_out(tmp_path: Path) -> None:
    """A rule for the link would be a rule for what it points to."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "innocent").symlink_to(".ssh")
    root = os.fsencode(tmp_path)

    assert remainder(root, Excluded([root + b"/.ssh"])) == []


def test_what_an_excluded_link_points_to_is_excluded_too(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles/netrc").touch()
    (tmp_path / "dotfiles/vimrc").touch()
    (tmp_path / ".netrc").symlink_to("dotfiles/netrc")
    root = os.fsencode(tmp_path.resolve())

    found = remainder(root, Excluded([root + b"/.netrc"]))

    assert found == [(root + b"/dotfiles/vimrc", False)]


@settings(max_examples=60, deadline=None)
@given(st.sets(PATHS, max_size=12), st.sets(PATHS, max_size=4))
def test_everything_but_the_excluded_is_granted(files: set[bytes], excluded: set[bytes]) -> None:
    """Holds for every tree: no excluded file is reachable, every other file is."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.realpath(os.fsencode(folder)) + b"/root"
        made = []
        for name in files:
            path = root + b"/" + name + b".file"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb"):
                made.append(path)
        os.makedirs(root, exist_ok=True)
        hidden = [root + b"/" + name for name in excluded]

        granted = [path for path, _ in remainder(root, Excluded(hidden))]

        for path in made:
            is_hidden = any(covers(other, path) for other in hidden)
            assert any(covers(other, path) for other in granted) != is_hidden
        for path in granted:
            assert not any(covers(path, other) or covers(other, path) for other in hidden) or not (
                os.path.lexists(path)
            )
