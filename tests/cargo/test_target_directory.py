from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.cargo.target_directory import TargetDirectory
from buildperm.errors import BuildpermError


def test_where_there_is_no_room_the_folder_is_named_that_has_none(tmp_path: Path) -> None:
    """The state folder of always on can be full, or be gone, where the target directory is not."""
    state = tmp_path / "state"
    directory = TargetDirectory(tmp_path, state / "sessions/a", state)
    with pytest.raises(BuildpermError, match="cannot write into the state folder") as raised:
        directory.write_spelling("target")
    assert str(state) in str(raised.value)
    assert "target directory" not in str(raised.value)
    with pytest.raises(BuildpermError, match="cannot use the target directory"):
        TargetDirectory(tmp_path / "gone").write_spelling("target")
    (state / "sessions/a").mkdir(parents=True)
    directory.write_spelling("target")
    assert (state / "sessions/a/target").read_bytes() == b"target\n"
