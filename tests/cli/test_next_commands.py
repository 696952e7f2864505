"""What a message tells a person to do next settles what the message is about: each is done here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.command import LEARN, buildperm, is_orderly, member

BETA = {"CHANNEL": "beta"}
# Does nothing but with a variable that no learning run has.
SCRIPT = """
fn main() {
    if std::env::var("CHANNEL").as_deref() == Ok("beta") {
        let _ = std::fs::read_to_string("../beta.txt");
    }
}
"""
MACRO = """
use proc_macro::TokenStream;
#[proc_macro]
pub fn flavour(_: TokenStream) -> TokenStream {
    if std::env::var("CHANNEL").as_deref() == Ok("beta") {
        let _ = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../beta.txt"));
    }
    TokenStream::new()
}
"""
READS = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../data.txt");
}
"""
ONLY_IN_RELEASE = """
fn main() {
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        let _ = std::fs::read_to_string("../data.txt");
    }
}
"""
WRITES_TOO_MUCH = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/much"), vec![b'x'; 100_000]).unwrap();
}
"""


def _run(
    folder: Path, *words: str, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    told = buildperm(*words, folder=folder, extra=extra)
    assert is_orderly(told.stdout + told.stderr), told.stdout + told.stderr
    return told


def _follow(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run the command that a message names, allowing what a person may allow without looking."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("buildperm", "review")
    return _run(folder, name, "--no-tui", "--accept", "medium", *words)


def _expected(told: str) -> str:
    """Return the command that a refusal names; every refusal of one build names the same."""
    command: str
    (command,) = set(re.findall(r"Is it expected\?\s+(buildperm .+)", told))
    return command


def _next(told: str) -> str:
    command: str
    (command,) = set(re.findall(r"To decide, run `(buildperm .+?)`", told))
    return command


def _with_macro(workspace: Path) -> Path:
    for name, library in (("mac", MACRO), ("app", "mac::flavour!();")):
        (workspace / name / "src").mkdir(parents=True)
        (workspace / name / "src/lib.rs").write_text(library)
    package = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'
    (workspace / "mac/Cargo.toml").write_text(f"{package.format('mac')}[lib]\nproc-macro = true\n")
    (workspace / "app/Cargo.toml").write_text(
        package.format("app") + '[dependencies]\nmac = { path = "../mac" }\n'
    )
    (workspace / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["sample", "mac", "app"]\nresolver = "2"\n'
    )
    return workspace


def _refused(workspace: Path) -> set[str]:
    """Return what the kept report says was refused."""
    kept = json.loads((workspace / "target/buildperm/ci/buildperm-report.json").read_text())
    return {
        f"{script['crate']} {access['target']}"
        for script in kept["scripts"]
        for finding in script["findings"]
        for access in finding["accesses"]
    }


@pytest.mark.slow
def test_what_only_happens_under_some_environment_is_decided_from_its_report(
    tmp_path: Path,
) -> None:
    workspace = _with_macro(member(tmp_path / "ws", SCRIPT))
    (workspace / "beta.txt").write_text("data")
    assert _run(workspace, *LEARN).returncode == 0

    # First that they ask for the variable, and once they have it, that they read the file.
    for targets in ("CHANNEL", "$WORKSPACE/beta.txt"):
        refused = _run(workspace, "ci", extra=BETA)
        assert refused.returncode == 20, refused.stdout
        assert _refused(workspace) == {f"sample {targets}", f"mac {targets}"}
        offered = _run(workspace, *shlex.split(_expected(refused.stdout))[1:])
        assert offered.returncode == 3
        assert "2 crates of the report: 2 decisions." in offered.stderr
        assert _expected(refused.stdout) in offered.stderr  # It asks again.
        assert _follow(workspace, _expected(refused.stdout)).returncode == 0

    assert _run(workspace, "ci", extra=BETA).returncode == 0
    assert not (workspace / "target/buildperm/ci/buildperm-report.json").exists()
    assert _run(workspace, "check").returncode == 0


@pytest.mark.slow
def test_what_only_compiling_does_under_some_environment_is_decided_from_its_report(
    tmp_path: Path,
) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    library = '#[cfg(beta)]\npub const TOKEN: Option<&str> = option_env!("API_TOKEN");\n'
    (workspace / "sample/src/lib.rs").write_text(library)
    assert _run(workspace, *LEARN).returncode == 0
    surroundings = {"RUSTFLAGS": "--cfg beta", "API_TOKEN": "ghp_x"}

    refused = _run(workspace, "ci", extra=surroundings)
    assert refused.returncode == 20, refused.stdout
    assert _refused(workspace) == {"sample API_TOKEN"}
    offered = _run(workspace, *shlex.split(_expected(refused.stdout))[1:])
    assert "undecided: compiling sample 0.1.0: see the environment variable" in offered.stderr

    # Nobody can allow that from here; denied, the build goes on without it.
    (asked,) = json.loads(_run(workspace, "pending", "--json").stdout)["proposals"]
    assert _run(workspace, "decide", asked["id"], "deny").returncode == 0
    assert _run(workspace, "ci", extra=surroundings).returncode == 0


@pytest.mark.slow
def test_words_for_cargo_are_part_of_the_next_command(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", READS, "extra")
    (workspace / "data.txt").write_text("data")
    application = workspace / "app"
    (application / "src").mkdir(parents=True)
    (application / "src/lib.rs").write_text("")
    (application / "Cargo.toml").write_text(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
        '[dependencies]\nextra = { path = "../extra", optional = true }\n'
    )
    (workspace / "Cargo.toml").write_text('[workspace]\nmembers = ["app"]\nresolver = "2"\n')
    words = ("--", "build", "--features", "extra")

    refused = _run(workspace, "ci", *words)
    command = _expected(refused.stdout)

    assert command.endswith("-- build --features extra")
    written = _follow(workspace, command)
    assert written.returncode == 0, written.stderr
    assert _run(workspace, "ci", *words).returncode == 0
    # What it was granted from a report, nobody has recorded here: the message says who does.
    (recorder,) = re.findall(r"`(buildperm review .+)` records it", written.stderr)
    assert _follow(workspace, recorder).returncode == 0
    assert _run(workspace, "check", *words).returncode == 0


@pytest.mark.slow
def test_what_was_never_recorded_with_some_words_is_recorded_with_them(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", ONLY_IN_RELEASE)
    (workspace / "data.txt").write_text("data")
    assert _run(workspace, *LEARN).returncode == 0

    told = _run(workspace, "check", "--", "check", "--release")

    assert told.returncode == 21
    assert _next(told.stdout) == "buildperm review -- check --release"
    assert _follow(workspace, _next(told.stdout)).returncode == 0
    assert _run(workspace, "check", "--", "check", "--release").returncode == 0


@pytest.mark.slow
def test_a_script_that_was_never_seen_to_run_is_seen_by_the_next_command(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", READS, "extra")
    (workspace / "data.txt").write_text("data")
    # A dependency of tests alone: `check` does not build it.
    application = workspace / "app"
    (application / "src").mkdir(parents=True)
    (application / "src/lib.rs").write_text("")
    (application / "Cargo.toml").write_text(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
        '[dev-dependencies]\nextra = { path = "../extra" }\n'
    )
    (workspace / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["app"]\nexclude = ["extra"]\nresolver = "2"\n'
    )
    assert _run(workspace, *LEARN).returncode == 0
    build = ("ci", "--require-reviewed", "--", "build", "--tests")

    told = _run(workspace, *build)

    assert told.returncode == 21, told.stdout + told.stderr
    assert _next(told.stdout) == "buildperm review -- build --tests"
    assert _follow(workspace, _next(told.stdout)).returncode == 0
    assert _run(workspace, *build).returncode == 0


@pytest.mark.slow
def test_an_unused_grant_goes_by_the_next_command(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", READS)
    (workspace / "data.txt").write_text("data")
    assert _run(workspace, *LEARN).returncode == 0
    manifest = workspace / "Cargo.toml"
    manifest.write_text(f'{manifest.read_text()}env = ["NEVER_ASKED_FOR"]\n')

    told = _run(workspace, "ci", "--deny-unused")

    assert told.returncode == 22, told.stdout
    assert _next(told.stdout) == "buildperm review --prune now"
    offered = _run(workspace, *shlex.split(_next(told.stdout))[1:])
    assert "NEVER_ASKED_FOR" in offered.stderr


@pytest.mark.slow
def test_a_limit_is_raised_in_cargo_toml_and_no_review_is_named_for_it(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", WRITES_TOO_MUCH)
    manifest = workspace / "Cargo.toml"
    table = "[workspace.metadata.buildperm.limits.crates.sample]"
    manifest.write_text(
        f"{manifest.read_text()}[workspace.metadata.buildperm]\nversion = 1\n{table}\n"
        "output_bytes = 50000\n"
    )

    told = _run(workspace, "ci")

    assert told.returncode == 20, told.stdout
    assert f"If it has to, raise `output_bytes` in `{table}` of Cargo.toml." in told.stdout
    assert "buildperm review" not in told.stdout
    learnt = _run(workspace, *LEARN)
    assert learnt.returncode == 101  # Cargo's own.
    assert f"If it has to, raise `output_bytes` in `{table}` of Cargo.toml." in learnt.stderr
    manifest.write_text(manifest.read_text().replace("50000", "500000"))
    assert _run(workspace, "ci").returncode == 0


@pytest.mark.slow
def test_on_a_server_the_report_is_to_be_fetched_first(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", READS)
    (workspace / "data.txt").write_text("data")

    told = _run(
        workspace, "ci", "--report", "text", "--report", "json=out.json", extra={"CI": "true"}
    )

    assert told.returncode == 20
    shown = told.stdout.partition("Is it expected?")[2].splitlines()
    assert shown[0].strip() == "Get out.json from this job, then on your machine:"
    assert shown[1].strip() == "buildperm review --from out.json"
    assert _follow(workspace, shown[1]).returncode == 0
    assert _run(workspace, "ci").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", ["learn", "review"])
@pytest.mark.quick(1)
def test_what_is_left_is_asked_again_with_the_same_words(tmp_path: Path, command: str) -> None:
    workspace = member(tmp_path / "ws", READS)
    (workspace / "data.txt").write_text("data")

    told = _run(workspace, command, "--no-tui", "--", "check", "--release")

    assert told.returncode == 3
    assert f"`buildperm {command} -- check --release` asks again" in told.stderr


@pytest.mark.slow
def test_an_answer_names_a_review_only_where_that_asks_about_it(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", SCRIPT)
    (workspace / "beta.txt").write_text("data")
    assert _run(workspace, *LEARN).returncode == 0

    unseen = _run(workspace, "why", "sample", "env:CHANNEL")
    refused = _run(workspace, "ci", extra=BETA)
    seen = _run(workspace, "why", "sample", "env:CHANNEL")

    assert unseen.returncode == seen.returncode == 20
    assert "To allow it, write in Cargo.toml:" in unseen.stdout
    (command,) = re.findall(r"decide with `(.+)`, or write", seen.stdout)
    assert command == _expected(refused.stdout)
    assert _follow(workspace, command).returncode == 0
    assert _run(workspace, "why", "sample", "env:CHANNEL").returncode == 0
