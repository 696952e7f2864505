"""The whole way, as a person goes it: real cargo, real scripts, no registry."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import jsonschema
import pytest

from tests.command import buildperm, copy_examples, kill_group, member, start
from tests.report.documents import CI_SCHEMA

NOTHING = "fn main() {}\n"
READS_OUTSIDE = """
fn main() {
    let found = std::fs::read_to_string("../data.txt");
    println!("cargo::rustc-env=FOUND={}", found.is_ok());
}
"""
WRITES_OUTSIDE = """
fn main() { std::fs::write("../generated/made.rs", "// made").expect("cannot write"); }
"""


@pytest.mark.slow
def test_learning_the_honest_examples_leaves_nothing_for_ci_to_refuse(examples: Path) -> None:
    extra = {"RELEASE_CHANNEL": "beta"}

    learned = buildperm("learn", "--no-tui", "--accept", "medium", folder=examples, extra=extra)
    held = buildperm("ci", folder=examples, extra=extra)

    assert learned.returncode == 0, learned.stderr
    assert held.returncode == 0, held.stdout + held.stderr
    written = (examples / "Cargo.toml").read_text()
    assert "[workspace.metadata.buildperm.crates.checksum]" in written
    assert 'presets = ["cc"]' in written
    assert "crates.compat" not in written  # Stays within the baseline.


@pytest.mark.slow
def test_the_misbehaving_example_is_refused_and_told_apart(tmp_path: Path) -> None:
    workspace = copy_examples(tmp_path / "workspace")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text("a key")
    extra = {
        "HOME": str(home),
        "CARGO_HOME": str(tmp_path / "cargo-home"),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        "DEMO_HOME": str(home),
        "DEMO_PORT": "1",
        "DEMO_API_TOKEN": "secret-token",
    }

    learned = buildperm("learn", "--no-tui", "--accept", "medium", folder=workspace, extra=extra)
    held = buildperm("ci", "--format", "json", folder=workspace, extra=extra)

    assert learned.returncode == 3, learned.stderr
    assert held.returncode == 20, held.stderr
    report = json.loads(held.stdout)
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    offenders = [script for script in report["scripts"] if script["findings"]]
    assert [script["crate"] for script in offenders] == ["left-padding"]
    targets = {
        (access["kind"], access["target"])
        for finding in offenders[0]["findings"]
        for access in finding["accesses"]
    }
    assert ("read", "$HOME/.ssh/id_ed25519") in targets
    assert ("env", "DEMO_API_TOKEN") in targets
    assert ("net", "127.0.0.1:1") in targets
    assert ("write", "$WORKSPACE/left-padding-was-here.txt") in targets
    assert any(kind == "directives" and "LD_PRELOAD" in target for kind, target in targets)
    assert not (workspace / "left-padding-was-here.txt").exists()
    assert "secret-token" not in held.stdout + held.stderr + learned.stdout + learned.stderr
    for path in (workspace / "target").rglob("*"):
        if path.is_file() and "buildperm" in path.name:
            assert b"secret-token" not in path.read_bytes(), path


def test_what_was_not_granted_is_refused_with_the_rule_that_would_allow_it(
    tmp_path: Path,
) -> None:
    folder = member(tmp_path / "ws", READS_OUTSIDE)
    (folder / "data.txt").write_text("data")

    held = buildperm("ci", folder=folder)

    assert held.returncode == 20
    assert "sample 0.1.0" in held.stdout
    assert " read     $WORKSPACE/data.txt" in held.stdout
    assert 'read = ["$WORKSPACE/data.txt"]' in held.stdout


@pytest.mark.slow
def test_grants_that_change_make_the_script_run_again(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS_OUTSIDE)
    (folder / "data.txt").write_text("data")
    manifest = folder / "Cargo.toml"
    before = manifest.read_bytes()

    learned = buildperm("learn", "--no-tui", "--accept", "medium", folder=folder)
    codes = [buildperm("ci", folder=folder).returncode]
    manifest.write_bytes(before)
    codes.append(buildperm("ci", folder=folder).returncode)

    assert learned.returncode == 0, learned.stderr
    assert codes == [0, 20]


@pytest.mark.slow
def test_a_write_that_was_refused_is_granted_by_hand_and_the_build_goes_on(
    tmp_path: Path,
) -> None:
    folder = member(tmp_path / "ws", WRITES_OUTSIDE)
    (folder / "generated").mkdir()

    first = buildperm("learn", "--no-tui", "--accept", "medium", folder=folder)
    untouched = "buildperm" not in (folder / "Cargo.toml").read_text()
    with (folder / "Cargo.toml").open("a") as file:
        file.write(
            "\n[workspace.metadata.buildperm]\nversion = 1\n"
            "\n[workspace.metadata.buildperm.crates.sample]\n"
            'reviewed = ["0.1.0"]\nwrite = ["$WORKSPACE/generated/**"]\n'
        )
    second = buildperm("learn", "--no-tui", folder=folder)
    held = buildperm("ci", folder=folder)

    assert first.returncode == 3  # Writing outside OUT_DIR is of high risk: never accepted unseen.
    assert untouched
    assert second.returncode == 0, second.stderr
    assert held.returncode == 0, held.stdout + held.stderr
    assert (folder / "generated/made.rs").read_text() == "// made"


@pytest.mark.slow
def test_a_dry_run_prints_the_diff_and_writes_nothing(examples: Path) -> None:
    before = (examples / "Cargo.toml").read_bytes()

    told = buildperm("learn", "--no-tui", "--accept", "medium", "--dry-run", folder=examples)

    assert "+[workspace.metadata.buildperm.crates.checksum]" in told.stdout
    assert (examples / "Cargo.toml").read_bytes() == before


@pytest.mark.slow
def test_a_crate_within_the_baseline_needs_no_entry(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", NOTHING)
    before = (folder / "Cargo.toml").read_bytes()

    learned = buildperm("learn", "--no-tui", folder=folder)
    held = buildperm("ci", folder=folder)

    assert (learned.returncode, held.returncode) == (0, 0)
    assert (folder / "Cargo.toml").read_bytes() == before


@pytest.mark.parametrize("command", [("learn", "--no-tui"), ("ci",)])
@pytest.mark.quick(1)
def test_a_build_that_fails_of_its_own_passes_on_cargos_code(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = member(tmp_path / "ws", NOTHING)
    (folder / "sample/src/lib.rs").write_text("this is no Rust")

    told = buildperm(*command, folder=folder)

    assert told.returncode == 101
    assert "expected one of" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", [("learn", "--no-tui"), ("ci",)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.quick(1)
def test_an_interruption_ends_everything_and_writes_nothing(
    tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    folder = member(
        tmp_path / "ws",
        'fn main() { std::fs::write(std::env::var("OUT_DIR").unwrap() + "/up", "").unwrap();\n'
        "loop { std::thread::sleep(std::time::Duration::from_secs(1)); } }",
    )
    before = (folder / "Cargo.toml").read_bytes()
    running = start(*command, folder=folder)
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob("target/buildperm/*/debug/build/*/out/up")):
            assert time.monotonic() < deadline, "the build script did not start"
            assert running.poll() is None, running.communicate()[1].decode()
            time.sleep(0.05)

        running.send_signal(number)
        said = running.communicate(timeout=120)[1].decode()
    finally:
        kill_group(running)

    assert running.returncode == 130
    assert "Traceback" not in said
    assert (folder / "Cargo.toml").read_bytes() == before
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _runs_below(pid, folder)]


def _runs_below(pid: str, folder: Path) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith(str(folder))
    except OSError:
        return False


@pytest.mark.slow
def test_variables_with_odd_names_reach_scripts_and_the_compiler(tmp_path: Path) -> None:
    # A shell in between may drop what is no identifier: CARGO_FEATURE_V1.2, CARGO_BIN_EXE_my-prog.
    folder = member(
        tmp_path / "ws",
        "fn main() {\n"
        '    assert!(std::env::var_os("CARGO_FEATURE_V1.2").is_some());\n'
        '    println!("cargo::rustc-env=A.B=passed");\n}\n',
    )
    manifest = folder / "sample/Cargo.toml"
    manifest.write_text(
        manifest.read_text() + '[features]\ndefault = ["v1.2"]\n"v1.2" = []\n'
        '[[bin]]\nname = "my-prog"\npath = "src/main.rs"\n'
    )
    (folder / "sample/src/main.rs").write_text('fn main() { print!("{}", env!("A.B")); }\n')
    (folder / "sample/tests").mkdir()
    (folder / "sample/tests/run.rs").write_text(
        "#[test]\nfn runs() {\n"
        '    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_my-prog")).output();\n'
        '    assert_eq!(ran.unwrap().stdout, b"passed");\n}\n'
    )

    held = buildperm("ci", "--", "test", folder=folder)

    assert held.returncode == 0, held.stdout + held.stderr
    assert "test runs ... ok" in held.stdout
