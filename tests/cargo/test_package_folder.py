"""What the folder of a package is called, beside the workspace and elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.cargo.package_folder import absolute, portable
from buildperm.policy.grants import CrateGrants, Policy, matching, parse_key
from buildperm.rules import pattern
from tests.command import LEARN, buildperm

PLACES = {
    "WORKSPACE": b"/home/me/src/app",
    "HOME": b"/home/me",
    "CARGO_HOME": b"/home/me/.cargo",
    "SYSROOT": b"/home/me/.rustup/toolchains/stable",
}


@pytest.mark.parametrize(
    ("folder", "named"),
    [
        ("/home/me/src/app", "$WORKSPACE"),
        ("/home/me/src/app/member", "$WORKSPACE/member"),
        ("/home/me/src/library", "$WORKSPACE/../library"),
        ("/home/me/src/app-2", "$WORKSPACE/../app-2"),
        ("/home/me/src/a b$", "$WORKSPACE/../a b%24"),
        ("/home/me/library", "$WORKSPACE/../../library"),
        ("/home/me/src", "$WORKSPACE/.."),
        ("/home/me/.cargo/git/checkouts/x", "$CARGO_HOME/git/checkouts/x"),
        ("/usr/share/cargo/x", "/usr/share/cargo/x"),
        ("/opt/x", "/opt/x"),
        ("/vendor/x", "$WORKSPACE/../../../../vendor/x"),
    ],
)
def test_a_folder_is_named_from_the_workspace_on(folder: str, named: str) -> None:
    assert portable(os.fsencode(folder), PLACES) == named
    back = pattern.absolute(named, PLACES)
    assert back is not None
    assert absolute(os.fsdecode(back)) == folder


@pytest.mark.parametrize("root", [b"/app", b"/usr/src/app", b"/builds/group/app", b"/home/other/x"])
def test_a_neighbour_is_named_the_same_in_every_checkout(root: bytes) -> None:
    neighbour = os.path.normpath(root + b"/../library")
    places = {**PLACES, "WORKSPACE": root}

    assert portable(neighbour, places) == "$WORKSPACE/../library"


def test_keys_of_earlier_versions_still_mean_the_folder() -> None:
    named = "path+$WORKSPACE/../library#library", "path+/home/me/src/library#library"
    for key in named:
        assert str(parse_key(key)) == key
        policy = Policy("portable", {key: CrateGrants(key)}, Path())
        found = matching(
            policy,
            "library",
            "0.1.0",
            "",
            is_workspace_member=False,
            has_registry_twin=False,
            directory="$WORKSPACE/../library",
            as_named_here="/home/me/src/library",
        )
        assert found is not None
        assert found.key == key


def make(folder: Path, name: str, more: str = "") -> None:
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").write_text("")
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{more}'
    )


@pytest.mark.slow
def test_grants_for_a_neighbour_hold_in_another_work_tree(tmp_path: Path) -> None:
    """One repository, two work trees at other depths: the second was never learnt."""
    repository = tmp_path / "one"
    make(
        repository / "app",
        "app",
        '[dependencies]\nlibrary = { path = "../library" }\n[workspace]\n',
    )
    make(repository / "library", "library")
    (repository / "library/build.rs").write_text(
        'fn main() { std::fs::read_to_string("/proc/cpuinfo").unwrap(); let _ = '
        'std::process::Command::new("make").arg("-v").status(); }\n'
    )
    (repository / ".gitignore").write_text("target\n")
    assert buildperm(*LEARN, folder=repository / "app").returncode == 0
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    other = tmp_path / "elsewhere/deeper/two"
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-qm", "x"],
        ["worktree", "add", other],
    ):
        subprocess.run(["git", *identity, *words], cwd=repository, check=True, capture_output=True)

    text = (repository / "app/Cargo.toml").read_text()
    locked = (repository / "app/buildperm.lock").read_text()
    assert '"path+$WORKSPACE/../library#library"' in text
    assert str(tmp_path) not in text + locked
    assert buildperm("check", folder=other / "app").returncode == 0
    assert buildperm("ci", "--require-reviewed", folder=other / "app").returncode == 0
