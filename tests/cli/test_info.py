"""Before a crate is added: what it would bring, recorded apart from the workspace."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from buildperm.policy.permission_entry import dumped
from tests.cli.trial_registry import trial_registry
from tests.command import buildperm, is_orderly
from tests.registry import Registry

SCHEMA = json.loads((resources.files("buildperm.report") / "info.schema.json").read_text())
ENTRY = json.loads((resources.files("buildperm.policy") / "index-entry.schema.json").read_text())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return trial_registry(tmp_path_factory.mktemp("registry"))


def _told(registry: Registry, folder: Path, *words: str, code: int) -> dict[str, Any]:
    cache = folder.parent / "cache"
    extra = registry.environment | {"XDG_CACHE_HOME": str(cache)}
    told = buildperm("info", *words, "--json", folder=folder, extra=extra)
    assert told.returncode == code, told.stderr
    assert is_orderly(told.stdout + told.stderr)
    assert list((cache / "buildperm/info").iterdir()) == []
    document: dict[str, Any] = json.loads(told.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for each in document["packages"]:
        if each["entry"] is not None:
            jsonschema.Draft202012Validator(ENTRY).validate(each["entry"])
    assert document["exit"] == code
    return document


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _empty(folder: Path) -> Path:
    (folder / "here").mkdir()
    return folder / "here"


def test_schemas_are_schemas() -> None:
    for schema in (SCHEMA, ENTRY):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_what_asks_for_nothing_is_told_from_what_asks(registry: Registry, tmp_path: Path) -> None:
    folder = _empty(tmp_path)

    quiet = _told(registry, folder, "quiet", code=0)
    assert quiet["counts"]["baseline"] == quiet["counts"]["build_scripts"] == 1

    asking = _told(registry, folder, "runner", code=3)
    assert [each["name"] for each in asking["packages"]] == ["runner", "quiet"]
    assert asking["crate"]["version"] == "1.1.0"
    first = asking["packages"][0]
    assert first["undecided"] == ["run perl"]
    assert first["entry"]["permissions"]["exec"] == ["perl"]
    assert asking["packages"][1]["entry"]["asks"] == []
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_what_runs_nothing_is_said_to(registry: Registry, tmp_path: Path) -> None:
    extra = registry.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    told = buildperm("info", "plain", folder=_empty(tmp_path), extra=extra)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("plain 1.0.0 adds no build script and no macro.\n")


def test_the_network_is_refused_and_told(registry: Registry, tmp_path: Path) -> None:
    found = _told(registry, _empty(tmp_path), "caller", code=3)
    assert found["counts"]["network"] == 1
    (ask,) = [ask for ask in found["packages"][0]["entry"]["asks"] if "net" in ask["kinds"]]
    assert ask["risk"] in ("high", "critical")


def test_nothing_is_stolen_or_left(registry: Registry, tmp_path: Path) -> None:
    folder = _empty(tmp_path)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text("key")
    (home / "notes.txt").write_text("mine")
    extra = registry.environment | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HOME": str(home),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        "BUILDPERM_TEST_HOME": str(home),
    }
    before = _tree(registry.folder)
    told = buildperm("info", "thief", folder=folder, extra=extra)
    assert told.returncode == 3, told.stderr
    assert "STOLEN" not in told.stdout + told.stderr
    assert _tree(registry.folder) == before
    assert not list(tmp_path.rglob("written.txt"))


@pytest.mark.slow
def test_a_macro_is_told_from_one_that_nothing_uses(registry: Registry, tmp_path: Path) -> None:
    folder = _empty(tmp_path)

    used = _told(registry, folder, "expanded", code=0)
    assert used["counts"]["macros"] == used["counts"]["baseline"] == 1

    unused = _told(registry, folder, "expander", code=0)
    assert (unused["counts"]["baseline"], unused["counts"]["not_run"]) == (0, 1)
    assert unused["packages"][0]["unknown_because"].startswith("macros not loaded")


@pytest.mark.slow
def test_features_are_those_of_the_command_line(registry: Registry, tmp_path: Path) -> None:
    folder = _empty(tmp_path)
    assert _told(registry, folder, "optional", code=3)["packages"][0]["features"] == [
        "default",
        "more",
    ]
    without = _told(registry, folder, "optional", "--no-default-features", code=0)
    assert without["packages"][0]["features"] == []
    words = ("optional", "--no-default-features", "--features", "more")
    assert _told(registry, folder, *words, code=3)["packages"][0]["features"] == ["more"]


@pytest.mark.parametrize(
    "crate", ["nobody", "quiet@9", "quiet@1.0.1", "gone", "gone@1.0.0", "../x", "-x", "a b", ""]
)
def test_what_is_not_there_is_one_clear_error(
    registry: Registry, tmp_path: Path, crate: str
) -> None:
    extra = registry.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    told = buildperm("info", "--", crate, folder=_empty(tmp_path), extra=extra)
    assert (told.returncode, told.stdout) == (2, ""), told.stderr
    assert ("yanked" in told.stderr) == (crate == "gone@1.0.0"), told.stderr
    assert told.stderr.startswith("buildperm: ")
    assert len(told.stderr.splitlines()) <= 2
    assert is_orderly(told.stderr)


def test_an_unknown_feature_is_an_error(registry: Registry, tmp_path: Path) -> None:
    extra = registry.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    told = buildperm("info", "quiet", "-F", "nope", folder=_empty(tmp_path), extra=extra)
    assert told.returncode == 2
    assert "nope" in told.stderr


@pytest.mark.slow
def test_a_build_that_fails_is_said_with_what_was_seen(registry: Registry, tmp_path: Path) -> None:
    found = _told(registry, _empty(tmp_path), "broken", code=101)
    assert found["build_failure"]["packages"][0]["crate"] == "broken"
    assert {each["name"]: bool(each["entry"]["failure"]) for each in found["packages"]} == {
        "broken": True,
        "quiet": False,
    }


@pytest.mark.slow
def test_a_whole_version_means_that_one(registry: Registry, tmp_path: Path) -> None:
    folder = _empty(tmp_path)
    assert _told(registry, folder, "runner@1.0.0", code=3)["crate"]["version"] == "1.0.0"
    assert _told(registry, folder, "runner@1.0", code=3)["crate"]["version"] == "1.1.0"


@pytest.mark.slow
def test_what_the_workspace_has_is_told_and_nothing_of_it_is_used(
    registry: Registry, tmp_path: Path
) -> None:
    workspace = registry.application(tmp_path / "ws", dependencies={"runner": "=1.0.0"})
    manifest = workspace / "Cargo.toml"
    bare = manifest.read_text()
    before = _tree(workspace)

    # Cargo.lock keeps the older one; and that asks the same whatever is granted.
    owned = _told(registry, workspace, "runner@1", code=3)
    assert _tree(workspace) == before
    assert owned["crate"]["version"] == "1.0.0"
    assert [each["is_owned"] for each in owned["packages"]] == [True, True]
    assert not owned["packages"][0]["has_grants"]
    assert owned["packages"][0]["undecided"] == ["run perl"]

    manifest.write_text(
        f"{bare}\n[workspace.metadata.buildperm]\nversion = 1\n\n"
        '[workspace.metadata.buildperm.crates.runner]\nreviewed = ["1.0.0"]\nexec = ["perl"]\n'
    )
    granted = _told(registry, workspace, "runner@1", code=0)
    assert granted["packages"][0]["has_grants"]
    assert granted["packages"][0]["undecided"] == []
    assert granted["packages"][0]["entry"]["permissions"]["exec"] == ["perl"]

    # What is risky is granted to the versions that were reviewed.
    newer = _told(registry, workspace, "runner@1.1.0", code=3)
    assert newer["packages"][0]["owned_versions"] == ["1.0.0"]
    assert newer["packages"][0]["undecided"] == ["run perl"]


@pytest.mark.slow
def test_what_links_the_same_library_is_told(registry: Registry, tmp_path: Path) -> None:
    workspace = registry.application(tmp_path / "ws", dependencies={"linked": "=1.0.0"})

    found = _told(registry, workspace, "linked@2.0.0", code=3)
    (conflict,) = found["conflicts"]
    assert (conflict["links"], conflict["owned"]["version"]) == ("z", "1.0.0")
    assert not conflict["replaceable"]

    newer = _told(registry, workspace, "linked@1.1.0", code=3)
    assert newer["conflicts"][0]["replaceable"]

    assert _told(registry, workspace, "linked@1.0.0", code=0)["conflicts"] == []


@pytest.mark.slow
def test_a_folder_that_a_killed_command_left_is_removed(registry: Registry, tmp_path: Path) -> None:
    left = tmp_path / "cache/buildperm/info/trial-left"
    (left / "target").mkdir(parents=True)
    for folder in (left.parents[1], left.parent):
        folder.chmod(0o700)
    _told(registry, _empty(tmp_path), "quiet", code=0)
    assert not left.exists()


@pytest.mark.slow
def test_an_index_is_made_once_and_read_without_building(
    registry: Registry, tmp_path: Path
) -> None:
    folder = _empty(tmp_path)
    index = tmp_path / "index"
    extra = registry.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    made = buildperm("index", str(index), "runner", folder=folder, extra=extra)
    assert made.returncode == 0, made.stderr
    files = _tree(index)
    told = [Path(path).relative_to(index).as_posix() for path in files]
    assert sorted(path for path in told if not path.startswith(".done/")) == [
        "index.json",
        "qu/ie/quiet/1.0.0.json",
        "ru/nn/runner/1.1.0.json",
    ]
    digest = made.stdout.strip().rpartition("#")[2]

    again = buildperm("index", str(index), "runner", folder=folder, extra=extra)
    assert (again.returncode, _tree(index)) == (0, files)
    assert "Compiling" not in again.stderr

    # What is used by nothing has no entry, and is not built once more for that.
    for _ in range(2):
        unused = buildperm("index", str(index), "expander", folder=folder, extra=extra)
        assert unused.returncode == 0, unused.stderr
    assert "expander" in unused.stderr
    assert "Compiling" not in unused.stderr

    found = _told(registry, folder, "runner", "--index", f"{index}#{digest}", code=3)
    assert found["index"]["sha256"] == digest.removeprefix("sha256=")
    assert found["packages"][0]["undecided"] == ["run perl"]
    assert _told(registry, folder, "quiet", "--index", str(index), code=0)["packages"]

    # What was recorded without a feature says nothing about it.
    words = ("optional", "--no-default-features", "--index", str(index))
    path = index / "op/ti/optional/1.0.0.json"
    recorded = buildperm("index", str(index), "optional", folder=folder, extra=extra)
    assert recorded.returncode == 0, recorded.stderr
    assert _told(registry, folder, *words, code=3)["counts"]["baseline"] == 0
    document = json.loads(path.read_text()) | {"features": [], "asks": [], "risk": "none"}
    document["permissions"] = {key: [] for key in document["permissions"]}
    path.write_bytes(dumped(document))
    sealed = buildperm("index", str(index), folder=folder, extra=extra)
    assert sealed.returncode == 0, sealed.stderr
    assert _told(registry, folder, *words, code=0)["counts"]["baseline"] == 1
    assert _told(registry, folder, "optional", *words[2:], code=3)["counts"]["baseline"] == 0

    # The older version is not in it, and so nobody knows.
    older = _told(registry, folder, "runner@1.0.0", "--index", str(index), code=3)
    assert older["packages"][0]["unknown_because"] == "not in the index"


@pytest.mark.slow
def test_an_index_of_what_a_workspace_has_recorded(registry: Registry, tmp_path: Path) -> None:
    workspace = registry.application(tmp_path / "ws", dependencies={"runner": "1"})
    index = tmp_path / "index"
    extra = registry.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    learnt = buildperm("learn", "--no-tui", folder=workspace, extra=extra)
    assert learnt.returncode == 3, learnt.stderr
    made = buildperm("index", str(index), "--recorded", folder=workspace, extra=extra)
    assert made.returncode == 0, made.stderr
    entry = json.loads((index / "ru/nn/runner/1.1.0.json").read_text())
    jsonschema.Draft202012Validator(ENTRY).validate(entry)
    assert entry["permissions"]["exec"] == ["perl"]
    assert entry["ran"] == ["script"]
    assert entry["origin"]["mode"] == "learning"
    assert (index / "qu/ie/quiet/1.0.0.json").exists()


@pytest.mark.slow
def test_a_patch_of_the_workspace_is_said_to_be_left_out(
    registry: Registry, tmp_path: Path
) -> None:
    workspace = registry.application(tmp_path / "ws", dependencies={"quiet": "1"})
    extra = registry.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    plain = buildperm("info", "quiet", folder=workspace, extra=extra)
    local = workspace / "local"
    (local / "src").mkdir(parents=True)
    (local / "src/lib.rs").write_text("")
    (local / "Cargo.toml").write_text('[package]\nname = "quiet"\nversion = "1.0.0"\n[workspace]\n')
    with (workspace / "Cargo.toml").open("a") as file:
        file.write('[patch.crates-io]\nquiet = { path = "local" }\n')
    registry.cargo("generate-lockfile", folder=workspace)

    patched = buildperm("info", "quiet", folder=workspace, extra=extra)

    assert "left out" not in plain.stderr
    assert "`[patch]` of Cargo.toml is left out" in patched.stderr
    assert patched.stdout.startswith("quiet ")
