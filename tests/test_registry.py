"""Cargo takes the tests' own registry for crates.io."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.registry import Registry

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def _locked(workspace: Path) -> dict[str, dict[str, str]]:
    lock = tomllib.loads((workspace / "Cargo.lock").read_text())
    return {f"{package['name']} {package['version']}": package for package in lock["package"]}


def test_cargo_locks_packages_as_if_they_were_from_crates_io(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    checksum = registry.publish("helper", "1.0.0", {"build.rs": "fn main() {}\n"})
    registry.publish("abc", "0.3.9", dependencies={"helper": "1"})

    workspace = registry.application(tmp_path / "ws", dependencies={"abc": "0.3"})
    registry.cargo("check", "--locked", folder=workspace)

    locked = _locked(workspace)
    assert locked["helper 1.0.0"] == {
        "name": "helper",
        "version": "1.0.0",
        "source": CRATES_IO,
        "checksum": checksum,
    }
    assert {path.name for path in workspace.iterdir()} == {
        "Cargo.toml",
        "Cargo.lock",
        "app",
        "target",
    }


def test_a_newer_version_is_found_by_an_update_and_not_before(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.publish("library", "0.3.9")
    workspace = registry.application(tmp_path / "ws", dependencies={"library": "0.3"})
    registry.publish("tool", "2.0.0")
    registry.publish("library", "0.3.10", build_dependencies={"tool": "2"})

    registry.cargo("fetch", "--locked", folder=workspace)
    before = set(_locked(workspace))
    registry.cargo("update", folder=workspace)

    assert before == {"app 0.1.0", "library 0.3.9"}
    assert set(_locked(workspace)) == {"app 0.1.0", "library 0.3.10", "tool 2.0.0"}


def test_a_yanked_version_stays_locked_and_is_never_chosen(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.publish("library", "0.3.9")
    registry.publish("library", "0.3.10")
    first = registry.application(tmp_path / "first", dependencies={"library": "0.3"})

    registry.yank("library", "0.3.10")
    registry.cargo("fetch", "--locked", folder=first)
    second = registry.application(tmp_path / "second", dependencies={"library": "0.3"})

    assert "library 0.3.10" in _locked(first)
    assert "library 0.3.9" in _locked(second)


def test_packages_are_the_same_whenever_they_are_made(tmp_path: Path) -> None:
    one, other = Registry(tmp_path / "one"), Registry(tmp_path / "other")
    files: dict[str, str | bytes] = {"build.rs": "fn main() {}\n", "data.bin": b"\0\xff"}

    assert one.publish("a", "1.0.0", files) == other.publish("a", "1.0.0", files)
    with pytest.raises(ValueError, match="published already"):
        one.publish("a", "1.0.0")
