"""Cargo is asked without what a checkout would have run; the rest of its settings counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.cargo import neutral_query
from buildperm.errors import BuildpermError


def _options(folder: Path, settings: str, *words: str) -> tuple[str, ...]:
    (folder / ".cargo").mkdir(exist_ok=True)
    (folder / ".cargo/config.toml").write_text(settings)
    return neutral_query.options(folder, folder / "home", words)


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ("[env]\nLD_PRELOAD = 'x'\n", ("--config", "env.\"LD_PRELOAD\" = ''")),
        (
            "[env]\nPATH = { value = 'x', relative = true }\n",
            (
                *("--config", "env.\"PATH\".value = ''"),
                *("--config", 'env."PATH".force = true'),
                *("--config", 'env."PATH".relative = false'),
            ),
        ),
        ("[env]\nRUST_TARGET_PATH = 'x'\n", ("--config", "env.\"RUST_TARGET_PATH\" = ''")),
        ("[env]\n'BASH_FUNC_a%%' = 'x'\n", ("--config", "env.\"BASH_FUNC_a%%\" = ''")),
        ("[registry]\nglobal-credential-providers = ['./evil']\n", ("--offline",)),
        (
            "[registries.a]\ncredential-provider = './evil'\n"
            "[registries.b]\ncredential-provider = './evil'\n",
            ("--offline",),
        ),
        ("[build]\nrustc = './evil'\nrustc-wrapper = './evil'\n", ()),  # RUSTC outranks it.
        ("[alias]\nb = 'build --config x.toml'\n[doc]\nbrowser = './evil'\n", ()),
        ("[env]\nCFLAGS = '-O1'\n[build]\nrustflags = ['--cfg=a']\n", ()),
    ],
)
def test_what_would_run_is_outranked(tmp_path: Path, settings: str, given: tuple[str, ...]) -> None:
    assert _options(tmp_path, settings, "metadata") == given


@pytest.mark.parametrize("word", ["--offline", "--frozen"])
def test_nobody_is_kept_from_the_network_twice(tmp_path: Path, word: str) -> None:
    settings = "[registry]\nglobal-credential-providers = ['./evil']\n"
    assert _options(tmp_path, settings, "metadata", word) == ()
    assert "run `cargo fetch`" in neutral_query.explained(tmp_path, tmp_path / "home")
    assert neutral_query.explained(Path("/"), tmp_path) == ""


def test_what_a_person_has_configured_for_himself_counts(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    own = "[env]\nLD_PRELOAD = 'x'\n[registry]\nglobal-credential-providers = ['./mine']\n"
    (tmp_path / "home/config.toml").write_text(own)
    assert neutral_query.options(tmp_path, tmp_path / "home", ()) == ()


def test_a_code_generator_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BuildpermError, match=r"build\.rustflags") as raised:
        _options(tmp_path, "[build]\nrustflags = '-Zcodegen-backend=./evil.so'\n")
    assert "RUSTFLAGS" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("name", "text", "is_refused"),
    [
        ("rust-toolchain.toml", "[toolchain]\npath = './evil'\n", True),
        ("rust-toolchain.toml", "[toolchain]\nchannel = '/tmp/evil'\n", True),
        ("rust-toolchain", "[toolchain]\npath = '/tmp/evil'\n", True),
        ("rust-toolchain", "/tmp/evil\n", True),
        ("rust-toolchain", "nightly-2025-01-01\n", False),
        ("rust-toolchain.toml", "[toolchain]\nchannel = '1.95'\n", False),
        ("rust-toolchain.toml", "[toolchain]\npath = ''\n", False),
        ("rust-toolchain.toml", "toolchain = 7\n", False),
        ("rust-toolchain.toml", "[toolchain]\npath = 7\n", False),
        ("rust-toolchain.toml", "[toolchain\n", False),
    ],
)
def test_a_tool_chain_by_its_path_is_refused(
    tmp_path: Path, name: str, text: str, *, is_refused: bool
) -> None:
    (tmp_path / "rustup").touch()
    (tmp_path / "part").mkdir()
    (tmp_path / name).write_text(text)
    compiler, plain = str(tmp_path / "rustc"), {"PATH": "/nonexistent"}

    def refuse(environment: dict[str, str], named: str = compiler) -> None:
        neutral_query.refuse_toolchain(tmp_path / "part", environment, named)

    if is_refused:
        with pytest.raises(BuildpermError, match="names a tool chain by its path") as raised:
            refuse(plain)
        assert "RUSTUP_TOOLCHAIN" in (raised.value.hint or "")
    else:
        refuse(plain)
    refuse({**plain, "RUSTUP_TOOLCHAIN": "mine"})
    refuse(plain, "/nonexistent/rustc")  # No rustup, which alone reads such files.


def test_of_two_files_the_nearest_counts(tmp_path: Path) -> None:
    (tmp_path / "rustup").touch()
    (tmp_path / "part").mkdir()
    (tmp_path / "rust-toolchain.toml").write_text("[toolchain]\npath = './evil'\n")
    (tmp_path / "part/rust-toolchain").write_text("stable\n")
    neutral_query.refuse_toolchain(tmp_path / "part", {"PATH": "/x"}, str(tmp_path / "rustc"))
