"""Which build scripts have to be reviewed, from Cargo.lock and `buildperm.lock` alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.pending_search import StaleEntries, combined, pending, stale
from buildperm.cargo.project import Project, Projects
from buildperm.cargo.session_maker import make
from buildperm.cargo.snapshotting import take_snapshots
from buildperm.cargo.target_directory import open_target
from buildperm.policy import lock_file
from buildperm.policy.access import Outcome
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import Context, SeenAccess, Snapshot, SnapshotRun
from buildperm.policy.snapshots import updated
from tests.registry import Registry

MAIN = "fn main() {}\n"
CC = SeenAccess(Kind.EXEC, "cc", Outcome.DONE)
Crate = tuple[str, str]


class ReviewedWorkspace:
    """A workspace, and what was reviewed of it."""

    def __init__(self, registry: Registry, environment: Mapping[str, str], root: Path) -> None:
        self.registry = registry
        self.environment = environment
        self.root = root
        self.grants: dict[str, CrateGrants] = {}
        self.contexts: tuple[str, ...] = ()
        self.known: dict[Crate, Snapshot] = {}

    def project(self, *words: str) -> Project:
        return Projects(self.root, {**self.environment, **self.registry.environment}).open(
            words, default=["check"]
        )

    @property
    def policy(self) -> Policy:
        return Policy("portable", self.grants, self.root / "Cargo.toml", self.contexts)

    def taken(
        self, *words: str, seen: Mapping[str, Iterable[SeenAccess]] | None = None
    ) -> list[Snapshot]:
        """Take the snapshots of a build that has run every build script."""
        project = self.project(*words)
        session = make(
            project.metadata, project.lock, self.policy, project.toolchain,
            open_target(project.metadata, "learn"), project.environment, profile="learning",
        )  # fmt: skip
        sightings = {
            folder: [
                SnapshotRun(
                    Context(project.toolchain.host, "debug", ()),
                    "portable",
                    frozenset((seen or {}).get(package["name"], ())),
                )
            ]
            for folder, package in session["packages"].items()
        }
        held = HeldPackages(project, self.policy, session)
        return list(take_snapshots(project, session, held, sightings, {}, complete=True))

    def review(self, *words: str, seen: Mapping[str, Iterable[SeenAccess]] | None = None) -> None:
        """Write a `buildperm.lock` that says that everything was reviewed."""
        new = self.taken(*words, seen=seen)
        present = {(snapshot.crate, snapshot.version) for snapshot in new}
        path = self.root / lock_file.NAME
        before = lock_file.content(path)
        lock_file.write(path, before, lock_file.text(updated(self.known, new, present)))
        self.known = lock_file.read(path)

    def pending(self, *words: str) -> list[Pending]:
        return pending(self.project(*words), self.policy, self.known)

    def causes(self, *words: str) -> dict[str, list[tuple[Cause, str]]]:
        return {each.name: list(each.causes) for each in self.pending(*words)}

    def update(self) -> None:
        self.registry.cargo("update", folder=self.root)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    registry.publish("cc", "1.0.0")
    registry.publish(
        "sys",
        "1.0.0",
        {"build.rs": MAIN},
        build_dependencies={"cc": "1"},
        features={"default": [], "more": []},
    )
    registry.publish("alpha", "1.0.0", {"build.rs": MAIN})
    registry.publish("plain", "1.0.0", dependencies={"sys": "1"})
    return registry


@pytest.fixture
def desk(registry: Registry, environment: Mapping[str, str], tmp_path: Path) -> ReviewedWorkspace:
    root = registry.application(tmp_path / "ws", dependencies={"plain": "1", "alpha": "1"})
    return ReviewedWorkspace(registry, environment, root)


def test_everything_is_new_where_nothing_was_reviewed(desk: ReviewedWorkspace) -> None:
    found = desk.pending()

    assert [(each.crate, each.version, each.before, each.is_new) for each in found] == [
        ("alpha", "1.0.0", "", True),
        ("sys", "1.0.0", "", True),
    ]
    assert found[1].way == ("app", "plain", "sys")
    assert found[1].source.startswith("registry+")


def test_nothing_is_pending_once_it_was_reviewed(desk: ReviewedWorkspace) -> None:
    desk.review()

    assert desk.pending() == []
    assert desk.pending("check") == []


def test_a_crate_that_comes_in_is_told_first(desk: ReviewedWorkspace) -> None:
    """Even where its name comes last, and others have changed."""
    desk.review()
    desk.registry.publish("zoo", "0.1.0", {"build.rs": MAIN})
    desk.registry.publish("alpha", "1.0.1", {"build.rs": MAIN}, dependencies={"zoo": "0.1"})
    desk.update()

    first, second = desk.pending()

    assert (first.name, first.is_new, first.way) == ("zoo", True, ("app", "alpha", "zoo"))
    assert first.causes == ((Cause.NEW, "no build script of it was ever reviewed"),)
    assert (second.name, second.before, second.version) == ("alpha", "1.0.0", "1.0.1")


def test_a_crate_that_gets_a_build_script_in_an_update_is_new(desk: ReviewedWorkspace) -> None:
    desk.review()
    desk.registry.publish("plain", "1.0.1", {"build.rs": MAIN}, dependencies={"sys": "1"})
    desk.update()

    assert desk.causes() == {"plain": [(Cause.NEW, "no build script of it was ever reviewed")]}


def test_another_version_is_one_cause_with_what_else_has_changed(desk: ReviewedWorkspace) -> None:
    desk.review()
    desk.registry.publish("cc", "1.1.0")
    desk.registry.publish(
        "sys",
        "1.0.1",
        {"build.rs": MAIN},
        build_dependencies={"cc": "1"},
        features={"default": []},
    )
    desk.update()

    assert desk.causes() == {
        "sys": [
            (Cause.VERSION, "was 1.0.0"),
            (Cause.BUILD_DEPENDENCIES, "cc 1.0.0 -> 1.1.0"),
        ]
    }


def test_a_build_dependency_alone_is_a_cause_of_those_that_need_it(desk: ReviewedWorkspace) -> None:
    desk.review()
    desk.registry.publish("cc", "1.1.0")
    desk.update()

    assert desk.causes() == {"sys": [(Cause.BUILD_DEPENDENCIES, "cc 1.0.0 -> 1.1.0")]}


def test_the_same_version_with_another_checksum_is_told_as_such(desk: ReviewedWorkspace) -> None:
    desk.review()
    key = "sys", "1.0.0"
    inputs = replace(desk.known[key].inputs, checksum="0" * 64)
    desk.known[key] = replace(desk.known[key], inputs=inputs)

    assert desk.causes() == {"sys": [(Cause.SOURCE, "the same version with another checksum")]}


def test_a_yanked_version_is_no_news(desk: ReviewedWorkspace) -> None:
    desk.review()
    desk.registry.yank("sys", "1.0.0")

    assert desk.pending() == []


def test_features_are_a_cause_under_the_words_that_they_were_recorded_with(
    desk: ReviewedWorkspace,
) -> None:
    desk.review()
    manifest = desk.root / "app/Cargo.toml"
    needed = '[dependencies]\nsys = { version = "1", features = ["more"] }\n'
    manifest.write_text(manifest.read_text().replace("[dependencies]\n", needed))

    assert desk.causes() == {"sys": [(Cause.FEATURES, "features: + more")]}


def test_a_context_that_was_never_recorded_is_pending_until_it_was(desk: ReviewedWorkspace) -> None:
    desk.review()

    told = "never recorded with `test --release`"
    assert desk.causes("test", "--release") == {
        name: [(Cause.CONTEXT, told)] for name in ("alpha", "sys")
    }
    desk.contexts = ("check", "test --release")
    assert desk.causes("test", "--release")["sys"] == [
        (Cause.CONTEXT, f"{told}, which Cargo.toml declares")
    ]
    desk.review("test", "--release")
    assert desk.pending("test", "--release") == []
    assert desk.pending() == []


@pytest.mark.slow
def test_the_words_of_a_context_may_be_told(desk: ReviewedWorkspace) -> None:
    desk.review()

    found = pending(desk.project("check"), desk.policy, desk.known, words="other words")

    assert {cause for each in found for cause in each.causes} == {
        (Cause.CONTEXT, "never recorded with `other words`")
    }


def test_grants_that_are_missing_are_a_cause_of_the_crate_they_are_missing_for(
    desk: ReviewedWorkspace,
) -> None:
    desk.grants = {"sys": CrateGrants("sys", rules=frozenset({Rule(Kind.EXEC, "cc")}))}
    desk.review(seen={"sys": [CC]})
    assert desk.pending() == []

    desk.grants = {}

    assert desk.causes() == {"sys": [(Cause.GRANTS, "seen running `cc`, which is not granted")]}


@pytest.mark.slow
def test_risky_grants_of_a_version_that_was_not_reviewed_are_missing(
    desk: ReviewedWorkspace,
) -> None:
    curl = SeenAccess(Kind.EXEC, "curl", Outcome.DONE)
    granted = CrateGrants("sys", frozenset({"1.0.0"}), rules=frozenset({Rule(Kind.EXEC, "curl")}))
    desk.grants = {"sys": granted}
    desk.review(seen={"sys": [curl]})
    assert desk.pending() == []

    desk.grants = {"sys": replace(granted, reviewed=frozenset({"0.9.0"}))}

    assert [cause for cause, _ in desk.causes()["sys"]] == [Cause.GRANTS]


@pytest.mark.slow
def test_a_key_that_gets_a_version_still_means_the_same_crate(desk: ReviewedWorkspace) -> None:
    desk.review(seen={"sys": [CC]})
    desk.grants = {"sys@1": CrateGrants("sys@1", rules=frozenset({Rule(Kind.EXEC, "cc")}))}
    assert desk.pending() == []

    desk.review(seen={"sys": [CC]})
    desk.grants = {"sys": CrateGrants("sys", rules=frozenset({Rule(Kind.EXEC, "cc")}))}

    assert ("sys@1", "1.0.0") in desk.known
    assert desk.pending() == []


@pytest.mark.slow
def test_a_renamed_dependency_goes_by_the_name_of_its_package(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    needed = '{ package = "sys", version = "1" }'
    root = registry.application(tmp_path / "ws", dependencies={"native": needed})
    desk = ReviewedWorkspace(registry, environment, root)

    (new,) = desk.pending()
    assert (new.crate, new.way) == ("sys", ("app", "sys"))
    desk.review()
    assert desk.pending() == []


@pytest.mark.slow
def test_two_versions_of_one_crate_are_reviewed_one_by_one(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    registry.publish("sys", "2.0.0", {"build.rs": MAIN})
    root = registry.application(tmp_path / "ws", dependencies={"sys": "2", "plain": "1"})
    desk = ReviewedWorkspace(registry, environment, root)
    assert [(each.version, each.is_new) for each in desk.pending()] == [
        ("1.0.0", True),
        ("2.0.0", True),
    ]
    desk.review()
    assert desk.pending() == []
    registry.publish("sys", "2.1.0", {"build.rs": MAIN})
    registry.publish("sys", "1.1.0", {"build.rs": MAIN})
    desk.update()

    assert [(each.version, each.before) for each in desk.pending()] == [
        ("1.1.0", "1.0.0"),
        ("2.1.0", "2.0.0"),
    ]


def folder(path: Path, name: str, version: str = "0.1.0", build: str | None = MAIN) -> str:
    """Write a package; return what depends on it by path."""
    (path / "src").mkdir(parents=True, exist_ok=True)
    (path / "src/lib.rs").write_text("")
    if build is not None:
        (path / "build.rs").write_text(build)
    (path / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n'
    )
    return f'{{ path = "{path}" }}'


@pytest.mark.slow
def test_a_folder_outside_of_the_workspace_is_watched_by_its_files(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    root = registry.application(
        tmp_path / "ws", dependencies={"outside": folder(outside, "outside")}
    )
    desk = ReviewedWorkspace(registry, environment, root)
    desk.review()
    ((key, _),) = desk.known
    assert key == "path+$WORKSPACE/../outside#outside"
    assert desk.pending() == []

    (outside / "src/lib.rs").write_text("// another library\n")
    assert desk.pending() == []
    (outside / "build.rs").write_text("fn main() { }\n")

    (found,) = desk.pending()
    assert found.source == ""
    assert found.causes == ((Cause.SOURCE, "build.rs changed"),)


def test_a_build_script_that_is_replaced_by_a_folder_is_told_and_breaks_nothing(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "outside"
    root = registry.application(tmp_path / "ws", dependencies={"outside": folder(path, "outside")})
    desk = ReviewedWorkspace(registry, environment, root)
    desk.review()
    ((key, snapshot),) = desk.known.items()
    files = {**snapshot.inputs.files, "$WORKSPACE/../outside/src": "0" * 64, "$NOWHERE/x": "0" * 64}
    desk.known[key] = replace(snapshot, inputs=replace(snapshot.inputs, files=files))

    assert desk.causes()["outside"] == [
        (Cause.SOURCE, "$NOWHERE/x is gone"),
        (Cause.SOURCE, "src is gone"),
    ]


def test_a_folder_that_calls_itself_like_a_reviewed_crate_is_new(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1"})
    desk = ReviewedWorkspace(registry, environment, root)
    desk.review()
    needed = folder(tmp_path / "impostor", "sys", "1.0.0")
    manifest = root / "app/Cargo.toml"
    manifest.write_text(manifest.read_text().replace('sys = "1"', f"sys = {needed}"))

    (found,) = desk.pending()

    assert found.is_new
    assert found.before == ""
    assert found.crate == "path+$WORKSPACE/../impostor#sys"


@pytest.mark.slow
def test_a_member_that_makes_way_for_a_crate_of_its_name_hands_nothing_on(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """The plain name means the registry's crate from then on, and both have to be looked at."""
    root = registry.application(tmp_path / "ws")
    folder(root / "sys", "sys", "1.0.0")
    (root / "Cargo.toml").write_text('[workspace]\nmembers = ["app", "sys"]\nresolver = "2"\n')
    desk = ReviewedWorkspace(registry, environment, root)
    desk.review()
    assert set(desk.known) == {("sys", "1.0.0")}
    manifest = root / "app/Cargo.toml"
    manifest.write_text(
        manifest.read_text().replace("[dependencies]\n", '[dependencies]\nsys = "1"\n')
    )

    local, real = sorted(desk.pending(), key=lambda each: each.source)

    assert local.is_new
    assert local.crate == "path+$WORKSPACE/sys#sys"
    assert (Cause.SOURCE, f"from {real.source}, was from a folder") in real.causes


@pytest.mark.slow
def test_another_commit_is_told_by_its_first_digits(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    folder(source, "sys")

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
            cwd=source, check=True, capture_output=True,
            env={**environment, "GIT_CONFIG_GLOBAL": "/dev/null"},
        )  # fmt: skip

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    needed = f'{{ git = "file://{source}" }}'
    root = registry.application(tmp_path / "ws", dependencies={"sys": needed})
    desk = ReviewedWorkspace(registry, environment, root)
    desk.review()
    ((key, _),) = desk.known
    assert key == f"git+file://{source}#sys"
    git("commit", "-q", "--allow-empty", "-m", "two")
    assert desk.pending() == []
    desk.update()

    (found,) = desk.pending()

    assert found.crate == key
    ((cause, told),) = found.causes
    assert cause is Cause.SOURCE
    assert told.startswith("commit ")
    assert len(told) == len("commit 012345678 -> 012345678")


@pytest.mark.slow
def test_a_clone_at_another_place_sees_the_same(desk: ReviewedWorkspace, tmp_path: Path) -> None:
    desk.review(seen={"sys": [CC]})
    desk.grants = {}
    here = desk.pending()

    desk.root = desk.root.rename(tmp_path / "elsewhere")

    assert here
    assert desk.pending() == here


@pytest.mark.slow
def test_contexts_are_put_together_each_build_script_once(desk: ReviewedWorkspace) -> None:
    desk.review()
    desk.registry.publish(
        "sys",
        "1.0.1",
        {"build.rs": MAIN},
        build_dependencies={"cc": "1"},
        features={"default": []},
    )
    desk.update()
    one, other = desk.pending(), desk.pending("test")

    both = combined([one, other])

    assert [each.name for each in both] == ["alpha", "sys"]
    alpha, sys = both
    assert alpha.causes == ((Cause.CONTEXT, "never recorded with `test`"),)
    assert sys.causes == ((Cause.VERSION, "was 1.0.0"),)
    assert combined([]) == []
    assert combined([one]) == one
    assert combined([other, one]) == both


# What is kept for nothing.


@pytest.mark.slow
def test_nothing_is_stale_where_everything_is_there(desk: ReviewedWorkspace) -> None:
    desk.grants = {key: CrateGrants(key, frozenset({"1.0.0"})) for key in ("sys", "alpha@1")}
    desk.review()

    assert stale([desk.project()], desk.policy, desk.known) == StaleEntries((), ())


def test_what_cargo_lock_has_no_more_is_stale(desk: ReviewedWorkspace) -> None:
    rules = frozenset({Rule(Kind.EXEC, "cc")})
    desk.grants = {
        key: CrateGrants(key, rules=rules)
        for key in ("sys", "sys@1.0", "sys@2", "alpha@1.0.1", "gone", "git+https://a.org/x#sys")
    }
    desk.known = {
        (name, version): Snapshot(name, version, "", desk.taken()[0].inputs, {}, ())
        for name, version in (("sys", "1.0.0"), ("sys", "0.9.0"), ("gone", "1.0.0"))
    }

    found = stale([desk.project()], desk.policy, desk.known)

    assert found.snapshots == (("gone", "1.0.0"), ("sys", "0.9.0"))
    assert found.grants == ("alpha@1.0.1", "git+https://a.org/x#sys", "gone", "sys@2")


def test_a_crate_that_has_lost_its_build_script_leaves_a_stale_snapshot(
    desk: ReviewedWorkspace,
) -> None:
    desk.review()
    desk.registry.publish("alpha", "1.0.1")
    desk.update()
    key = "alpha", "1.0.1"
    desk.known[key] = replace(desk.known["alpha", "1.0.0"], version="1.0.1")

    assert stale([desk.project()], desk.policy, desk.known).snapshots == (("alpha", "1.0.0"), key)


@pytest.mark.slow
def test_a_crate_is_not_stale_because_of_a_harmless_one_of_its_name(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws", dependencies={"sys": "1"})
    folder(root / "sys", "sys", "1.0.0", None)
    (root / "Cargo.toml").write_text('[workspace]\nmembers = ["app", "sys"]\nresolver = "2"\n')
    desk = ReviewedWorkspace(registry, environment, root)
    desk.review()

    assert set(desk.known) == {("sys", "1.0.0")}
    assert stale([desk.project()], desk.policy, desk.known).snapshots == ()


def test_a_key_means_versions_as_it_does_for_grants(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    registry.publish("src", "300.3.1+3.3.1", {"build.rs": MAIN})
    registry.publish("beta", "1.0.0-rc.1", {"build.rs": MAIN})
    root = registry.application(tmp_path / "ws", dependencies={"src": "300", "beta": "1.0.0-rc.1"})
    desk = ReviewedWorkspace(registry, environment, root)
    rules = frozenset({Rule(Kind.EXEC, "cc")})
    desk.grants = {
        key: CrateGrants(key, rules=rules)
        for key in ("src@300.3.1", "src@300.3.1+3.3.1", "beta@1.0.0-rc.1", "beta@1")
    }

    assert stale([desk.project()], desk.policy, {}).grants == ("beta@1",)


def test_a_table_of_denials_is_a_precaution_and_never_stale(desk: ReviewedWorkspace) -> None:
    denials = frozenset({Rule(Kind.EXEC, "curl")})
    desk.grants = {"evil": CrateGrants("evil", denials=denials)}

    assert stale([desk.project()], desk.policy, {}).grants == ()


@pytest.mark.slow
def test_what_only_another_platform_needs_is_not_stale(
    registry: Registry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    root = registry.application(tmp_path / "ws")
    with (root / "app/Cargo.toml").open("a") as file:
        file.write("\n[target.'cfg(windows)'.dependencies]\nsys = \"1\"\n")
    desk = ReviewedWorkspace(registry, environment, root)
    desk.grants = {"sys": CrateGrants("sys", rules=frozenset({Rule(Kind.EXEC, "cc")}))}
    desk.review("check", "--target", "x86_64-pc-windows-gnu")

    assert set(desk.known) == {("sys", "1.0.0")}
    assert desk.pending() == []
    assert stale([desk.project()], desk.policy, desk.known) == StaleEntries((), ())
