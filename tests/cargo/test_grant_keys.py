"""Which key of the grant table applies to a package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildperm.cargo.grant_keys import GrantKeys, places
from buildperm.cargo.metadata import Package
from buildperm.cargo.project import Project, Projects
from buildperm.policy.grants import CrateGrants, Policy, key_for, matching, parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from tests.registry import Registry

MAIN = "fn main() {}\n"
RULES = frozenset({Rule(Kind.EXEC, "perl")})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    registry.publish("sys", "1.0.0", {"build.rs": MAIN})
    registry.publish("sys", "0.9.3", {"build.rs": MAIN})
    return registry


def folder(path: Path, name: str) -> str:
    """Write a package; return what depends on it by path."""
    (path / "src").mkdir(parents=True)
    (path / "src/lib.rs").write_text("")
    (path / "build.rs").write_text(MAIN)
    (path / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
    )
    return f'{{ path = "{path}" }}'


class GrantedWorkspace:
    """A workspace that is asked about, with grants."""

    def __init__(self, registry: Registry, environment: Mapping[str, str], root: Path) -> None:
        self.project: Project = Projects(root, {**environment, **registry.environment}).open(
            [], default=["check"]
        )
        self.places = places(
            self.project.metadata, self.project.toolchain, self.project.environment
        )

    def of(self, package: Package, *granted: str) -> tuple[str, CrateGrants | None]:
        crates = {key: CrateGrants(key, rules=RULES) for key in granted}
        policy = Policy("portable", crates, self.project.metadata.manifest)
        return GrantKeys(self.project.metadata, self.project.lock, policy, self.places).of(package)

    def package(self, name: str, version: str = "", *, local: bool = False) -> Package:
        (found,) = (
            each
            for each in self.project.metadata.packages.values()
            if each.name == name
            and version in ("", each.version)
            and (not local or not each.source)
        )
        return found


def test_places_are_those_of_the_workspace_and_the_tool_chain(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1"})
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to("real")
    project = GrantedWorkspace(registry, environment, root).project

    found = places(project.metadata, project.toolchain, {"HOME": str(tmp_path / "home")})

    assert set(found) == {"WORKSPACE", "CARGO_HOME", "SYSROOT", "HOME"}
    assert found["WORKSPACE"] == os.fsencode(root)
    assert found["HOME"] == os.fsencode(tmp_path / "real")
    assert found["CARGO_HOME"] == os.fsencode(registry.cargo_home)


def test_a_crate_of_the_registry_goes_by_its_name(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1"})
    desk = GrantedWorkspace(registry, environment, root)
    package = desk.package("sys")

    assert desk.of(package) == ("sys", None)
    key, grants = desk.of(package, "sys")
    assert key == "sys"
    assert grants is not None
    assert grants.rules == RULES
    assert desk.of(package, "sys@1", "sys")[0] == "sys@1"
    assert desk.of(package, "sys@0.9", "sys")[0] == "sys"
    assert desk.of(package, "sys@2") == ("sys", None)


def test_two_versions_of_a_crate_may_go_by_two_keys(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    registry.publish("middle", "1.0.0", dependencies={"sys": "0.9"})
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1", "middle": "1"})
    desk = GrantedWorkspace(registry, environment, root)
    old, new = desk.package("sys", "0.9.3"), desk.package("sys", "1.0.0")

    assert [desk.of(each, "sys@0.9")[0] for each in (old, new)] == ["sys@0.9", "sys"]
    assert [desk.of(each, "sys")[1] is None for each in (old, new)] == [False, False]


def test_an_impostor_has_no_part_in_the_grants_of_the_registrys_crate(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """It lies outside of the workspace, under the name of the one that the grants are for."""
    needed = folder(tmp_path / "impostor", "sys")
    root = registry.application(tmp_path / "ws", dependencies={"sys": needed})
    desk = GrantedWorkspace(registry, environment, root)
    package = desk.package("sys")

    key, grants = desk.of(package, "sys", "sys@0.1")

    assert grants is None
    assert key == "path+$WORKSPACE/../impostor#sys"
    assert desk.of(package, "sys", key)[0] == key


def test_an_impostor_beside_the_real_one_has_a_key_of_its_own(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """Even where it belongs to the workspace."""
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1"})
    folder(root / "sys", "sys")
    manifest = root / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('["app"]', '["app", "sys"]'))
    desk = GrantedWorkspace(registry, environment, root)
    local, real = desk.package("sys", local=True), desk.package("sys", "1.0.0")

    assert desk.of(local, "sys") == ("path+$WORKSPACE/sys#sys", None)
    assert desk.of(real, "sys")[1] is not None


def test_a_member_of_the_workspace_goes_by_its_name_where_the_registry_has_none_in_the_graph(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws", dependencies={}, name="mine")
    folder(root / "own", "sys")
    manifest = root / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('["mine"]', '["mine", "own"]'))
    desk = GrantedWorkspace(registry, environment, root)
    package = desk.package("sys")

    assert desk.of(package) == ("sys", None)
    assert desk.of(package, "sys", "path+$WORKSPACE/own#sys")[0] == "path+$WORKSPACE/own#sys"
    assert desk.of(package, "path+$WORKSPACE/other#sys") == ("sys", None)


def test_the_key_that_new_grants_get_means_that_package_and_can_be_written(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    needed = folder(tmp_path / "out side ü", "outside")
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1", "outside": needed})
    desk = GrantedWorkspace(registry, environment, root)

    for package in desk.project.metadata.packages.values():
        key, _ = desk.of(package)
        assert str(parse_key(key)) == key
        assert desk.of(package, key) == (key, CrateGrants(key, rules=RULES))
        others = [each for each in desk.project.metadata.packages.values() if each != package]
        assert all(desk.of(other, key)[1] is None for other in others)


def test_grants_by_a_path_hold_wherever_the_workspace_is(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws")
    folder(root / "vendor/sys", "sys")
    (root / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["app"]\nexclude = ["vendor"]\nresolver = "2"\n'
    )
    with (root / "app/Cargo.toml").open("a") as file:
        file.write('\n[dependencies.sys]\npath = "../vendor/sys"\n')
    key, _ = GrantedWorkspace(registry, environment, root).of(
        GrantedWorkspace(registry, environment, root).package("sys")
    )
    assert key == "path+$WORKSPACE/vendor/sys#sys"

    there = GrantedWorkspace(registry, environment, root.rename(tmp_path / "elsewhere"))

    assert there.of(there.package("sys"), key)[1] is not None


def test_of_git_and_of_other_registries_the_source_is_spelled_out() -> None:
    git = "git+https://a.org/x?branch=main"
    for source in (f"{git}#0123", "registry+https://a.org/index", "sparse+https://a.org/index/"):
        key = key_for("sys", source, "", is_workspace_member=False, has_registry_twin=False)
        policy = Policy("portable", {key: CrateGrants(key, rules=RULES)}, Path("Cargo.toml"))

        assert key == f"{source.partition('#')[0]}#sys"
        assert matching(policy, "sys", "1.0.0", source, False, True) is not None
        assert matching(policy, "sys", "1.0.0", "git+https://b.org/x#0123", False, False) is None


def test_limits_are_those_of_the_closest_key_and_of_no_impostor(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    own = folder(tmp_path / "own", "sys")
    root = registry.application(
        tmp_path / "ws", dependencies={"sys": "1", "own": own[:-2] + ', package = "sys" }'}
    )
    desk = GrantedWorkspace(registry, environment, root)
    policy = Policy(
        "portable",
        {"sys": CrateGrants("sys")},
        desk.project.metadata.manifest,
        crate_limits={"sys": {"seconds": 1}, "sys@1": {"seconds": 2}, "sys@2": {"seconds": 3}},
    )
    keys = GrantKeys(desk.project.metadata, desk.project.lock, policy, desk.places)
    (registered,) = (
        each
        for each in desk.project.metadata.packages.values()
        if each.name == "sys" and each.source
    )

    assert keys.limits_of(registered) == {"seconds": 2}
    assert keys.limits_of(desk.package("sys", local=True)) == {}
    assert keys.of(registered)[0] == "sys"
