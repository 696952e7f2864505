from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildperm.cargo import toolchain as toolchains
from buildperm.cargo.toolchain import Toolchain
from buildperm.errors import BuildpermError


def test_the_real_programs_are_found(toolchain: Toolchain) -> None:
    said = subprocess.check_output([toolchain.rustc, "--print", "sysroot"], text=True, env={})

    assert Path(said.strip()) == toolchain.sysroot
    assert toolchain.rustc_version.count(".") == 2
    assert toolchain.cargo_version.count(".") == 2
    assert toolchain.host.count("-") >= 2


def test_a_file_in_the_folder_chooses_the_tool_chain(
    nightly: Toolchain, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "rust-toolchain.toml").write_text('[toolchain]\nchannel = "nightly"\n')
    environment.pop("RUSTUP_TOOLCHAIN", None)

    assert toolchains.resolve(tmp_path, environment).sysroot == nightly.sysroot


def test_proxies_of_rustup_are_told_from_compilers(
    toolchain: Toolchain, environment: dict[str, str], tmp_path: Path
) -> None:
    proxied, plain = tmp_path / "proxied", tmp_path / "plain"
    for folder in (proxied, plain):
        folder.mkdir()
        program(folder / "rustc", "exit 0")
    (proxied / "rustup").hardlink_to(proxied / "rustc")
    own = dataclasses.replace(toolchain, cargo_home=tmp_path / "home")

    def found(**variables: str) -> tuple[str, ...]:
        return own.proxies({**environment, "PATH": str(plain), **variables})

    assert found() == ()
    assert found(RUSTC=str(plain / "rustc")) == ()
    assert found(RUSTC=str(proxied / "rustc")) == (str(proxied / "rustc"),)
    assert found(PATH=f"{proxied}:{plain}") == ("rustc", str(proxied / "rustc"))
    assert found(PATH=f"{plain}:{proxied}") == ()


def test_scripts_find_the_real_programs(toolchain: Toolchain, environment: dict[str, str]) -> None:
    search = toolchain.path(environment["PATH"])

    where = subprocess.check_output(
        ["sh", "-c", "command -v rustc"], env={"PATH": search}, text=True
    )
    assert Path(where.strip()) == toolchain.rustc


def test_cargo_gets_what_a_proxy_of_rustup_would_give_it(
    toolchain: Toolchain, environment: dict[str, str], tmp_path: Path
) -> None:
    """A subcommand shows what that is: Cargo passes on what it was given."""
    program(tmp_path / "cargo-shown", "env")
    search = f"{environment['PATH']}{os.pathsep}{tmp_path}"
    base = {**environment, "CARGO": "/somewhere/else", "PATH": search}

    def shown(cargo: str | Path, variables: dict[str, str]) -> dict[str, str]:
        said = subprocess.check_output([cargo, "shown"], env=variables, cwd=tmp_path, text=True)
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    plain = {name: value for name, value in base.items() if name != "CARGO"}
    given = shown(toolchain.cargo, toolchain.environment(base))

    names = ("CARGO", "CARGO_HOME", "LD_LIBRARY_PATH", "PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN")
    expected = shown("cargo", plain)
    for name in (*names, "RUST_RECURSION_COUNT"):
        assert given.get(name) == expected.get(name), name


@pytest.mark.parametrize("version", ["1.71.0", "1.72.0-nightly", "1.95.0", ""])
def test_a_cargo_that_would_call_the_proxy_finds_the_real_rustc_first(
    tmp_path: Path, version: str
) -> None:
    home = tmp_path / "rustup"
    folder = home / "toolchains/here/bin"
    folder.mkdir(parents=True)
    for name in ("rustc", "cargo"):
        program(folder / name, "real")
    proxies = tmp_path / "proxies"
    proxies.mkdir()
    for name in ("rustc", "cargo", "rustup"):
        program(proxies / name, "proxy")
    found = Toolchain(
        sysroot=folder.parent,
        cargo=folder / "cargo",
        rustc=folder / "rustc",
        cargo_home=tmp_path / "home",
        rustup_home=home,
        name="here",
        host="",
        cargo_version=version,
        rustc_version="",
        described="",
        called=proxies / "cargo",
    )

    search = found.environment({"PATH": str(proxies)})["PATH"].split(os.pathsep)

    passes = version in ("1.72.0-nightly", "1.95.0")
    assert search == [str(tmp_path / "home/bin" if passes else folder), str(proxies)]


def test_the_order_of_programs_stays_where_there_is_no_proxy(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(tmp_path), str(toolchain.rustc.parent), "/bin"])

    assert toolchain.path(path) == path
    assert toolchain.path(f"{tmp_path}::/bin") == f"{toolchain.rustc.parent}:{tmp_path}:/bin"


def test_without_rust_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BuildpermError, match="no `rustc` on PATH"):
        toolchains.resolve(tmp_path, {"PATH": str(tmp_path)})


def test_without_cargo_there_is_one_clear_error(tmp_path: Path) -> None:
    program(tmp_path / "rustc", "exit 0")

    with pytest.raises(BuildpermError, match="no `cargo` on PATH"):
        toolchains.resolve(tmp_path, {"PATH": str(tmp_path)})


def test_a_failing_rustc_is_quoted(tmp_path: Path) -> None:
    program(tmp_path / "rustc", "echo no such toolchain >&2; exit 1")
    program(tmp_path / "cargo", "exit 0")

    with pytest.raises(BuildpermError, match="no such toolchain"):
        toolchains.resolve(tmp_path, {"PATH": f"{tmp_path}{os.pathsep}/bin"})


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("cargo 1.97.0-nightly (4d1f98451 2026-05-15)", "1.97.0-nightly"),
        ("cargo 1.95.0", "1.95.0"),
        ("something else", ""),
        ("", ""),
    ],
)
def test_the_version_is_what_cargo_calls_its_own(tmp_path: Path, said: str, version: str) -> None:
    (tmp_path / "bin").mkdir()
    answer = f'test "$1" = --print && echo {tmp_path} || printf "host: x\\nrelease: 1.0.0\\n"'
    program(tmp_path / "bin" / "rustc", answer)
    program(tmp_path / "bin" / "cargo", f'test "$*" = -V && echo "{said}"')

    found = toolchains.resolve(tmp_path, {"PATH": f"{tmp_path}/bin:/bin", "HOME": str(tmp_path)})

    assert (found.host, found.rustc_version, found.cargo_version) == ("x", "1.0.0", version)


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_user_without_a_home_is_told_what_to_do(
    tmp_path: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    homeless = {name: value for name, value in environment.items() if name != "HOME"}

    with pytest.raises(BuildpermError, match="no home folder") as caught:
        toolchains.home(homeless)
    assert "Set HOME" in caught.value.hint
    assert toolchains.home({"HOME": str(tmp_path)}) == tmp_path
