from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from buildperm.cargo import configuration
from buildperm.errors import BuildpermError

WRAPPER = Path(configuration.__file__).with_name("rustc-wrapper.sh")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "cargo-home"
    path.mkdir()
    return path


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    path = tmp_path / "outer" / "inner"
    path.mkdir(parents=True)
    return path


def configure(folder: Path, text: str, name: str = "config.toml") -> None:
    (folder / ".cargo").mkdir(exist_ok=True)
    (folder / ".cargo" / name).write_text(text)


def wrapper(folder: Path, home: Path, arguments: tuple[str, ...] = (), **variables: str) -> str:
    return configuration.read(folder, home, variables, arguments).rustc_wrapper


def test_without_configuration_there_is_no_wrapper(inner: Path, home: Path) -> None:
    assert wrapper(inner, home) == ""


def test_the_nearest_file_counts_before_those_above_and_cargo_home(inner: Path, home: Path) -> None:
    (home / "config.toml").write_text('build.rustc-wrapper = "home"')
    assert wrapper(inner, home) == "home"
    configure(inner.parent, 'build.rustc-wrapper = "outer"')
    assert wrapper(inner, home) == "outer"
    configure(inner, '[build]\nrustc-wrapper = "inner"')
    assert wrapper(inner, home) == "inner"


def test_the_environment_counts_before_files_and_the_command_line_between(
    inner: Path, home: Path
) -> None:
    configure(inner, 'build.rustc-wrapper = "file"')

    assert wrapper(inner, home, CARGO_BUILD_RUSTC_WRAPPER="b") == "b"
    assert wrapper(inner, home, ('build.rustc-wrapper="c"',), CARGO_BUILD_RUSTC_WRAPPER="b") == "c"
    assert wrapper(inner, home, ('build.rustc-wrapper="c"',), RUSTC_WRAPPER="a") == "a"


def test_an_empty_variable_switches_a_configured_wrapper_off(inner: Path, home: Path) -> None:
    configure(inner, 'build.rustc-wrapper = "file"')

    assert wrapper(inner, home, RUSTC_WRAPPER="") == ""


def test_a_relative_program_is_relative_to_the_folder_that_holds_dot_cargo(
    inner: Path, home: Path
) -> None:
    configure(inner.parent, 'build.rustc-wrapper = "tools/wrap"')

    assert wrapper(inner, home) == str(inner.parent / "tools/wrap")
    assert wrapper(inner, home, RUSTC_WRAPPER="./wrap") == str(inner / "wrap")


def test_the_older_file_name_counts_where_both_exist(inner: Path, home: Path) -> None:
    configure(inner, 'build.rustc-wrapper = "new"')
    configure(inner, 'build.rustc-wrapper = "old"', "config")

    assert wrapper(inner, home) == "old"


def test_included_files_count_less_than_what_includes_them(inner: Path, home: Path) -> None:
    configure(inner, 'build.rustc-wrapper = "included"\nbuild.target = "t"', "more.toml")
    configure(inner, 'include = ["more.toml"]')
    assert wrapper(inner, home) == "included"
    configure(inner, 'include = ["more.toml"]\nbuild.rustc-wrapper = "file"')

    assert wrapper(inner, home) == "file"
    assert configuration.read(inner, home, {}).targets == ("t",)


@pytest.mark.parametrize(
    ("text", "targets"),
    [('build.target = "a"', ("a",)), ('build.target = ["a", "b"]', ("a", "b")), ("", ())],
)
def test_targets_of_the_configuration_are_found(
    inner: Path, home: Path, text: str, targets: tuple[str, ...]
) -> None:
    configure(inner, text)

    assert configuration.read(inner, home, {}).targets == targets


def test_our_own_wrapper_is_never_called_by_itself(inner: Path, home: Path) -> None:
    own = inner / "own"
    shutil.copy(WRAPPER, own)

    assert wrapper(inner, home, RUSTC_WRAPPER=str(own)) == ""
    assert wrapper(inner, home, RUSTC_WRAPPER=str(own), BUILDPERM_RUSTC_WRAPPER="/x") == "/x"


def test_a_broken_file_is_one_clear_error(inner: Path, home: Path) -> None:
    configure(inner, "build = [")

    with pytest.raises(BuildpermError, match=r"config\.toml` is broken"):
        wrapper(inner, home)
