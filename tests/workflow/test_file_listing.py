"""Listing files: everything below, no links followed, and an end of it in time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.workflow.file_listing import existing


@pytest.fixture
def places(tmp_path: Path) -> dict[str, bytes]:
    """Make a folder `a` with three files, a link to another folder, and return it as WORKSPACE."""
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for name in ("a/x", "a/deep/y", "a/deep/z", "other/secret"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "other")
    return {"WORKSPACE": os.fsencode(tmp_path)}


def test_all_files_below_are_listed_and_links_not_followed(places: dict[str, bytes]) -> None:
    found, is_complete = existing(["$WORKSPACE/a"], places)

    assert is_complete
    assert sorted(found) == [f"$WORKSPACE/a/{name}" for name in ("deep/y", "deep/z", "link", "x")]


def test_what_is_not_there_has_no_files(places: dict[str, bytes]) -> None:
    assert existing(["$WORKSPACE/absent", "$HOME/x"], places) == ([], True)


def test_listing_ends_in_number_and_in_time(places: dict[str, bytes]) -> None:
    found, is_complete = existing(["$WORKSPACE/a"], places, files_most=1)
    assert len(found) == 1
    assert not is_complete

    _, is_complete = existing(["$WORKSPACE/a"], places, time_most_s=0)
    assert not is_complete
