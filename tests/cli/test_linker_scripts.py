"""A linker that is a script and calls another program, as `cargo zigbuild` has it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.cli.always_on_machine import PersonsMachine, machine
from tests.command import environment

__all__ = ["machine"]

_APP = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
_LEFT_ALONE = (
    "[workspace.metadata.buildperm]\nversion = 1\n"
    '[workspace.metadata.buildperm.crates.app]\ncompile = "off"\n'
)


@pytest.mark.slow
def test_a_linker_that_calls_what_is_not_open_is_told_of_and_can_be_left_alone(
    machine: PersonsMachine,
) -> None:
    for name in ("lib", "mac"):
        shutil.rmtree(machine.workspace / name)
    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(_APP)
    (machine.workspace / "src/main.rs").write_text('fn main() { println!("linked"); }\n')
    called, linker = machine.home / "called", machine.home / "linker"
    called.write_text('#!/bin/sh\nexec cc "$@"\n')
    linker.write_text(f'#!/bin/sh\nexec "{called}" "$@"\n')
    for program in (called, linker):
        program.chmod(0o755)
    told = subprocess.run(
        ["rustc", "-vV"], env=environment(), capture_output=True, text=True, check=True
    )
    [host] = [line.split()[1] for line in told.stdout.splitlines() if line.startswith("host:")]
    machine.extra[f"CARGO_TARGET_{host.upper().replace('-', '_')}_LINKER"] = str(linker)
    assert machine.cargo("run").stdout == "linked\n"

    machine.enable()
    main = machine.workspace / "src/main.rs"
    main.write_text(main.read_text() + "// Linked again.\n")
    refused = machine.cargo("run")
    assert refused.returncode != 0
    assert f"the linker `{linker}` is a script" in refused.stderr
    assert 'write `compile = "off"` into Cargo.toml, in the table of `app`' in refused.stderr

    manifest.write_text(_APP + _LEFT_ALONE)
    alone = machine.cargo("run")
    assert (alone.returncode, alone.stdout) == (0, "linked\n"), alone.stderr

    manifest.write_text(_APP)
    main.write_text("fn main() { no such thing }\n")  # Nothing was linked.
    assert "is a script" not in machine.cargo("check").stderr
