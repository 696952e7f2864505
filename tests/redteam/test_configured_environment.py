"""Variables of our own that the table `[env]` of Cargo's configuration sets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.cargo import configuration
from buildperm.cargo.project import Projects
from buildperm.cargo.target_directory import TargetDirectory
from buildperm.cargo.toolchain import Toolchain
from buildperm.errors import BuildpermError
from buildperm.sandbox.stub import interpreter
from tests.cargo.workspaces import environment, package, toolchain

__all__ = ["environment", "toolchain"]

OURS = (
    *("CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_TARGET_TMPDIR", "CARGO_MANIFEST_DIR"),
    *("BUILDPERM_SESSION", "BUILDPERM_STUB", "BUILDPERM_TARGET", "BUILDPERM_RUSTC_WRAPPER"),
)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("value", ['"x"', '{ value = "x", force = true }'])
@pytest.mark.quick(4)
def test_no_configuration_can_keep_stubs_away(tmp_path: Path, name: str, value: str) -> None:
    folder = tmp_path / ".cargo"
    folder.mkdir()
    (folder / "config.toml").write_text(f"[env]\n{name} = {value}\n")
    with pytest.raises(BuildpermError, match=name):
        configuration.read(tmp_path, tmp_path / "home", {})


def test_neither_can_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(BuildpermError, match="CARGO_BIN_NAME"):
        configuration.read(tmp_path, tmp_path, {}, ['env.CARGO_BIN_NAME="x"'])


def test_neither_can_a_file_that_the_command_line_includes(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('[env]\nCARGO_BIN_NAME = "x"\n')
    with pytest.raises(BuildpermError, match="CARGO_BIN_NAME"):
        configuration.read(tmp_path, tmp_path, {}, ['include=["more.toml"]'])


def test_other_variables_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo" / "config.toml").write_text('[env]\nCC = "gcc"\n')
    assert configuration.read(tmp_path, tmp_path / "home", {}).rustc_wrapper == ""


def test_what_only_cargo_understands_on_the_command_line_is_an_error(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # A pipe may hold anything, `[env]` too, and can be read only once.
    package(tmp_path, "app", None, tail="[workspace]\n")
    (tmp_path / "more").write_text('[env]\nCARGO_BIN_NAME = "x"\n')
    reader, writer = os.pipe()
    os.close(writer)  # What Cargo reads there is nothing; we do not look.
    try:
        words = ["build", "--config", f"/proc/{os.getpid()}/fd/{reader}"]
        with pytest.raises(BuildpermError, match="cannot understand"):
            Projects(tmp_path, environment).open(words)
    finally:
        os.close(reader)


def test_no_file_is_included_too_deep_to_be_looked_into(tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    for number in range(30):
        name = f"{number}.toml" if number else "config.toml"
        text = f'include = ["{number + 1}.toml"]\n'
        (tmp_path / ".cargo" / name).write_text(text)
    (tmp_path / ".cargo/30.toml").write_text('[env]\nCARGO_BIN_NAME = "x"\n')
    with pytest.raises(BuildpermError, match="include each other"):
        configuration.read(tmp_path, tmp_path / "home", {})


@pytest.mark.parametrize("command", ["b", "clippy", "expand", "t"])
@pytest.mark.parametrize("place", ["file", "variable"])
@pytest.mark.quick(3)
def test_no_alias_makes_another_command_of_what_was_understood(
    tmp_path: Path, environment: dict[str, str], command: str, place: str
) -> None:
    # `[alias] b = "build --target-dir elsewhere"`: a user's alias comes before Cargo's own `b`.
    package(tmp_path / "ws", "app", None, tail="[workspace]\n")
    (tmp_path / "ws/.cargo").mkdir()
    if place == "file":
        (tmp_path / "ws/.cargo/config.toml").write_text(f'[alias]\n{command} = "version"\n')
    else:
        environment[f"CARGO_ALIAS_{command.upper()}"] = "version"
    with pytest.raises(BuildpermError, match="alias"):
        Projects(tmp_path / "ws", environment).open([command])


def test_an_alias_that_is_not_used_is_nobodys_business(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    package(tmp_path / "ws", "app", None, tail="[workspace]\n")
    (tmp_path / "ws/.cargo").mkdir()
    (tmp_path / "ws/.cargo/config.toml").write_text('[alias]\nb = "fix"\nbuild = "fix"\n')
    assert Projects(tmp_path / "ws", environment).open(["build"]).arguments.command == "build"
    assert Projects(tmp_path / "ws", environment).open(["c"]).arguments.command == "c"


def test_what_is_inherited_means_nothing_to_the_wrapper(
    tmp_path: Path, environment: dict[str, str], toolchain: Toolchain
) -> None:
    # Whoever runs `buildperm` below Cargo or rustc has these in the environment.
    directory = TargetDirectory(tmp_path / "it's")
    inherited = environment | dict.fromkeys(OURS, "x")

    told = directory.environment(toolchain, inherited, rustc_wrapper="sccache")
    lines = directory.wrapper_text(b"sccache").split(b"\n")

    assert not set(told) & set(OURS[:4])
    assert lines[0] == b"#!" + interpreter()
    assert b"buildperm: rustc wrapper" in lines[1]
    asked = "\n".join(os.fsdecode(line) for line in lines[:5])
    asked += '\nprintf "%s\\n" "$BUILDPERM_TARGET" "$BUILDPERM_STUB" "$BUILDPERM_RUSTC_WRAPPER"'
    said = subprocess.run(
        ["sh", "-c", asked], env=told, capture_output=True, text=True, check=True
    ).stdout
    assert said == f"{tmp_path}/it's\n{tmp_path}/it's/buildperm-stub\nsccache\n"
