"""The key by which what was made here is told from what was not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.policy import machine_key

KEY = "buildperm/buildperm.keystore"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a new user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def _another_command() -> None:
    machine_key._known.clear()


def test_a_signature_holds_for_what_was_signed_where_it_lies(tmp_path: Path, state: Path) -> None:
    told = machine_key.sign("journal", tmp_path / "a", b"text")
    _another_command()

    assert machine_key.is_kept()
    assert machine_key.is_signed("journal", tmp_path / "a", b"text", told)
    assert not machine_key.is_signed("history", tmp_path / "a", b"text", told)
    assert not machine_key.is_signed("journal", tmp_path / "b", b"text", told)
    assert not machine_key.is_signed("journal", tmp_path / "a", b"texts", told)
    for wrong in ("", told[:-1], "\udcff", "0" * 64):
        assert not machine_key.is_signed("journal", tmp_path / "a", b"text", wrong)
    assert (state / KEY).stat().st_mode & 0o777 == 0o600
    assert os.listdir(state / "buildperm") == [Path(KEY).name]


def test_a_key_that_others_can_have_read_is_replaced(tmp_path: Path, state: Path) -> None:
    told = machine_key.sign("journal", tmp_path, b"text")
    for harm in ("readable", "short", "link"):
        path = state / KEY
        if harm == "readable":
            path.chmod(0o644)
        elif harm == "short":
            path.write_bytes(b"x")
        else:
            path.rename(state / "other")
            path.symlink_to(state / "other")
        _another_command()
        assert not machine_key.is_signed("journal", tmp_path, b"text", told)
        told = machine_key.sign("journal", tmp_path, b"text")
        _another_command()
        assert machine_key.is_signed("journal", tmp_path, b"text", told)


def test_where_no_key_can_be_kept_one_command_has_one(tmp_path: Path, state: Path) -> None:
    state.touch()
    told = machine_key.sign("journal", tmp_path, b"text")

    assert not machine_key.is_kept()
    assert machine_key.is_signed("journal", tmp_path, b"text", told)
    _another_command()
    assert not machine_key.is_signed("journal", tmp_path, b"text", told)
