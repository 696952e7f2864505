"""Always on where a workspace is built by somebody else: in containers, by other users."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.always_on_machine import PersonsMachine, machine

__all__ = ["machine"]

_SAID = "buildperm: nothing holds the build script of lib: it was compiled where buildperm is on"


def granted(machine: PersonsMachine) -> None:
    """Have the workspace's own Cargo.toml let the thief connect."""
    manifest = machine.workspace / "Cargo.toml"
    table = (
        "[workspace.metadata.buildperm]\nversion = 1\n[workspace.metadata.buildperm.crates.lib]\n"
    )
    grant = f'reviewed = ["0.1.0"]\nnet = ["127.0.0.1:{machine.port}"]\nreason = "a test"\n'
    manifest.write_text(manifest.read_text() + table + grant)


@pytest.mark.quick(1)
@pytest.mark.parametrize("image", ["without buildperm", "with buildperm"])
def test_a_container_is_not_blocked_and_told_that_nothing_is_held(
    machine: PersonsMachine, tmp_path: Path, image: str
) -> None:
    """It has the target directory, and neither state nor configuration of the machine."""
    installed = tmp_path / "installed"
    machine.install_into(installed)
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    machine.enable()
    machine.cargo("build")
    assert machine.loot() == {"false false"}

    machine.state.rename(tmp_path / "state of the host")
    machine.configuration.unlink()
    if image == "without buildperm":
        installed.rename(tmp_path / "installed on the host")
    built = machine.cargo("build", more={"AGAIN": "1"})
    assert built.returncode == 0, built.stderr
    assert machine.loot() == {"true true"}
    assert built.stderr.count(_SAID) == 1


@pytest.mark.slow
def test_an_image_holds_each_workspace_to_its_own_grants(machine: PersonsMachine) -> None:
    (machine.workspace / "lib/build.rs").write_text(machine.steals)
    granted(machine)
    machine.enable("--user", "--others", "grants")
    built = machine.cargo("build")
    assert built.returncode != 0
    assert machine.loot() == {"false true"}
    assert "it tried to read $HOME/.ssh/id_rsa" in built.stderr
    status = machine.buildperm("status", "--short")
    assert status.stdout == "on\n"

    shutil.copytree(machine.workspace / "lib", machine.workspace / "target/tests/made")
    below = machine.workspace / "target/tests/made"
    with (below / "Cargo.toml").open("a") as file:
        file.write("[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n")
    assert machine.cargo("build", folder=below).returncode != 0
    assert machine.loot(below) == {"false false"}  # It is no member of what grants.

    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().partition("[workspace.metadata")[0])
    machine.cargo("build", more={"AGAIN": "1"})
    assert machine.loot() == {"false false"}


@pytest.mark.slow
def test_another_user_of_an_image_can_enable_it_for_himself(
    machine: PersonsMachine, tmp_path: Path
) -> None:
    """What root has written there leads him nowhere, and is no wrapper to call in its turn."""
    foreign = tmp_path / "root/buildperm/homes" / ("0" * 32)
    before = f'[build]\nrustc-wrapper = "{foreign}/rustc-wrapper"\nrustdoc = "{foreign}/rustdoc"\n'
    machine.configuration.write_text(before)
    assert machine.cargo("build").returncode != 0

    machine.enable("--user", "--others", "grants")
    built = machine.cargo("build")
    assert built.returncode == 0, built.stderr
    machine.disable()
    assert machine.configuration.read_text() == before


@pytest.mark.slow
def test_status_names_what_images_are_made_from(machine: PersonsMachine) -> None:
    (machine.workspace / "Dockerfile").write_text("FROM rust\n")
    (machine.workspace / "Containerfile").write_text("RUN buildperm enable --user\n")
    machine.enable()
    said = machine.buildperm("status").stdout
    assert "not held: containers of `Dockerfile` (" in said


@pytest.mark.slow
@pytest.mark.parametrize("earlier", ["a script", "another script", "no server for editors"])
def test_status_says_what_an_earlier_buildperm_has_enabled(
    machine: PersonsMachine, earlier: str
) -> None:
    machine.enable()
    [wrapper] = machine.state.glob("homes/*/rustc-wrapper")
    script = wrapper.with_name("rustc-wrapper.sh")
    if earlier == "a script":
        if not wrapper.read_bytes().startswith(b"\x7fELF"):
            pytest.skip("no C compiler")
        wrapper.write_bytes(script.read_bytes())
    elif earlier == "another script":
        script.write_text(script.read_text() + "# Of another version.\n")
    else:
        (machine.state / "macro-server").unlink()
    said = machine.buildperm("status")
    assert "earlier buildperm: run `buildperm enable` once more" in said.stdout
    assert said.returncode == 23

    machine.enable()
    assert "earlier buildperm" not in machine.buildperm("status").stdout
