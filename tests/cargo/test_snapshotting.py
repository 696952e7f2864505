"""The snapshots that a build takes: of what has run, and of what took no part."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.project import Project, Projects
from buildperm.cargo.session_maker import make
from buildperm.cargo.snapshotting import take_snapshots
from buildperm.cargo.target_directory import open_target
from buildperm.policy import lock_file
from buildperm.policy.access import Outcome
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.snapshot import Context, SeenAccess, Snapshot, SnapshotRun
from tests.registry import Registry

MAIN = "fn main() {}\n"
SIGHTING = SnapshotRun(
    Context("x86_64-unknown-linux-gnu", "debug", ()),
    "portable",
    frozenset({SeenAccess(Kind.EXEC, "cc", Outcome.DONE)}),
)


class Build:
    """One build of a workspace with two build scripts, as far as snapshots are concerned."""

    def __init__(self, project: Project, *granted: str) -> None:
        self.project = project
        policy = Policy("portable", {key: CrateGrants(key) for key in granted}, Path("Cargo.toml"))
        self.session = make(
            project.metadata,
            project.lock,
            policy,
            project.toolchain,
            open_target(project.metadata, "learn"),
            project.environment,
            profile="learning",
        )
        self.packages = HeldPackages(project, policy, self.session)

    def folder(self, name: str) -> Path:
        (found,) = (each.folder for each in self.project.metadata.scripted() if each.name == name)
        return found

    def take(
        self,
        *ran: str,
        complete: bool = True,
        sources: Mapping[Path, Sequence[Path]] | None = None,
    ) -> dict[str, Snapshot]:
        sightings = {os.fsencode(self.folder(name)): [SIGHTING] for name in ran}
        taken = take_snapshots(
            self.project, self.session, self.packages, sightings, sources or {}, complete=complete
        )
        return {snapshot.crate: snapshot for snapshot in taken}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    registry = Registry(tmp_path / "registry")
    registry.publish("sys", "1.0.0", {"build.rs": MAIN}, features={"default": [], "more": []})
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1"})
    (root / "app/build.rs").write_text(MAIN)
    (root / "app/extra.rs").write_text("")
    return root


@pytest.fixture
def build(root: Path, environment: Mapping[str, str]) -> Build:
    return Build(opened(root, environment))


def opened(root: Path, environment: Mapping[str, str], *words: str) -> Project:
    home = {"CARGO_HOME": str(root.parent / "registry-cargo-home")}
    return Projects(root, {**environment, **home}).open(words, default=["check", "--keep-going"])


def test_what_has_run_is_taken_with_what_it_was_seen_doing(build: Build) -> None:
    taken = build.take("sys", "app")

    assert set(taken) == {"sys", "app"}
    assert taken["sys"].sightings == (SIGHTING,)
    assert taken["sys"].version == "1.0.0"
    assert taken["sys"].source.startswith("registry+")
    assert taken["sys"].commands == {"check --keep-going": ("default",)}
    assert taken["app"].source == ""
    assert taken["app"].commands == {"check --keep-going": ()}
    assert not taken["sys"].unused


def test_a_script_that_takes_no_part_is_taken_where_the_build_went_to_its_end(
    build: Build,
) -> None:
    taken = build.take("sys")

    assert taken["app"].sightings == ()
    assert taken["app"].inputs.files.keys() == {"$WORKSPACE/app/build.rs"}


def test_a_build_that_broke_off_says_nothing_of_what_had_not_run(build: Build) -> None:
    assert set(build.take("sys", complete=False)) == {"sys"}
    assert build.take(complete=False) == {}


def test_the_files_that_a_script_was_compiled_from_are_kept(build: Build) -> None:
    folder = build.folder("app")
    files = {folder: [folder / "extra.rs", folder / "build.rs"], folder / "none": [folder]}

    taken = build.take("app", "sys", sources=files)

    assert sorted(taken["app"].inputs.files) == [
        "$WORKSPACE/app/build.rs",
        "$WORKSPACE/app/extra.rs",
    ]
    assert taken["sys"].inputs.files == {}


def test_the_words_of_the_command_are_kept_as_a_shell_reads_them(
    root: Path, environment: Mapping[str, str]
) -> None:
    project = opened(root, environment, "test", "--features", "sys/more sys/default")

    taken = Build(project).take("sys")

    words = "test --features 'sys/more sys/default'"
    assert taken["sys"].commands == {words: ("default", "more")}


def test_a_snapshot_goes_by_the_key_of_its_grants(
    root: Path, environment: Mapping[str, str]
) -> None:
    taken = Build(opened(root, environment), "sys@1", "path+$WORKSPACE/app#app").take("sys")

    assert set(taken) == {"sys@1", "path+$WORKSPACE/app#app"}


def test_what_was_taken_is_read_back_from_the_file(build: Build) -> None:
    taken = {(each.crate, each.version): each for each in build.take("sys", "app").values()}

    assert lock_file.parse(lock_file.text(taken), Path("buildperm.lock")) == taken
