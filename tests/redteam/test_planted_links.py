"""Links that a script leaves where the supervisor makes or removes something for its grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.sandbox import spec

if TYPE_CHECKING:
    from pathlib import Path

GRANTS = ("$WORKSPACE/gen/**", "$WORKSPACE/gen/sub/file")


def test_nothing_is_made_behind_a_link_that_a_script_planted(tmp_path: Path) -> None:
    home, gen = tmp_path / "home", tmp_path / "ws" / "gen"
    home.mkdir()
    gen.mkdir(parents=True)
    (gen / "sub").symlink_to(home)
    assert spec.make_missing(GRANTS, {"WORKSPACE": bytes(tmp_path / "ws")}) == []
    assert list(home.iterdir()) == []


def test_nothing_is_removed_behind_a_link_that_a_script_planted(tmp_path: Path) -> None:
    home, sub = tmp_path / "home", tmp_path / "ws" / "gen" / "sub"
    home.mkdir()
    sub.mkdir(parents=True)
    made = spec.make_missing(GRANTS, {"WORKSPACE": bytes(tmp_path / "ws")})
    (home / "file").touch()
    sub.rename(sub.with_name("away"))
    sub.symlink_to(home)
    spec.remove_unused(made)
    assert (home / "file").exists()


def test_what_a_link_of_the_users_own_leads_to_is_made_and_removed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "gen").symlink_to(tmp_path / "elsewhere")
    made = spec.make_missing(["$WORKSPACE/gen/file"], {"WORKSPACE": bytes(tmp_path / "ws")})
    assert (tmp_path / "elsewhere" / "file").exists()
    spec.remove_unused(made)
    assert not (tmp_path / "elsewhere" / "file").exists()
