"""`--against`: what a change of the grants makes wider, told before anybody builds with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.command import LEARN, buildperm, is_orderly, member
from tests.git_repository import commit, git

SCHEMA = Path(__file__).parents[2] / "report/ci.schema.json"
GRANTS = "[workspace.metadata.buildperm]\nversion = 1\n"
SAMPLE = "[workspace.metadata.buildperm.crates.sample]\n"
LOCK = 'version = 4\n\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def add(folder: Path, text: str, name: str = "Cargo.toml") -> None:
    with (folder / name).open("a") as file:
        file.write(text)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Make a workspace on a branch that begins where `main` is; nothing of it has to be built."""
    folder = member(tmp_path / "ws", "")
    (folder / "sample/build.rs").unlink()
    (folder / "Cargo.lock").write_text(LOCK)
    add(folder, f'{GRANTS}{SAMPLE}read = ["$WORKSPACE/proto/**"]\n')
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "first")
    git(folder, "switch", "--quiet", "--create", "branch")
    return folder


def check(folder: Path, *words: str, against: str = "main") -> subprocess.CompletedProcess[str]:
    return buildperm("check", "--against", against, *words, folder=folder)


def narrower(folder: Path) -> None:
    text = (folder / "Cargo.toml").read_text()
    (folder / "Cargo.toml").write_text(text.replace("proto/**", "proto/a.txt"))


def moved_and_commented(folder: Path) -> None:
    text = (folder / "Cargo.toml").read_text().replace(SAMPLE, f"# why\n{SAMPLE}")
    (folder / "Cargo.toml").write_text(
        text.replace('["$', "[\n  '").replace('**"]', "**', # it\n]").replace("'WORK", "'$WORK")
    )


def new_crate_without_grants(folder: Path) -> None:
    (folder / "more/src").mkdir(parents=True)
    (folder / "more/src/lib.rs").write_text("")
    (folder / "more/Cargo.toml").write_text('[package]\nname = "more"\nversion = "0.1.0"\n')
    text = (folder / "Cargo.toml").read_text()
    (folder / "Cargo.toml").write_text(text.replace('["sample"]', '["sample", "more"]'))
    add(folder, '[workspace.metadata.buildperm.crates.more]\nreviewed = ["0.1.0"]\n')
    text = (folder / "Cargo.lock").read_text()
    new = '[[package]]\nname = "more"\nversion = "0.1.0"\n\n'
    (folder / "Cargo.lock").write_text(text.replace("[[", f"{new}[[", 1))


def nothing(folder: Path) -> None:
    """Leave all as it is."""


@pytest.mark.parametrize(
    "change", [nothing, narrower, moved_and_commented, new_crate_without_grants]
)
@pytest.mark.quick(1)
def test_what_allows_no_more_passes(workspace: Path, change: Callable[[Path], None]) -> None:
    change(workspace)

    for committed in (False, True):
        if committed:
            commit(workspace)
        told = check(workspace)

        assert told.returncode == 0, told.stdout + told.stderr
        assert told.stdout == ""
        assert "not wider" in told.stderr
    assert ("narrower: sample read:$WORKSPACE/proto/**" in told.stderr) == (change is narrower)


def test_what_is_wider_is_told_with_reason_place_and_reference(workspace: Path) -> None:
    add(workspace, 'net = ["example.org:443"]\nreason = "fetches\\u001b[2J\\u202e things"\n')
    head = commit(workspace)
    base = git(workspace, "rev-parse", "main")

    told = check(workspace)
    document = json.loads(check(workspace, "--format", "json").stdout)

    assert told.returncode == document["exit"] == 21
    assert "wider: sample may connect to `example.org:443`" in told.stdout
    assert "The reason that Cargo.toml gives: fetches%1B[2J%E2%80%AE things" in told.stdout
    assert f"Compared with main ({base[:12]})." in told.stdout
    assert head[:12] not in told.stdout
    assert is_orderly(told.stdout + told.stderr)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    (found,) = document["findings"]
    assert (found["rule"], found["level"], found["risk"]) == ("wider-grant", "error", "high")
    lines = (workspace / "Cargo.toml").read_text().splitlines()
    assert lines[found["line"] - 1].startswith("net = ")


def test_a_key_that_the_wildcard_did_not_open_is_told(workspace: Path) -> None:
    proto = workspace / "proto"
    proto.mkdir()
    (proto / "deploy").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    (proto / "a.txt").write_text("message A")
    text = (workspace / "Cargo.toml").read_text()
    named = '$WORKSPACE/proto/**", "$WORKSPACE/proto/a.txt", "$WORKSPACE/proto/deploy'
    (workspace / "Cargo.toml").write_text(text.replace("$WORKSPACE/proto/**", named))

    told = check(workspace)

    assert told.returncode == 21, told.stderr
    assert told.stdout.count("wider: ") == 1
    assert "wider: sample may read `$WORKSPACE/proto/deploy`" in told.stdout


@pytest.mark.slow
def test_a_folder_is_not_what_a_plain_key_means_at_crates_io(workspace: Path) -> None:
    git(workspace, "switch", "--quiet", "main")
    text = (workspace / "Cargo.toml").read_text()
    text = text.replace('["sample"]', '["sample"]\nexclude = ["inner"]')
    table = "[workspace.metadata.buildperm.crates.'{}']\nexec = [\"perl\"]\n"
    (workspace / "Cargo.toml").write_text(text + table.format("inner"))
    commit(workspace, "granted to the one at crates.io")
    git(workspace, "switch", "--quiet", "--create", "away")
    package(workspace / "inner", "", "[workspace]")
    add(workspace, "[dependencies]\ninner = { path = '../inner' }\n", "sample/Cargo.toml")
    add(workspace, table.format("path+$WORKSPACE/inner#inner"))
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace, check=True)

    told = check(workspace)
    # For a member it is only another way to write it.
    git(workspace, "switch", "--quiet", "--discard-changes", "main")
    text = (
        (workspace / "Cargo.toml")
        .read_text()
        .replace("sample]", "'path+$WORKSPACE/sample#sample']")
    )
    (workspace / "Cargo.toml").write_text(text)
    honest = check(workspace)

    assert told.returncode == 21, told.stderr
    assert "wider: path+$WORKSPACE/inner#inner may run `perl`" in told.stdout
    assert "not wider" in honest.stderr, honest.stdout


def test_what_is_allowed_to_be_wider_is_a_warning(workspace: Path) -> None:
    add(workspace, 'exec = ["perl"]\n')

    told = check(workspace, "--allow-wider", "--format", "json")

    assert told.returncode == 0
    (found,) = json.loads(told.stdout)["findings"]
    assert (found["rule"], found["level"]) == ("wider-grant", "warning")


@pytest.mark.parametrize("form", ["text", "sarif", "junit", "github"])
@pytest.mark.quick(1)
def test_every_format_tells_it(workspace: Path, form: str) -> None:
    add(workspace, 'exec = ["perl"]\n')

    told = check(workspace, "--format", form)

    assert told.returncode == 21
    assert "sample may run `perl`" in told.stdout
    if form == "github":
        assert told.stdout.startswith("::error file=Cargo.toml,line=8,")


@pytest.mark.slow
def test_a_branch_that_is_behind_is_not_told_of_what_others_did(workspace: Path) -> None:
    commit(workspace, "mine")
    git(workspace, "switch", "--quiet", "main")
    narrower(workspace)
    add(workspace, 'exec = ["perl"]\n')
    commit(workspace, "theirs")
    git(workspace, "switch", "--quiet", "branch")

    told = check(workspace)

    assert told.returncode == 0, told.stdout
    assert "narrower" not in told.stderr
    assert "where this branch began" in told.stderr


def test_what_was_taken_back_and_is_brought_again_is_wider(workspace: Path) -> None:
    git(workspace, "switch", "--quiet", "main")
    narrower(workspace)
    commit(workspace, "theirs")
    git(workspace, "switch", "--quiet", "branch")
    git(workspace, "merge", "--quiet", "--strategy=ours", "--message=m", "main")

    told = check(workspace)

    assert told.returncode == 21
    assert "may read `$WORKSPACE/proto/**`" in told.stdout


def clone(workspace: Path, to: Path, *words: str) -> Path:
    git(workspace, "clone", "--quiet", *words, workspace.as_uri(), str(to))
    return to


@pytest.mark.slow
def test_what_was_taken_back_and_would_come_in_by_a_merge_is_wider(workspace: Path) -> None:
    """It is not wider than where the branch began, and a merge keeps the second table."""
    path, plain = workspace / "Cargo.toml", (workspace / "Cargo.toml").read_text()
    git(workspace, "switch", "--quiet", "main")
    path.write_text(plain.replace("[", "# Much\n# between\n# both\n[", 1))
    path.write_text(path.read_text().replace(SAMPLE, f'{SAMPLE}exec = ["perl"]\n'))
    commit(workspace, "granted")
    git(workspace, "switch", "--quiet", "--create", "sly")
    add(workspace, "\n# more\n# of it\n# below\n")
    path.write_text(
        SAMPLE.replace(".sample", '."sample@0.1"')
        + 'exec = ["perl"]\nread = ["$WORKSPACE/proto/**"]\n\n'
        + path.read_text()
    )
    commit(workspace, "the same again")
    git(workspace, "switch", "--quiet", "main")
    path.write_text(path.read_text().replace('exec = ["perl"]\n', ""))
    commit(workspace, "taken back")
    git(workspace, "switch", "--quiet", "--create", "honest", "HEAD~1")
    add(workspace, "# honest\n")
    commit(workspace, "honest")
    honest = check(workspace)
    git(workspace, "switch", "--quiet", "sly")

    told = check(workspace)

    assert honest.returncode == 0, honest.stdout + honest.stderr
    assert told.returncode == 21, told.stderr
    assert "sample@0.1 may run `perl`" in told.stdout
    assert "once it is merged: it was taken back meanwhile" in told.stdout


@pytest.mark.slow
def test_a_shallow_clone_says_how_to_get_the_commit_and_never_guesses_a_base(
    workspace: Path, tmp_path: Path
) -> None:
    narrower(workspace)
    commit(workspace)
    shallow = clone(workspace, tmp_path / "shallow", "--depth=1", "--branch=branch")

    missing = check(shallow, against="origin/main")
    git(shallow, "fetch", "--quiet", "--depth=1", "origin", "+main:refs/remotes/origin/main")
    told = check(shallow, against="origin/main")

    assert missing.returncode == 2
    assert "no such commit" in missing.stderr
    assert "`git fetch --depth=1 origin main`" in missing.stderr
    assert "fetch-depth: 0" in missing.stderr
    assert told.returncode == 0, told.stderr
    assert "this clone is shallow" in told.stderr


@pytest.mark.slow
def test_a_workspace_further_down_and_a_second_work_tree(workspace: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    shutil.copytree(workspace, top / "a b/ws", ignore=shutil.ignore_patterns(".git"))
    git(top, "init", "--quiet", "--initial-branch=main")
    commit(top)
    git(top, "worktree", "add", "--quiet", "--detach", str(tmp_path / "second"))
    folder = tmp_path / "second/a b/ws"
    add(folder, 'exec = ["perl"]\n')

    told = check(folder)
    hooked = buildperm(
        "check", "--against", "main", folder=folder, extra={"GIT_DIR": ".git"}
    )  # As in a hook of git.

    assert told.returncode == hooked.returncode == 21, told.stderr
    assert told.stdout.count("wider: ") == 1


def test_where_there_was_no_cargo_toml_everything_is_new(workspace: Path) -> None:
    git(workspace, "switch", "--quiet", "--orphan", "empty")
    commit(workspace, "empty")
    git(workspace, "switch", "--quiet", "branch")

    told = check(workspace, against="empty")

    assert told.returncode == 21
    assert "may read `$WORKSPACE/proto/**`" in told.stdout
    assert "there is no empty:Cargo.toml" in told.stderr


@pytest.mark.slow
def test_grants_that_stood_in_another_file_are_not_forgotten(workspace: Path) -> None:
    """Else `require` and limits would be gone by moving the workspace."""
    text = (
        (workspace / "Cargo.toml")
        .read_text()
        .replace("version = 1\n", 'version = 1\nrequire = "full"\n')
    )
    (workspace / "Cargo.toml").write_text(text)
    git(workspace, "switch", "--quiet", "main")
    commit(workspace, "strict")
    git(workspace, "switch", "--quiet", "--create", "away")
    inner = workspace / "inner"
    inner.mkdir()
    for name in ("Cargo.lock", "sample"):
        git(workspace, "mv", name, f"inner/{name}")
    git(workspace, "rm", "--quiet", "Cargo.toml")
    (inner / "Cargo.toml").write_text('[workspace]\nmembers = ["sample"]\nresolver = "2"\n')
    commit(workspace, "moved")

    told = check(inner)

    assert told.returncode == 21, told.stderr
    assert "had grants in main:Cargo.toml, which cannot be compared" in told.stdout


def package(folder: Path, grants: str, more: str = "") -> None:
    """Make a package with grants of its own."""
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").touch()
    home = grants.replace("workspace.", "package.")
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "inner"\nversion = "0.1.0"\nedition = "2021"\n{more}\n{home}'
    )


PERL = f'{GRANTS}{SAMPLE}exec = ["perl"]\n'


@pytest.mark.slow
def test_grants_of_a_package_that_was_no_root_were_not_in_force(workspace: Path) -> None:
    """Nobody was told of them, as they granted nothing: not until the package is a root."""
    git(workspace, "switch", "--quiet", "main")
    text = (workspace / "Cargo.toml").read_text()
    (workspace / "Cargo.toml").write_text(text.replace('["sample"]', '["sample", "inner"]'))
    package(workspace / "inner", PERL)
    (workspace / "Cargo.lock").unlink()
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace, check=True)
    commit(workspace, "unnoticed")
    git(workspace, "switch", "--quiet", "--create", "away")
    shutil.move(workspace / "sample", workspace / "inner")
    (workspace / "Cargo.toml").write_text(text.replace('["sample"]', '[]\nexclude = ["inner"]'))
    inner = (workspace / "inner/Cargo.toml").read_text()
    (workspace / "inner/Cargo.toml").write_text(
        inner.replace("package.metadata", "workspace.metadata")
        + '[workspace]\nmembers = ["sample"]\n'
    )
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace / "inner", check=True)

    told = check(workspace / "inner")

    assert told.returncode == 21, told.stderr
    assert "wider: sample may run `perl`" in told.stdout
    assert "belonged to another workspace" in told.stderr


@pytest.mark.slow
def test_grants_of_a_workspace_that_takes_another_one_in_are_not_all(workspace: Path) -> None:
    git(workspace, "switch", "--quiet", "main")
    (workspace / "Cargo.toml").write_text(
        f'{GRANTS}require = "full"\n[workspace]\nexclude = ["inner"]\nmembers = ["sample"]\n'
    )
    package(workspace / "inner", PERL, "[workspace]")
    inner = (workspace / "inner/Cargo.toml").read_text()
    (workspace / "inner/Cargo.toml").write_text(inner.replace("package.m", "workspace.m"))
    commit(workspace, "an example with grants of its own")
    git(workspace, "switch", "--quiet", "--create", "away")
    honest = check(workspace)
    (workspace / "Cargo.toml").write_text(
        '[package]\nname = "outer"\nversion = "0.1.0"\nworkspace = "inner"\n'
        '[dependencies]\nsample = { path = "sample" }\n[lib]\npath = "sample/src/lib.rs"\n'
    )
    manifest = (workspace / "sample/Cargo.toml").read_text()
    manifest = manifest.replace("[package]", '[package]\nworkspace = "../inner"')
    (workspace / "sample/Cargo.toml").write_text(manifest)
    inner = (workspace / "inner/Cargo.toml").read_text()
    (workspace / "inner/Cargo.toml").write_text(
        inner.replace("[workspace]", '[workspace]\nmembers = ["..", "../sample"]')
    )
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace, check=True)

    told = check(workspace)

    assert honest.returncode == 0, honest.stderr
    assert told.returncode == 21, told.stderr
    assert "had grants in main:Cargo.toml, which cannot be compared" in told.stdout


@pytest.mark.slow
def test_a_package_beside_a_workspace_keeps_grants_of_its_own(workspace: Path) -> None:
    git(workspace, "switch", "--quiet", "main")
    text = (workspace / "Cargo.toml").read_text()
    (workspace / "Cargo.toml").write_text(
        text.replace('["sample"]', '["sample"]\nexclude = ["inner"]')
    )
    package(workspace / "inner", PERL)
    lock = LOCK.replace("sample", "inner")
    (workspace / "inner/Cargo.lock").write_text(lock)
    commit(workspace, "beside")
    git(workspace, "switch", "--quiet", "--create", "more")
    add(workspace / "inner", "# more\n")
    add(workspace, 'env = ["MY_*"]\n')

    told = check(workspace / "inner")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "not wider" in told.stderr


def broken(folder: Path) -> None:
    add(folder, "[[[\n")


def newer(folder: Path) -> None:
    text = (folder / "Cargo.toml").read_text().replace("version = 1", "version = 99")
    (folder / "Cargo.toml").write_text(text)


def bomb(folder: Path) -> None:
    add(folder, f"bomb = {'[' * 50_000}{']' * 50_000}\n")


def strange(folder: Path) -> None:
    text = (folder / "Cargo.toml").read_text().replace("proto/**", "../**")
    (folder / "Cargo.toml").write_text(text)


def broken_lock(folder: Path) -> None:
    add(folder, "]]]", "Cargo.lock")


@pytest.mark.parametrize(
    ("harm", "told_of"),
    [
        (broken, "broken TOML"),
        (newer, "newer buildperm"),
        (bomb, "main:Cargo.toml"),
        (strange, "are not followed"),
        (broken_lock, "main:Cargo.lock"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.quick(2)
def test_what_cannot_be_read_there_is_one_clear_error(
    workspace: Path, harm: Callable[[Path], None], told_of: str
) -> None:
    git(workspace, "switch", "--quiet", "main")
    harm(workspace)
    commit(workspace, "harm")
    git(workspace, "reset", "--quiet", "branch", "--", ".")
    git(workspace, "restore", ".")
    add(workspace, 'exec = ["perl"]\n')

    told = check(workspace)

    assert told.returncode == 2, told.stdout + told.stderr
    assert told.stdout == ""
    assert told_of in told.stderr
    assert "hint: " in told.stderr
    assert told.stderr.startswith("buildperm: ")
    assert is_orderly(told.stderr)


def test_what_names_no_commit_is_refused(workspace: Path) -> None:
    for name in ("--output=planted", "nope\x1b[2J"):
        told = check(workspace, against=name)

        assert told.returncode == 2
        assert told.stdout == ""
        assert "hint: " in told.stderr
        assert is_orderly(told.stderr)
        assert "planted" not in os.listdir(workspace)


@pytest.mark.slow
def test_a_name_that_means_several_commits_is_refused(workspace: Path, tmp_path: Path) -> None:
    """Git takes a tag before a branch, and gets tags along with what is fetched."""
    git(tmp_path, "clone", "--quiet", workspace.as_uri(), "clone")
    clone = tmp_path / "clone"
    add(clone, 'exec = ["perl"]\n')
    commit(clone)
    git(clone, "tag", "origin/main")

    told = check(clone, against="origin/main")
    in_full = check(clone, against="refs/remotes/origin/main")
    by_hash = check(clone, against=git(clone, "rev-parse", "refs/remotes/origin/main"))

    assert told.returncode == 2, told.stdout + told.stderr
    assert "means several commits: refs/tags/origin/main, refs/remotes/origin/main" in told.stderr
    assert in_full.returncode == by_hash.returncode == 21, in_full.stderr


def test_a_folder_in_no_repository_is_one_clear_error(workspace: Path) -> None:
    shutil.rmtree(workspace / ".git")

    told = check(workspace)

    assert told.returncode == 2
    assert "not in a git repository" in told.stderr


def test_to_allow_what_is_not_compared_is_a_mistake(workspace: Path) -> None:
    told = buildperm("check", "--allow-wider", folder=workspace)

    assert told.returncode == 2
    assert "--against" in told.stderr


@pytest.mark.slow
def test_ci_builds_nothing_where_the_grants_are_wider(workspace: Path) -> None:
    add(workspace, 'exec = ["perl"]\n')

    stopped = buildperm("ci", "--against", "main", "--format", "json", folder=workspace)
    nothing_built = not (workspace / "target").exists()
    warned = buildperm("ci", "--against", "main", "--warn", "--format", "json", folder=workspace)
    allowed = buildperm("ci", "--against", "main", "--allow-wider", folder=workspace)

    assert stopped.returncode == 21, stopped.stderr
    assert nothing_built
    document = json.loads(stopped.stdout)
    assert (document["exit"], document["cargo_exit"]) == (21, None)
    assert [each["rule"] for each in document["findings"]] == ["wider-grant"]
    assert warned.returncode == allowed.returncode == 0, warned.stderr
    document = json.loads(warned.stdout)
    assert document["cargo_exit"] == 0
    assert [each["level"] for each in document["findings"]] == ["warning"]
    assert "wider: sample may run `perl`" in allowed.stdout


READS = 'fn main() { let _ = std::fs::read("../data.txt"); }\n'


@pytest.mark.slow
def test_what_counts_as_reviewed_since_is_listed_and_lets_nothing_fail(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", "fn main() {}\n")
    (folder / "data.txt").write_text("data")
    (folder / ".gitignore").write_text("target\n")
    assert buildperm(*LEARN, folder=folder).returncode == 0
    add(folder, f'{GRANTS}{SAMPLE}read = ["$WORKSPACE/data*"]\n')
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    (folder / "sample/build.rs").write_text(READS)
    reviewed = buildperm("review", "--no-tui", "--accept", "medium", folder=folder)
    assert reviewed.returncode == 0, reviewed.stderr

    told = check(folder, "--format", "json")

    assert told.returncode == 0, told.stdout + told.stderr
    (found,) = json.loads(told.stdout)["findings"]
    assert (found["rule"], found["level"], found["crate"]) == ("newly-reviewed", "note", "sample")
    assert "new: read $WORKSPACE/data.txt" in found["details"]


def test_a_key_that_signs_results_is_wider(workspace: Path) -> None:
    key = f"ed25519:{'A' * 43}="
    text = (workspace / "Cargo.toml").read_text()
    table = f'{GRANTS}cache = {{ store = "s3://bucket", keys = ["{key}"] }}\n'
    (workspace / "Cargo.toml").write_text(text.replace(GRANTS, table))

    ended = check(workspace)

    said = ended.stdout + ended.stderr
    assert ended.returncode == 21
    assert f"all build scripts may be replaced by results that `{key}` has signed" in said
