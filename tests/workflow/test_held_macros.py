"""Macros and compilations that really ran: learnt, decided about and held, by the commands."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

from buildperm.policy import manifest
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from tests.command import buildperm, is_orderly
from tests.report.documents import CI_SCHEMA

MACRO = """
extern crate proc_macro;
#[proc_macro]
pub fn query(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let found = std::fs::read_to_string(format!("{folder}/../queries/q.sql")).is_ok();
    let _ = std::net::TcpStream::connect("127.0.0.1:9");
    found.to_string().parse().unwrap()
}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Make a workspace with a macro that reads and connects, and the crate that uses it."""
    root = tmp_path / "ws"
    for name, source, more in (
        ("mac", MACRO, "[lib]\nproc-macro = true\n"),
        ("api", "pub const FOUND: bool = mac::query!();\n", 'dependencies.mac.path = "../mac"\n'),
    ):
        (root / name / "src").mkdir(parents=True)
        (root / name / "src/lib.rs").write_text(source)
        head = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
        text = f"{more}{head}" if more.startswith("dependencies") else f"{head}{more}"
        (root / name / "Cargo.toml").write_text(text)
    (root / "Cargo.toml").write_text('[workspace]\nmembers = ["api", "mac"]\nresolver = "2"\n')
    (root / "queries").mkdir()
    (root / "queries/q.sql").write_text("select 1")
    return root


def test_a_macro_is_learnt_decided_about_and_held(workspace: Path) -> None:
    learned = buildperm("learn", "--no-tui", "--accept", "medium", folder=workspace)
    reported = buildperm("ci", "--format", "json", "--", "check", folder=workspace)
    why = buildperm("why", "mac", "read:queries/q.sql", folder=workspace)
    change = ("--remove", "read:$WORKSPACE/queries/q.sql")
    simulated = buildperm("simulate", "mac", *change, folder=workspace)

    assert learned.returncode == 3, learned.stderr
    asked = "undecided: mac 0.1.0 (procedural macro, for crate api): connect to 127.0.0.1:9 (high)"
    assert asked in learned.stderr
    path = workspace / "Cargo.toml"
    granted = manifest.read(path.read_bytes(), path).crates["mac"].rules
    assert granted == {Rule(Kind.READ, "$WORKSPACE/queries/q.sql")}

    assert reported.returncode == 20, reported.stderr
    report = json.loads(reported.stdout)
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert (report["compiling"], report["macros"]) == ("hold", "outside")
    (finding,) = report["findings"]
    assert finding["by"] == [{"subject": "macro", "consumer": "api"}]
    assert finding["rule"] == "net"

    assert "For its macros that holds where packages of this workspace use them." in why.stdout
    assert "done; procedural macro, for crate api" in why.stdout
    assert simulated.returncode == 20
    assert "by procedural macro for api" in simulated.stdout
    assert is_orderly(learned.stderr + why.stdout + simulated.stdout)


@pytest.mark.slow
def test_what_is_not_held_is_said(workspace: Path) -> None:
    path = workspace / "Cargo.toml"
    table = '[workspace.metadata.buildperm]\nversion = 1\ncompile = "off"\n'
    path.write_text(f"{path.read_text()}{table}")

    held = buildperm("ci", "--", "check", folder=workspace)
    checked = buildperm("check", folder=workspace)

    assert held.returncode == 0, held.stderr
    assert 'compiling is not held (`compile = "off"`)' in held.stdout + held.stderr
    assert checked.returncode == 0, checked.stderr
    assert "0 build scripts, as reviewed." in checked.stderr


@pytest.mark.slow
def test_what_is_not_held_is_not_said_to_be_absent(workspace: Path) -> None:
    path = workspace / "Cargo.toml"
    path.write_text(
        f'{path.read_text()}[workspace.metadata.buildperm]\nversion = 1\ncompile = "watch"\n'
        '[workspace.metadata.buildperm.crates.mac]\nnet = ["example.com:443"]\n'
    )
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace, check=True)

    asked = buildperm("why", "mac", "exec:git", folder=workspace)
    shown = buildperm("show", folder=workspace)
    of_compiling = buildperm("why", "api", "read:/etc/passwd", folder=workspace)

    assert "the macros of `mac` are not held" in asked.stderr
    assert "the macros of `mac` are not held (`compile`)" in shown.stdout
    assert "allowed: compiling any crate may read `/etc/passwd`" in of_compiling.stdout


EXPAND = """#!/bin/sh
folder=$(mktemp -d)
"$CARGO" rustc -q --profile=check -- -o "$folder/expanded" -Zunpretty=expanded
status=$?
test -z "$(ls "$folder")" || cat "$folder"/*
rm -r "$folder"
exit $status
"""


@pytest.mark.slow
def test_macros_are_held_where_a_command_shows_what_they_expand_to(
    workspace: Path, tmp_path: Path
) -> None:
    # What cargo-expand asks Cargo for.
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/cargo-expand"
    program.write_text(EXPAND)
    program.chmod(0o755)
    extra = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "RUSTC_BOOTSTRAP": "1"}

    told = buildperm("ci", "--", "expand", folder=workspace / "api", extra=extra)

    assert "pub const FOUND: bool = false;" in told.stdout, told.stderr
    assert told.returncode == 20
    assert "mac 0.1.0" in told.stdout
    assert "procedural macro, for crate api:\n   ! connect  127.0.0.1:9" in told.stdout
