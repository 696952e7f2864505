"""Links that a script leaves where the supervisor makes or removes something for its grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from buildperm.rules.containment import Containment
from buildperm.supervisor import write_targets

if TYPE_CHECKING:
    from pathlib import Path

GRANTS = ("$WORKSPACE/gen/**", "$WORKSPACE/gen/sub/file")


def test_nothing_is_made_behind_a_link_that_a_script_planted(tmp_path: Path) -> None:
    home, gen = tmp_path / "home", tmp_path / "ws" / "gen"
    home.mkdir()
    gen.mkdir(parents=True)
    (gen / "sub").symlink_to(home)
    assert write_targets.make_missing(GRANTS, {"WORKSPACE": bytes(tmp_path / "ws")}) == []
    assert list(home.iterdir()) == []


def test_nothing_is_removed_behind_a_link_that_a_script_planted(tmp_path: Path) -> None:
    home, sub = tmp_path / "home", tmp_path / "ws" / "gen" / "sub"
    home.mkdir()
    sub.mkdir(parents=True)
    made = write_targets.make_missing(GRANTS, {"WORKSPACE": bytes(tmp_path / "ws")})
    (home / "file").touch()
    sub.rename(sub.with_name("away"))
    sub.symlink_to(home)
    write_targets.remove_unused(made)
    assert (home / "file").exists()


@pytest.mark.parametrize(
    ("pattern", "is_made"),
    [("$WORKSPACE/gen/file", False), ("$WORKSPACE/own/file", True), ("{}/machine/file", True)],
)
def test_what_a_link_leads_to_within_its_folder_is_made_and_removed(
    tmp_path: Path, pattern: str, *, is_made: bool
) -> None:
    for name in ("elsewhere", "ws/true"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ws" / "gen").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "ws" / "own").symlink_to("true")
    (tmp_path / "machine").symlink_to("elsewhere")
    places = {"WORKSPACE": bytes(tmp_path / "ws")}
    made = write_targets.make_missing([pattern.format(tmp_path)], places)
    there = [(tmp_path / name / "file").exists() for name in ("elsewhere", "ws/true")]
    assert any(there) == bool(made) == is_made
    write_targets.remove_unused(made)
    assert not list(tmp_path.rglob("file"))


def test_no_folder_is_made_behind_a_link_that_a_script_planted(tmp_path: Path) -> None:
    home, workspace = tmp_path / "home", tmp_path / "ws"
    home.mkdir()
    workspace.mkdir()
    places = {"WORKSPACE": bytes(workspace)}
    (workspace / "gen").symlink_to(home)  # One that leads out.
    (workspace / "gone").symlink_to(tmp_path / "absent")  # One that leads nowhere.
    (workspace / "own").symlink_to("true")
    (workspace / "true").mkdir()
    grants = [f"$WORKSPACE/{name}/a/b/file" for name in ("gen", "gone", "own")]

    made = write_targets.make_missing(grants, places)

    assert made == [bytes(workspace / "true" / name) for name in ("a", "a/b", "a/b/file")]
    assert not list(home.iterdir())
    assert not (tmp_path / "absent").exists()
    write_targets.remove_unused(made)
    assert not list((workspace / "true").iterdir())


def test_nothing_is_made_behind_a_link_that_is_put_there_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, gen = tmp_path / "home", tmp_path / "ws" / "gen"
    (home / "sub").mkdir(parents=True)
    (gen / "sub").mkdir(parents=True)
    holds = Containment.holds

    def holds_until_now(*judged: Any) -> bool:  # noqa: ANN401 - whatever is asked
        is_held = holds(*judged)
        gen.rename(gen.with_name("away"))
        gen.symlink_to(home)
        return is_held

    monkeypatch.setattr(Containment, "holds", holds_until_now)
    places = {"WORKSPACE": bytes(tmp_path / "ws")}

    assert write_targets.make_missing(["$WORKSPACE/gen/sub/a/file"], places) == []
    assert not list((home / "sub").iterdir())


def test_folders_above_are_made_below_tokens_alone_and_kept_where_they_were_used(
    tmp_path: Path,
) -> None:
    places = {"WORKSPACE": bytes(tmp_path / "ws")}
    grants = ["$WORKSPACE/gen", "$WORKSPACE/gen/a/a/x.rs", "$WORKSPACE/gen/b/**"]
    grants.append(f"{tmp_path}/apart/a/x.rs")

    assert write_targets.make_missing(["$WORKSPACE/gen/x.rs"], {}) == []
    (tmp_path / "ws").mkdir()
    made = write_targets.make_missing(grants, places)
    (tmp_path / "ws/gen/a/a/x.rs").write_text("made")
    write_targets.remove_unused(made)

    assert not (tmp_path / "apart").exists()
    assert (tmp_path / "ws/gen/a/a/x.rs").read_text() == "made"
    assert not (tmp_path / "ws/gen/b").exists()
