"""The key that signs results for others: made for its owner alone, never printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.workflow import entry_signature
from buildperm.workflow.entry_signature import FILE_VARIABLE, VARIABLE, is_signed, make_key, signer


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


@pytest.mark.parametrize("by_file", [True, False])
def test_a_key_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_file: bool) -> None:
    path = tmp_path / "key"
    public = make_key(path)
    monkeypatch.setenv(*((FILE_VARIABLE, str(path)) if by_file else (VARIABLE, path.read_text())))

    found = signer()

    assert found is not None
    assert found.public == public
    signature = found.sign(b"message")
    assert is_signed(b"message", signature, public)
    assert not is_signed(b"massage", signature, public)
    assert not is_signed(b"message", signature, entry_signature.Signer(bytes(32)).public)


def test_without_a_key_nobody_signs() -> None:
    assert signer() is None


def test_a_signature_is_that_of_the_standard() -> None:
    """RFC 8032, 7.1, test 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")

    assert entry_signature.Signer(seed).sign(b"\x72").startswith("kqAJqfDUyrhyDoILX2QlQKKye1QW")


@pytest.mark.parametrize("umask", [0, 0o777 & ~0o200])
def test_a_key_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_key(tmp_path / "key")
    finally:
        os.umask(before)

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "new")

    for name in ("key", "link"):
        with pytest.raises(BuildpermError, match="cannot write"):
            make_key(tmp_path / name)

    assert (tmp_path / "key").read_text() == "precious"
    assert not (tmp_path / "new").exists()


def test_no_key_is_made_where_scripts_read(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text("")
    (tmp_path / "deeper").mkdir()

    with pytest.raises(BuildpermError, match="build script can read"):
        make_key(tmp_path / "deeper/key")


def test_a_key_that_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "key"))

    with pytest.raises(BuildpermError, match="others can read"):
        signer()


@pytest.mark.parametrize("text", ["hunter2", "ed25519:hunter2", "ed25519-private:hunter2"])
def test_what_is_no_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)

    with pytest.raises(BuildpermError) as caught:
        signer()

    assert VARIABLE in str(caught.value)
    assert "hunter2" not in str(caught.value)
