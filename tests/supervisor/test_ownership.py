"""Who owns the folders in the system's trees and in a package, in many layouts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.cargo import owned_folders
from buildperm.rules.layout import SHARED
from buildperm.supervisor.ownership import Ownership


def others(
    tree: str, *, own: Path | str = "", homes: tuple[str, ...] = (), **places: str
) -> set[str]:
    """List what in `tree` is somebody else's."""
    known = {token: os.fsencode(folder) for token, folder in places.items()}
    if own:
        known["MANIFEST_DIR"] = os.fsencode(own)
    told = Ownership(known, (), [os.fsencode(home) for home in homes])
    return {os.fsdecode(path) for path in told.others(os.fsencode(tree)).below(os.fsencode(tree))}


def test_what_lies_deeper_than_a_tree_of_the_system_is_not_the_systems() -> None:
    found = others(
        "/usr",
        WORKSPACE="/usr/src/app",
        TARGET_DIR="/tmp/x",
        CARGO_HOME="/usr/local/cargo",
        HOME="/usr/share/service",
        homes=("/usr/home/me", "/home/you"),
    )

    assert found == {"/usr/src/app", "/usr/local/cargo", "/usr/share/service", "/usr/home/me"}


@pytest.mark.parametrize("folder", ["/", "/home/me", "/usr/sbin", "/usr/lib", "/bin", "/opt"])
@pytest.mark.parametrize("token", ["HOME", "WORKSPACE", "CARGO_HOME"])
def test_a_tree_of_the_system_is_deeper_than_what_it_lies_in(token: str, folder: str) -> None:
    told = Ownership({token: os.fsencode(folder)})
    assert not told.others(b"/usr").below(b"/usr")
    assert not told.others(b"/lib64").below(b"/lib64")


@pytest.mark.parametrize("folder", ["/usr", "/usr/local"])
def test_of_a_folder_that_is_the_systems_and_somebodys_the_system_keeps_its_own(
    folder: str,
) -> None:
    found = others("/usr", HOME=folder)

    own = SHARED[os.fsencode(folder)]
    named = {path.removeprefix(f"{folder}/") for path in found}
    assert named == {name for name in os.listdir(folder) if os.fsencode(name) not in own}


def test_the_folder_of_a_package_is_not_all_its_own(tmp_path: Path) -> None:
    for name in (".git", "target", "part/.git", "src/target"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "target/CACHEDIR.TAG").touch()
    cargo_home, built = str(tmp_path / "cargo"), str(tmp_path / "built")

    found = others(str(tmp_path), own=tmp_path, CARGO_HOME=cargo_home, TARGET_DIR=built)

    assert found == {str(tmp_path / name) for name in (".git", "target", "cargo", "built")}
    assert others(str(tmp_path / "src"), own=tmp_path / "src") == set()  # Nothing was built there.


def test_a_package_in_the_root_of_the_machine_has_nothing_of_the_machine() -> None:
    found = others("/", own="/", WORKSPACE="/")

    assert {"/etc", "/usr", "/root", "/tmp", "/proc"} <= found
    assert all(os.path.lexists(path) for path in found)


def test_folders_with_homes_in_them_cannot_be_listed() -> None:
    told = Ownership({"HOME": b"/usr/home/me", "WORKSPACE": b"/usr/src/app"}, (), [b"/srv/you"])

    assert not told.may_list(b"/usr")
    assert told.may_list(b"/usr/src")
    assert not told.may_list(b"/srv")


def test_homes_are_those_of_people(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to("home")
    passwd = tmp_path / "passwd"
    passwd.write_text(
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
        "nobody:x:65534:65534::/usr/share:/bin/sh\n"
        "empty:x:1001:1001::/:/bin/sh\n"
        "broken:x\n"
        f"me:x:1000:1000::{tmp_path}/link:/bin/sh\n"
    )

    found = owned_folders.homes(passwd)

    assert bytes(tmp_path / "home") in found
    assert b"/root" in found or os.path.realpath("/root") != "/root"
    assert not {b"/usr/sbin", b"/usr/share", b"/"} & set(found) or os.getuid() in (1, 65534)
    assert owned_folders.homes(tmp_path / "missing") == []
