"""What compiling may read of a workspace with many packages: the same for each, and found once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import compile_session
from buildperm.cargo.project import Projects
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from tests.cargo.workspaces import package, vendor

if TYPE_CHECKING:
    import pytest


def members(root: Path, count: int) -> Path:
    """Make a workspace of packages that know nothing of one another."""
    for number in range(count):
        package(root / f"p{number}", f"p{number}", None)
    (root / "Cargo.toml").write_text('[workspace]\nresolver = "2"\nmembers = ["p*"]\n')
    return root


def sections(
    root: Path, environment: Mapping[str, str], *crates: CrateGrants
) -> dict[str, set[str]]:
    """Return what the launcher is told: for all (under the empty name), and of each package."""
    policy = Policy("portable", {each.key: each for each in crates}, root / "Cargo.toml")
    project = Projects(root, environment).open([], default=["check"])
    build = SupervisedBuild(project, policy, "enforcing")
    made = compile_session.make(build.session, project, policy, build.mode, build.target)
    found: dict[str, set[str]] = {"": set()}
    name = ""
    for entry in made.text.decode().split("\0"):
        key, _, value = entry.partition(" ")
        name = Path(value).name if key == "package" else name
        found.setdefault(name, set()).add(entry)
    return found


def paths(entries: set[str]) -> set[str]:
    """Return what a section opens by its own entries."""
    return {entry[2:] for entry in entries if entry[1:2] == " "}


def test_members_may_read_the_manifests_of_all_which_are_told_once(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = members(tmp_path / "space", 3)

    told = sections(root, environment)

    for name in ("p0", "p1", "p2"):
        assert f"m {root / name / 'Cargo.toml'}" in told[""]
        assert "manifests yes" in told[name]
        assert str(root / "p1" / "Cargo.toml") not in paths(told[name])


def test_a_package_from_elsewhere_may_not_read_them(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = members(tmp_path / "space", 1)
    vendor(root, "other", "1.0.0", "fn main() {}")
    with (root / "p0" / "Cargo.toml").open("a") as manifest:
        manifest.write('other = "1.0.0"\n')

    told = sections(root, environment)

    assert "manifests yes" in told["p0"]
    assert "manifests yes" not in told["other-1.0.0"]
    assert str(root / "p0" / "Cargo.toml") not in paths(told["other-1.0.0"])


def test_what_is_denied_of_them_stays_closed(tmp_path: Path, environment: dict[str, str]) -> None:
    root = members(tmp_path / "space", 3)
    denied = frozenset({Rule(Kind.READ, "$WORKSPACE/p1/Cargo.toml")})
    grants = CrateGrants("p0", frozenset({"0.1.0"}), denials=denied)

    told = sections(root, environment, grants)

    assert "manifests yes" not in told["p0"]
    assert str(root / "p2" / "Cargo.toml") in paths(told["p0"])
    assert str(root / "p1" / "Cargo.toml") not in paths(told["p0"])
    assert "manifests yes" in told["p2"]


def test_a_manifest_in_a_folder_of_keys_is_not_among_them(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = members(tmp_path / "space", 1)
    package(root / "p0" / "a" / "b" / ".ssh" / "inner", "inner", None)
    (root / "Cargo.toml").write_text(
        '[workspace]\nresolver = "2"\nmembers = ["p0", "p0/a/b/.ssh/inner"]\n'
    )

    told = sections(root, environment)

    assert "manifests yes" not in told["p0"]
    assert not any(".ssh" in path for path in paths(told["p0"]))
    assert str(root / "Cargo.toml") in paths(told["p0"])


def test_each_further_package_costs_as_many_looks_as_the_one_before(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    scan, follow = os.scandir, os.path.realpath
    for count in (4, 8, 12):
        root = members(tmp_path / f"space{count}", count)
        made = 0

        def counted(*given: object, call: object, **named: object) -> object:
            nonlocal made
            made += 1
            assert callable(call)
            return call(*given, **named)

        monkeypatch.setattr(os, "scandir", lambda *given: counted(*given, call=scan))
        monkeypatch.setattr(
            os.path, "realpath", lambda *given, **named: counted(*given, call=follow, **named)
        )
        sections(root, environment)
        monkeypatch.undo()
        looks.append(made)

    assert looks[2] - looks[1] <= looks[1] - looks[0]
