"""Whoever looks at a checkout runs nothing of it: no command starts what its files name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.cli import _COMMANDS
from tests.cli.always_on_machine import PersonsMachine, machine

__all__ = ["machine"]

_LOADED = """
#include <stdio.h>
__attribute__((constructor)) static void loaded(void) {
    FILE *called = fopen(CALLED, "a");
    if (called) fclose(called);
}
"""

_RULE = "read:/etc/passwd"
_LOOKS: dict[str, tuple[str, ...]] = {
    "pending": (),
    "decide": ("no-such-id=allow",),
    "undo": (),
    "check": (),
    "enable": (),
    "status": (),
    "disable": (),
    "show": (),
    "why": ("lib", _RULE),
    "report": ("--html", "report.html"),
    "simulate": ("lib", "+read:/etc/passwd"),
    "trace": ("lib", "--no-tui"),
    "export": (),
    "import": ("/nonexistent/grants.toml",),
    "config": (),
    "cache": ("show",),
    "root": ("digest", "."),
    "index": ("check", "nowhere"),
    "doctor": (),
}
_BUILDS: dict[str, tuple[str, ...]] = {
    "learn": ("--no-tui",),
    "review": ("--no-tui",),
    "ci": (),
    "env-diff": ("lib", "AGAIN", "--value", "1"),
    "info": ("no-such-crate",),
}
_ELSEWHERE = {"demo", "watch"}  # A workspace of its own; until somebody changes something.


def test_every_command_is_tried() -> None:
    assert {*_LOOKS, *_BUILDS, *_ELSEWHERE} == {*_COMMANDS}


def _programs(machine: PersonsMachine) -> tuple[Path, Path]:
    """Make programs that stand for any compiler, and note that they were called."""
    machine.cargo("generate-lockfile")
    called, folder = machine.workspace / "called", machine.workspace / "evil/bin"
    folder.mkdir(parents=True)
    (folder.parent / "lib").mkdir()
    for name in ("rustc", "cargo"):
        real = f'export PATH="{os.environ["PATH"]}"\ncase $1 in */rustc) exec "$@" ;; esac\n'
        said = f'#!/bin/sh\necho "$0" >>"{called}"\n{real}exec {name} "$@"\n'
        (folder / name).write_text(said)
        (folder / name).chmod(0o755)
    return folder, called


def _library(machine: PersonsMachine) -> tuple[Path, Path]:
    """Make a library that notes that it was loaded."""
    machine.cargo("generate-lockfile")
    called, library = machine.workspace / "called", machine.workspace / "evil.so"
    source = machine.workspace / "evil.c"
    source.write_text(_LOADED.replace("CALLED", f'"{called}"'))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library, called


def _configure(machine: PersonsMachine, text: str) -> None:
    path = machine.workspace / ".cargo/config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _try(machine: PersonsMachine, command: str, *, told: str = "") -> str:
    done = machine.buildperm(command, *{**_LOOKS, **_BUILDS}[command])
    assert "Traceback" not in done.stderr, done.stderr
    assert told in done.stderr, done.stderr
    return done.stdout + done.stderr


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", [*_LOOKS, *_BUILDS])
def test_a_compiler_of_a_checkout_runs_for_no_command(
    machine: PersonsMachine, command: str
) -> None:
    programs, called = _programs(machine)
    _configure(machine, f'[build]\nrustc = "{programs / "rustc"}"\n')
    machine.cargo("metadata", "--format-version", "1")
    assert called.exists()  # Or the test is void.
    called.unlink()
    (machine.workspace / "target/.rustc_info.json").unlink(missing_ok=True)
    _try(machine, command)
    assert not called.exists()


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", _LOOKS)
def test_a_wrapper_of_a_checkout_runs_for_no_command_that_looks(
    machine: PersonsMachine, command: str
) -> None:
    programs, called = _programs(machine)
    wrappers = [
        f'{key} = "{programs / "rustc"}"\n' for key in ("rustc-wrapper", "rustc-workspace-wrapper")
    ]
    _configure(machine, "[build]\n" + "".join(wrappers))
    _try(machine, command)
    assert not called.exists()


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", _LOOKS)
@pytest.mark.parametrize(
    "form", ["LD_PRELOAD = '{}'", "LD_PRELOAD = {{ value = '{}', force = true }}"]
)
def test_what_a_variable_of_a_checkout_loads_is_loaded_for_no_command_that_looks(
    machine: PersonsMachine, command: str, form: str
) -> None:
    library, called = _library(machine)
    _configure(machine, f"[env]\n{form.format(library)}\n")
    machine.cargo("metadata", "--format-version", "1")
    assert called.exists()  # Or the test is void.
    called.unlink()
    (machine.workspace / "target/.rustc_info.json").unlink(missing_ok=True)
    found = _try(machine, command)
    assert not called.exists()
    assert command not in ("show", "pending", "check") or "cannot read" not in found


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", ["pending", "enable", "show", "status"])
def test_a_file_that_a_checkout_has_rustc_log_to_stays_as_it_is(
    machine: PersonsMachine, command: str
) -> None:
    machine.cargo("generate-lockfile")
    kept = machine.home / "keys"
    _configure(machine, f"[env]\nRUSTC_LOG_OUTPUT_TARGET = '{kept}'\n")
    machine.cargo("metadata", "--format-version", "1")
    assert kept.exists()  # Or the test is void.
    kept.write_text("kept")
    (machine.workspace / "target/.rustc_info.json").unlink(missing_ok=True)
    found = _try(machine, command)
    assert kept.read_text() == "kept"
    assert command != "show" or "cannot read" not in found


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", ["pending", "enable", "show", "learn", "ci"])
@pytest.mark.parametrize(
    "flags",
    [
        "'-Zcodegen-backend=LIBRARY'",
        "'-A', '-L', '-gZcodegen-backend=LIBRARY'",
        "'@flags'",
        "'--print=cfg=CALLED'",
    ],
    ids=["plain", "behind-others", "in-a-file", "written"],
)
def test_flags_of_a_checkout_that_load_or_write_are_refused(
    machine: PersonsMachine, command: str, flags: str
) -> None:
    library, called = _library(machine)
    (machine.workspace / "flags").write_text(f"-Zcodegen-backend={library}\n")
    named = flags.replace("LIBRARY", str(library)).replace("CALLED", str(called))
    _configure(machine, f"[build]\nrustflags = [{named}]\n[env]\nRUSTC_BOOTSTRAP = '1'\n")
    machine.cargo("metadata", "--format-version", "1")
    assert called.exists()  # Or the test is void.
    called.unlink()
    (machine.workspace / "target/.rustc_info.json").unlink(missing_ok=True)
    _try(machine, command, told="`build.rustflags` of Cargo's configuration in")
    assert not called.exists()


def _as_rustup(machine: PersonsMachine, chosen: Path) -> None:
    """Put programs on PATH that do what rustup's proxies do where a file names `chosen`."""
    folder, search = machine.home / "bin", os.environ["PATH"]
    folder.mkdir()
    for name in ("rustup", "rustc", "cargo"):
        evil = f'[ -n "$RUSTUP_TOOLCHAIN" ] || exec "{chosen}/{name}" "$@"\n'
        honest = f'unset RUSTUP_TOOLCHAIN\nexport PATH="{search}"\nexec {name} "$@"\n'
        (folder / name).write_text(f"#!/bin/sh\n{evil}{honest}")
        (folder / name).chmod(0o755)
    machine.extra["PATH"] = f"{folder}:{search}"


_ASKING = [each for each in (*_LOOKS, *_BUILDS) if each not in ("config", "info")]


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", _ASKING)
@pytest.mark.parametrize("place", ["above", "here"])
def test_a_tool_chain_of_a_checkout_runs_for_no_command(
    machine: PersonsMachine, command: str, place: str
) -> None:
    programs, called = _programs(machine)
    _as_rustup(machine, programs)
    machine.cargo("-V")
    assert called.exists()  # Or the test is void.
    called.unlink()
    folder = machine.workspace if place == "here" else machine.workspace.parent
    (folder / "rust-toolchain.toml").write_text(f'[toolchain]\npath = "{programs.parent}"\n')
    found = _try(machine, command)
    assert not called.exists()
    if command in ("pending", "learn", "show", "enable"):
        assert "names a tool chain by its path" in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('[toolchain]\npath = "/nonexistent/evil"\n', {"RUSTUP_TOOLCHAIN": "mine"}),
        ('[toolchain]\nchannel = "stable"\n', {}),
        ("stable\n", {}),
    ],
    ids=["chosen", "named", "alone"],
)
def test_a_tool_chain_that_is_named_or_chosen_is_taken(
    machine: PersonsMachine, text: str, more: dict[str, str]
) -> None:
    machine.cargo("generate-lockfile")
    (machine.workspace / "rust-toolchain").write_text(text)
    (machine.home / "bin").mkdir()
    machine.extra["PATH"] = f"{machine.home / 'bin'}:{os.environ['PATH']}"
    for name in ("rustup", "rustc", "cargo"):
        honest = f'unset RUSTUP_TOOLCHAIN\ncd /\nexport PATH="{os.environ["PATH"]}"\n'
        (machine.home / "bin" / name).write_text(f'#!/bin/sh\n{honest}exec {name} "$@"\n')
        (machine.home / "bin" / name).chmod(0o755)
    done = machine.buildperm("show", more=more)
    assert done.returncode == 0, done.stderr
