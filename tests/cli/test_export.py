"""`buildperm export`: what was reviewed, for other workspaces, cargo-deny, cargo-vet and crev."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.cli.importing_workspace import ImportingWorkspace, importing
from tests.command import LEARN

SCHEMA = json.loads((Path(__file__).parents[2] / "policy/export.schema.json").read_text())


@pytest.fixture
def space(tmp_path: Path) -> ImportingWorkspace:
    found = importing(tmp_path)
    found.registry.publish("later", "1.0.0", {"build.rs": "fn main() {}"})
    assert found.run(*LEARN)[0] == 0
    return found


def add(space: ImportingWorkspace, text: str) -> None:
    with (space.root / "Cargo.toml").open("a") as manifest:
        manifest.write(text)


def test_what_is_exported_is_what_another_workspace_imports(
    space: ImportingWorkspace, tmp_path: Path
) -> None:
    add(
        space,
        "[workspace.metadata.buildperm.crates.zzz]\n"
        'reviewed = ["1.0.0"]\nread = ["$HOME/.ssh/known_hosts", "$WORKSPACE/x"]\n'
        'exec = ["perl"]\nreason = "so"\n'
        '[workspace.metadata.buildperm.crates.app]\nreviewed = ["0.1.0"]\nexec = ["perl"]\n'
        '[workspace.metadata.buildperm.crates.unseen]\nexec = ["perl"]\n',
    )
    code, said, left = space.run("export")
    assert code == 0, left
    document = tomllib.loads(said)
    assert not list(Draft202012Validator(SCHEMA).iter_errors(document))
    assert list(document["crates"]) == ["channel", "zzz"]
    assert document["crates"]["zzz"]["exec"] == ["perl"]
    assert "read" not in document["crates"]["zzz"]
    assert "known_hosts: it is of the sensitive tier" in left
    assert "`unseen` has no version in `reviewed`" in left
    assert space.run("export")[1] == said
    assert json.loads(space.run("export", "--format", "json")[1]) == document

    (tmp_path / "other").mkdir()
    other = importing(tmp_path / "other")
    (tmp_path / "theirs.toml").write_text(said)
    assert other.run("ci")[0] == 20
    assert other.run("import", str(tmp_path / "theirs.toml"))[0] == 0
    assert other.run("ci")[0] == 0


@pytest.mark.slow
def test_the_list_for_cargo_deny_is_checked_for_what_is_stale(
    space: ImportingWorkspace, tmp_path: Path
) -> None:
    code, said, _ = space.run("export", "--format", "cargo-deny")
    assert code == 0
    assert tomllib.loads(said)["bans"]["build"]["allow-build-scripts"] == ["channel@1.0.0"]
    deny = tmp_path / "deny.toml"
    deny.write_text(said)
    check = ("export", "--format", "cargo-deny", "--check", str(deny))
    assert space.run(*check)[0] == 0

    deny.write_text(
        "[bans.build]\nallow-build-scripts = [\n"
        '"channel@0.9.0", "gone", { name = "channel", version = "=1.0.0" }, "gone:>1" ]\n'
    )
    code, said, _ = space.run(*check, "--json")
    assert code == 22
    assert json.loads(said)["stale"] == ["channel@0.9.0", "gone", "gone:>1"]
    assert json.loads(said)["missing"] == []

    deny.write_text("[bans.build]\nallow-build-scripts = []\n")
    code, said, _ = space.run(*check)
    assert (code, "missing: channel 1.0.0" in said) == (22, True)
    deny.write_text('[bans.build]\nallow-build-scripts = ["gone"]\n')
    code, said, _ = space.run(*check)
    assert (code, "stale: `gone`" in said, "missing: " in said) == (22, True, True)

    (space.root / "buildperm.lock").unlink()
    deny.write_text('[bans.build]\nallow-build-scripts = [{ crate = "channel" }]\n')
    code, said, _ = space.run(*check)
    assert (code, "not reviewed: `channel`" in said) == (21, True)


@pytest.mark.parametrize("text", ["", "[", "[bans]\nbuild = 1\n", "[bans.build]\n"])
def test_a_list_that_is_not_there_is_an_error(
    space: ImportingWorkspace, tmp_path: Path, text: str
) -> None:
    (tmp_path / "deny.toml").write_text(text)

    words = ("export", "--format", "cargo-deny", "--check", str(tmp_path / "deny.toml"))
    assert space.run(*words)[0] == 2
    assert space.run("export", "--check", str(tmp_path / "deny.toml"))[0] == 2


def test_audits_and_proofs_tell_what_was_recorded_and_sign_nothing(
    space: ImportingWorkspace,
) -> None:
    code, said, _ = space.run("export", "--format", "cargo-vet")
    assert code == 0
    ((audit,),) = tomllib.loads(said)["audits"].values()
    assert (audit["criteria"], audit["version"]) == ("safe-to-run", "1.0.0")
    assert "who" not in audit
    assert "`RELEASE_CHANNEL`" in audit["notes"]

    code, said, _ = space.run("export", "--format", "crev")
    assert code == 0
    proof = yaml.safe_load(said)
    assert proof["package"] == {
        "source": "https://crates.io",
        "name": "channel",
        "version": "1.0.0",
    }
    assert proof["review"]["rating"] == "neutral"
    assert "`RELEASE_CHANNEL`" in proof["comment"]
    assert "from" not in proof
