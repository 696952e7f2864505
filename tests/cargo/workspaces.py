"""Small workspaces that Cargo builds without a registry, and the tool chain to build them with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from buildperm.cargo import toolchain as toolchains
from buildperm.cargo.toolchain import Toolchain

_PREFIXES = ("CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "BUILDPERM_")
QUIET = 'fn main() { println!("cargo::rerun-if-changed=build.rs"); }\n'


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment without what configures Cargo, and with an empty CARGO_HOME."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}
    kept["CARGO_HOME"] = str(tmp_path_factory.mktemp("cargo-home"))
    kept["CARGO_NET_OFFLINE"] = "true"
    return kept


@pytest.fixture
def toolchain(environment: Mapping[str, str], tmp_path: Path) -> Toolchain:
    return toolchains.resolve(tmp_path, environment)


@pytest.fixture
def nightly(environment: Mapping[str, str], tmp_path: Path) -> Toolchain:
    """Return the tool chain that has the new layout of the build directory."""
    if shutil.which("rustup") is None:
        pytest.skip("no rustup")
    listed = subprocess.run(
        ["rustup", "toolchain", "list"], capture_output=True, text=True, check=False
    )
    if "nightly" not in listed.stdout:
        pytest.skip("no nightly tool chain")
    return toolchains.resolve(tmp_path, environment, name="nightly")


Workspace = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Make a workspace with one package `app` and path dependencies below `crates/`."""

    def make(
        build: str | None = QUIET,
        dependencies: Mapping[str, str | None] | None = None,
        name: str = "space",
    ) -> Path:
        root = tmp_path / name
        package(root, "app", build, dependencies=tuple(dependencies or ()), tail="[workspace]\n")
        for other, script in (dependencies or {}).items():
            package(root / "crates" / other, other, script)
        return root

    return make


def package(
    folder: Path,
    name: str,
    build: str | None,
    *,
    dependencies: tuple[str, ...] = (),
    tail: str = "",
) -> None:
    """Write one package; `build` is the text of its build.rs, None for no build script."""
    (folder / "src").mkdir(parents=True)
    lines = [f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n']
    lines += [f'{other} = {{ path = "crates/{other}" }}\n' for other in dependencies]
    (folder / "Cargo.toml").write_text("".join(lines) + tail)
    (folder / "src" / "lib.rs").write_text("")
    if build is not None:
        (folder / "build.rs").write_text(build)


def vendor(root: Path, name: str, version: str, build: str) -> None:
    """Put a crates.io package into `root/vendor`, and make Cargo use it."""
    folder = root / "vendor" / f"{name}-{version}"
    package(folder, name, build)
    manifest = folder / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", version))
    (folder / ".cargo-checksum.json").write_text(
        json.dumps({"package": hashlib.sha256(name.encode()).hexdigest(), "files": {}})
    )
    (root / ".cargo").mkdir(exist_ok=True)
    (root / ".cargo" / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "vendor"\n'
    )
