"""Whose failure it is when Cargo fails, and what was not seen for it: told last, and in reports."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.cli.pending_list import PENDING_SCHEMA
from tests.command import buildperm, is_orderly, member

OK = "fn main() {}"
NO_RUST = "fn main() { this is no Rust }"
GIVES_UP = "fn main() { std::process::exit(1) }"
NEEDS_A_FILE = """fn main() { std::fs::read("../data.txt").expect("needed"); }"""
SWALLOWS = """
fn main() { if std::fs::read("../data.txt").is_ok() { println!("cargo::rustc-cfg=it"); } }
"""
NO_CODE = 'pub fn count() -> u8 { "none" }'
OWN = "That is its own failure: buildperm refused it nothing."


def add(workspace: Path, name: str, build: str = "", lib: str = "", needs: str = "") -> None:
    """Add a package to the members; `needs` is a package that its build script needs."""
    folder = workspace / name
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").write_text(lib)
    if build:
        (folder / "build.rs").write_text(build)
    wanted = f'[build-dependencies]\n{needs} = {{ path = "../{needs}" }}\n' if needs else ""
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{wanted}'
    )
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('["', f'["{name}", "'))


def last_words(told: str) -> list[str]:
    """Return what stands behind the last mention of the build."""
    return told.rpartition("buildperm: the build failed.")[2].splitlines()


@dataclass(frozen=True, slots=True)
class Broken:
    """A workspace in which packages fail in each way, learnt and built by `ci`."""

    folder: Path
    learnt: subprocess.CompletedProcess[str]
    held: subprocess.CompletedProcess[str]

    @property
    def report(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads((self.folder / "report.json").read_text())


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    folder = member(tmp_path_factory.mktemp("broken") / "ws", OK)
    add(folder, "no-rust", NO_RUST)
    add(folder, "no-code", OK, NO_CODE)
    add(folder, "gives-up", GIVES_UP)
    add(folder, "after", OK, needs="no-code")
    learnt = buildperm("learn", "--format", "json", folder=folder)
    summary = folder / "summary.md"
    reports = [
        f"--report={name}={folder / f'report.{name}'}" for name in ("json", "junit", "sarif")
    ]
    held = buildperm(
        "ci",
        "--report=text",
        *reports,
        f"--report=github={folder / 'annotations'}",
        folder=folder,
        extra={"GITHUB_STEP_SUMMARY": str(summary)},
    )
    return Broken(folder, learnt, held)


def test_the_last_words_say_what_failed_and_what_was_not_seen(broken: Broken) -> None:
    for told, said in ((broken.learnt, broken.learnt.stderr), (broken.held, broken.held.stdout)):
        assert is_orderly(said), said
        assert told.returncode == 101
        assert last_words(said)[1:4] == [
            f"  gives-up 0.1.0: its build script failed. {OWN}",
            f"  no-code 0.1.0: compiling it failed. {OWN}",
            f"  no-rust 0.1.0: compiling its build script failed. {OWN}",
        ]
        assert "not seen: after 0.1.0, no-rust 0.1.0." in last_words(said)[4]
        assert last_words(said)[-1] == "Exit code 101: Cargo's own."


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["watch", "off"])
def test_what_failed_has_its_name_where_compiling_is_not_held(mode: str, tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", OK)
    add(folder, "no-rust", NO_RUST)
    add(folder, "no-code", OK, NO_CODE)
    add(folder, "gives-up", GIVES_UP)
    manifest = folder / "Cargo.toml"
    table = "workspace.metadata.buildperm"
    manifest.write_text(f'{manifest.read_text()}[{table}]\nversion = 1\ncompile = "{mode}"\n')

    held = buildperm("ci", folder=folder)
    for name, code in (("no-rust/build.rs", OK), ("no-code/src/lib.rs", "")):
        (folder / name).write_text(code)
    again = buildperm("ci", folder=folder)

    assert held.returncode == again.returncode == 101
    gives_up = f"  gives-up 0.1.0: its build script failed. {OWN}"
    assert last_words(held.stdout)[1:4] == [
        gives_up,
        f"  no-code 0.1.0: compiling it failed. {OWN}",
        f"  no-rust 0.1.0: compiling its build script failed. {OWN}",
    ]
    # What fails no more is not told again.
    assert [each for each in last_words(again.stdout) if each.startswith("  ")] == [gives_up]


def test_nobody_is_told_to_commit_what_does_not_build(broken: Broken) -> None:
    assert "nothing to decide so far, as the build failed" in broken.learnt.stderr
    assert "then `buildperm ci`" not in broken.learnt.stderr


def test_programs_are_told_of_the_failure(broken: Broken) -> None:
    document = json.loads(broken.learnt.stdout)
    jsonschema.Draft202012Validator(PENDING_SCHEMA).validate(document)
    failure = document["build_failure"]
    found = [each for each in broken.report["findings"] if each["rule"] == "build-failed"]

    steps = {each["crate"]: (each["step"], each["was_refused"]) for each in failure["packages"]}
    assert steps == {
        "gives-up": ("run-script", False),
        "no-code": ("compile", False),
        "no-rust": ("compile-script", False),
    }
    assert failure["not_run"] == ["after 0.1.0", "no-rust 0.1.0"]
    assert [each["crate"] for each in found] == list(steps)
    assert all(OWN in each["details"] for each in found)


def test_each_report_names_the_packages(broken: Broken) -> None:
    root = ElementTree.parse(broken.folder / "report.junit").getroot()
    errors = {
        case.get("classname") for case in root.iter("testcase") if case.find("error") is not None
    }
    summary = (broken.folder / "summary.md").read_text()
    annotations = (broken.folder / "annotations").read_text()
    sarif = json.loads((broken.folder / "report.sarif").read_text())

    named = {"gives-up", "no-code", "no-rust"}
    assert errors == named
    results = sarif["runs"][0]["results"]
    assert {each["ruleId"] for each in results} == {"buildperm/build-failed"}
    for name in named:
        assert f"{name} 0.1.0: " in annotations
        assert f"{name} 0.1.0: " in summary
        assert any(name in each["message"]["text"] for each in results)
    assert "Nothing to report" not in summary


# Each gives up for something that is nobody's decision: as most programs do without it, as the
# system refuses it whatever is granted, as its folder is not its own to remove.
NEEDS_A_NAMESPACE = """
extern "C" { fn unshare(flags: i32) -> i32; }
fn main() { assert_eq!(unsafe { unshare(0x00020000) }, 0); }
"""
NEEDS_A_HABIT = """
fn main() {
    let mut reading = std::process::Command::new("cat");
    assert!(reading.arg("/proc/sys/net/core/somaxconn").status().unwrap().success());
}
"""
NEEDS_A_PROGRAM = """
fn main() {
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tool");
    std::process::Command::new(tool).status().unwrap();
}
"""
CLEARS = """fn main() { std::fs::remove_dir_all(std::env::var_os("OUT_DIR").unwrap()).unwrap(); }"""
EMPTIES = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let (file, folder) = (format!("{out}/a"), format!("{out}/b"));
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
"""


@pytest.mark.slow
def test_refusals_that_are_nobody_s_decision_are_told_in_each_format(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", NEEDS_A_NAMESPACE)
    add(folder, "habit", NEEDS_A_HABIT)
    add(folder, "program", NEEDS_A_PROGRAM)
    (folder / "program/tool").write_text("#!/bin/sh\n")
    add(folder, "clears", CLEARS)
    add(folder, "empties", EMPTIES)
    add(folder, "gives-up", GIVES_UP)
    manifest, setting = folder / "Cargo.toml", "/proc/sys/net/core/somaxconn"
    table = "workspace.metadata.buildperm"
    granted = f"[{table}]\nversion = 1\n[{table}.crates.habit]\n"
    granted += 'reviewed = ["0.1.0"]\nexec = ["cat"]\n'
    manifest.write_text(manifest.read_text() + granted)
    forms = ("json", "junit", "sarif", "github", "text")
    reports = [f"--report={name}={folder / f'report.{name}'}" for name in forms]

    held = buildperm("ci", *reports, folder=folder)

    said = (folder / "report.text").read_text()
    assert held.returncode == 101, said
    told = dict(line.split(" 0.1.0: ", 1) for line in last_words(said) if " 0.1.0: " in line)
    assert told["  sample"].startswith(
        "its build script failed. buildperm refused it only what programs try out of habit and "
        "mostly do without: `system:unshare`."
    )
    assert "`read:/proc/sys/net/core/somaxconn`" in told["  habit"]
    assert told["  program"].endswith(
        "the system itself did: exec $MANIFEST_DIR/tool (by its permissions, or a read-only "
        "disk). No grant changes that."
    )
    assert told["  gives-up"] == f"its build script failed. {OWN}"
    assert "  Failed, perhaps for what was refused: clears 0.1.0." in last_words(said)
    assert "clears 0.1.0 tried to remove or rename $OUT_DIR: it stays" in said
    assert "though granted" not in said
    assert "empties 0.1.0" not in said
    for form in forms:
        report = (folder / f"report.{form}").read_text()
        assert report.count("out of habit and mostly do without") >= 2, form
        assert "the system itself did: exec " in report, form

    # What `why` says is what helps.
    for crate, access, lines in (
        ("habit", f"read:{setting}", f'read = ["{setting}"]'),
        ("sample", "system:unshare", ""),
        (
            "program",
            "exec:$MANIFEST_DIR/tool",
            "The system itself refuses it (by its permissions, or a read",
        ),
    ):
        why = buildperm("why", crate, access, folder=folder)
        assert why.returncode == 20
        assert is_orderly(why.stdout)
        assert lines in why.stdout, why.stdout
    assert (
        "No grant opens it." in buildperm("why", "sample", "system:unshare", folder=folder).stdout
    )
    manifest.write_text(f'{manifest.read_text()}read = ["{setting}"]\n')
    again = buildperm("ci", folder=folder)
    assert "habit 0.1.0" not in again.stdout


@pytest.mark.slow
def test_what_was_refused_is_not_called_a_failure_of_its_own(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", NEEDS_A_FILE)
    (folder / "data.txt").write_text("data")
    add(folder, "gives-up", GIVES_UP)

    held = buildperm("ci", folder=folder)
    denied = buildperm("learn", "--no-tui", folder=folder)

    assert held.returncode == 20
    (own, refused) = last_words(held.stdout)[1:3]
    assert own == f"  gives-up 0.1.0: its build script failed. {OWN}"
    assert refused == "  Failed, perhaps for what was refused: sample 0.1.0."
    assert last_words(held.stdout)[-1].startswith("Exit code 20")
    # While learning it may read the file, so that nothing but the other one fails.
    assert denied.returncode == 3
    assert last_words(denied.stderr)[1] == own
    assert "sample" not in last_words(denied.stderr)[1]
    assert last_words(denied.stderr)[-1].startswith("Exit code 3")


@pytest.mark.slow
def test_what_follows_from_a_refusal_elsewhere_is_no_failure_of_its_own(tmp_path: Path) -> None:
    """A script swallows that it was refused a file; its crate then lacks what it should make."""
    folder = member(
        tmp_path / "ws",
        SWALLOWS,
    )
    (folder / "data.txt").write_text("data")
    (folder / "sample/src/lib.rs").write_text("#[cfg(it)] pub fn count() {}")
    add(folder, "user", OK, needs="sample")
    (folder / "user/build.rs").write_text("fn main() { sample::count() }")

    held = buildperm("ci", folder=folder)

    assert held.returncode == 20, held.stdout
    (told,) = [line for line in last_words(held.stdout) if line.startswith("  ")]
    assert told == "  Failed, perhaps for what was refused: user 0.1.0."


@pytest.mark.slow
def test_a_failure_of_cargo_before_it_builds_is_no_package_s(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", OK)

    for words in (
        ("ci", "--", "build", "--bin", "none"),
        ("learn", "--no-tui", "--", "check", "--bin", "none"),
    ):
        told = buildperm(*words, folder=folder)

        assert told.returncode == 101
        said = last_words(told.stdout if words[0] == "ci" else told.stderr)
        assert said[1] == "  buildperm refused nothing."
        assert said[-1] == "Exit code 101: Cargo's own."


@pytest.mark.slow
def test_what_a_script_that_fails_is_denied_is_told_with_the_ways_on(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", NEEDS_A_FILE)
    (folder / "data.txt").write_text("data")
    manifest = folder / "Cargo.toml"
    table = "[workspace.metadata.buildperm.crates.sample]"
    manifest.write_text(
        f"{manifest.read_text()}[workspace.metadata.buildperm]\nversion = 1\n{table}\n"
        'deny = { read = ["$WORKSPACE/data.txt"] }\n'
    )

    told = buildperm("learn", "--no-tui", folder=folder)

    assert told.returncode == 101
    said = told.stderr.partition("sample 0.1.0 failed, and Cargo.toml denies it read ")[2]
    assert said.startswith("$WORKSPACE/data.txt.\n")
    assert f"take it out of `deny` in `{table}`" in said
    assert "  Failed, perhaps for what was refused: sample 0.1.0." in said


def test_where_cargo_may_not_download_it_is_said_what_does_and_builds_nothing(
    tmp_path: Path,
) -> None:
    folder = member(tmp_path / "ws", OK)
    manifest = folder / "sample/Cargo.toml"
    manifest.write_text(manifest.read_text() + '[dependencies]\nno-such-thing = "1"\n')
    empty = {"CARGO_HOME": str(tmp_path / "home")}

    told = buildperm("ci", "--", "build", "--offline", folder=folder, extra=empty)

    assert told.returncode == 2
    assert "hint: Run `cargo fetch` where there is a network" in told.stderr
    assert told.stderr.startswith("buildperm: Cargo cannot read the workspace: no matching package")


@pytest.mark.slow
def test_a_build_that_succeeds_again_is_told_of_as_such(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", NO_RUST)
    failed = buildperm("ci", folder=folder)
    (folder / "sample/build.rs").write_text(OK)

    again = buildperm("ci", folder=folder)

    assert failed.returncode == 101
    assert again.returncode == 0
    assert "failed" not in again.stdout
