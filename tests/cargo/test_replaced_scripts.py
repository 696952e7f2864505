"""Build scripts that Cargo's configuration replaces: for which triples, and who agrees on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildperm.cargo.project import Project, Projects
from tests.cargo.workspaces import Workspace
from tests.command import buildperm

OTHER = "aarch64-unknown-linux-gnu"
TABLE = '[target.{}.there]\nrustc-link-lib = ["there"]\n'


@pytest.fixture
def root(workspace: Workspace) -> Path:
    """Make a workspace that depends on `there-sys`, which links a library."""
    root: Path = workspace(None, {"there-sys": 'fn main() { println!("cargo::warning=ran") }'})
    manifest = root / "crates/there-sys/Cargo.toml"
    text = manifest.read_text().replace("[dependencies]", 'links = "there"\n[dependencies]')
    manifest.write_text(text)
    return root


def opened(root: Path, environment: Mapping[str, str], *words: str) -> Project:
    return Projects(root, environment).open(["check", *words])


def configure(root: Path, text: str) -> None:
    (root / ".cargo").mkdir(exist_ok=True)
    (root / ".cargo/config.toml").write_text(text)


def test_a_script_is_replaced_for_the_triples_that_have_a_table(
    root: Path, environment: dict[str, str]
) -> None:
    host = opened(root, environment).toolchain.host

    def names(text: str, *words: str) -> list[str]:
        configure(root, text)
        found = opened(root, environment, *words)
        return [found.metadata.packages[each].name for each in found.replaced]

    here, there = TABLE.format(host), TABLE.format(OTHER)
    assert names("") == []
    assert names(here) == ["there-sys"]
    assert names("", "--config", f"target.{host}.there.rustc-link-lib=[]") == ["there-sys"]
    assert names(there) == []
    assert names(there, "--target", OTHER) == ["there-sys"]
    assert names(here, "--target", OTHER) == []
    assert names(here, "--target", "host-tuple") == ["there-sys"]
    assert names(here + there, "--target", OTHER, "--target", host) == ["there-sys"]
    assert names(f'[target.{host}]\nlinker = "cc"\n[target.{host}.other]\n') == []
    # What builds are made of is built for the host, too.
    manifest = root / "Cargo.toml"
    text = manifest.read_text()
    more = '[build-dependencies]\nthere-sys = { path = "crates/there-sys" }\n'
    manifest.write_text(text + more)
    (root / "build.rs").write_text("fn main() {}")
    assert names(there, "--target", OTHER) == []
    assert names(here + there, "--target", OTHER) == ["there-sys"]


@pytest.mark.slow
def test_check_and_ci_agree_on_a_script_that_is_replaced(root: Path) -> None:
    host = opened(root, dict(os.environ)).toolchain.host
    configure(root, TABLE.format(host).replace('["there"]', "[]"))

    def codes() -> list[int]:
        commands = (
            ["check"],
            *(["ci", "--require-reviewed", "--", it] for it in ("check", "build")),
        )
        return [buildperm(*command, folder=root).returncode for command in commands]

    assert buildperm("learn", "--no-tui", folder=root).returncode == 0
    assert codes() == [0, 0, 0]
    (root / ".cargo/config.toml").unlink()
    # Now it would run, and nobody has seen what it does.
    assert codes() == [21, 21, 21]
