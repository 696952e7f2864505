from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from buildperm.cargo import metadata
from buildperm.cargo.toolchain import Toolchain
from buildperm.errors import BuildpermError, ExitCode
from tests.cargo.workspaces import QUIET, Workspace, vendor


def test_packages_with_build_scripts_are_found(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace(dependencies={"plain": None, "scripted": QUIET})

    found = metadata.read(toolchain, root, environment)

    assert [package.name for package in found.scripted()] == ["app", "scripted"]
    assert found.root == root
    assert found.target_directory == root / "target"
    assert found.scripted()[1].folder == root / "crates" / "scripted"
    assert found.scripted()[1].build_scripts == ("build-script-build",)


def test_the_chain_says_how_a_package_got_in(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace(dependencies={"middle": None})
    middle = root / "crates" / "middle" / "Cargo.toml"
    middle.write_text(middle.read_text() + 'deep = "1"\n')
    vendor(root, "deep", "1.2.3", QUIET)

    found = metadata.read(toolchain, root, environment)

    (deep,) = (package for package in found.packages.values() if package.name == "deep")
    chain = [package.name for package in found.chain(deep.id)]
    # `middle` is a member of the workspace itself, so the shortest way begins there.
    assert chain == ["middle", "deep"]
    assert deep.source == "registry+https://github.com/rust-lang/crates.io-index"
    assert found.chain("nothing") == ()


def test_only_asked_features_bring_their_packages(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace()
    manifest = root / "Cargo.toml"
    manifest.write_text(
        manifest.read_text().replace(
            "[dependencies]",
            '[features]\nmore = []\n\n[dependencies]\nextra = { version = "1", optional = true }',
        )
    )
    vendor(root, "extra", "1.0.0", QUIET)

    without = metadata.read(toolchain, root, environment)
    featured = metadata.read(toolchain, root, environment, flags=["--features", "extra more"])

    assert {package.name for package in without.packages.values()} == {"app"}
    assert {package.name for package in featured.packages.values()} == {"app", "extra"}
    assert "more" in next(p for p in featured.packages.values() if p.name == "app").features


def test_packages_of_other_platforms_are_left_out_until_built_for(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace()
    manifest = root / "Cargo.toml"
    manifest.write_text(
        manifest.read_text() + "[target.'cfg(windows)'.dependencies]\nwinonly = \"1\"\n"
    )
    vendor(root, "winonly", "1.0.0", QUIET)

    here = metadata.read(toolchain, root, environment)
    there = metadata.read(toolchain, root, environment, targets=["x86_64-pc-windows-gnu"])

    assert "winonly" not in {package.name for package in here.packages.values()}
    assert "winonly" in {package.name for package in there.packages.values()}


def test_without_a_manifest_the_error_is_cargos(
    tmp_path: Path, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    with pytest.raises(BuildpermError, match=r"could not find `Cargo\.toml`") as caught:
        metadata.read(toolchain, tmp_path, environment)

    assert caught.value.exit_code is ExitCode.USAGE


def test_a_broken_manifest_is_quoted_with_its_place(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace()
    (root / "Cargo.toml").write_text("[package\n")

    with pytest.raises(BuildpermError, match=r"Cargo\.toml:1"):
        metadata.read(toolchain, root, environment)


def test_locked_without_a_lock_file_is_an_error(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace()

    with pytest.raises(BuildpermError, match="--locked"):
        metadata.read(toolchain, root, environment, flags=["--locked"])

    assert not (root / "Cargo.lock").exists()


def test_the_manifest_of_a_member_leads_to_its_workspace(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str], tmp_path: Path
) -> None:
    root = workspace(dependencies={"member": QUIET})

    found = metadata.read(
        toolchain, tmp_path, environment, manifest_path=Path("space/crates/member/Cargo.toml")
    )

    assert found.root == root


def test_rustc_is_asked_about_a_platform_once(
    workspace: Workspace,
    toolchain: Toolchain,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, asked = workspace(), tmp_path / "asked"
    rustc = tmp_path / "bin" / "rustc"
    rustc.parent.mkdir()
    rustc.write_text(f'#!/bin/sh\necho x >>{asked}\nexec {toolchain.rustc} "$@"\n')
    rustc.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    counted = dataclasses.replace(toolchain, rustc=rustc)

    first = metadata.read(counted, root, environment)
    times = asked.read_text()

    assert times
    assert metadata.read(counted, root, environment) == first
    assert asked.read_text() == times  # Cargo has kept what it said, in a private folder.
    assert not (root / "target").exists()
    (tmp_path / "cache" / "buildperm").chmod(0o777)
    assert metadata.read(counted, root, environment) == first
    assert asked.read_text() > times  # Others could have written there.


@pytest.mark.parametrize("name", ["bin", "a=b"])
def test_no_wrapper_of_the_workspace_is_asked(
    workspace: Workspace,
    toolchain: Toolchain,
    environment: dict[str, str],
    tmp_path: Path,
    name: str,
) -> None:
    root, asked = workspace(), tmp_path / "asked"
    (root / ".cargo").mkdir()
    settings = f"rustc-wrapper = '{root}/wrapper'\nrustc-workspace-wrapper = '{root}/wrapper'\n"
    (root / ".cargo" / "config.toml").write_text(f"[build]\n{settings}")
    (root / "wrapper").write_text(f'#!/bin/sh\ntouch {asked}\nexec "$@"\n')
    (root / "wrapper").chmod(0o755)
    (tmp_path / name).symlink_to(toolchain.rustc.parent)
    odd = dataclasses.replace(toolchain, rustc=tmp_path / name / "rustc")
    environment["RUSTC_WRAPPER"] = f"{root}/wrapper"

    assert metadata.read(odd, root, environment).root == root
    assert not asked.exists()


def test_a_build_directory_moved_by_the_command_line_is_refused(
    workspace: Workspace, toolchain: Toolchain, environment: dict[str, str]
) -> None:
    root = workspace()

    with pytest.raises(BuildpermError, match="moves Cargo's build directory"):
        metadata.read(toolchain, root, environment, flags=["--config", 'build.build-dir="x"'])
