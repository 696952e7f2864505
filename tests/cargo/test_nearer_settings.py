"""What a workspace's own configuration of Cargo runs beside what is held."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildperm.cargo import nearer_settings


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ('[build]\ntarget = "mine.json"\n', ["build.target"]),
        ('[build]\ntarget = ["x86_64-unknown-linux-gnu", "mine.json"]\n', ["build.target"]),
        ('[build]\nrustflags = ["--target", "mine.json"]\n', ["build.rustflags"]),
        ('[host]\nrustflags = ["--target=mine.json"]\n', ["host.rustflags"]),
        ('[build]\ntarget = "honest.json"\n', []),
        ('[build]\ntarget = "gone.json"\n', []),
        ('[build]\nrustflags = ["-Zcodegen-backend=cranelift"]\n', []),
        (
            '[build]\nrustflags = ["-A", "-L", "-gZcodegen_backend=./evil.so"]\n',
            ["build.rustflags"],
        ),
        (
            "[target.'cfg(all())']\nrustflags = '--cfg a @evil.so'\n",
            ["target.cfg(all()).rustflags"],
        ),
        ('[build]\nrustflags = ["--sysroot=evil.so"]\n', ["build.rustflags"]),
        ('[build]\nrustflags = ["mine.json"]\n', ["build.rustflags"]),  # Behind another file's.
        ("[build]\ntarget = 5\nrustflags = 7\n[alias]\nx = true\n", []),  # Cargo refuses that.
    ],
)
def test_a_code_generator_that_the_compiler_loads_by_its_path_is_found(
    tmp_path: Path, settings: str, keys: list[str]
) -> None:
    for name, backend in (("mine", "./evil.so"), ("honest", "cranelift")):
        described = {"arch": "x86_64", "default-codegen-backend": backend}
        (tmp_path / f"{name}.json").write_text(json.dumps(described))
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").write_text(settings)
    found = [*nearer_settings.found(tmp_path, tmp_path / "home")]
    assert [each.key for each in found] == keys
    assert all("evil.so" in each.value for each in found)


def test_a_file_that_the_compiler_writes_when_it_is_asked_is_found(tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    flags = "--cfg tokio_unstable --print=cfg=/home/me/.profile"
    (tmp_path / ".cargo/config.toml").write_text(f"[build]\nrustflags = '{flags}'\n")
    (found,) = nearer_settings.found(tmp_path, tmp_path / "home")
    assert (found.key, found.runs) == ("build.rustflags", nearer_settings.Runs.LOADED)
    assert "write a file" in found.outcome
    assert "/home/me/.profile" in found.value


@pytest.mark.parametrize(
    ("name", "is_found"),
    [
        *((name, True) for name in ("LD_AUDIT", "GCONV_PATH", "BASH_FUNC_read%%", "SHELLOPTS")),
        *((name, True) for name in ("RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "PATH")),
        *(("RUSTC_LOG_OUTPUT_TARGET", True), ("RUSTC_LOG", False), ("RUSTC_BOOTSTRAP", False)),
        *((name, False) for name in ("RUSTUP_DIST_SERVER", "LDFLAGS", "SHELL", "CC", "MY_PATH")),
    ],
)
def test_a_variable_that_leads_to_other_code_is_found(
    tmp_path: Path, name: str, *, is_found: bool
) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").write_text(
        f"[env]\n'{name}' = {{ value = 'x', force = true }}\n"
    )
    found = [*nearer_settings.found(tmp_path, tmp_path / "home")]
    assert [each.key for each in found] == ([f"env.{name}"] if is_found else [])


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        (
            '[registries.mine]\ncredential-provider = "./evil --now"\n',
            ["registries.mine.credential-provider"],
        ),
        ('[registry]\ncredential-provider = ["./evil"]\n', ["registry.credential-provider"]),
        (
            '[registry]\nglobal-credential-providers = ["cargo:token", "./evil"]\n',
            ["registry.global-credential-providers"],
        ),
        (
            '[credential-alias]\nmine = ["cargo:token-from-stdout", "./evil"]\n',
            ["credential-alias.mine"],
        ),
        ('[doc]\nbrowser = ["./evil"]\n', ["doc.browser"]),
        ("[alias]\nb = \"build --config build.rustc='./evil'\"\n", ["alias.b"]),
        ('[alias]\nb = ["build", "--config=mine.toml"]\nt = "test --all"\n', ["alias.b"]),
        ('[alias]\nxtask = "run --package xtask --"\nc = ["check", "--configuration"]\n', []),
        ('[registries.mine]\nindex = "sparse+https://example.org/"\n', []),
        ('[registries.mine]\ncredential-provider = "cargo:token"\n', []),
        ('[registry]\nglobal-credential-providers = ["cargo:token", "cargo:libsecret"]\n', []),
    ],
)
def test_a_program_that_cargo_runs_beside_a_build_is_found(
    tmp_path: Path, settings: str, keys: list[str]
) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").write_text(settings)
    found = [*nearer_settings.found(tmp_path, tmp_path / "home")]
    assert [each.key for each in found] == keys
    assert not [*nearer_settings.unheld(tmp_path, tmp_path / "home", {})]  # It compiles nothing.
