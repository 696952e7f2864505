"""Keys in a folder that a person granted: their names may be seen, and nothing else of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.redteam.runtimes import RUNTIMES
from tests.redteam.sensitive_files import linked, planted, was_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench import Bench

_PRIVATE = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n"


@pytest.fixture(params=RUNTIMES)
def granting(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench of either runtime, whose script may read `tool`."""
    if request.param == "full":
        bench.wrapper, bench.mounts = [os.fsencode(bubblewrap())], True
    bench.grants = {"read": [f"{bench.top}/tool/**"]}
    return bench


def _read(bench: Bench, paths: Sequence[Path]) -> list[Path]:
    return was_read(bench, *paths, profile="enforcing")


def test_a_granted_folder_with_a_key_in_it_can_be_listed(granting: Bench) -> None:
    # Python lists its folders: where a package held a test key, no grant was enough.
    tool = granting.top / "tool"
    module = planted(tool / "lib/module.py")
    beside = planted(tool / "lib/package/certificates/public.txt")
    named = planted(tool / "lib/package/certificates/id_rsa")
    by_content = planted(tool / "lib/package/certificates/server.pem", _PRIVATE)
    folders = [tool, tool / "lib", tool / "lib/package", beside.parent]

    found = _read(granting, [module, beside, named, by_content, *folders])

    assert found == [module, beside, *folders]


def test_a_closed_folder_in_a_granted_one_stays_closed(granting: Bench) -> None:
    tool = granting.top / "tool"
    credentials = planted(tool / "service/.aws/credentials")
    module = planted(tool / "lib/module.py")
    key = planted(tool / "lib/id_rsa")
    to_closed = linked(tool / "service/link", credentials.parent)
    closed = [credentials, credentials.parent, to_closed, tool / "service", tool]

    assert _read(granting, [module, key, tool / "lib", *closed]) == [module, tool / "lib"]


def test_what_is_denied_in_a_granted_folder_stays_closed(granting: Bench) -> None:
    tool = granting.top / "tool"
    denied = planted(tool / "denied/note.txt")
    module = planted(tool / "lib/module.py")
    granting.deny = {"read": [f"{tool}/denied/**"]}

    found = _read(granting, [module, tool / "lib", denied, denied.parent, tool])

    assert found == [module, tool / "lib"]


def test_a_granted_home_folder_is_not_listed(granting: Bench) -> None:
    # Landlock's right to list it would hold for what is made in it later, too.
    planted(granting.home / ".netrc")
    granting.grants = {"read": ["$HOME"]}

    assert _read(granting, [granting.home, granting.home / ".netrc"]) == []


def test_a_folder_that_alone_was_granted_shows_names_and_no_content(granting: Bench) -> None:
    folder = granting.home / ".config/git"
    settings, passwords = planted(folder / "config"), planted(folder / "credentials")
    granting.grants = {"read": ["$HOME/.config/git"]}

    assert _read(granting, [folder, settings, passwords]) == [folder]


def test_names_of_processes_are_no_names_of_files(own_bench: Bench) -> None:
    own_bench.grants = {"read": ["/proc"]}
    own_bench.deny = {"read": ["/proc/version"]}

    assert _read(own_bench, [Path("/proc"), Path("/proc/version")]) == []
