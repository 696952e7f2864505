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


def test_the_rustdoc_that_would_be_in_use_is_found(inner: Path, home: Path) -> None:
    own = inner / "own"
    shutil.copy(WRAPPER.with_name("held-compiler.sh"), own)
    configure(inner, 'build.rustdoc = "tools/rustdoc"')

    def rustdoc(**variables: str) -> str:
        return configuration.read(inner, home, variables).rustdoc

    assert rustdoc() == str(inner / "tools" / "rustdoc")
    assert rustdoc(CARGO_BUILD_RUSTDOC="b") == "b"
    assert rustdoc(CARGO_BUILD_RUSTDOC="b", RUSTDOC="/a") == "/a"
    assert rustdoc(RUSTDOC=str(own), BUILDPERM_RUSTDOC="/x") == "/x"


def test_programs_around_rustc_are_found_wherever_they_are_named(inner: Path, home: Path) -> None:
    made = [inner / name for name in ("one", "two", "three", "four")]
    for program in made:
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    configure(inner, 'target.x.linker = "./one"\nbuild.rustc-workspace-wrapper = "./two"')
    variables = {
        "PATH": str(inner),
        "CARGO_TARGET_Y_LINKER": "three",
        "RUSTC_WORKSPACE_WRAPPER": "four",
        "CARGO_TARGET_Z_LINKER": "missing",
    }

    assert set(configuration.read(inner, home, variables).programs) == set(map(str, made))


def test_flags_are_found_wherever_they_are_named(inner: Path, home: Path) -> None:
    configure(
        inner,
        'build.rustflags = ["-La"]\ntarget.x.rustflags = "-Lb -Lc"\nbuild.rustdocflags = ["-Ld"]\n'
        "target.x.sqlite3.rustc-link-search = ['native=/e']\n",
    )
    variables = {
        "RUSTFLAGS": "-Lf",
        "CARGO_ENCODED_RUSTFLAGS": "-L\x1fg h",
        "CARGO_TARGET_X_RUSTFLAGS": "-Li",
        "RUSTDOCFLAGS": "-Lj",
    }
    found = configuration.read(inner, home, variables)

    assert set(found.flags) == {*["-La", "-Lb", "-Lc", "-Ld", "-Lf", "-L", "-Li", "-Lj"], "g h"}
    assert found.searched == ("native=/e",)


def test_what_a_wrapper_of_always_on_calls_is_what_counts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ours = tmp_path / "ours"
    ours.write_text(
        "#!/bin/sh\n# buildperm: rustc wrapper\nBUILDPERM_ON=/state\n"
        "BUILDPERM_WRAPPED='/opt/my wrapper'\n"
    )
    (home / "config.toml").write_text(f'[build]\nrustc-wrapper = "{ours}"\n')
    assert configuration.read(tmp_path, home, {}).rustc_wrapper == "/opt/my wrapper"
    assert configuration.effective_wrapper(tmp_path, home, {})[0] == str(ours)

    outranked = {"RUSTC_WRAPPER": "/usr/bin/sccache"}
    assert configuration.read(tmp_path, home, outranked).rustc_wrapper == "/usr/bin/sccache"
    told = configuration.effective_wrapper(tmp_path, home, outranked)
    assert told == ("/usr/bin/sccache", "RUSTC_WRAPPER in the environment")
    # What is named in both places is called once, and it is not ours.
    assert (
        configuration.read(tmp_path, home, {"RUSTC_WRAPPER": str(ours)}).rustc_wrapper
        == "/opt/my wrapper"
    )
