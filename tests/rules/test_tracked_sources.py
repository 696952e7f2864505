"""What is named after credentials is a source where Git tracks it and a look finds no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.rules.tracked_sources import TrackedSources
from tests.git_repository import git

_CLEAN = '[mappings]\n"INI" = ["${HOME}/.aws/credentials"]\n'


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    git(tmp_path, "init")
    git(tmp_path, "config", "index.version", "2")
    return tmp_path


def _file(folder: Path, name: str, text: str = _CLEAN) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _holds(path: Path) -> bool:
    return TrackedSources().holds(os.path.realpath(bytes(path)))


def _add(folder: Path) -> None:
    git(folder, "add", "--all", "--force")


@pytest.mark.parametrize(
    "name",
    [
        "50-aws-credentials.toml",
        "src/a/credential_process.txt",
        "My.Credentials.YML",
        "ä-credentials.ini",
    ],
)
def test_a_tracked_source_is_one(repository: Path, name: str) -> None:
    path = _file(repository, name)
    assert not _holds(path)
    _add(repository)
    assert _holds(path)


@pytest.mark.parametrize(
    "name",
    [
        *("credentials.toml", "Credentials.json", "credentials-2.yml", ".credentials.json"),
        *("aws-credentials.toml.bak", "aws-credentials.toml~", "aws-credentials-secret.toml"),
        *("service-account-credentials.json", "aws-credentials.env", ".env", "id_rsa", "a.pem"),
        *("secrets.toml", "plain.toml"),
    ],
)
def test_other_names_are_none(repository: Path, name: str) -> None:
    path = _file(repository, name)
    _add(repository)
    assert not _holds(path)


@pytest.mark.parametrize(
    "text",
    [
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        'password = "hunter22"',
        "url = https://me:hunter22@example.org/",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n",
        "AGE-SECRET-KEY-1QQ",
        "x" * 70_000,
    ],
)
def test_a_file_with_a_secret_or_too_much_to_look_at_is_none(repository: Path, text: str) -> None:
    path = _file(repository, "50-aws-credentials.toml", text)
    _add(repository)
    assert not _holds(path)


def test_the_end_of_another_path_is_no_path(repository: Path) -> None:
    path = _file(repository, "x-credentials.toml")
    _file(repository, "a/x-credentials.toml")
    _file(repository, "ax-credentials.toml")
    git(repository, "add", "a", "ax-credentials.toml")
    assert not _holds(path)
    _file(repository, "a/b/x-credentials.toml")
    _add(repository)
    assert _holds(path)


def test_a_link_that_git_tracks_is_none(repository: Path) -> None:
    elsewhere = _file(repository, "ignored/x-credentials.toml")
    path = repository / "x-credentials.toml"
    path.symlink_to(elsewhere)
    git(repository, "add", "x-credentials.toml")
    assert not TrackedSources().holds(bytes(path))


@pytest.mark.parametrize("damage", [b"", b"DIRC", b"DIRC\0\0\0\4" + b"x" * 99, None])
def test_where_the_index_is_none_nothing_is_tracked(repository: Path, damage: bytes | None) -> None:
    path = _file(repository, "50-aws-credentials.toml")
    _add(repository)
    index = repository / ".git" / "index"
    if damage is None:
        index.unlink()
    else:
        index.write_bytes(damage)
    assert not _holds(path)


def test_without_a_repository_nothing_is_tracked(repository: Path) -> None:
    path = _file(repository, "inner/50-aws-credentials.toml")
    _add(repository)
    assert _holds(path)
    (repository / "inner" / ".git").write_text("gitdir: ../.git")
    assert not _holds(path)
