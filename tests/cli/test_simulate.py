"""What a change of the grants would refuse, from recordings alone."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.learnt_workspace import LearntWorkspace

SCHEMA = 'read = ["$WORKSPACE/schema/**"]'


def _targets(told: str) -> list[str]:
    lines = re.findall(r"^  (?:read|run|see the variable|tell Cargo) (`.*)", told, re.MULTILINE)
    return [target for line in lines for target in re.findall("`([^`]*)`", line)]


def test_what_a_preset_allows_is_refused_without_it(learnt: LearntWorkspace) -> None:
    before = {path: path.read_bytes() for path in learnt.folder.glob("*.*")}

    told = learnt.run("simulate", "helper", "--remove", "preset:cc")

    assert told.returncode == 20
    assert told.stderr == ""
    assert _targets(told.stdout) == ["cc", "cc"]  # Of both versions: one table is for both.
    assert "helper 1.0.0: refused without `preset:cc`" in told.stdout
    assert "      by build script " in told.stdout
    assert "today allowed: `helper` is granted preset `cc`, which may run `cc`" in told.stdout
    assert "then refused: neither the baseline nor a grant" in told.stdout
    assert "1 time while learning " in told.stdout
    assert "2 accesses would be refused" in told.stdout
    assert {path: path.read_bytes() for path in learnt.folder.glob("*.*")} == before


def test_the_command_that_why_prints_says_what_else(learnt: LearntWorkspace) -> None:
    why = learnt.run("why", "helper@1.0.0", "exec:cc").stdout
    printed = re.search("`buildperm (simulate .*)` says", why)
    assert printed

    told = learnt.run(*shlex.split(printed[1]))

    assert told.returncode == 20
    assert "cc" in _targets(told.stdout)


def test_the_document_says_the_same(learnt: LearntWorkspace) -> None:
    document = learnt.document("simulate", "helper", "--remove", "preset:cc")

    assert document["version"] == 2
    assert document["crate"] == "helper"
    assert document["removed"] == ["preset:cc"]
    assert [script["package_version"] for script in document["scripts"]] == ["1.0.0", "2.0.0"]
    (refused,) = document["scripts"][0]["refused"]
    assert (refused["kind"], refused["target"]) == ("exec", "cc")
    assert refused["now"]["because"] == "preset"
    assert refused["then"]["because"] == "not-granted"
    assert refused["chains"][0][0] == "build script"
    (context,) = refused["contexts"]
    assert (context["profile"], context["mode"], context["count"]) == ("debug", "learning", 1)
    assert document["scripts"][0]["allowed"] == []


def test_a_narrower_rule_refuses_the_rest_alone(learnt: LearntWorkspace) -> None:
    with learnt.granting(app=SCHEMA):
        narrower = "read:$WORKSPACE/schema/**=read:$WORKSPACE/schema/deep/**"
        told = learnt.run("simulate", "app", "--replace", narrower)
        same = learnt.run(
            *("simulate", "app", "--replace"),
            "read:$WORKSPACE/schema/**=read:$WORKSPACE/schema/a.txt",
            *("--replace", narrower),
            *("--replace", "read:$WORKSPACE/schema/**=read:$WORKSPACE/schema/ev*"),
        )

    assert told.returncode == 20
    assert "$WORKSPACE/schema/a.txt" in _targets(told.stdout)
    assert "$WORKSPACE/schema/deep/b.txt" not in told.stdout
    assert "newly allowed" not in told.stdout
    assert same.returncode == 0
    assert "nothing that was seen would be refused" in same.stdout
    assert "1 recording on this machine" in same.stdout


def test_files_of_which_the_same_is_told_share_it(learnt: LearntWorkspace) -> None:
    with learnt.granting(app=SCHEMA):
        told = learnt.run("simulate", "app", "--remove", "read:$WORKSPACE/schema/**")

    files = [f"$WORKSPACE/schema/{name}" for name in ("a.txt", "deep/b.txt")]
    assert set(files) <= set(_targets(told.stdout))
    lines = told.stdout.splitlines()
    (at,) = (index for index, line in enumerate(lines) if files[0] in line and line[2] != " ")
    assert files[1] in lines[at]
    assert sum(line.strip().startswith("today allowed: `app` is granted") for line in lines) == 1
    assert ", and so for the others" in told.stdout


def test_a_wider_rule_says_what_is_newly_allowed(learnt: LearntWorkspace) -> None:
    with learnt.granting(app='read = ["$WORKSPACE/schema/a.txt"]'):
        change = "read:$WORKSPACE/schema/a.txt=read:$WORKSPACE/schema/**"
        told = learnt.run("simulate", "app", "--replace", change)

    assert told.returncode == 0
    assert "allowed with `read:$WORKSPACE/schema/**`" in told.stdout
    assert "$WORKSPACE/schema/deep/b.txt" in _targets(told.stdout)
    assert "and 2 accesses newly allowed" in told.stdout


def test_a_risky_replacement_is_not_in_force_before_a_review(learnt: LearntWorkspace) -> None:
    with learnt.granting(app='exec = ["perl"]\nreviewed = ["0.1.0"]'):
        kept = learnt.run("simulate", "app", "--replace", "exec:perl=exec:perl*")
    with learnt.granting(app=SCHEMA):
        told = learnt.document("simulate", "app", "--replace", "read:$WORKSPACE/schema/**=exec:sh")

    assert kept.returncode == 0
    assert {refused["kind"] for refused in told["scripts"][0]["refused"]} == {"read"}


@pytest.mark.slow
def test_a_directive_has_an_equals_sign_of_its_own(learnt: LearntWorkspace) -> None:
    grants = 'reviewed = ["0.1.0"]\ndirectives = ["rustc-link-arg=-Wl,--build-id=none"]'
    with learnt.granting(app=grants):
        old = "directives:rustc-link-arg=-Wl,--build-id=none"
        told = learnt.run("simulate", "app", "--replace", f"{old}=directives:rustc-link-arg=-lm")
        same = learnt.run("simulate", "app", "--replace", f"{old}=directive:rustc-link-arg=-Wl,*")

    assert told.returncode == 20
    assert _targets(told.stdout) == ["rustc-link-arg=-Wl,--build-id=none"]
    assert same.returncode == 0


def test_a_denial_goes_before_grants_and_baseline(learnt: LearntWorkspace) -> None:
    granted = learnt.run("simulate", "helper", "--deny", "exec:cc")
    baseline = learnt.run("simulate", "app", "--deny", "directives:rerun-if-changed=build.rs")
    bare = learnt.run("simulate", "path+$WORKSPACE/vendored#helper", "--deny", "exec:cc")

    assert granted.returncode == 20
    assert "then refused: `helper` is denied to run `cc`" in granted.stdout
    assert baseline.returncode == 20
    assert "tell Cargo `rerun-if-changed=build.rs`" in baseline.stdout
    assert bare.returncode == 0


def test_what_recordings_do_not_keep_is_said(learnt: LearntWorkspace) -> None:
    told = learnt.run("simulate", "app", "--deny", "directives:rerun-if-changed=nowhere")

    assert told.returncode == 0
    assert "not every value of `rerun-if-changed` is kept" in told.stderr


def test_without_all_its_grants_it_has_the_baseline(learnt: LearntWorkspace) -> None:
    told = learnt.run("simulate", "app", "--remove", "all")

    assert told.returncode == 20
    assert "RELEASE_CHANNEL" in _targets(told.stdout)
    assert "$WORKSPACE/other.txt" in _targets(told.stdout)
    assert "perl" not in _targets(told.stdout)  # Refused today.
    assert "%1B%5B2J%E2%80%AE" in told.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["helper", "--remove", "exec:cc"], "It is granted as a part of `preset:cc`"),
        (["helper", "--remove", "preset:c"], "Did you mean `preset:cc`?"),
        (["helper", "--remove", "cc"], "Did you mean `preset:cc`?"),
        (["helper", "--remove", "rubbish"], "Write `exec:perl`"),
        (
            ["app", "--remove", "read:$WORKSPACE/other.tx"],
            "Did you mean `read:$WORKSPACE/other.txt`",
        ),
        (["app", "--remove", "exec:perl"], "Granted: `env:RELEASE_CHANNEL`"),
        (["app", "--remove", "exec:\x1b[2J"], "is not granted `exec:%1B"),
        (["helper@0.5.0", "--remove", "all"], "is granted nothing"),
        (["helper"], "nothing is to be changed"),
        (["helper", "--replace", "preset:cc"], "Write `OLD=NEW`"),
        (["helper", "--replace", "preset:cc=cc"], "Write `OLD=NEW`"),
        (["helper", "--replace", "preset:git=preset:cc"], "is not granted `preset:git`"),
        (["helper", "--replace", "preset:cc=preset:ccc"], "Did you mean `cc`?"),
        (["helper", "--replace", "preset:cc=read:$HOME/**"], "too much for one grant"),
        (["helper", "--replace", "preset:cc=read:$HOME/.ssh/id"], "gives no reason"),
        (["helper", "--replace", "preset:cc=read:../x"], "a relative path has no meaning here"),
        (["helper", "--replace", "preset:cc=read:$NOWHERE/x"], "is no token"),
        (["helper", "--replace", "preset:cc=exec:%2"], "two hexadecimal digits"),
        (["helper", "--deny", "preset:cc"], "a preset cannot be denied"),
        (["helper", "--deny", "system:bpf"], "is no rule"),
        (["helper", "--deny", "env:%"], "two hexadecimal digits"),
        (["helpre", "--remove", "all"], "Did you mean `helper`?"),
        (["library", "--remove", "all"], "`library` has no build script"),
        (["helper@9", "--remove", "all"], "`helper@9` is not here"),
        (["helper", "--remove"], "requires an argument"),
    ],
)
@pytest.mark.quick(1)
def test_bad_words_say_what_would_do(learnt: LearntWorkspace, words: list[str], said: str) -> None:
    told = learnt.run("simulate", *words)

    assert told.returncode == 2
    assert told.stdout == ""
    assert said in told.stderr


@pytest.mark.slow
def test_two_tables_of_one_name_are_told_apart(learnt: LearntWorkspace) -> None:
    keys = "exec = []", "exec = []"
    with learnt.granting(**dict(zip(("helper@1", "helper@2"), keys, strict=True))):
        told = learnt.run("simulate", "helper", "--deny", "exec:cc")

    assert told.returncode == 2
    assert "`helper` means 3 tables of grants here" in told.stderr
    assert "`helper@1`, `helper@2`" in told.stderr


def test_without_recordings_the_lock_file_has_to_do(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws", without=("target",))

    told = copy.run("simulate", "helper", "--remove", "preset:cc")

    assert told.returncode == 20
    assert "warning: helper 1.0.0: not recorded on this machine" in told.stderr
    assert _targets(told.stdout) == ["cc", "cc"]
    assert "(buildperm.lock)" in told.stdout
    assert "2 runs that buildperm.lock keeps" in told.stdout


@pytest.mark.slow
def test_the_lock_file_tells_of_contexts_that_are_not_recorded(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws")
    lock = copy.folder / "buildperm.lock"
    # As if `helper` ran the compiler for a release, and for nothing that is recorded here.
    lock.write_text(lock.read_text().replace('profile = "debug"', 'profile = "release"'))
    for version in ("1.0.0", "2.0.0"):
        (recorded,) = copy.recordings("helper", version)
        lines = recorded.read_text().splitlines(keepends=True)
        recorded.write_text("".join(line for line in lines if '"type":"executed"' not in line))

    told = copy.run("simulate", "helper", "--remove", "preset:cc")

    assert told.returncode == 20
    assert "warning: helper 1.0.0: 1 context not recorded on this machine" in told.stderr
    assert _targets(told.stdout) == ["cc", "cc"]
    assert "2 recordings on this machine" in told.stdout
    assert "2 runs that buildperm.lock keeps" in told.stdout


def test_what_was_never_seen_is_no_answer(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws", without=("target", "buildperm.lock"))

    told = copy.run("simulate", "helper", "--remove", "preset:cc")

    assert told.returncode == 2
    assert told.stdout == ""
    assert "nothing was ever recorded of `helper 1.0.0`, `helper 2.0.0`" in told.stderr
    assert "buildperm learn" in told.stderr


@pytest.mark.slow
def test_a_broken_recording_is_passed_over(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws", without=("buildperm.lock",))
    (first,), (second,) = (copy.recordings("helper", version) for version in ("1.0.0", "2.0.0"))
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])

    told = copy.run("simulate", "helper", "--remove", "preset:cc")
    second.write_text("\x1b[2J{}\n")
    none = copy.run("simulate", "helper", "--remove", "preset:cc")

    assert told.returncode == 20
    assert len(_targets(told.stdout)) == 1
    assert "recording.jsonl" in told.stderr
    assert "warning: helper 1.0.0: never recorded" in told.stderr
    assert none.returncode == 2
    assert "nothing was ever recorded of" in none.stderr


@pytest.mark.slow
def test_an_incomplete_recording_is_warned_of(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (path,) = copy.recordings("app", "0.1.0")
    *lines, end = path.read_text().splitlines()
    path.write_text("\n".join([*lines, end.replace('"exit":0', '"exit":101')]) + "\n")

    told = copy.run("simulate", "app", "--deny", "exec:nothing")
    (copy.folder / "app/build.rs").touch()
    older = copy.run("simulate", "app", "--deny", "exec:nothing")

    assert told.returncode == 0
    assert "may not show everything: the script ended with exit code 101" in told.stderr
    assert "is older than the build script" in older.stderr


@pytest.mark.slow
def test_an_outdated_cargo_lock_is_not_touched(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws")
    own = copy.folder / "app/Cargo.toml"
    own.write_text(own.read_text().replace('helper = "1"', 'helper = "2"'))
    lock = (copy.folder / "Cargo.lock").read_bytes()

    told = copy.run("simulate", "app", "--remove", "all")

    assert told.returncode == 2
    assert "Run `cargo fetch`" in told.stderr
    assert (copy.folder / "Cargo.lock").read_bytes() == lock
