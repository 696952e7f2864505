"""What plain Cargo says where it cannot be prepared what it is held to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.workflow import standing_hold


def _raises(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_state_folder_without_room_is_named(
    capsys: pytest.CaptureFixture[str], number: int
) -> None:
    error = OSError(number, os.strerror(number))
    assert standing_hold.told(Path("/the/state"), lambda: _raises(error)) == 23
    said = capsys.readouterr().err
    assert f"cannot write into the state folder `/the/state`: {os.strerror(number)}" in said
    assert "Make room there" in said


def test_what_is_refused_is_said_and_what_nobody_expects_is_not_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = BuildpermError("it is \x1b[2J so", hint="Do that.")
    assert standing_hold.told(Path("/the/state"), lambda: _raises(refused)) == 23
    said = capsys.readouterr().err
    assert "cannot be held: it is" in said
    assert "\x1b" not in said
    assert standing_hold.told(Path("/the/state"), lambda: None) == 0
    unexpected = OSError(errno.EBADF, "bad")
    with pytest.raises(OSError, match="bad"):
        standing_hold.told(Path("/the/state"), lambda: _raises(unexpected))
