"""Variables of our own that the table `[env]` of Cargo's configuration sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.cargo import configuration
from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from pathlib import Path

OURS = ("CARGO_BIN_NAME", "BUILDPERM_SESSION", "BUILDPERM_STUB", "BUILDPERM_RUSTC_WRAPPER")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("value", ['"x"', '{ value = "x", force = true }'])
def test_no_configuration_can_keep_stubs_away(tmp_path: Path, name: str, value: str) -> None:
    folder = tmp_path / ".cargo"
    folder.mkdir()
    (folder / "config.toml").write_text(f"[env]\n{name} = {value}\n")
    with pytest.raises(BuildpermError, match=name):
        configuration.read(tmp_path, tmp_path / "home", {})


def test_neither_can_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(BuildpermError, match="CARGO_BIN_NAME"):
        configuration.read(tmp_path, tmp_path, {}, ['env.CARGO_BIN_NAME="x"'])


def test_other_variables_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo" / "config.toml").write_text('[env]\nCC = "gcc"\n')
    assert configuration.read(tmp_path, tmp_path / "home", {}).rustc_wrapper == ""
