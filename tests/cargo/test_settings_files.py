from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import settings_files
from buildperm.supervisor import settings

if TYPE_CHECKING:
    import pytest

HARMLESS = "[build]\njobs = 2\n"
TOKEN = '[registry]\ntoken = "abc"\n'
UNKNOWN = 'include = "other.toml"\n'


def looked(tmp_path: Path, *folders: Path) -> settings_files.FoundSettings:
    return settings_files.look(tmp_path / "cargo", folders, {"PATH": ""})


def written(path: Path, text: str) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return os.fsencode(path)


def test_each_file_is_judged_by_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        settings_files,
        "_GIT",
        tuple(map(str, (tmp_path / "etc/gitconfig", tmp_path / "etc/other/gitconfig"))),
    )
    folder = tmp_path / "a/b"
    home = written(tmp_path / "cargo/config.toml", HARMLESS)
    above = written(tmp_path / "a/.cargo/config.toml", UNKNOWN)
    within = written(folder / ".cargo/config", TOKEN)
    other = written(tmp_path / "etc/other/gitconfig", "[http]\n\textraheader = x\n")
    gits = written(tmp_path / "etc/gitconfig", "[core]\n\tabbrev = 12\n")

    found = looked(tmp_path, folder)

    own = os.fsencode(tmp_path)
    assert [path for path, _, _ in found.open if path.startswith(own)] == [gits, home]
    assert {path for path in found.closed if path.startswith(own)} == {above, within, other}
    assert found.held == {other: "Git's settings of this machine, which hold a token"}


def test_a_link_is_known_by_both_names(tmp_path: Path) -> None:
    real = written(tmp_path / "dotfiles/cargo.toml", HARMLESS)
    (tmp_path / "cargo").mkdir()
    (tmp_path / "cargo/config.toml").symlink_to(os.fsdecode(real))

    found = looked(tmp_path)

    assert found.open[-1][:2] == (os.fsencode(tmp_path / "cargo/config.toml"), real)


def test_a_link_opens_nothing_that_is_held_by_its_own_name(tmp_path: Path) -> None:
    """Whatever is in it: nobody's settings of Cargo are there."""
    held = written(tmp_path / "home/.aws/config", "# nothing that a form would tell\n")
    ours = written(tmp_path / "home/dotfiles/cargo.toml", HARMLESS)
    for name, lead in (("a", held), ("b", ours)):
        (tmp_path / name / ".cargo").mkdir(parents=True)
        (tmp_path / name / ".cargo/config.toml").symlink_to(os.fsdecode(lead))
    found = looked(tmp_path, tmp_path / "a", tmp_path / "b")

    found.close(lambda real: b"/.aws/" in real)

    own = os.fsencode(tmp_path)
    assert [real for path, real, _ in found.open if path.startswith(own)] == [ours]
    assert own + b"/a/.cargo/config.toml" in found.closed


def test_what_is_no_ordinary_file_is_closed_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "cargo").mkdir()
    os.mkfifo(tmp_path / "cargo/config")
    large = written(tmp_path / "cargo/config.toml", "#" * (1 << 17))
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").symlink_to("nowhere")

    found = looked(tmp_path, tmp_path)

    mine = [path for path in found.closed if path.startswith(os.fsencode(tmp_path))]
    assert mine == [os.fsencode(tmp_path / "cargo/config"), large]


def test_a_file_counts_only_while_it_is_the_one_that_was_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "cargo/config.toml"
    written(path, HARMLESS)
    session = {"settings": looked(tmp_path).open[-1:]}
    assert settings.readable(session) == [os.fsencode(path)]  # type: ignore[arg-type]

    path.write_text(TOKEN)

    assert settings.readable(session) == []  # type: ignore[arg-type]
    assert settings.closed(session, []) == [os.fsencode(path)]  # type: ignore[arg-type]


def test_a_git_of_another_folder_has_its_settings_there(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("")
    (tmp_path / "bin/git").chmod(0o755)
    own = written(tmp_path / "etc/gitconfig", "[alias]\n\tx = y\n")

    found = settings_files.look(tmp_path / "cargo", (), {"PATH": str(tmp_path / "bin")})

    assert own in found.closed
