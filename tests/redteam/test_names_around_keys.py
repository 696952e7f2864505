"""Names around what is closed: a folder with a key in it can be listed, and nothing is left out.

A script that lists a folder and is told half of it builds something else, and nobody notices.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.programs import program_text
from tests.redteam.runtimes import RUNTIMES
from tests.redteam.sensitive_files import linked, planted, was_read

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from tests.bench import Bench

_PRIVATE = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n"
_PROFILES: tuple[Literal["learning", "enforcing"], ...] = ("learning", "enforcing")


@pytest.fixture(params=RUNTIMES)
def either(own_bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench of either runtime."""
    if request.param == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    return own_bench


def _listed(
    bench: Bench, *folders: Path, profile: Literal["learning", "enforcing"]
) -> list[list[str]]:
    """Let a build script list folders; return the names in each, or the error."""
    placed = bench.script(
        program_text("lists_folders.py", PATHS=repr([str(path) for path in folders]))
    )
    told = bench.run(placed, profile).stderr.decode().splitlines()
    return [line.split()[1:] for line in told if line.startswith("listed ")]


@pytest.mark.parametrize("profile", _PROFILES)
def test_all_names_are_told_where_files_are_closed(
    either: Bench, profile: Literal["learning", "enforcing"]
) -> None:
    package, workspace = either.package, either.workspace
    keys = [
        planted(package / ".env"),
        planted(package / "sub/only.pem", _PRIVATE),  # Nothing else is in its folder.
        planted(workspace / "proto/id_rsa"),
        planted(workspace / "proto/deep/.netrc"),
    ]
    for path in (package / "a.proto", package / "b.proto", workspace / "proto/a.proto"):
        planted(path)
    either.grants["read"] = ["$WORKSPACE/proto/**"]
    folders = [package, package / "sub", workspace / "proto", workspace / "proto/deep"]

    assert _listed(either, *folders, profile=profile) == [
        [".env", "Cargo.toml", "a.proto", "b.proto", "sub"],
        ["only.pem"],
        ["a.proto", "deep", "id_rsa"],
        [".netrc"],
    ]
    assert was_read(either, *keys, workspace / "proto/a.proto", profile=profile) == [
        workspace / "proto/a.proto"
    ]


@pytest.mark.parametrize("profile", _PROFILES)
def test_a_closed_folder_keeps_nobody_from_listing_the_package(
    either: Bench, profile: Literal["learning", "enforcing"]
) -> None:
    package = either.package
    key = planted(package / "deploy/.aws/credentials")
    planted(package / ".ssh/id_rsa")
    planted(package / "deploy/x.txt")
    planted(either.home / ".docker/config.json")
    linked(package / "linked/.docker", either.home / ".docker")

    found = _listed(either, package, package / "deploy", package / "linked", profile=profile)

    assert found == [[".ssh", "Cargo.toml", "deploy", "linked"], [".aws", "x.txt"], [".docker"]]
    assert was_read(either, key, package / "linked/.docker", profile=profile) == []
    if either.mounts:  # Closed, and not empty.
        assert _listed(either, package / ".ssh", key.parent, profile=profile) == [
            ["EACCES"],
            ["EACCES"],
        ]


@pytest.mark.parametrize("profile", _PROFILES)
def test_a_closed_folder_elsewhere_keeps_nobody_from_listing_others(
    either: Bench, profile: Literal["learning", "enforcing"]
) -> None:
    workspace = either.workspace
    closed = planted(workspace / "infra/.kube/config").parent
    planted(workspace / "proto/.env")
    planted(workspace / "proto/a.proto")
    either.grants["read"] = ["$WORKSPACE/infra", "$WORKSPACE/proto/**"]

    assert _listed(either, workspace / "proto", profile=profile) == [[".env", "a.proto"]]
    # What would list the closed folder as well is refused, and never told in part.
    for folder in (workspace / "infra", closed):
        ((why,),) = _listed(either, folder, profile=profile)
        assert why in ("EACCES", "ENOENT")


@pytest.mark.parametrize("profile", _PROFILES)
def test_other_crates_outputs_in_the_package_are_not_told(
    either: Bench, profile: Literal["learning", "enforcing"]
) -> None:
    target = either.package / "target"
    planted(target / "CACHEDIR.TAG")
    planted(target / "debug/build/other/out/secret.txt")
    planted(either.package / ".git/HEAD")

    found = _listed(either, either.package, profile=profile)

    assert found == [[".git", "Cargo.toml", "target"]]
