"""The copy of Git's settings that git reads in place of a closed file, as the real git reads it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildperm.cargo.git_copy import git_copy
from buildperm.cargo.git_settings import of_git

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "https://me:hunter2hunter2@host/"


def listed(tmp_path: Path, content: bytes, *words: str) -> list[str]:
    """Return what git finds in settings of this content."""
    file = tmp_path / "settings"
    file.write_bytes(content)
    told = subprocess.run(
        ["git", "config", "--file", file, *(words or ("--list",))],
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.splitlines()


def copied(tmp_path: Path, text: str) -> list[str]:
    copy = git_copy(text.encode(), tmp_path, "/home/me")
    assert copy is not None
    return listed(tmp_path, copy)


@pytest.mark.parametrize(
    "secret",
    [
        f'[url "{PASSWORD}"]\n\tinsteadOf = https://host/\n',
        '[http "https://host"]\n\textraHeader = X: y\n',
        "[alias]\n\tst = !anything\n",
        f"# {PASSWORD}\n",
        '[credential]\n\thelper = "!f() { echo password=abc; }; f"\n',
        "[core]\n\tsshCommand = ssh -i key\n",
    ],
)
def test_what_is_harmless_beside_a_secret_is_left(tmp_path: Path, secret: str) -> None:
    harmless = "[core]\n\tabbrev = 12\n[user]\n\tname = me\n"

    assert copied(tmp_path, f"{harmless}{secret}") == ["core.abbrev=12", "user.name=me"]
    copy = git_copy(f"{secret}{harmless}".encode(), tmp_path, "")
    assert copy is not None
    assert of_git(copy) == (True, "")


@pytest.mark.parametrize(
    "text",
    [
        '[user]\n\tname = "A # \\"B\\" \\\\ \\t; c" # quoted\n',
        '[branch]\n\tsort = a\\\nb\n[color.branch]\n\tcurrent = "  red "\n',
        '[credential "https://a.\\"b\\\\c"]\n\thelper = store\n[gc]\n\tauto\n',
        "[core]\n\tabbrev = 12\n\tabbrev = 14\n[safe]\n\tdirectory = *\n\tdirectory = /a b\n",
        "[core]\n\teditor =\n",
    ],
)
def test_git_reads_the_same_in_the_copy(tmp_path: Path, text: str) -> None:
    plain = [line if "=" in line else f"{line}=true" for line in listed(tmp_path, text.encode())]

    assert copied(tmp_path, text) == plain


def test_git_is_led_to_what_a_file_includes(tmp_path: Path) -> None:
    text = (
        "[include]\n\tpath = more/settings\n\tpath = ~/mine\n\tpath = /etc/other\n"
        '[includeIf "gitdir:~/work/"]\n\tpath = ~other/x\n\tpath = ~/work.settings\n'
    )

    assert copied(tmp_path, text) == [
        f"include.path={tmp_path}/more/settings",
        "include.path=/home/me/mine",
        "include.path=/etc/other",
        "includeif.gitdir:/home/me/work/.path=/home/me/work.settings",
    ]


@pytest.mark.parametrize("content", [b"[core\n", b"key = value\n", b"[user]\n\tname = \xff\n"])
def test_there_is_no_copy_of_what_git_would_not_read(tmp_path: Path, content: bytes) -> None:
    assert git_copy(content, tmp_path, "") is None
