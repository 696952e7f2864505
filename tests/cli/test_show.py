"""Grants in plain words: who may do what, why, since when, and what of it is not in force."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.learnt_workspace import LearntWorkspace
from tests.command import is_orderly

DATE = "2026-08-01T23:30:00 -0500"


def git(folder: Path, *words: str, author: str = "Ada Lovelace") -> str:
    if shutil.which("git") is None:
        pytest.skip("no git")
    identity = ("-c", f"user.name={author}", "-c", "user.email=a@localhost")
    ended = subprocess.run(
        ["git", *identity, *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_AUTHOR_DATE": DATE, "HOME": "/nowhere"},
        check=True,
        capture_output=True,
        text=True,
    )
    return ended.stdout


@pytest.fixture
def repository(learnt: LearntWorkspace) -> Iterator[Path]:
    """Make the workspace a repository that has no commit yet."""
    git(learnt.folder, "init", "--quiet")
    yield learnt.folder
    shutil.rmtree(learnt.folder / ".git")


def _block(said: str, title: str) -> str:
    """Return what is told of one table."""
    blocks = said.split("\n\n")
    return next(block for block in blocks if f"{block}\n".startswith(title))


def _crate(document: Any, key: str) -> Any:  # noqa: ANN401 - JSON
    return next(crate for crate in document["crates"] if crate["crate"] == key)


def test_without_words_everybody_with_grants_is_told(learnt: LearntWorkspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in learnt.folder.rglob("*")}

    told = learnt.run("show")

    assert told.returncode == 0
    assert told.stderr == ""
    app, helper = _block(told.stdout, "app"), _block(told.stdout, "helper")
    line = 1 + learnt.manifest.read_text().splitlines().index('presets = ["cc"]')
    assert app.splitlines()[0] == "app 0.1.0"
    assert "may read `$WORKSPACE/other.txt`" in app
    assert "low risk: it is part of your workspace" in app
    assert "may see the variable `RELEASE_CHANNEL`" in app
    assert helper.splitlines()[:3] == [
        "helper 1.0.0, 2.0.0",
        "  gets in through app > helper",
        "  gets in through app > library > helper",
    ]
    assert "may compile and link C and C++ (preset `cc`)" in helper
    assert f"      Cargo.toml:{line}" in helper
    assert "medium risk: compilers are large programs" in helper
    assert "  2.0.0 was reviewed" in helper
    assert told.stdout.splitlines()[-1].startswith("1 other build script without grants")
    assert "vendored" not in told.stdout
    assert {path: path.stat().st_mtime_ns for path in learnt.folder.rglob("*")} == before


def test_of_a_crate_it_is_told_what_was_seen(learnt: LearntWorkspace) -> None:
    told = learnt.run("show", "helper", "app")

    assert told.returncode == 0
    helper = _block(told.stdout, "helper")
    assert "leaves out compiler caches" in helper
    assert "seen when 1.0.0 was reviewed (buildperm.lock): " in helper
    assert " debug, runtime portable\n      run `cc`" in helper
    # Whoever takes a name has a table of their own.
    impostor = _block(told.stdout, "path+$WORKSPACE/vendored#helper")
    assert "is granted nothing beyond the baseline" in impostor
    assert "nothing beyond the baseline" in impostor.splitlines()[-1]
    assert "0.1.0 was seen in no build that was reviewed" in _block(told.stdout, "app")
    assert "without grants" not in told.stdout


def test_a_version_or_a_key_means_just_that(learnt: LearntWorkspace) -> None:
    version = learnt.document("show", "helper@2")
    key = learnt.document("show", "path+$WORKSPACE/vendored#helper")

    assert [package["version"] for package in version["crates"][0]["packages"]] == ["2.0.0"]
    assert [crate["crate"] for crate in key["crates"]] == ["path+$WORKSPACE/vendored#helper"]


def test_the_document_says_the_same(learnt: LearntWorkspace) -> None:
    document = learnt.document("show")
    asked = learnt.document("show", "helper")

    assert document["version"] == 1
    assert document["manifest"] == str(learnt.manifest)
    assert document["without_grants"] == 1
    assert [crate["crate"] for crate in document["crates"]] == ["app", "helper"]
    helper = _crate(document, "helper")
    assert [package["way"] for package in helper["packages"]] == [
        ["app", "helper"],
        ["app", "library", "helper"],
    ]
    (granted,) = helper["grants"]
    assert (granted["kind"], granted["pattern"], granted["risk"]) == ("preset", "cc", "medium")
    assert (granted["not_in_force"], granted["unused_in"]) == ([], [])
    assert granted["changed"] is None
    assert [reviewed["version"] for reviewed in helper["reviewed"]] == ["1.0.0", "2.0.0"]
    assert "seen" not in helper
    seen = _crate(asked, "helper")["seen"]
    assert [(run["version"], run["profile"], run["runtime"]) for run in seen] == [
        ("1.0.0", "debug", "portable"),
        ("2.0.0", "debug", "portable"),
    ]
    assert seen[0]["accesses"] == [{"kind": "exec", "target": "cc", "outcome": "done"}]


def test_what_is_not_in_force_says_why(learnt: LearntWorkspace) -> None:
    with learnt.granting(
        app='exec = ["perl"]\nnet = ["crates.io:443"]',
        gone='exec = ["perl"]\nreason = "it was needed"',
        library='exec = ["perl"]',
        precaution='deny = { env = ["A"] }',
        helper='presets = ["git"]\ndeny = { exec = ["ld"] }',
        **{"helper@1": 'presets = ["cc"]', "helper@2": 'presets = ["cc"]'},
    ):
        told = learnt.run("show").stdout
        document = learnt.document("show")
        one = learnt.run("show", "gone").stdout

    app = _block(told, "app")
    assert app.count("not in force: high risk, and version 0.1.0 has not been reviewed") == 2
    gone = _block(told, "gone")
    assert "not in force: Cargo.lock has no such package" in gone
    assert "reason: it was needed" in gone
    assert gone in one
    assert "not in force: `library` has no build script" in _block(told, "library")
    assert "not in force: Cargo.lock has no such package" in _block(told, "precaution")
    plain = _block(told, "helper\n")
    assert "`helper@1`, `helper@2` holds what is granted instead; only its denials" in plain
    first = _block(told, "helper@1: helper 1.0.0")
    assert "not in force for `ld`" in first
    assert "it is denied" in first
    assert "may not run `ld`" in first
    assert "[helper]" in first
    (granted,) = _crate(document, "helper@1")["grants"]
    assert {"kind": "exec", "pattern": "ld", "why": "it is denied"} in granted["not_in_force"]
    (denied,) = _crate(document, "helper@1")["denials"]
    assert denied["crate"] == "helper"
    assert denied["line"] > 0


def test_what_holds_on_this_machine_alone_is_marked(learnt: LearntWorkspace) -> None:
    with learnt.granting(
        app='read = ["/opt/a", "/usr/share/b"]\ndeny = { read = ["/srv/c", "$HOME/.ssh/id_rsa"] }'
    ):
        told = _block(learnt.run("show").stdout, "app").splitlines()
        document = _crate(learnt.document("show"), "app")

    assert "  may read `/opt/a` (on this machine only)" in told
    assert "  may read `/usr/share/b`" in told
    assert "  may not read `/srv/c` (on this machine only)" in told
    assert "  may not read `$HOME/.ssh/id_rsa`" in told
    marked = {
        each["pattern"] for each in document["grants"] + document["denials"] if each["here_only"]
    }
    assert marked == {"/opt/a", "/srv/c"}


def test_what_was_not_made_use_of_is_told(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws", without=("target",))
    lock = copy.folder / "buildperm.lock"
    lock.write_text(
        lock.read_text().replace(
            "build-dependencies = []\n", 'build-dependencies = []\nunused = ["preset:cc"]\n', 1
        )
    )
    told = _block(copy.run("show").stdout, "helper")

    assert "not used when 1.0.0 was reviewed" in told


@pytest.mark.slow
def test_the_last_commit_of_a_line_is_told(learnt: LearntWorkspace, repository: Path) -> None:
    hostile = "Eve \x1b[31m\u202e`$(x)"
    untracked = learnt.run("show")
    git(repository, "add", "Cargo.toml", author=hostile)
    staged = learnt.run("show")
    git(repository, "commit", "--quiet", "--message=one", author=hostile)
    committed = learnt.run("show")
    document = learnt.document("show")
    before = learnt.manifest.read_text()
    try:
        learnt.manifest.write_text(before.replace('"cc"', '"cc", "git"'))
        changed = learnt.run("show")
    finally:
        learnt.manifest.write_text(before)

    assert ", 20" not in untracked.stdout
    assert untracked.returncode == staged.returncode == 0
    assert "2026-08-01 by Eve %1B[31m%E2%80%AE`$(x)" in committed.stdout
    helper = _crate(document, "helper")
    change = helper["grants"][0]["changed"]
    assert change["commit"] == git(repository, "rev-parse", "HEAD").strip()
    assert change["date"] == "2026-08-01"
    assert is_orderly(change["author"])
    assert "not committed yet" in _block(changed.stdout, "helper")
    assert "not committed yet" not in _block(changed.stdout, "app")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["helpre"], "Did you mean `helper`?"),
        (["library"], "`library` has no build script"),
        (["app", "nobody"], "no package with a build script is called `nobody`"),
        (["helper@7"], "`helper@7` is not here"),
        (["\x1b[2J"], "%1B[2J"),
        (["--format", "xml"], "'xml' is not one of"),
        (["--", "check", "--manifest-path", "nowhere"], "nowhere"),
    ],
)
@pytest.mark.quick(1)
def test_bad_words_say_what_would_do(learnt: LearntWorkspace, words: list[str], said: str) -> None:
    told = learnt.run("show", *words)

    assert told.returncode == 2
    assert told.stdout == ""
    assert said in told.stderr


def test_words_for_cargo_count_after_two_dashes(learnt: LearntWorkspace) -> None:
    told = learnt.run("show", "app", "--", "build", "--release")

    assert told.returncode == 0
    assert told.stdout.startswith("app 0.1.0\n")


def test_where_nothing_is_granted_it_says_so(learnt: LearntWorkspace) -> None:
    with learnt.granting():
        told = learnt.run("show")
        document = learnt.document("show")

    assert told.stdout.splitlines()[0] == "No build script is granted anything."
    assert told.stdout.splitlines()[1].startswith("4 build scripts without grants")
    assert (document["crates"], document["without_grants"]) == ([], 4)


def test_broken_files_are_errors_with_a_place(learnt: LearntWorkspace, tmp_path: Path) -> None:
    with learnt.granting(app='exec = ["perl"'):
        broken = learnt.run("show")
    with learnt.granting(app='read = ["../x"]'):
        objected = learnt.run("show")
    copy = learnt.copy(tmp_path / "ws", without=("target",))
    (copy.folder / "buildperm.lock").write_text("version = \x1b")
    lock = copy.run("show")
    own = copy.folder / "app/Cargo.toml"
    own.write_text(own.read_text().replace('helper = "1"', 'helper = "2"'))
    old = copy.run("show")

    for told in (broken, objected, lock, old):
        assert told.returncode == 2
        assert told.stdout == ""
    assert "Cargo.toml" in broken.stderr
    assert "a relative path has no meaning here" in objected.stderr
    assert "buildperm.lock" in lock.stderr
    assert "Run `cargo fetch`" in old.stderr
