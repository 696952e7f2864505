"""The private cache: nobody else may write there, or it is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.sandbox import private_cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "buildperm"


def test_a_folder_is_made_for_its_owner_alone(cache: Path) -> None:
    found = private_cache.folder("some")

    assert found == cache / "some"
    assert found.stat().st_mode & 0o777 == 0o700
    assert private_cache.folder("some") == found


@pytest.mark.parametrize("name", ["", "some"])
def test_where_others_can_write_nothing_is_kept(cache: Path, name: str) -> None:
    private_cache.folder("some")
    (cache / name).chmod(0o770)

    assert private_cache.folder("some") is None


def test_what_is_no_folder_is_not_used(cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    (cache / "file").touch()
    (cache / "link").symlink_to(tmp_path / "elsewhere")

    assert private_cache.folder("file") is None
    assert private_cache.folder("link") is None


def test_a_link_in_its_place_is_not_followed(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "elsewhere")

    assert private_cache.folder("some") is None
