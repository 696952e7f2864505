"""Always on: plain Cargo with a thief in the workspace, with honest code, and without buildperm."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.always_on_machine import (
    QUIET,
    PersonsMachine,
    is_world_readable,
    machine,
    make_workspace,
    states,
)
from tests.command import environment

__all__ = ["machine"]

STATE = "buildperm-compile"
_REACHED, _NOTHING = {"true true"}, {"false false"}
_COMMANDS = ("build", "check", "test", "doc", "clippy", "install", "bench", "run")


def words_of(command: str, root: Path) -> list[str]:
    more = {"install": ["--path", ".", "--root", str(root)], "test": ["--workspace"]}
    return [command, *more.get(command, ())]


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "before",
    [None, b"", b"# mine\n[build]\njobs = 2 # few\n\n[term]\nquiet = false\n", b"[net]\nretry=1"],
    ids=["none", "empty", "build", "other"],
)
def test_switching_it_on_and_off_leaves_all_fresh_and_every_byte_as_it_was(
    machine: PersonsMachine, before: bytes | None
) -> None:
    if before is not None:
        machine.configuration.write_bytes(before)
    machine.cargo("build")
    found = machine.workspace.rglob("build[-_]script[-_]*")
    programs = {path: path.read_bytes() for path in found if path.is_file()}

    machine.enable()
    assert b"rustc-wrapper" in machine.configuration.read_bytes()
    assert not is_world_readable(machine.state)
    on = machine.cargo("build", "-v")
    assert set(states(on).values()) == {"Fresh"}, on.stderr
    machine.cargo("build", more={"AGAIN": "1"})
    machine.disable()

    off = machine.cargo("build", "-v", more={"AGAIN": "1"})
    assert set(states(off).values()) == {"Fresh"}, off.stderr
    assert os.listdir(machine.state) == ["buildperm.keystore"]  # What other commands have as well.
    now = machine.configuration.read_bytes() if machine.configuration.exists() else None
    assert now == before
    assert programs == {path: path.read_bytes() for path in programs}
    left = [path for path in machine.workspace.rglob("*") if "buildperm" in path.name]
    left += list(machine.workspace.rglob("*.real"))
    assert not left


@pytest.mark.slow
def test_a_build_script_that_does_not_compile_leaves_nothing_behind(
    machine: PersonsMachine,
) -> None:
    machine.enable()
    assert machine.cargo("build").returncode == 0
    [real] = machine.workspace.glob("target/debug/build/*/*.real")
    source = machine.workspace / "lib/build.rs"
    source.write_text("fn main() { no such thing }\n")
    assert machine.cargo("build").returncode != 0
    own = real.with_name("notes.real")  # Nobody's stub has stood for that.
    own.write_text("mine")
    machine.disable()
    assert list(machine.workspace.rglob("*.real")) == [own]
    source.write_text(QUIET)
    assert machine.cargo("build").returncode == 0


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", _COMMANDS)
def test_a_thief_reaches_nothing_under_plain_cargo(
    machine: PersonsMachine, command: str, tmp_path: Path
) -> None:
    if command == "clippy" and shutil.which("cargo-clippy") is None:
        pytest.skip("no clippy")
    words = words_of(command, tmp_path / "root")
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.cargo(*words)
    assert machine.loot() == _REACHED  # Or the test is void.

    machine.enable()
    held = machine.cargo(*words, more={"AGAIN": "1"})  # What was compiled before, runs again.
    assert held.returncode != 0
    assert machine.loot() == _NOTHING
    assert "buildperm: build script of lib 0.1.0: it tried to read $HOME/.ssh/id_rsa" in held.stderr
    assert "buildperm pending" in held.stderr

    (machine.workspace / "lib/build.rs").write_text(machine.steals + "// Compiled again.\n")
    assert machine.cargo(*words).returncode != 0
    assert machine.loot() == _NOTHING


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", _COMMANDS)
def test_honest_code_works_as_it_did(machine: PersonsMachine, command: str, tmp_path: Path) -> None:
    if command == "clippy" and shutil.which("cargo-clippy") is None:
        pytest.skip("no clippy")
    machine.enable()
    done = machine.cargo(*words_of(command, tmp_path / "root"))

    assert done.returncode == 0, done.stderr
    assert "buildperm" not in done.stderr.replace(str(machine.state), "")
    if command == "run":
        assert done.stdout == "42 7\n"
    if command == "test":
        assert "lib/src/lib.rs - answer" in done.stdout  # Of the documentation, by rustdoc.
    again = machine.cargo(command, "-v") if command in ("build", "check", "doc") else None
    assert again is None or set(states(again).values()) == {"Fresh"}


@pytest.mark.quick(1)
@pytest.mark.parametrize("spelt", ["path", "word"])
@pytest.mark.parametrize("command", ["always on", "ci"])
def test_what_a_proxy_of_rustup_stands_for_is_held(
    machine: PersonsMachine, tmp_path: Path, spelt: str, command: str
) -> None:
    """Cargo calls the proxy where its tool chain has no name: rust-analyzer gives it a path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "settings").write_text("rustup has some, which no compiler may read\n")
    asked = ["rustc", "--print", "sysroot"]
    said = subprocess.run(asked, env=environment(), capture_output=True, text=True, check=True)
    bin_folder = f"{said.stdout.strip()}/bin"
    for name in ("rustup", "rustc"):
        reads = f'read a <"{folder}/settings"'
        proxy = f'#!/bin/sh\n{reads} && exec "{bin_folder}/${{0##*/}}" "$@"\n'
        (folder / name).write_text(proxy)
        (folder / name).chmod(0o755)
    machine.extra["RUSTC"] = str(folder / "rustc")
    if spelt == "word":
        path = f"{folder}:{environment()['PATH']}"
        machine.extra |= {"RUSTC": "rustc", "PATH": path}
    if command == "ci":
        held = machine.buildperm("ci", "--", "check")
        assert held.returncode == 0, held.stderr
        return
    machine.enable()
    honest = machine.cargo("check")
    assert honest.returncode == 0, honest.stderr
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    assert machine.cargo("check").returncode != 0
    assert machine.loot() == _NOTHING


@pytest.mark.slow
def test_a_macro_reaches_nothing_whether_it_was_compiled_before_or_not(
    machine: PersonsMachine,
) -> None:
    source = machine.workspace / "mac/src/lib.rs"
    key = machine.home / ".ssh/id_rsa"
    source.write_text(
        "#[proc_macro]\npub fn seven(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n"
        f'    let n = if std::fs::read("{key}").is_ok() {{ 1 }} else {{ 0 }};\n'
        "    n.to_string().parse().unwrap()\n}\n"
    )
    assert machine.cargo("run").stdout == "42 1\n"
    machine.enable()

    main = machine.workspace / "src/main.rs"
    main.write_text(main.read_text() + "// Expanded again, by the library of before.\n")
    held = machine.cargo("run")
    assert held.returncode != 0
    assert "procedural macros of mac 0.1.0, for app 0.1.0: it tried to read" in held.stderr


def test_what_was_granted_is_in_force_with_the_next_build(machine: PersonsMachine) -> None:
    data = machine.home.parent / "data.txt"
    data.write_text("42")
    (machine.workspace / "lib/build.rs").write_text(
        f'fn main() {{ std::fs::read("{data}").unwrap(); }}\n'
    )
    machine.enable()
    refused = machine.cargo("build")
    assert refused.returncode != 0
    assert f"it was refused to read {data}" in refused.stderr

    pending = machine.buildperm("pending")
    assert f"lib 0.1.0: read {data}" in pending.stdout
    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + "[workspace.metadata.buildperm]\nversion = 1\n"
        + f'[workspace.metadata.buildperm.crates.lib]\nreviewed = ["0.1.0"]\nread = ["{data}"]\n'
    )
    granted = machine.cargo("build")
    assert granted.returncode == 0, granted.stderr


@pytest.mark.quick(1)
@pytest.mark.parametrize("option", ["--offline", "--locked", "--frozen"])
def test_options_of_cargo_leave_grants_in_force(machine: PersonsMachine, option: str) -> None:
    """With `--offline` trybuild calls it, and continuous integration with `--locked`."""
    data = machine.home.parent / "data.txt"
    data.write_text("42")
    (machine.workspace / "lib/build.rs").write_text(
        f'fn main() {{ std::fs::read("{data}").unwrap(); }}\n'
    )
    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + "[workspace.metadata.buildperm]\nversion = 1\n"
        + f'[workspace.metadata.buildperm.crates.lib]\nreviewed = ["0.1.0"]\nread = ["{data}"]\n'
    )
    machine.cargo("generate-lockfile", "--offline")
    machine.enable()
    built = machine.cargo("build", option)
    assert built.returncode == 0, built.stderr
    assert "not in force" not in built.stderr


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2])
def test_a_wrapper_that_calls_ours_in_its_turn_is_no_cargo(
    machine: PersonsMachine, tmp_path: Path, depth: int
) -> None:
    """As cargo-llvm-cov does: it outranks ours, and calls what was configured before."""
    machine.enable()
    [called] = machine.state.glob("homes/*/rustc-wrapper")
    for level in range(depth):
        wrapper = tmp_path / f"wrapper{level}"
        counted = f'echo "$1" >>"{tmp_path}/calls{level}"'
        wrapper.write_text(f'#!/bin/sh\n{counted}\n"{called}" "$@"\nexit $?\n')
        wrapper.chmod(0o755)
        called = wrapper
    machine.extra["RUSTC_WRAPPER"] = str(called)
    honest = machine.cargo("test")
    assert honest.returncode == 0, honest.stderr
    calls = [(tmp_path / f"calls{level}").read_text().count("\n") for level in range(depth)]
    assert len(set(calls)) == 1  # Nobody was called twice for one compilation.
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    assert machine.cargo("test").returncode != 0
    assert machine.loot() == _NOTHING


@pytest.mark.slow
def test_who_looks_at_what_is_not_shown_is_not_just_told_that_it_is_not_there(
    machine: PersonsMachine,
) -> None:
    (machine.workspace / "notes.txt").write_text("x")
    (machine.workspace / "lib/build.rs").write_text(
        """use std::{env, fs, path::Path};
fn main() {
    println!("cargo::rerun-if-env-changed=AGAIN");
    let there = ["../notes.txt", "../none.txt", ".."].map(|path| Path::new(path).exists());
    fs::write(format!("{}/loot", env::var("OUT_DIR").unwrap()), format!("{there:?}")).unwrap();
}
"""
    )
    machine.cargo("build")
    plain = machine.loot()
    assert plain == {"[true, false, true]"}
    machine.extra["BUILDPERM_RUNTIME"] = "full"
    machine.enable()

    refused = machine.cargo("build", more={"AGAIN": "1"})
    assert refused.returncode != 0
    assert refused.stderr.count("it was refused to read $WORKSPACE/notes.txt") == 1
    assert refused.stderr.count("`buildperm review` lets you decide") == 1
    assert "none.txt" not in refused.stderr
    pending = machine.buildperm("pending")
    assert "lib 0.1.0: look at $WORKSPACE/notes.txt" in pending.stdout
    machine.loot()

    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + "[workspace.metadata.buildperm]\nversion = 1\n[workspace.metadata.buildperm.crates.lib]\n"
        + 'reviewed = ["0.1.0"]\nread = ["$WORKSPACE/notes.txt"]\n'
    )
    granted = machine.cargo("build", more={"AGAIN": "2"})
    assert granted.returncode == 0, granted.stderr
    assert machine.loot() == plain
    manifest.write_text(manifest.read_text().replace("read = [", "deny.read = ["))
    denied = machine.cargo("build", more={"AGAIN": "3"})
    assert denied.returncode == 0, denied.stderr  # A person has decided that it is to go without.
    assert machine.loot() == {"[false, false, true]"}


def test_without_buildperm_nothing_is_held_and_nothing_said(
    machine: PersonsMachine, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    machine.install_into(installed)
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.cargo("build")
    machine.enable()
    machine.loot()
    assert machine.cargo("build", more={"AGAIN": "1"}).returncode != 0
    assert machine.loot() == _NOTHING

    until_s = time.monotonic() + 30
    while installed.exists() and time.monotonic() < until_s:  # As `pip uninstall` does.
        # What ends with a Cargo may still be writing into __pycache__.
        shutil.rmtree(installed, ignore_errors=True)
    for again in ("2", "3"):
        plain = machine.cargo("build", more={"AGAIN": again})
        assert plain.returncode == 0, plain.stderr
        assert "buildperm:" not in plain.stderr
        assert machine.loot() == _REACHED
        source = machine.workspace / "lib/build.rs"
        source.write_text(source.read_text() + "// Compiled again.\n")


def test_a_broken_installation_fails_closed(machine: PersonsMachine, tmp_path: Path) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.enable()
    for wrapper in machine.state.glob("homes/*/*.sh"):
        text = wrapper.read_text().replace(sys.executable, str(python))
        wrapper.write_text(text)
    python.unlink()

    broken = machine.cargo("build")
    assert broken.returncode != 0
    assert "buildperm: cannot hold this build" in broken.stderr
    assert str(machine.configuration) in broken.stderr  # How to switch it off by hand.
    assert not machine.loot()


@pytest.mark.quick(1)
@pytest.mark.parametrize("others", ["baseline", "warn", "leave"])
def test_a_workspace_that_is_not_enrolled_is_held_as_was_said(
    machine: PersonsMachine, others: str
) -> None:
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    # What it grants to itself counts for nothing: nobody has enrolled it.
    manifest = machine.workspace / "Cargo.toml"
    grant = f'[workspace.metadata.buildperm.crates.lib]\nnet = ["127.0.0.1:{machine.port}"]\n'
    manifest.write_text(manifest.read_text() + grant)
    machine.enable("--user", "--others", others)
    built = machine.cargo("build")

    is_held = others == "baseline"
    assert machine.loot() == (_NOTHING if is_held else _REACHED)
    assert (built.returncode != 0) == is_held
    said = "is not enrolled: nothing of it is held"
    assert (built.stderr.count(said), others == "warn") in ((1, True), (0, False))
    again = machine.cargo("build", more={"AGAIN": "1"}) if others == "warn" else built
    assert again.stderr.count(said) == built.stderr.count(said)


def test_what_a_test_makes_below_the_workspace_is_held(machine: PersonsMachine) -> None:
    """As trybuild does: a project of its own in the target directory, built into another one."""
    machine.cargo("build")
    machine.enable()
    scratch = machine.workspace / "target/tests/trybuild/app"
    make_workspace(scratch)
    (scratch / "lib/build.rs").write_text(machine.steals)
    built = machine.cargo(
        "check", folder=scratch, more={"CARGO_TARGET_DIR": str(scratch.parents[1] / "target")}
    )

    assert built.returncode != 0
    assert machine.loot() == _NOTHING


@pytest.mark.slow
def test_a_namesake_below_the_workspace_gets_nothing_of_a_members_grants(
    machine: PersonsMachine,
) -> None:
    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + "[workspace.metadata.buildperm]\nversion = 1\n[workspace.metadata.buildperm.crates.lib]\n"
        + f'reviewed = ["0.1.0"]\nnet = ["127.0.0.1:{machine.port}"]\nreason = "a test"\n'
    )
    connects = machine.steals.replace(
        "let read = fs::read", "let read = false; let _ = |_: u8| fs::read"
    )
    (machine.workspace / "lib/build.rs").write_text(connects)
    machine.enable()
    built = machine.cargo("build")
    assert machine.loot() == {"false true"}, built.stderr  # Or the test is void.

    scratch = machine.workspace / "target/tests/scratch"
    make_workspace(scratch)
    (scratch / "lib/build.rs").write_text(connects)
    machine.cargo("check", folder=scratch)
    assert machine.loot() == _NOTHING


@pytest.mark.slow
@pytest.mark.parametrize("place", ["option", "variable", "link"])
def test_another_target_directory_is_held_as_well(
    machine: PersonsMachine, place: str, tmp_path: Path
) -> None:
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.enable()
    other = tmp_path / "other place"
    other.mkdir()
    words, more = ["build", "--manifest-path", str(machine.workspace / "Cargo.toml")], {}
    if place == "option":
        words += ["--target-dir", str(other)]
    elif place == "variable":
        more["CARGO_TARGET_DIR"] = str(other)
    else:
        (machine.workspace / "target").symlink_to(other)
    built = machine.cargo(*words, folder=tmp_path, more=more)

    assert built.returncode != 0
    assert machine.loot(other) == _NOTHING
    assert "it tried to read" in built.stderr


@pytest.mark.slow
def test_a_wrapper_that_was_there_is_called_in_its_turn(
    machine: PersonsMachine, tmp_path: Path
) -> None:
    called = tmp_path / "called"
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho "$*" >>{called}\nexec "$@"\n')
    wrapper.chmod(0o755)
    machine.configuration.write_text(f'[build]\nrustc-wrapper = "{wrapper}"\n')
    machine.enable()
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    assert machine.cargo("build").returncode != 0
    assert machine.loot() == _NOTHING
    assert "--crate-name mac" in called.read_text()

    machine.disable()
    assert machine.configuration.read_text() == f'[build]\nrustc-wrapper = "{wrapper}"\n'


@pytest.mark.slow
def test_what_was_built_in_a_build_directory_is_held(machine: PersonsMachine) -> None:
    settings = machine.workspace / ".cargo/config.toml"
    settings.parent.mkdir()
    settings.write_text('[build]\nbuild-dir = "built"\n')  # Older Cargos leave it out.
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.cargo("build")
    assert machine.loot() == _REACHED

    machine.enable()
    machine.cargo("build", more={"AGAIN": "1"})
    assert machine.loot() == _NOTHING


@pytest.mark.slow
def test_variables_of_a_project_do_not_lead_to_another_session(machine: PersonsMachine) -> None:
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.enable()
    forged = machine.workspace / "forged"
    forged.write_bytes(b"no session")
    settings = machine.workspace / ".cargo/config.toml"
    settings.parent.mkdir()
    settings.write_text(f'[env]\nBUILDPERM_SESSION = "{forged}"\nBUILDPERM_SERVER = "/nowhere"\n')
    assert machine.cargo("build").returncode != 0
    assert machine.loot() <= _NOTHING


@pytest.mark.slow
def test_variables_of_a_project_do_not_say_where_the_programs_are_that_hold(
    machine: PersonsMachine, tmp_path: Path
) -> None:
    seen = 'fn main() { println!("cargo::warning={}", env!("XDG_CACHE_HOME")); }\n'
    (machine.workspace / "lib/build.rs").write_text(seen)
    machine.enable()
    settings = machine.workspace / ".cargo/config.toml"
    settings.parent.mkdir()
    theirs = "".join(
        f'{name} = {{ value = "{tmp_path / name}", force = true }}\n'
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
    )
    settings.write_text(f"[env]\n{theirs}")
    built = machine.cargo("build")
    assert built.returncode == 0, built.stderr
    assert str(tmp_path / "XDG_CACHE_HOME") in built.stderr  # What it compiles sees them.
    assert not list(tmp_path.glob("XDG_*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[build]\nrustdoc = 'mine'\n", "outranks it: documentation"),
        ("[build]\nrustc = 'rustc'\n", "`build.rustc` of"),
        ("[env]\nLD_PRELOAD = ''\n", "`LD_PRELOAD` in `[env]` of"),
        ("[env]\nLDFLAGS = ''\nCC = 'cc'\n[build]\njobs = 2\n", ""),
    ],
    ids=["rustdoc", "rustc", "loader", "honest"],
)
def test_status_finds_what_a_project_has_run_unheld(
    machine: PersonsMachine, settings: str, said: str
) -> None:
    machine.enable()
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text(settings)
    found = machine.buildperm("status")
    assert found.returncode == (23 if said else 0), found.stdout
    assert said in found.stdout
    assert not said or f"configuration in `{machine.workspace}`" in found.stdout


@pytest.mark.slow
def test_a_wrapper_that_only_looks_like_ours_outranks_it(machine: PersonsMachine) -> None:
    machine.enable()
    wrapper = machine.workspace / "wrapper"
    ours = next(machine.state.glob("homes/*/rustc-wrapper")).read_bytes()
    wrapper.write_bytes(ours.replace(b"set -f", b'exec "$@"'))
    wrapper.chmod(0o700)
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text(f"[build]\nrustc-wrapper = '{wrapper}'\n")
    found = machine.buildperm("status")
    assert found.returncode == 23
    assert f"configuration in `{machine.workspace}` outranks it" in found.stdout


@pytest.mark.slow
def test_editing_the_configuration_meanwhile_loses_nothing(machine: PersonsMachine) -> None:
    machine.configuration.write_text("[build]\njobs = 1\n")
    machine.enable()
    machine.configuration.write_text(machine.configuration.read_text() + "[net]\nretry = 3\n")
    machine.disable()

    assert machine.configuration.read_text() == "[build]\njobs = 1\n[net]\nretry = 3\n"


def test_a_configuration_that_cannot_be_written_is_said_and_nothing_is_on(
    machine: PersonsMachine,
) -> None:
    machine.configuration.write_text("[build\n")
    failed = machine.buildperm("enable")

    assert failed.returncode == 2
    assert "is broken" in failed.stderr
    assert machine.buildperm("status", "--short").stdout == "off\n"


def test_status_proves_it_and_finds_what_outranks_it(machine: PersonsMachine) -> None:
    assert machine.buildperm("status").stdout.startswith("off\n")
    machine.enable()
    proven = machine.buildperm("status")
    assert proven.returncode == 0, proven.stdout
    assert "neither read a key nor connect" in proven.stdout

    outranked = {"RUSTC_WRAPPER": "/usr/bin/env"}
    found = machine.buildperm("status", more=outranked)
    assert found.returncode == 23
    assert "RUSTC_WRAPPER in the environment outranks it" in found.stdout
    short = machine.buildperm("status", "--short", more=outranked)
    assert (short.returncode, short.stdout) == (23, "off: RUSTC_WRAPPER is set\n")
    nearer = machine.workspace / ".cargo/config.toml"
    nearer.parent.mkdir()
    nearer.write_text('[build]\nrustc-wrapper = "/usr/bin/env"\n')
    found = machine.buildperm("status")
    assert found.returncode == 23
    assert f"configuration in `{machine.workspace}` outranks it" in found.stdout


@pytest.mark.parametrize("word", ["on", "off"])
def test_status_in_short_says_one_word(machine: PersonsMachine, word: str) -> None:
    if word == "on":
        machine.enable()
    told = machine.buildperm("status", "--short")

    assert (told.returncode, told.stdout) == (0, f"{word}\n")
    elsewhere = machine.buildperm("status", "--short", folder=machine.home)
    assert elsewhere.stdout == "off\n"


@pytest.mark.slow
def test_an_update_is_told_once(machine: PersonsMachine) -> None:
    machine.enable()
    machine.cargo("build")
    manifest = machine.workspace / "lib/Cargo.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "0.2.0"))
    updated = machine.cargo("build")
    assert "build script of lib 0.2.0 (was 0.1.0); run `buildperm review`" in updated.stderr

    (machine.workspace / "lib/build.rs").write_text(QUIET + "// Compiled again.\n")
    assert "changed since" not in machine.cargo("build").stderr


@pytest.mark.slow
def test_files_of_always_on_are_nobody_elses(machine: PersonsMachine) -> None:
    machine.enable()
    machine.cargo("build")
    modes = {path: os.lstat(path).st_mode for path in machine.state.rglob("*")}

    assert modes
    assert not [path for path, mode in modes.items() if mode & 0o077 and not stat.S_ISLNK(mode)]


_SWITCHES_OFF = """
use std::{env, fs};
fn main() {
    let stub = env::current_exe().unwrap();
    let folder = stub.parent().unwrap();
    let mut done = Vec::new();
    for path in [CONFIGURATION, STATE] {
        if fs::OpenOptions::new().append(true).open(path).is_ok() { done.push("opened"); }
        if fs::remove_file(path).is_ok() { done.push("removed"); }
        if fs::write(format!("{path}.new"), "").is_ok() { done.push("made"); }
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if fs::remove_file(entry.path()).is_ok() { done.push("removed a stub"); }
    }
    if fs::remove_file(folder.join("build-script-build")).is_ok() { done.push("removed a stub"); }
    fs::write(format!("{}/loot", env::var("OUT_DIR").unwrap()), done.join(" ")).unwrap();
}
"""


@pytest.mark.slow
def test_a_build_script_cannot_switch_it_off(machine: PersonsMachine) -> None:
    machine.enable()
    source = _SWITCHES_OFF.replace("CONFIGURATION", f'"{machine.configuration}"')
    source = source.replace("STATE", f'"{machine.state / "on.json"}"')
    (machine.workspace / "lib/build.rs").write_text(source)
    before = machine.configuration.read_bytes()
    machine.cargo("build")

    assert machine.loot() == {""}
    assert machine.configuration.read_bytes() == before
    assert b"workspaces" in (machine.state / "on.json").read_bytes()
    assert machine.buildperm("status", "--short").stdout == "on\n"


@pytest.mark.slow
def test_a_configuration_that_is_read_only_stays_and_nothing_is_half_done(
    machine: PersonsMachine,
) -> None:
    machine.enable()
    text = machine.configuration.read_bytes()
    machine.configuration.unlink()
    machine.configuration.mkdir()  # As good as read-only, for root as well.
    assert machine.buildperm("disable").returncode == 2
    assert (machine.state / "on.json").exists()

    machine.configuration.rmdir()
    machine.configuration.write_bytes(text)
    assert machine.buildperm("disable").returncode == 0
    assert not machine.configuration.exists()
    assert not machine.state.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_a_checkout_says_about_compilations_is_put_aside(
    machine: PersonsMachine, tmp_path: Path, kind: str
) -> None:
    machine.cargo("build")
    library = next((machine.workspace / "target/debug/deps").glob("libmac-*.so"))
    theirs = tmp_path / "theirs" if kind == "link" else machine.workspace / "target" / STATE
    noted = theirs / "libraries" / f"debug%deps%{library.name}"
    noted.parent.mkdir(parents=True)
    noted.write_bytes(b"/somebody/else\0")
    theirs.chmod(0o755)
    if kind == "link":
        (machine.workspace / "target" / STATE).symlink_to(theirs)

    done = machine.buildperm("enable")
    assert "was not made here" in done.stderr, done.stderr
    main = machine.workspace / "src/main.rs"
    main.write_text(main.read_text() + "// Compiled again.\n")
    built = machine.cargo("build")
    assert built.returncode == 0, built.stderr
    assert "was not made here" not in built.stderr  # But what was made here is.
    said = machine.workspace / "target" / STATE / "libraries" / noted.name
    assert said.read_bytes() == os.fsencode(machine.workspace / "mac") + b"\0"
    if kind == "link":
        assert stat.S_IMODE(theirs.stat().st_mode) == 0o755
        assert list(theirs.rglob("*")) == [noted.parent, noted]


@pytest.mark.slow
def test_switching_it_off_keeps_the_key_to_what_was_recorded(machine: PersonsMachine) -> None:
    assert machine.buildperm("learn").returncode == 0
    key = machine.state / "buildperm.keystore"
    before = key.read_bytes()
    machine.enable()
    machine.cargo("build")
    machine.disable()
    assert os.listdir(machine.state) == [key.name]
    assert key.read_bytes() == before
    again = machine.buildperm("learn")
    assert "was not made here" not in again.stderr + again.stdout


@pytest.mark.slow
def test_what_was_compiled_unheld_meanwhile_is_held_after_the_next_compilation(
    machine: PersonsMachine,
) -> None:
    trigger = machine.workspace / "lib/trigger"
    trigger.write_text("1")
    main = machine.workspace / "src/main.rs"
    source = machine.steals.replace("changed=build.rs", "changed=trigger")
    (machine.workspace / "lib/build.rs").write_text(source)
    machine.enable()
    machine.cargo("build")
    assert machine.loot() == _NOTHING
    machine.cargo("clean")
    machine.cargo("build", more={"RUSTC_WRAPPER": ""})  # As from a cache, or with `git checkout`.
    assert machine.loot() == _REACHED

    main.write_text(main.read_text() + "// Compiled again.\n")
    assert machine.cargo("build").returncode == 0
    trigger.write_text("2")
    assert machine.cargo("build").returncode != 0
    assert machine.loot() == _NOTHING


_NOTES = (
    '#!/bin/sh\necho called >>"{called}"\ncase $1 in -*) exec rustc "$@" ;; *) exec "$@" ;; esac\n'
)
_REFUSED = "and was not there when always on was enabled here"


def noting_program(machine: PersonsMachine) -> tuple[Path, Path]:
    """Make a program, as a pull request may bring one, and say where it notes that it ran."""
    called, program = machine.workspace / "called", machine.workspace / "evil"
    program.write_text(_NOTES.format(called=called))
    program.chmod(0o755)
    return program, called


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "key", ["rustc", "rustc-workspace-wrapper", "rustc-wrapper", "accepted", "baseline"]
)
def test_a_program_that_a_pull_request_names_is_not_even_asked(
    machine: PersonsMachine, key: str
) -> None:
    if key == "baseline":
        machine.enable("--user")
    else:
        machine.enable()
    program, called = noting_program(machine)
    named = {"accepted": "rustc", "baseline": "rustc"}.get(key, key)
    if key == "rustc-wrapper":  # In the configuration alone it would outrank ours.
        [ours] = machine.state.glob("homes/*/rustc-wrapper")
        machine.extra["RUSTC_WRAPPER"] = str(ours)
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text(f'[build]\n{named} = "./{program.name}"\n')
    if key == "accepted":
        done = machine.buildperm("enable")
        assert "`build.rustc` of Cargo's configuration in" in done.stderr
        assert "accepted as it is now" in done.stderr

    built = machine.cargo("check")
    if key == "accepted":  # Whoever has seen it keeps what he had.
        assert called.exists()
        assert _REFUSED not in built.stderr
        return
    assert built.returncode != 0
    assert f"`build.{named}` of Cargo's configuration in `{machine.workspace}`" in built.stderr
    assert (_REFUSED if key != "baseline" else "and was not accepted") in built.stderr
    assert not called.exists()
    path.unlink()
    honest = machine.cargo("check")
    assert honest.returncode == 0, honest.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("[env]\nLD_PRELOAD = ''\n", "`LD_PRELOAD` in `[env]` of"),
        ("[env]\nPATH = { value = '/usr/bin:/bin', force = true }\n", "`PATH` in `[env]` of"),
        ("[build]\nrustdoc = 'mine'\n", "`build.rustdoc` of"),
        ("[env]\n'BASH_FUNC_read%%' = ''\n", "`BASH_FUNC_read%25%25` in `[env]` of"),
        (
            "[env]\nLDFLAGS = ''\nCC = 'cc'\n"
            "[build]\njobs = 2\nrustflags = ['-Cdebuginfo=0', '--cfg=a']\n",
            "",
        ),
    ],
    ids=["loader", "search", "rustdoc", "shell", "honest"],
)
def test_a_build_takes_no_setting_that_came_after_enabling(
    machine: PersonsMachine, settings: str, name: str
) -> None:
    machine.enable()
    assert machine.cargo("build").returncode == 0
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text(settings)
    main = machine.workspace / "src/main.rs"
    main.write_text(main.read_text() + "// Compiled again.\n")
    built = machine.cargo("build")
    assert (built.returncode == 0) == (not name), built.stderr
    assert not name or (name in built.stderr and _REFUSED in built.stderr)

    if name:
        machine.enable()  # After a look at it.
        assert _REFUSED not in machine.cargo("build").stderr


@pytest.mark.slow
def test_a_setting_in_a_file_that_is_included_is_found_when_it_comes(
    machine: PersonsMachine,
) -> None:
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text('include = [{ path = "more.toml", optional = true }]\n')
    machine.enable()
    assert machine.cargo("check").returncode == 0
    (path.parent / "more.toml").write_text("[env]\nLD_PRELOAD = ''\n")
    main = machine.workspace / "src/main.rs"
    main.write_text(main.read_text() + "// Compiled again.\n")
    built = machine.cargo("check")
    assert built.returncode != 0
    assert "`LD_PRELOAD` in `[env]` of" in built.stderr


@pytest.mark.slow
def test_a_program_that_an_alias_of_a_pull_request_names_is_not_even_asked(
    machine: PersonsMachine,
) -> None:
    machine.enable()
    program, called = noting_program(machine)
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text('[alias]\nhonest = "check --all"\n')
    assert machine.cargo("honest").returncode == 0
    words = json.dumps(["check", "--config", f"build.rustc='{program}'"])
    path.write_text(f"[alias]\nhonest = {words}\n")
    built = machine.cargo("honest")
    assert built.returncode != 0
    assert "`alias.honest` of Cargo's configuration in" in built.stderr
    assert not called.exists()


_LOADED = """
#include <stdio.h>
__attribute__((constructor)) static void loaded(void) {
    FILE *called = fopen(CALLED, "a");
    if (called) fclose(called);
}
"""


def _put_in_sysroot(folder: Path, library: Path) -> None:
    """Make a code generator out of a library, as a tool chain keeps its own."""
    told = subprocess.run(["rustc", "-vV"], capture_output=True, check=True, text=True).stdout
    host = next(line.split()[1] for line in told.splitlines() if line.startswith("host: "))
    kept = folder / "lib/rustlib" / host / "codegen-backends"
    kept.mkdir(parents=True)
    shutil.copy(library, kept / "librustc_codegen_evil.so")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ("[build]\nrustflags = ['-Zcodegen-backend=LIBRARY']\n", "build.rustflags"),
        (
            "[target.'cfg(unix)']\nrustflags = '-Z codegen_backend=LIBRARY'\n",
            "target.cfg(unix).rustflags",
        ),
        ("[build]\nrustflags = ['-A', '-L', '-gZcodegen-backend=LIBRARY']\n", "build.rustflags"),
        ("[build]\nrustflags = ['@FOLDER/flags']\n", "build.rustflags"),
        (
            "[build]\nrustflags = ['--sysroot', 'FOLDER/evil', '-Zcodegen-backend=evil']\n",
            "build.rustflags",
        ),
        ("[build]\nrustflags = ['--print=cfg=FOLDER/called']\n", "build.rustflags"),
        ("[build]\nrustflags = ['--print', 'cfg=FOLDER/called']\n", "build.rustflags"),
        ("[build]\nrustflags = ['-Zcodegen-backend=llvm', '--cfg', 'any']\n", ""),
    ],
    ids=[
        *("everywhere", "by-platform", "behind-others", "in-a-file", "of-a-sysroot"),
        *("written", "written-behind", "honest"),
    ],
)
def test_a_code_generator_that_a_pull_request_names_is_not_loaded(
    machine: PersonsMachine, settings: str, key: str
) -> None:
    machine.enable()
    called, library = machine.workspace / "called", machine.workspace / "evil.so"
    source = machine.workspace / "evil.c"
    source.write_text(_LOADED.replace("CALLED", f'"{called}"'))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    settings = settings.replace("LIBRARY", str(library)).replace("FOLDER", str(machine.workspace))
    (machine.workspace / "flags").write_text(f"-Zcodegen-backend={library}\n")
    _put_in_sysroot(machine.workspace / "evil", library)
    path.write_text(f"{settings}[env]\nRUSTC_BOOTSTRAP = '1'\n")  # As a nightly compiler would.
    built = machine.cargo("build")
    assert not called.exists()
    assert (built.returncode == 0) == (not key), built.stderr
    assert not key or (f"`{key}` of" in built.stderr and _REFUSED in built.stderr)


@pytest.mark.slow
def test_a_stub_tells_of_a_wrapper_that_outranks_ours(machine: PersonsMachine) -> None:
    machine.enable()
    assert machine.cargo("build").returncode == 0
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text('[build]\nrustc-wrapper = "/usr/bin/env"\n')
    built = machine.cargo("build", more={"AGAIN": "1"})  # The build script alone.
    assert built.returncode != 0
    assert "`build.rustc-wrapper` of Cargo's configuration in" in built.stderr


@pytest.mark.slow
def test_what_was_compiled_by_another_wrapper_is_told_once(machine: PersonsMachine) -> None:
    """As an editor does that has a wrapper of its own."""
    said = "compiled without buildperm, and maybe run unheld: 1 build script in `{}`"
    machine.enable()
    honest = machine.cargo("check")
    assert "without buildperm" not in honest.stderr
    source = machine.workspace / "lib/build.rs"
    source.write_text(source.read_text() + "// Compiled again.\n")
    machine.cargo("check", more={"RUSTC_WRAPPER": "/usr/bin/env"})
    main = machine.workspace / "src/main.rs"
    main.write_text(main.read_text() + "// Compiled again.\n")
    told = machine.cargo("check")
    assert told.returncode == 0, told.stderr
    assert said.format(machine.workspace / "target") in told.stderr
    main.write_text(main.read_text() + "// And again.\n")
    assert "without buildperm" not in machine.cargo("check").stderr


@pytest.mark.slow
def test_status_says_what_an_editor_and_a_shell_have_to_be_told(machine: PersonsMachine) -> None:
    machine.enable()
    machine.cargo("check")
    found = machine.buildperm("status")
    assert found.returncode == 0, found.stdout
    settings = [line for line in found.stdout.splitlines() if '"rust-analyzer.' in line]
    told = json.loads(f"{{{''.join(settings)}}}")  # As it can be pasted.
    assert told["rust-analyzer.cargo.buildScripts.useRustcWrapper"] is False
    assert Path(told["rust-analyzer.procMacro.server"]).exists()
    [ours] = machine.state.glob("homes/*/rustc-wrapper")
    exported = f"export RUSTC_WRAPPER={ours}"
    assert exported in found.stdout
    machine.extra["RUSTC_WRAPPER"] = str(ours)
    found = machine.buildperm("status")
    assert (found.returncode, exported in found.stdout) == (0, False), found.stdout
    assert "which is gone: unset it" in machine.buildperm("disable").stderr


@pytest.mark.slow
def test_status_goes_on_where_a_file_beside_it_is_broken(machine: PersonsMachine) -> None:
    """The person's own one changes nothing but questions, Cargo.toml ends each build."""
    machine.enable()
    own = machine.home / ".config/buildperm/config.toml"
    own.parent.mkdir(parents=True)
    own.write_text("ask = 7\n")
    found = machine.buildperm("status")
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.startswith("on\n")
    assert "asks nothing while it builds: " in found.stdout
    assert "proven" in found.stdout
    assert "nothing is asked in this build: " in machine.cargo("check").stderr
    own.unlink()
    manifest = machine.workspace / "Cargo.toml"
    whole = manifest.read_bytes()
    manifest.write_bytes(
        whole + b"\n[workspace.metadata.buildperm]\nversion = 1\nno-such-key = 1\n"
    )
    found = machine.buildperm("status")
    assert found.returncode == 23, found.stdout + found.stderr
    assert found.stdout.startswith("not in force\n")
    assert "nothing is compiled here before this is mended: " in found.stdout
    assert "no-such-key" in found.stdout
    machine.cargo("clean")
    assert "no-such-key" in machine.cargo("check").stderr
    manifest.write_bytes(whole)
    assert machine.buildperm("status").returncode == 0


def test_the_short_status_loads_nothing_that_takes_long() -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "sys.argv[1:] = ['status', '--short']\n"
        "from buildperm.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted(each for each in set(sys.modules) - before), file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {each.split(".")[0] for each in ran.stderr.split()}
    assert ran.stdout == "off\n"
    assert {each for each in ran.stderr.split() if each.startswith("buildperm")} == {
        "buildperm",
        "buildperm.__main__",
        "buildperm.short_status",
    }
    assert not loaded & {"click", "rich", "subprocess", "dataclasses", "asyncio", "tomllib"}


_WANTS_SH = """fn main() {
    println!("cargo::rerun-if-env-changed=AGAIN");
    let ran = std::process::Command::new("/bin/sh").args(["-c", ":"]).status();
    assert!(ran.is_ok_and(|status| status.success()));
}
"""
_GRANTS_SH = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates.lib]
exec = ["sh"]
reviewed = ["0.1.0"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_granted", [True, False])
def test_what_is_packed_is_held_to_what_its_member_was_granted(
    machine: PersonsMachine, *, is_granted: bool
) -> None:
    """Cargo unpacks it in the target directory, and builds it there."""
    (machine.workspace / "lib/build.rs").write_text(_WANTS_SH)
    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text() + (_GRANTS_SH if is_granted else ""))
    machine.enable()
    packed = machine.cargo("package", "-p", "lib", "--allow-dirty")
    assert (packed.returncode == 0) == is_granted, packed.stderr
    assert "Verifying lib v0.1.0" in packed.stderr
    assert is_granted or "it was refused to run" in packed.stderr


@pytest.mark.slow
def test_a_worktree_and_a_checkout_that_was_moved_say_that_nothing_is_held(
    machine: PersonsMachine,
) -> None:
    home = {"HOME": str(machine.home), "GIT_CONFIG_NOSYSTEM": "1"}
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    (machine.workspace / ".gitignore").write_text("target\n")
    for words in (["init", "-q"], ["add", "-A"], [*named, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=machine.workspace, env=environment(home), check=True)
    machine.enable()
    assert machine.cargo("check").returncode == 0
    beside = machine.workspace.parent / "beside"
    subprocess.run(
        ["git", "worktree", "add", "-q", beside, "-b", "other"],
        cwd=machine.workspace,
        env=environment(home),
        check=True,
    )
    built = machine.cargo("check", folder=beside)
    assert built.returncode == 0, built.stderr
    said = f"nothing is held in `{beside}`, a worktree of `{machine.workspace}`"
    assert built.stderr.count(said) == 1, built.stderr
    assert machine.buildperm("enable", folder=beside).returncode == 0
    main = beside / "src/main.rs"
    main.write_text(main.read_text() + "// Compiled again.\n")
    assert "nothing is held" not in machine.cargo("check", folder=beside).stderr

    moved = machine.workspace.rename(machine.workspace.parent / "moved")
    main = moved / "src/main.rs"
    main.write_text(main.read_text() + "// Compiled again.\n")
    told = machine.cargo("check", folder=moved).stderr
    assert f"nothing is held in `{moved}`, which was held elsewhere" in told
    shutil.rmtree(moved / "target")
    assert "nothing is held" not in machine.cargo("check", folder=moved).stderr
