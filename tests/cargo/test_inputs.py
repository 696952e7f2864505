"""What build scripts are made from: what changes it, and what does not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from buildperm.cargo import lock as locks
from buildperm.cargo.dep_info import dep_files
from buildperm.cargo.grant_keys import places
from buildperm.cargo.inputs import ABSENT, InputCollector
from buildperm.cargo.lock import CargoLock
from buildperm.cargo.metadata import Package
from buildperm.cargo.project import Project, Projects
from buildperm.errors import BuildpermError
from buildperm.policy.snapshot import Inputs
from tests.registry import Registry

MAIN = "fn main() {}\n"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


Look = Callable[..., Inputs]


@pytest.fixture
def look(registry: Registry, environment: Mapping[str, str]) -> Look:
    """Look at what one package's build script is made from, as a new command would."""

    def inputs(root: Path, name: str, *words: str, files: Iterable[Path] = ()) -> Inputs:
        project = opened(registry, environment, root, *words)
        package = named(project, name)
        where = places(project.metadata, project.toolchain, project.environment)
        return InputCollector(project.metadata, project.lock, where).inputs(package, files)

    return inputs


def opened(registry: Registry, environment: Mapping[str, str], root: Path, *words: str) -> Project:
    return Projects(root, {**environment, **registry.environment}).open(words, default=["check"])


def named(project: Project, name: str, version: str = "") -> Package:
    (found,) = (
        each
        for each in project.metadata.packages.values()
        if each.name == name and version in ("", each.version)
    )
    return found


def crate(folder: Path, name: str, manifest: str = "", build: str | None = MAIN) -> Path:
    """Write a package in a folder; `manifest` goes below its name."""
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").write_text("")
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{manifest}'
    )
    if build is not None:
        (folder / "build.rs").write_text(build)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def workspace(root: Path, *members: str, more: str = "") -> Path:
    root.mkdir(exist_ok=True)
    listed = ", ".join(f'"{member}"' for member in members)
    (root / "Cargo.toml").write_text(f'[workspace]\nmembers = [{listed}]\nresolver = "2"\n{more}')
    return root


# A crate of a registry.


@pytest.fixture
def published(registry: Registry, tmp_path: Path) -> Path:
    """Make a workspace in which `sys` has the build-dependency `cc`, which needs `deep`."""
    registry.publish("deep", "1.0.0")
    registry.publish("cc", "1.0.0", dependencies={"deep": "1"})
    registry.publish("other", "1.0.0")
    registry.publish(
        "sys",
        "1.0.0",
        {"build.rs": MAIN},
        dependencies={"other": "1"},
        build_dependencies={"cc": "1"},
        features={"default": [], "more": []},
    )
    return registry.application(tmp_path / "ws", dependencies={"sys": "1"})


def test_a_crate_of_a_registry_is_told_by_its_checksum_and_its_build_dependencies(
    published: Path, look: Look
) -> None:
    found = look(published, "sys")

    assert len(found.checksum) == 64
    assert found.checksum in (published / "Cargo.lock").read_text()
    assert found.files == {}
    assert found.build_dependencies == ("cc 1.0.0",)
    assert len(found.digest) == 64


def test_another_version_of_a_build_dependency_is_another_input(
    published: Path, registry: Registry, look: Look
) -> None:
    before = look(published, "sys")
    registry.publish("cc", "1.0.1", dependencies={"deep": "1"})
    registry.cargo("update", folder=published)

    after = look(published, "sys")

    assert after.build_dependencies == ("cc 1.0.1",)
    assert after.checksum == before.checksum
    assert after.digest != before.digest


def test_another_version_of_what_a_build_dependency_needs_is_another_input(
    published: Path, registry: Registry, look: Look
) -> None:
    before = look(published, "sys")
    registry.publish("deep", "1.0.1")
    registry.cargo("update", folder=published)

    after = look(published, "sys")

    assert after.build_dependencies == before.build_dependencies
    assert after.digest != before.digest


def test_another_version_of_what_only_the_library_needs_is_not(
    published: Path, registry: Registry, look: Look
) -> None:
    before = look(published, "sys")
    registry.publish("other", "1.0.1")
    registry.cargo("update", folder=published)

    assert "1.0.1" in (published / "Cargo.lock").read_text()
    assert look(published, "sys") == before


def test_the_same_version_with_another_checksum_is_another_input(
    published: Path, registry: Registry, look: Look, environment: Mapping[str, str]
) -> None:
    """A file of the crate, and one of a build-dependency's dependency."""
    before = look(published, "sys")
    project = opened(registry, environment, published)
    checksums = {one.name: one.checksum for one in project.lock.packages}
    # Not in Cargo.lock itself: Cargo compares it with the index.
    for name in ("sys", "deep"):
        lock = replaced(published, checksums[name], "0" * 64)
        where = places(project.metadata, project.toolchain, project.environment)
        changed = InputCollector(project.metadata, lock, where).inputs(named(project, "sys"))
        assert changed.digest != before.digest
        assert (changed.checksum != before.checksum) is (name == "sys")


def replaced(root: Path, old: str, new: str) -> CargoLock:
    """Read Cargo.lock as if it held another text, and restore it."""
    path = root / "other.lock"
    shutil.copy(root / "Cargo.lock", path)
    edit(path, old, new)
    return locks.read(path)


def test_the_order_of_cargo_lock_and_of_its_lists_says_nothing(
    published: Path, registry: Registry, look: Look
) -> None:
    before = look(published, "sys")
    path = published / "Cargo.lock"
    head, *entries = path.read_text().split("[[package]]")
    path.write_text(
        "[[package]]".join([head, *(f"{entry.rstrip()}\n\n" for entry in entries[::-1])])
    )

    assert look(published, "sys", "check", "--locked") == before


def test_features_say_nothing(published: Path, look: Look) -> None:
    before = look(published, "sys")
    edit(published / "app/Cargo.toml", 'sys = "1"', 'sys = { version = "1", features = ["more"] }')

    assert look(published, "sys") == before
    assert look(published, "sys", "test", "--release") == before


def test_the_path_of_the_workspace_says_nothing(
    published: Path, tmp_path: Path, look: Look
) -> None:
    before = look(published, "sys")
    published.rename(tmp_path / "elsewhere")

    assert look(tmp_path / "elsewhere", "sys") == before


def test_a_build_dependency_for_another_platform_counts_everywhere(
    registry: Registry, tmp_path: Path, look: Look
) -> None:
    registry.publish("win", "1.0.0")
    root = workspace(tmp_path / "ws", "app")
    crate(root / "app", "app", "[target.'cfg(windows)'.build-dependencies]\nwin = \"1\"\n")
    here = look(root, "app")

    assert here.build_dependencies == ("win 1.0.0",)
    assert look(root, "app", "check", "--target", "x86_64-pc-windows-gnu") == here


def test_a_renamed_build_dependency_goes_by_its_own_name(
    registry: Registry, tmp_path: Path, look: Look
) -> None:
    registry.publish("cc", "1.0.0")
    root = workspace(tmp_path / "ws", "app")
    crate(
        root / "app",
        "app",
        '[build-dependencies]\ncompiler = { package = "cc", version = "1" }\n',
    )

    before = look(root, "app")
    registry.publish("cc", "1.1.0")
    registry.cargo("update", folder=root)

    assert before.build_dependencies == ("cc 1.0.0",)
    assert look(root, "app").build_dependencies == ("cc 1.1.0",)


def test_of_two_versions_of_one_crate_each_has_its_own_inputs(
    registry: Registry, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    for version in ("1.0.0", "2.0.0"):
        registry.publish("cc", version)
        registry.publish("sys", version, {"build.rs": MAIN}, build_dependencies={"cc": version[0]})
    registry.publish("middle", "1.0.0", dependencies={"sys": "1"})
    root = registry.application(tmp_path / "ws", dependencies={"sys": "2", "middle": "1"})
    project = opened(registry, environment, root)
    where = places(project.metadata, project.toolchain, project.environment)
    ingredients = InputCollector(project.metadata, project.lock, where)

    one, two = (ingredients.inputs(named(project, "sys", v)) for v in ("1.0.0", "2.0.0"))

    assert one.build_dependencies == ("cc 1.0.0",)
    assert two.build_dependencies == ("cc 2.0.0",)
    assert one.checksum != two.checksum
    assert one.digest != two.digest


def test_a_checksum_that_is_missing_is_an_error(
    published: Path, registry: Registry, environment: Mapping[str, str]
) -> None:
    project = opened(registry, environment, published)
    lock = replaced(published, "checksum = ", "ignored = ")
    where = places(project.metadata, project.toolchain, project.environment)

    with pytest.raises(BuildpermError, match=r"no checksum for `sys 1\.0\.0`"):
        InputCollector(project.metadata, lock, where).inputs(named(project, "sys"))


# A crate that is a folder.


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Make a workspace: `app` has the build-dependency `helper`, which needs `deep`."""
    root = workspace(tmp_path / "ws", "app", "helper", "deep")
    crate(root / "app", "app", '[build-dependencies]\nhelper = { path = "../helper" }\n')
    crate(root / "helper", "helper", '[dependencies]\ndeep = { path = "../deep" }\n', None)
    crate(root / "deep", "deep", "", None)
    return root


def test_a_folder_is_told_by_the_files_that_its_script_is_compiled_from(
    folders: Path, look: Look
) -> None:
    module = folders / "app/build/probe.rs"
    module.parent.mkdir()
    module.write_text("pub fn probe() {}\n")

    found = look(folders, "app", files=[module])

    assert sorted(found.files) == ["$WORKSPACE/app/build.rs", "$WORKSPACE/app/build/probe.rs"]
    assert found.checksum == ""
    assert found.build_dependencies == ("helper 0.1.0",)


@pytest.mark.parametrize(
    "name",
    ["app/build.rs", "app/build/probe.rs", "shared/table.in", "helper/src/lib.rs",
     "deep/src/lib.rs", "helper/Cargo.toml", "deep/src/new.rs"],
)  # fmt: skip
@pytest.mark.quick(3)
def test_each_file_counts(folders: Path, look: Look, name: str) -> None:
    files = [folders / "app/build/probe.rs", folders / "shared/table.in"]
    for path in files:
        path.parent.mkdir()
        path.write_text("// x\n")
    before = look(folders, "app", files=files)

    with (folders / name).open("a") as file:
        file.write("\n# changed\n" if name.endswith("toml") else "// changed\n")

    after = look(folders, "app", files=files)
    assert after.digest != before.digest
    is_own = name in ("app/build.rs", "app/build/probe.rs", "shared/table.in")
    assert (after.files != before.files) is is_own


@pytest.mark.parametrize(
    "name",
    ["app/src/lib.rs", "app/src/main.rs", "helper/README.md", "helper/target/x.rs",
     "helper/.git/x.rs", "helper/nested/src/lib.rs", "target/debug/x.rs", "Cargo.toml"],
)  # fmt: skip
@pytest.mark.quick(3)
def test_what_no_build_script_is_made_from_does_not(folders: Path, look: Look, name: str) -> None:
    (folders / "helper/target").mkdir()
    (folders / "helper/target/CACHEDIR.TAG").touch()
    crate(folders / "helper/nested", "nested", "[workspace]\n", None)
    before = look(folders, "app")

    path = folders / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("\n# changed\n" if name.endswith("toml") else "// changed\n")

    assert look(folders, "app") == before


def test_a_file_that_is_gone_or_is_none_counts_as_absent(folders: Path, look: Look) -> None:
    pipe = folders / "pipe"
    os.mkfifo(pipe)

    found = look(folders, "app", files=[folders / "app/gone.rs", pipe, folders / "app"])

    assert found.files["$WORKSPACE/app/gone.rs"] == ABSENT
    assert found.files["$WORKSPACE/pipe"] == ABSENT
    assert found.files["$WORKSPACE/app"] == ABSENT
    assert found.files["$WORKSPACE/app/build.rs"] != ABSENT


def test_grants_in_cargo_toml_say_nothing(tmp_path: Path, look: Look) -> None:
    """The package that holds them is itself what another build script is made from."""
    root = tmp_path / "ws"
    crate(root, "top", '[workspace]\nmembers = ["app"]\n[dependencies]\n', None)
    crate(root / "app", "app", '[build-dependencies]\ntop = { path = ".." }\n')
    before = look(root, "app")
    with (root / "Cargo.toml").open("a") as file:
        file.write('\n[workspace.metadata.buildperm]\nversion = 1\ncontexts = ["check"]\n')

    assert look(root, "app") == before
    edit(root / "Cargo.toml", 'edition = "2021"', 'edition = "2018"')
    assert look(root, "app") != before


def test_what_is_only_tested_with_says_nothing(
    folders: Path, registry: Registry, look: Look
) -> None:
    """Cargo.lock also lists what the tests of a workspace's packages need."""
    registry.publish("tester", "1.0.0")
    with (folders / "helper/Cargo.toml").open("a") as file:
        file.write('[dev-dependencies]\ntester = "1"\n')
    before = look(folders, "app")
    registry.publish("tester", "1.1.0")
    registry.cargo("update", folder=folders)

    assert "1.1.0" in (folders / "Cargo.lock").read_text()
    assert look(folders, "app") == before


def test_two_folders_that_need_one_another_for_tests_are_no_endless_search(
    folders: Path, look: Look
) -> None:
    with (folders / "deep/Cargo.toml").open("a") as file:
        file.write('[dev-dependencies]\nhelper = { path = "../helper" }\n')

    assert look(folders, "app").build_dependencies == ("helper 0.1.0",)


def test_the_path_of_a_workspace_of_folders_says_nothing(
    folders: Path, tmp_path: Path, look: Look
) -> None:
    module = Path("app/build/probe.rs")
    (folders / module).parent.mkdir()
    (folders / module).touch()
    before = look(folders, "app", files=[folders / module])
    there = folders.rename(tmp_path / 'else "where" ü')

    assert look(there, "app", files=[there / module]) == before


def test_a_folder_that_is_reached_through_a_link_is_the_same(
    folders: Path, tmp_path: Path, look: Look
) -> None:
    before = look(folders, "app")
    (tmp_path / "link").symlink_to(folders)

    assert look(tmp_path / "link", "app") == before


@pytest.mark.parametrize("switched", ["features", "platform"])
@pytest.mark.quick(1)
def test_a_folder_outside_counts_whether_it_takes_part_or_not(
    tmp_path: Path, look: Look, switched: str
) -> None:
    """Everybody who looks at a commit has to see the same, whatever they have built."""
    root = workspace(tmp_path / "ws", "app")
    crate(tmp_path / "outside", "outside", '[dependencies]\nfar = { path = "../far" }\n', None)
    crate(tmp_path / "far", "far", "", None)
    path = '{ path = "../../outside", optional = true }'
    table = "[build-dependencies]"
    if switched == "platform":
        path, table = '{ path = "../../outside" }', "[target.'cfg(windows)'.build-dependencies]"
    crate(root / "app", "app", f"[features]\nfull = []\n{table}\noutside = {path}\n")
    words = ("check", "--features", "outside")
    if switched == "platform":
        words = ("check", "--target", "x86_64-pc-windows-gnu")

    without, with_it = look(root, "app"), look(root, "app", *words)

    assert without == with_it
    assert without.build_dependencies == ("outside 0.1.0",)
    for changed in ("outside", "far"):
        with (tmp_path / changed / "src/lib.rs").open("a") as file:
            file.write("// changed\n")
        after = look(root, "app")
        assert after == look(root, "app", *words)
        assert after != without
        without = after


# A crate of a Git repository.


def git(*words: str, folder: Path) -> str:
    told = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"},
    )
    return told.stdout.strip()


def test_a_crate_of_git_is_told_by_its_commit(
    registry: Registry, tmp_path: Path, look: Look
) -> None:
    source = crate(tmp_path / "source", "sys")
    git("init", "-q", "-b", "main", folder=source)
    git("add", ".", folder=source)
    git("commit", "-q", "-m", "one", folder=source)
    needed = f'{{ git = "file://{source}" }}'
    root = registry.application(tmp_path / "ws", dependencies={"sys": needed})
    before = look(root, "sys")

    (source / "src/lib.rs").write_text("// other\n")
    git("commit", "-q", "-a", "-m", "two", folder=source)
    assert look(root, "sys") == before  # Cargo.lock still says the old one.
    registry.cargo("update", folder=root)

    assert before.files == {}
    assert look(root, "sys").digest != before.digest


# What rustc says a build script is compiled from.


@pytest.mark.parametrize("target", ["", "--target=x86_64-unknown-linux-gnu"])
def test_the_files_of_a_script_are_those_that_rustc_has_read(
    tmp_path: Path, registry: Registry, environment: Mapping[str, str], target: str
) -> None:
    root = workspace(tmp_path / "a ws ü", "app", "plain")
    crate(
        root / "app",
        "app",
        'build = "its build/main.rs"\n[dependencies]\nplain = { path = "../plain" }\n',
        None,
    )
    crate(root / "plain", "plain", "", None)
    build = root / "app/its build"
    (build / "deep").mkdir(parents=True)
    (build / "main.rs").write_text(
        'mod probe;\nconst T: &str = include_str!("../../shared.txt");\n'
        'fn main() { probe::go(); println!("cargo::rerun-if-changed=x{}", T.len()); }\n'
    )
    (build / "probe.rs").write_text(
        '#[path = "deep/inner.rs"] mod inner;\npub fn go() { inner::go(); }\n'
    )
    (build / "deep/inner.rs").write_text("pub fn go() {}\n")
    (build / "unused.rs").write_text("")
    (root / "shared.txt").write_text("x")
    words = ["check", *filter(None, [target])]
    subprocess.run(
        ["cargo", *words], cwd=root, env={**environment, **registry.environment}, check=True,
        capture_output=True,
    )  # fmt: skip
    project = opened(registry, environment, root)

    found = dep_files(root / "target", project.metadata)

    assert found == {
        root / "app": tuple(
            sorted(
                [
                    build / "main.rs",
                    build / "probe.rs",
                    build / "deep/inner.rs",
                    root / "shared.txt",
                ]
            )
        )
    }
    (build / "deep/inner.rs").unlink()
    # Cargo would compile it again; until then everything else still counts.
    left = dep_files(root / "target", project.metadata)
    assert build / "deep/inner.rs" not in next(iter(left.values()))
    assert build / "probe.rs" in next(iter(left.values()))
    assert dep_files(tmp_path / "nothing", project.metadata) == {}
