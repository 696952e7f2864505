"""Builds whose compilers are held leave what they leave without: real Cargo, rustc and linkers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildperm.sandbox.native_programs import programs
from tests.sandbox.macro_workshop import rustc
from tests.supervisor.held_calls import HeldCalls

WORKSPACE = {
    "Cargo.toml": '[workspace]\nmembers = ["base", "marker", "tool"]\nresolver = "2"\n',
    "base/Cargo.toml": """
        [package]
        name = "base"
        version = "1.2.3"
        edition = "2021"
        [lib]
        crate-type = ["rlib", "cdylib", "staticlib"]
        """,
    "base/src/lib.rs": """
        //! ```
        //! assert_eq!(base::sum(&[1, 2]), 3);
        //! ```
        pub mod inner;
        #[inline(never)] pub fn sum(of: &[u64]) -> u64 { of.iter().map(inner::same).sum() }
        #[no_mangle] pub extern "C" fn base_one() -> u64 { sum(&[1]) }
        """,
    "base/src/inner.rs": "pub fn same(of: &u64) -> u64 { *of }",
    "marker/Cargo.toml": """
        [package]
        name = "marker"
        version = "1.2.3"
        edition = "2021"
        [lib]
        proc-macro = true
        """,
    "marker/src/lib.rs": """
        use proc_macro::TokenStream;
        #[proc_macro_derive(Marked)] pub fn marked(_: TokenStream) -> TokenStream {
            "pub const MARK: u64 = 7;".parse().unwrap()
        }
        """,
    "tool/Cargo.toml": """
        [package]
        name = "tool"
        version = "1.2.3"
        edition = "2021"
        build = "build.rs"
        [features]
        wide = []
        [dependencies]
        base = { path = "../base" }
        marker = { path = "../marker" }
        """,
    "tool/build.rs": """
        fn main() {
            let out = std::env::var("OUT_DIR").unwrap();
            std::fs::write(out + "/made.rs", "pub const MADE: u64 = 3;").unwrap();
        }
        """,
    "tool/src/lib.rs": """
        include!(concat!(env!("OUT_DIR"), "/made.rs"));
        #[derive(marker::Marked)] pub struct S;
        pub fn all() -> u64 { base::sum(&[MADE, MARK]) }
        #[cfg(test)] mod tests { #[test] fn sums() { assert_eq!(super::all(), 10); } }
        """,
    "tool/src/main.rs": 'fn main() { println!("{}", tool::all()); }',
    "tool/examples/shown.rs": 'fn main() { println!("{}", tool::all()); }',
    "tool/tests/whole.rs": "#[test] fn whole() { assert_eq!(tool::all(), 10); }",
}
PACKAGES = {"base", "marker", "tool"}


@pytest.fixture
def launcher() -> Path:
    return programs().launcher


@pytest.fixture
def held(launcher: Path, tmp_path: Path) -> HeldCalls:
    folder = tmp_path / "workspace"
    for name, text in WORKSPACE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    calls = HeldCalls(launcher, folder, tmp_path / "target")
    calls.prepare()
    return calls


def build(
    held: HeldCalls, *words: str, is_held: bool = True, extra: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    told = held.cargo(*words, is_held=is_held, extra=extra)
    assert told.returncode == 0, told.stderr
    assert "buildperm" not in told.stderr
    return held.outputs()


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        pytest.param(("build", "--all-targets"), "", id="all targets"),
        pytest.param(
            ("build", "--config=profile.dev.lto='fat'"), "", id="fat lto", marks=pytest.mark.slow
        ),
        pytest.param(
            ("build", "--config=profile.dev.lto='thin'"),
            "-Copt-level=1",
            id="thin lto",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("build",), "-Csplit-debuginfo=packed", id="packed debuginfo", marks=pytest.mark.slow
        ),
        pytest.param(
            ("build",),
            "-Csplit-debuginfo=unpacked",
            id="unpacked debuginfo",
            marks=pytest.mark.slow,
        ),
        pytest.param(("build",), "-Csave-temps", id="saved temporaries", marks=pytest.mark.slow),
        pytest.param(("build",), "-Ccodegen-units=256 -g", id="many units", marks=pytest.mark.slow),
        pytest.param(
            ("build",),
            "--emit=asm,llvm-ir,llvm-bc,mir,obj,link",
            id="emits",
            marks=pytest.mark.slow,
        ),
        pytest.param(("build",), "-Clink-arg=-fuse-ld=bfd", id="bfd", marks=pytest.mark.slow),
        pytest.param(("build",), "-Clinker=clang", id="clang", marks=pytest.mark.slow),
        pytest.param(("build",), "-Cstrip=symbols", id="stripped", marks=pytest.mark.slow),
        pytest.param(("build",), "-Cinstrument-coverage", id="coverage", marks=pytest.mark.slow),
        pytest.param(("check", "--all-targets"), "", id="check"),
        pytest.param(
            ("build", "--target", "x86_64-unknown-linux-gnu"),
            "",
            id="target",
            marks=pytest.mark.slow,
        ),
        pytest.param(("doc", "--document-private-items"), "", id="doc", marks=pytest.mark.slow),
    ],
)
def test_outputs_are_the_same(held: HeldCalls, words: tuple[str, ...], flags: str) -> None:
    extra = {"CARGO_INCREMENTAL": "0"} | ({"RUSTFLAGS": flags} if flags else {})
    made = build(held, *words, extra=extra)
    markers = held.markers()
    shutil.rmtree(held.target)

    plain = build(held, *words, is_held=False, extra=extra)

    assert sorted(made) == sorted(plain)
    assert [name for name in made if made[name] != plain[name]] == []
    assert {entry for each in markers.values() for entry in each} >= {"status 0", "digest 0a"}


@pytest.mark.parametrize(("name", "incremental"), [("long_" * 12, "0"), ("longer_" * 18, "1")])
@pytest.mark.slow
def test_objects_of_crates_with_long_names_are_their_own(
    held: HeldCalls, name: str, incremental: str
) -> None:
    # rustc shortens the names of objects, which may be longer than a file system takes.
    base = held.folder / "base" / "Cargo.toml"
    head, _, _ = base.read_text().partition("crate-type")
    base.write_text(f'{head}name = "{name}x"\n')
    tool = held.folder / "tool"
    for path in (tool / "src/lib.rs", tool / "examples/shown.rs", tool / "tests/whole.rs"):
        path.write_text(path.read_text().replace("base::", f"{name}x::"))
    extra = {"CARGO_INCREMENTAL": incremental}
    made = build(held, "build", "-p", "tool", extra=extra)
    shutil.rmtree(held.target)

    plain = build(held, "build", "-p", "tool", is_held=False, extra=extra)

    assert sorted(made) == sorted(plain)
    if incremental == "0":  # Otherwise names of objects have a part that is made up.
        assert made == plain
    assert any(f"lib{name}x-" in each for each in made)


def test_a_marker_tells_what_was_compiled(held: HeldCalls) -> None:
    build(held, "build", "--features", "wide", "-p", "tool")

    (name, marker), *_ = [
        (name, entries)
        for name, entries in held.markers().items()
        if f"manifest {held.folder}/tool" in entries and "build%" not in name and "%tool" in name
    ]
    told = dict(entry.split(" ", 1) for entry in marker if " " in entry)
    assert told["crate-name"] == "tool"
    assert name == f"debug%deps%tool-{told['hash']}"
    assert told["profile"] == "enforcing"
    assert told["out-dir"] == f"{held.target}/debug/deps"
    assert told["dep-info"] == f"{held.target}/debug/deps/tool-{told['hash']}.d"
    assert told["feature"] == "wide"
    assert (marker[0], marker[-1]) == ("unit 1", "end ")


@pytest.mark.slow
def test_macro_libraries_are_known_by_their_package(held: HeldCalls) -> None:
    build(held, "build")

    (known,) = (held.state / "libraries").iterdir()
    assert known.name.startswith("debug%deps%libmarker-")
    assert known.read_bytes() == f"{held.folder}/marker\0".encode()


@pytest.mark.slow
def test_incremental_builds_keep_what_they_had(held: HeldCalls) -> None:
    extra = {"CARGO_INCREMENTAL": "1", "RUSTFLAGS": "-Zincremental-info", "RUSTC_BOOTSTRAP": "1"}
    build(held, "build", extra=extra)
    source = held.folder / "base/src/inner.rs"
    source.write_text("pub fn same(of: &u64) -> u64 { let same = *of; same }")

    told = held.cargo("build", "-vv", extra=extra)

    assert told.returncode == 0, told.stderr
    assert "hard-linking" in told.stderr or "session directory" in told.stderr, told.stderr
    run = subprocess.run([held.target / "debug/tool"], capture_output=True, check=True)
    assert run.stdout == b"10\n"


@pytest.mark.slow
def test_profiles_are_made_and_used(held: HeldCalls, tmp_path: Path) -> None:
    raw = tmp_path / "profiles"
    build(held, "build", extra={"RUSTFLAGS": f"-Cprofile-generate={raw}"})
    subprocess.run([held.target / "debug/tool"], check=True, capture_output=True)
    assert list(raw.iterdir())
    used = tmp_path / "used.profdata"
    used.write_bytes(b"no profile")

    told = held.cargo("build", extra={"RUSTFLAGS": f"-Cprofile-use={used}"})

    assert "Permission denied" not in told.stderr  # It could be read; what it holds is wrong.
    assert "used.profdata" in told.stderr


@pytest.mark.slow
def test_tests_and_documentation_tests_run(held: HeldCalls) -> None:
    told = held.cargo("test")

    assert told.returncode == 0, told.stderr
    assert "Doc-tests base" in told.stderr
    assert told.stdout.count("1 passed") == 3
    [tested] = [made for name, made in held.markers().items() if name.startswith("doctest%base%")]
    assert f"manifest {held.folder}/base" in tested


def test_arguments_in_a_file(held: HeldCalls) -> None:
    flags = [f'"--cfg=cfg_{number}_{"x" * 1000}"' for number in range(3000)]
    (held.folder / ".cargo").mkdir()
    (held.folder / ".cargo/config.toml").write_text(f"build.rustflags = [{', '.join(flags)}]\n")

    build(held, "build", "-p", "base")


def test_a_failure_is_passed_on(held: HeldCalls) -> None:
    (held.folder / "tool/src/lib.rs").write_text('include_str!("/etc/shadow"); fn')

    told = held.cargo("build")

    assert told.returncode == 101
    assert "status 1" in next(each for name, each in held.markers().items() if "deps%tool-" in name)


def test_what_runs_programs_is_confined(held: HeldCalls, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pub const MADE: u64 = 3;")
    (held.folder / "base/src/inner.rs").write_text(
        f"include!({str(secret)!r}); pub fn same(of: &u64) -> u64 {{ *of }}".replace("'", '"')
    )

    told = held.cargo("build", "-p", "base")

    assert told.returncode == 101
    assert "Permission denied" in told.stderr
    assert held.cargo("build", "-p", "base", is_held=False).returncode == 0


def test_a_wrapper_may_ask_for_files_in_a_new_folder_of_its_own(
    held: HeldCalls, tmp_path: Path
) -> None:
    def ask(folder: Path, kinds: str = "dep-info") -> subprocess.CompletedProcess[str]:
        package, output = held.folder / "base", folder / "deps.d"
        words = ("--crate-name=base", "--crate-type=lib", f"--emit={kinds}", "-o", str(output))
        return held.call(str(rustc()), *words, str(package / "src" / "lib.rs"), package=package)

    new, full, open_to_all = tmp_path / "new", tmp_path / "full", tmp_path / "open"
    for folder in (new, full, open_to_all):
        folder.mkdir()
    (full / "kept").touch()
    open_to_all.chmod(0o777)

    asked = ask(new)
    assert asked.returncode == 0, asked.stderr
    assert "base/src/inner.rs" in (new / "deps.d").read_text()
    (new / "deps.d").unlink()
    refused = [ask(new, "dep-info,link"), ask(full), ask(open_to_all), ask(tmp_path / "missing")]
    assert [each.returncode for each in refused] == [1] * 4
    assert all("not in the target directory" in each.stderr for each in refused)
    assert (list(new.iterdir()), len(list(full.iterdir()))) == ([], 1)


@pytest.mark.parametrize(
    ("emit", "makes"),
    [("dep-info,metadata,link", True), ("", True), ("dep-info,metadata", False)],
)
def test_older_compilers_make_libraries_in_a_temporary_folder(
    held: HeldCalls, tmp_path: Path, emit: str, makes: bool
) -> None:
    """Until Rust 1.94 rustc archives in TMPDIR, and not beside its output; checking needs none."""
    older = tmp_path / "bin/rustc"
    older.parent.mkdir()
    older.write_text('#!/bin/sh\nmkdir "$TMPDIR/rustcAbCdEf" && echo "$TMPDIR"\n')
    older.chmod(0o755)
    held.globals.append(f"x {older}")
    held.prepare()
    deps = held.target / "debug/deps"
    deps.mkdir(parents=True, exist_ok=True)  # By Cargo.
    words = ["--crate-name=base", "--crate-type=lib", f"--out-dir={deps}"]
    words += [f"--emit={emit}"] if emit else []
    called = held.call(str(older), *words, "src/lib.rs", package=held.folder / "base")

    assert (called.returncode == 0) is makes, called.stderr
    if makes:
        assert not Path(called.stdout.strip()).exists()


def test_an_output_may_be_wanted_in_a_new_folder(held: HeldCalls, tmp_path: Path) -> None:
    def emit(folder: Path) -> subprocess.CompletedProcess[str]:
        package = held.folder / "base"
        (held.folder / "target/debug/deps").mkdir(parents=True, exist_ok=True)  # By Cargo.
        cargos = ("--crate-name=base", "--crate-type=lib", "--emit=dep-info,metadata")
        words = (*cargos, f"--out-dir={held.folder}/target/debug/deps", "-o", f"{folder}/wanted")
        return held.call(str(rustc()), *words, str(package / "src/lib.rs"), package=package)

    new, full = tmp_path / "new", tmp_path / "full"
    for folder in (new, full):
        folder.mkdir()
    (full / "kept").touch()

    wanted, refused = emit(new), emit(full)

    assert wanted.returncode == 0, wanted.stderr
    assert {each.name for each in new.iterdir()} == {"libbase.rmeta", "wanted.d"}
    assert refused.returncode == 1
    assert [each.name for each in full.iterdir()] == ["kept"]
