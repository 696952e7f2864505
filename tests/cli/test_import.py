"""`buildperm import`: from a file and from Git into what ci holds, with where it is from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.always_on_machine import KEY, PersonsMachine, machine
from tests.cli.importing_workspace import CHANNEL, ImportingWorkspace, importing
from tests.git_repository import commit, git
from tests.registry import Registry

__all__ = ["machine"]

READS = """
fn main() {
    let noted = std::env::var("OUT_DIR").unwrap() + "/noted";
    std::fs::write(noted, std::fs::read("FILE").is_ok().to_string()).unwrap();
}
"""

LENT = 'version = 1\n\n[crates.channel]\nreviewed = ["1.0.0"]\nenv = ["RELEASE_CHANNEL"]\n'


@pytest.fixture
def space(tmp_path: Path) -> ImportingWorkspace:
    return importing(tmp_path)


def test_what_a_file_grants_is_in_force_and_says_where_it_is_from(
    space: ImportingWorkspace, tmp_path: Path
) -> None:
    assert space.run("ci")[0] == 20  # Or the test is void.
    file = tmp_path / "acme.toml"
    file.write_text(LENT)

    before = (space.root / "Cargo.toml").read_bytes()
    code, said, _ = space.run("import", str(file), "--dry-run")
    assert code == 0
    assert "+" in said
    assert (space.root / "Cargo.toml").read_bytes() == before
    assert not (space.root / "grants").exists()
    code, said, _ = space.run("import", str(file), "--format", "json")
    told = json.loads(said)
    assert code == 0
    assert told["file"] == "grants/acme.toml"
    assert told["sha256"] == hashlib.sha256(LENT.encode()).hexdigest()
    assert (space.root / "grants/acme.toml").read_text() == LENT
    assert "already" in space.run("import", str(file))[1]

    code, _, said = space.run("ci")
    assert code == 0, said
    code, said, _ = space.run("why", "channel", "env:RELEASE_CHANNEL")
    assert code == 0
    assert "imported: `grants/acme.toml`" in said
    assert "imported: grants/acme.toml, from " in space.run("show")[1]
    (crate,) = json.loads(space.run("show", "--format", "json")[1])["crates"]
    assert [each["pattern"] for each in crate["imported"]] == ["RELEASE_CHANNEL"]
    assert crate["imported"][0]["file"] == "grants/acme.toml"


def test_a_denial_of_the_workspace_wins(space: ImportingWorkspace, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(LENT)
    space.run("import", str(tmp_path / "acme.toml"))
    with (space.root / "Cargo.toml").open("a") as manifest:
        manifest.write(
            "\n[workspace.metadata.buildperm.crates.channel]\n"
            'deny = { env = ["RELEASE_CHANNEL"] }\n'
        )

    space.run("ci")
    (noted,) = space.root.glob("target/**/build/channel-*/out/noted")
    assert noted.read_text() == "false"
    assert "denied" in space.run("why", "channel", "env:RELEASE_CHANNEL")[1]


def test_a_file_that_was_changed_stops_every_command(
    space: ImportingWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "acme.toml").write_text(LENT)
    space.run("import", str(tmp_path / "acme.toml"))
    (space.root / "grants/acme.toml").write_text(LENT + "# more\n")

    for words in (("ci",), ("check",), ("show",)):
        code, _, said = space.run(*words)
        assert code == 2
        assert "is not the file that was imported" in said


def test_what_would_open_the_sensitive_tier_is_not_imported(
    space: ImportingWorkspace, tmp_path: Path
) -> None:
    before = (space.root / "Cargo.toml").read_bytes()
    (tmp_path / "acme.toml").write_text(LENT + 'read = ["$HOME/.ssh/id_rsa"]\nreason = "so"\n')

    code, _, said = space.run("import", str(tmp_path / "acme.toml"))

    assert code == 2
    assert "`channel`: `$HOME/.ssh/id_rsa` is of the sensitive tier" in said
    assert (space.root / "Cargo.toml").read_bytes() == before
    assert not (space.root / "grants").exists()


@pytest.mark.slow
def test_a_commit_of_a_repository_is_imported_by_its_full_hash(
    space: ImportingWorkspace, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    git(theirs, "init", "--quiet")
    (theirs / "buildperm-grants.toml").write_text(LENT)
    first = commit(theirs)
    (theirs / "buildperm-grants.toml").write_text(LENT + 'exec = ["perl"]\n')
    commit(theirs)

    for short in (first[:12], "HEAD", "main", f"{first[:39]}g"):
        code, _, said = space.run("import", "--git", str(theirs), "--rev", short)
        assert (code, "is no full hash" in said) == (2, True)
    code, said, error = space.run("import", "--git", str(theirs), "--rev", first)

    assert code == 0, error
    assert f"?rev={first}#buildperm-grants.toml" in said
    assert (space.root / "grants/buildperm-grants.toml").read_text() == LENT
    assert space.run("ci")[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Say which FILE"),
        (("gone.toml",), "cannot read"),
        (("https://localhost/x.toml",), "needs its hash"),
        (("http://localhost/x.toml", "--sha256", "ab" * 32), "only https"),
        (("https://me:pw@localhost/x.toml", "--sha256", "ab" * 32), "password"),
        (("--git", "ext::sh -c x", "--rev", "ab" * 20), "is no address"),
        (("--git", "--upload-pack=x", "--rev", "ab" * 20), "is no address"),
        (("--rev", "ab" * 20, "x.toml"), "is for `--git`"),
        (("Cargo.toml", "--sha256", "ab" * 32), "has the SHA-256"),
    ],
)
def test_what_cannot_be_imported_is_an_error(
    space: ImportingWorkspace, words: tuple[str, ...], told: str
) -> None:
    before = (space.root / "Cargo.toml").read_bytes()

    code, _, said = space.run("import", *words)

    assert code == 2
    assert told in said
    assert (space.root / "Cargo.toml").read_bytes() == before


def test_a_file_that_is_in_the_way_is_left_alone(space: ImportingWorkspace, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(LENT)
    (space.root / "mine.toml").write_text("mine\n")

    code, _, said = space.run("import", str(tmp_path / "acme.toml"), "--as", "mine.toml")

    assert code == 2
    assert "is there already" in said
    assert (space.root / "mine.toml").read_text() == "mine\n"


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["nobody's", "theirs", "own"])
def test_a_key_opens_by_a_grant_of_the_workspace_and_not_by_an_imported_one(
    tmp_path: Path, whose: str
) -> None:
    """What a file of an innocent name holds is known on this machine alone."""
    registry = Registry(tmp_path / "registry")
    key = tmp_path / "ws/given.txt"
    registry.publish("channel", "1.0.0", {"build.rs": READS.replace("FILE", str(key))})
    root = registry.application(tmp_path / "ws", dependencies={"channel": "1"})
    space = ImportingWorkspace(registry, root)
    key.write_text(KEY)
    said = 'reviewed = ["1.0.0"]\nread = ["$WORKSPACE/given.txt"]\n'
    if whose == "theirs":
        (tmp_path / "acme.toml").write_text(f"version = 1\n[crates.channel]\n{said}")
        assert space.run("import", str(tmp_path / "acme.toml"))[0] == 0
    elif whose == "own":
        with (root / "Cargo.toml").open("a") as manifest:
            manifest.write(
                "[workspace.metadata.buildperm]\nversion = 1\n"
                f'[workspace.metadata.buildperm.crates.channel]\n{said}reason = "so"\n'
            )

    space.run("ci")

    (noted,) = root.glob("target/**/build/channel-*/out/noted")
    assert noted.read_text() == str(whose == "own").lower()


@pytest.mark.slow
def test_plain_cargo_holds_imported_grants_and_sees_that_the_file_was_changed(
    machine: PersonsMachine, space: ImportingWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "acme.toml").write_text(LENT)
    space.run("import", str(tmp_path / "acme.toml"))
    machine.workspace = space.root
    machine.configuration.write_bytes((space.registry.cargo_home / "config.toml").read_bytes())
    machine.enable()

    assert machine.cargo("build", more=CHANNEL).returncode == 0
    (noted,) = space.root.glob("target/**/build/channel-*/out/noted")
    assert noted.read_text() == "true"

    (space.root / "grants/acme.toml").write_text(LENT + "# more\n")
    failed = machine.cargo("build", more={**CHANNEL, "AGAIN": "1"})
    assert failed.returncode != 0
    assert "is not the file that was imported" in failed.stderr
