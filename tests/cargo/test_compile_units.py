"""Compiling and macros in held builds, from end to end: real Cargo, rustc, launcher and kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo.project import Projects
from buildperm.cargo.supervised_build import Profile, SupervisedBuild, SupervisedBuildResult
from buildperm.cargo.units import Unit
from buildperm.policy.access import Access
from buildperm.policy.fold import fold
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.sandbox import macro_interface, needed_libraries
from buildperm.tracer.recording import reader
from tests.bench import compile_c
from tests.cargo.workspaces import package

MACROS = """use proc_macro::TokenStream;
#[proc_macro]
pub fn file(input: TokenStream) -> TokenStream {
    let path = input.to_string().replace('"', "");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| error.kind().to_string());
    format!("{text:?}").parse().unwrap()
}
"""

PLANTING = """fn main() {{
    let folder = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{{folder}}/{name}"), "").unwrap();
    println!("cargo::rustc-link-search=native={{folder}}");
}}
"""


class HeldCompilations:
    """Builds one workspace under grants that a test changes."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.environment = dict(environment)
        self.policy = Policy("portable", {}, root / "Cargo.toml")
        self.output = bytearray()

    @property
    def text(self) -> str:
        return self.output.decode()

    def grant(
        self,
        key: str,
        *rules: Rule,
        denials: Iterable[Rule] = (),
        reason: str = "",
        consumers: Iterable[str] = (),
        how: str = "",
    ) -> None:
        grants = CrateGrants(
            key,
            frozenset({"0.1.0"}),
            rules=frozenset(rules),
            denials=frozenset(denials),
            reason=reason,
            consumers=frozenset(consumers),
            compile=how,
        )
        self.policy = replace(self.policy, crates={**self.policy.crates, key: grants})

    def prepare(self, profile: Profile, *words: str) -> SupervisedBuild:
        self.output.clear()
        project = Projects(self.root, self.environment).open(words, default=["check"])
        return SupervisedBuild(project, self.policy, profile, on_output=self.output.extend)

    def build(self, *words: str, profile: Profile = "enforcing") -> SupervisedBuildResult:
        return self.prepare(profile, *words).run()

    def compiled(self) -> list[str]:
        """Return the packages that Cargo has compiled now, in order."""
        lines = (line.split() for line in self.text.splitlines())
        return [line[1] for line in lines if line and line[0] in ("Compiling", "Checking")]


@pytest.fixture
def held(tmp_path: Path, environment: Mapping[str, str]) -> HeldCompilations:
    """Make a workspace with a package `app`, and a package `library` that it depends on."""
    root = tmp_path / "space"
    package(root, "app", None, dependencies=("library",), tail="[workspace]\n")
    package(root / "crates" / "library", "library", None)
    return HeldCompilations(root, environment)


def units_of(result: SupervisedBuildResult, subject: str) -> list[Unit]:
    return [unit for unit in result.units if unit.subject == subject]


def accesses(unit: Unit) -> list[tuple[str, str, str]]:
    """Return what a recording tells: kind, target, outcome."""

    def told(access: Access) -> tuple[str, str, str]:
        return str(access.kind), access.target, str(access.outcome)

    return sorted(map(told, fold(reader.read(unit.recording))))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def with_macros(held: HeldCompilations, call: str) -> None:
    """Make `library` a library of macros, and have `app` call one."""
    folder = held.root / "crates" / "library"
    manifest, library = folder / "Cargo.toml", "[lib]\nproc-macro = true\n"
    manifest.write_text(manifest.read_text().removesuffix(library) + library)
    write(folder / "src" / "lib.rs", MACROS)
    write(held.root / "src" / "lib.rs", f"pub const TEXT: &str = library::file!({call});\n")


def test_a_plain_build_has_nothing_to_tell_and_stays_fresh(held: HeldCompilations) -> None:
    first = held.build()
    assert (first.finished.exit_code, first.units) == (0, ()), held.text
    assert held.compiled() == ["library", "app"]

    held.build()
    assert held.compiled() == []


def test_what_a_crate_may_not_read_fails_its_compilation_and_is_recorded(
    held: HeldCompilations, tmp_path: Path
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    source = held.root / "crates" / "library" / "src" / "lib.rs"
    write(source, f'pub const TEXT: &str = include_str!("{note}");\n')

    refused = held.build()
    assert refused.finished.exit_code == 101
    assert "buildperm: compiling library 0.1.0 was refused to read" in held.text
    [unit] = units_of(refused, "compile")
    assert accesses(unit) == [("read", str(note), "refused")]
    assert reader.read(unit.recording).header.crate == "library"

    held.grant("library", Rule(Kind.READ, str(note)))
    granted = held.build()
    assert granted.finished.exit_code == 0, held.text
    [unit] = units_of(granted, "compile")
    assert accesses(unit) == [("read", str(note), "done")]


@pytest.mark.slow
def test_a_key_is_refused_while_learning_too(held: HeldCompilations) -> None:
    write(held.root / ".env", "TOKEN=1")
    write(held.root / "note.txt", "hello")
    source = held.root / "crates" / "library" / "src" / "lib.rs"
    write(source, 'pub const TEXT: &str = include_str!("../../../note.txt");\n')

    learnt = held.build(profile="learning")
    assert learnt.finished.exit_code == 0, held.text
    [unit] = units_of(learnt, "compile")
    assert accesses(unit) == [("read", "$WORKSPACE/note.txt", "done")]

    write(source, 'pub const TEXT: &str = include_str!("../../../.env");\n')
    refused = held.build(profile="learning")
    assert refused.finished.exit_code == 101
    [unit] = units_of(refused, "compile")
    assert accesses(unit) == [("read", "$WORKSPACE/.env", "refused")]


def test_a_secret_variable_is_withheld_until_it_is_granted(held: HeldCompilations) -> None:
    held.environment["MY_TOKEN"] = "abc"
    held.environment["MY_GREETING"] = "hello"
    held.environment["GITHUB_SHA"] = "1234"
    names = ("MY_GREETING", "GITHUB_SHA", "MY_TOKEN")
    write(
        held.root / "src" / "lib.rs",
        "".join(
            f'pub fn f{at}() -> &\'static str {{ env!("{name}") }}\n'
            for at, name in enumerate(names)
        ),
    )

    refused = held.build()
    assert refused.finished.exit_code == 101
    said = [line for line in held.text.splitlines() if line.startswith("buildperm:")]
    assert said[0] == (
        "buildperm: compiling app 0.1.0 asked for the variable `MY_TOKEN`, which is withheld"
    )
    [unit] = units_of(refused, "compile")
    assert accesses(unit) == [("env", "MY_TOKEN", "refused")]

    held.grant("app", Rule(Kind.ENV, "MY_TOKEN"), reason="it is not secret")
    assert held.build().finished.exit_code == 0, held.text


@pytest.mark.slow
def test_a_secret_that_its_name_does_not_tell_is_told_as_one(held: HeldCompilations) -> None:
    held.environment["GREETING"] = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
    write(held.root / "src" / "lib.rs", 'pub const X: Option<&str> = option_env!("GREETING");\n')

    [unit] = units_of(held.build(), "compile")

    assert accesses(unit) == [("env", "GREETING", "refused")]
    [access] = fold(reader.read(unit.recording))
    assert access.sensitive


def test_a_macro_has_a_recording_of_its_own_for_each_consumer(held: HeldCompilations) -> None:
    note = write(held.root / "Notes" / "note.txt", "hello")
    write(held.root / "src" / "own.txt", "own")
    with_macros(held, '"src/own.txt"')

    first = held.build()
    assert first.finished.exit_code == 0, held.text
    [unit] = units_of(first, "macro")
    assert (unit.package, unit.consumer) == (os.fsencode(held.root / "crates/library"), "app")
    assert ("read", "$MANIFEST_DIR/src/own.txt", "done") in accesses(unit)
    assert not any("refused" in access for access in accesses(unit))

    with_macros(held, f'"{note.parents[2]}/elsewhere.txt"')
    write(note.parents[2] / "elsewhere.txt", "there")
    [unit] = units_of(held.build(), "macro")
    there = str(note.parents[2] / "elsewhere.txt")
    assert [each for each in accesses(unit) if each[2] == "refused"] == [("read", there, "refused")]


@pytest.mark.slow
def test_what_a_macro_may_read_its_consumer_may_be_compiled_from(
    held: HeldCompilations, tmp_path: Path
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    with_macros(held, f'"{note}"')
    lib = held.root / "src" / "lib.rs"
    lib.write_text(lib.read_text() + f'pub const SAME: &str = include_str!("{note}");\n')
    assert held.build().finished.exit_code == 101

    held.grant("library", Rule(Kind.READ, str(note)))
    granted = held.build()
    assert granted.finished.exit_code == 0, held.text
    assert units_of(granted, "compile") == []


@pytest.mark.parametrize("token", ["$WORKSPACE", "$MANIFEST_DIR"])
@pytest.mark.slow
def test_grants_of_macros_for_their_consumers_go_by_files_and_not_by_names(
    held: HeldCompilations, token: str
) -> None:
    write(held.root / ".git" / "HEAD", "ref: refs/heads/main")
    with_macros(held, '".git/HEAD"')
    lib = held.root / "src" / "lib.rs"
    lib.write_text(lib.read_text() + 'pub const SAME: &str = include_str!("../.git/HEAD");\n')
    assert held.build().finished.exit_code == 101

    held.grant("library", Rule(Kind.READ, f"{token}/.git/HEAD"))
    granted = held.build()
    assert granted.finished.exit_code == 0, held.text
    assert units_of(granted, "compile") == []


@pytest.mark.slow
def test_what_a_macro_is_asked_about_is_not_asked_of_its_consumer(
    held: HeldCompilations, tmp_path: Path
) -> None:
    note, other = (write(tmp_path / name, "hello") for name in ("note.txt", "other.txt"))
    head, log = (write(held.root / ".git" / name, "hello") for name in ("HEAD", "logs/HEAD"))
    with_macros(held, f'"{note}"')
    lib = held.root / "src" / "lib.rs"
    lines = [f'pub const H: &str = library::file!("{head}");\n']
    lines += [
        f'pub const N{at}: &str = include_str!("{each}");\n'
        for at, each in enumerate((note, log, other))
    ]
    lib.write_text(lib.read_text() + "".join(lines))

    refused = held.build(profile="learning")
    [unit] = units_of(refused, "macro")
    assert ("read", str(note), "done") in accesses(unit)
    [unit] = units_of(refused, "compile")
    assert accesses(unit) == [("read", str(other), "refused")]


def test_a_change_of_grants_compiles_again_what_it_is_about(
    held: HeldCompilations, tmp_path: Path
) -> None:
    held.build()
    held.grant("app", Rule(Kind.READ, str(tmp_path / "note.txt")))
    held.build()
    assert held.compiled() == ["app"]
    held.build()
    assert held.compiled() == []


@pytest.mark.slow
def test_a_missing_marker_compiles_again(held: HeldCompilations) -> None:
    held.build()
    state = held.root / "target" / "buildperm" / "ci" / "buildperm-compile"
    for marker in state.glob("debug%deps%library-*/unit"):
        marker.unlink()
    held.build()
    assert held.compiled() == ["library", "app"]


@pytest.mark.parametrize("mode", ["off", "watch"])
@pytest.mark.quick(1)
def test_what_was_compiled_without_being_held_is_compiled_again(
    held: HeldCompilations, mode: str, tmp_path: Path
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    write(held.root / "src" / "lib.rs", f'pub const TEXT: &str = include_str!("{note}");\n')
    held.policy = replace(held.policy, compile=mode)
    free = held.build()
    assert free.finished.exit_code == 0
    found = [accesses(unit) for unit in units_of(free, "compile")]
    assert found == ([] if mode == "off" else [[("read", str(note), "done")]])

    held.policy = replace(held.policy, compile="hold")
    assert held.build().finished.exit_code == 101
    assert "library" in held.compiled()


def test_what_a_build_script_embeds_is_watched_as_well(
    held: HeldCompilations, tmp_path: Path
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    write(held.root / "build.rs", f'fn main() {{ print!("{{}}", include_str!("{note}").len()); }}')
    held.policy = replace(held.policy, compile="watch")

    watched = held.build()

    assert [accesses(unit) for unit in units_of(watched, "compile")] == [
        [("read", str(note), "done")]
    ]


def test_one_crate_can_be_left_alone(held: HeldCompilations, tmp_path: Path) -> None:
    note = write(tmp_path / "note.txt", "hello")
    write(held.root / "src" / "lib.rs", f'pub const TEXT: &str = include_str!("{note}");\n')
    held.grant("app", how="off")
    assert held.build().finished.exit_code == 0, held.text

    held.grant("app")
    assert held.build().finished.exit_code == 101
    assert held.compiled() == ["app"]


@pytest.mark.parametrize("mode", ["off", "watch"])
@pytest.mark.quick(1)
def test_macros_of_a_crate_that_is_left_alone_are_held(
    held: HeldCompilations, tmp_path: Path, mode: str
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    with_macros(held, f'"{note}"')
    held.grant("library", how=mode)

    refused = held.build()

    assert refused.finished.exit_code == 0, held.text
    [unit] = units_of(refused, "macro")
    assert ("read", str(note), "refused") in accesses(unit)


def test_the_launcher_reads_no_session_of_somebody_else(held: HeldCompilations) -> None:
    held.build()
    target = held.root / "target" / "buildperm" / "ci"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in target.glob("buildperm-*")}

    assert modes["buildperm-compile-session"] == "0o600"
    assert modes["buildperm-compile"] == "0o700"


def test_what_a_person_denied_is_closed_whatever_everybody_may(held: HeldCompilations) -> None:
    held.environment["MY_GREETING"] = "hello"
    passwd, group = ('pub const P: &str = include_str!("/etc/passwd");\n', "/etc/group")
    lib = write(held.root / "src" / "lib.rs", passwd)
    held.grant("app", denials=[Rule(Kind.READ, group), Rule(Kind.ENV, "MY_*")])
    write(
        held.root / "crates/library/src/lib.rs",
        f'pub const G: &str = include_str!("{group}");\npub const V: &str = env!("MY_GREETING");\n',
    )
    assert held.build().finished.exit_code == 0, held.text

    lib.write_text(f'{passwd}pub const G: &str = include_str!("{group}");\n')
    assert held.build().finished.exit_code == 101
    assert f"app 0.1.0 was refused to read `{group}`" in held.text

    lib.write_text(f'{passwd}pub const V: &str = env!("MY_GREETING");\n')
    assert held.build().finished.exit_code == 101
    assert "app 0.1.0 asked for the variable `MY_GREETING`" in held.text


@pytest.mark.slow
def test_another_member_is_no_part_of_a_package(held: HeldCompilations) -> None:
    package(held.root / "crates" / "other", "other", None)
    manifest = held.root / "Cargo.toml"
    manifest.write_text(manifest.read_text() + 'members = ["crates/other"]\n')
    write(held.root / "crates/other/src/lib.rs", "//! text\n")
    lib = write(
        held.root / "src/lib.rs",
        'pub const A: &str = include_str!("../crates/library/src/lib.rs");\n',
    )
    assert held.build().finished.exit_code == 0, held.text

    lib.write_text('pub const A: &str = include_str!("../crates/other/src/lib.rs");\n')
    refused = held.build()
    assert refused.finished.exit_code == 101
    [unit] = units_of(refused, "compile")
    assert accesses(unit) == [("read", "$WORKSPACE/crates/other/src/lib.rs", "refused")]
    foreign = reader.read(unit.recording).header.foreign
    assert os.fsencode(held.root / "crates" / "other") in foreign
    assert os.fsencode(held.root / "crates" / "library") not in foreign


@pytest.mark.slow
def test_what_a_manifest_names_belongs_to_the_package(held: HeldCompilations) -> None:
    folder = held.root / "crates" / "library"
    manifest = folder / "Cargo.toml"
    said = 'readme = "../../README.md"\nlicense-file = "../../COPYING"\n\n[dependencies]\n'
    manifest.write_text(
        manifest.read_text().replace("\n[dependencies]\n", said)
        + '[lib]\npath = "../../shared/library.rs"\n'
    )
    write(held.root / "README.md", "//! text")
    write(held.root / "COPYING", "all rights")
    write(held.root / "shared" / "inner.rs", "")
    write(
        held.root / "shared" / "library.rs",
        '#![doc = include_str!("../README.md")]\nmod inner;\n'
        'pub const C: &str = include_str!("../COPYING");\n',
    )

    assert held.build().finished.exit_code == 0, held.text


@pytest.mark.slow
def test_folders_that_flags_name_are_searched(held: HeldCompilations, tmp_path: Path) -> None:
    write(held.root / "src" / "main.rs", "fn main() {}\n")
    folder = tmp_path / "libraries"
    folder.mkdir()
    source = write(tmp_path / "a.c", "int answer(void) { return 42; }\n")
    subprocess.run(["cc", "-shared", "-o", folder / "libanswer.so", source], check=True)
    held.environment["RUSTFLAGS"] = f"-L native={folder} -lanswer"

    assert held.build("build").finished.exit_code == 0, held.text


def test_a_wrapper_that_the_user_has_stays_around_what_is_held(
    held: HeldCompilations, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    cache = write(tmp_path / "cache", f'#!/bin/sh\necho "$1" >>{log}\nexec "$@"\n')
    cache.chmod(0o755)
    held.environment["RUSTC_WRAPPER"] = str(cache)
    write(held.root / "src" / "lib.rs", f'pub const T: &str = include_str!("{cache}");\n')

    refused = held.build()
    assert refused.finished.exit_code == 101
    assert [accesses(unit) for unit in units_of(refused, "compile")] == [
        [("read", str(cache), "refused")]
    ]
    assert {Path(line).name for line in log.read_text().splitlines()} == {"rustc"}


@pytest.mark.parametrize(
    "words", ["clippy", "doc", "test --no-run", "test --doc", "bench --no-run"]
)
@pytest.mark.quick(1)
def test_other_commands_are_held_and_fresh_as_well(held: HeldCompilations, words: str) -> None:
    write(held.root / "src" / "lib.rs", "//! ```\n//! assert!(true);\n//! ```\n")
    first = held.build(*words.split())
    assert first.finished.exit_code == 0, held.text

    held.build(*words.split())
    assert held.compiled() == []
    write(held.root / ".env", "TOKEN=1")
    lib = held.root / "src" / "lib.rs"
    lib.write_text('//! ```\n//! assert!(true);\n//! ```\n#![doc = include_str!("../.env")]\n')
    refused = held.build(*words.split())
    assert refused.finished.exit_code != 0
    assert "was refused to read" in held.text


@pytest.mark.slow
def test_macros_in_the_compiler_have_their_grants_together(
    held: HeldCompilations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = macro_interface.MacroInterface(is_outside=False, layout=0, why="it is a test")
    monkeypatch.setattr(macro_interface, "layout", lambda *_: inside)
    note = write(tmp_path / "note.txt", "hello")
    with_macros(held, f'"{note}"')
    lib = held.root / "src" / "lib.rs"
    lib.write_text(lib.read_text() + 'const _: () = assert!(TEXT.len() == "hello".len());\n')

    refused = held.build()
    assert refused.finished.exit_code == 101
    assert units_of(refused, "macro") == []
    [unit] = units_of(refused, "compile")
    assert accesses(unit) == [("read", str(note), "refused")]
    header = reader.read(unit.recording).header
    assert "Macros run within the compiler: it is a test." in header.left_open

    held.grant("library", Rule(Kind.READ, str(note)))
    assert held.build().finished.exit_code == 0, held.text


@pytest.mark.slow
def test_grants_of_macros_hold_for_consumers_that_are_named(
    held: HeldCompilations, tmp_path: Path
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    outside = tmp_path / "outside"
    package(outside / "user", "user", None)
    package(outside / "macros", "macros", None)
    manifest = outside / "macros" / "Cargo.toml"
    manifest.write_text(manifest.read_text() + "[lib]\nproc-macro = true\n")
    write(outside / "macros/src/lib.rs", MACROS)
    user = outside / "user" / "Cargo.toml"
    user.write_text(user.read_text() + 'macros = { path = "../macros" }\n')
    write(
        outside / "user/src/lib.rs",
        f'pub const T: &str = macros::file!("{note}");\nconst _: () = assert!(T.len() == 5);\n',
    )
    app = held.root / "Cargo.toml"
    app.write_text(
        app.read_text().replace("[workspace]", f'user = {{ path = "{outside}/user" }}\n[workspace]')
    )
    key = f"path+{outside}/macros#macros"

    held.grant(key, Rule(Kind.READ, str(note)))
    assert held.build().finished.exit_code == 101
    held.grant(key, Rule(Kind.READ, str(note)), consumers=[f"path+{outside}/user#user"])
    assert held.build().finished.exit_code == 0, held.text


@pytest.mark.parametrize(
    ("name", "text"), [("harmless.txt", "harmless.txt"), ("folder", "folder/../id_ed25519")]
)
@pytest.mark.quick(1)
def test_a_link_in_a_package_is_told_as_what_it_leads_to(
    held: HeldCompilations, tmp_path: Path, name: str, text: str
) -> None:
    key = write(tmp_path / "id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n")
    sources = held.root / "crates" / "library" / "src"
    (sources / name).symlink_to(key if name == "harmless.txt" else tmp_path / "space")
    write(sources / "lib.rs", f'pub const TEXT: &str = include_str!("{text}");\n')

    [unit] = units_of(held.build(), "compile")

    assert accesses(unit) == [("read", str(key), "refused")]


@pytest.mark.parametrize("way", ["/proc/self/root{}", "/proc/self/../..{}", "/proc/sys/../..{}"])
@pytest.mark.quick(1)
def test_a_detour_by_a_folder_of_habits_hides_nothing(
    held: HeldCompilations, tmp_path: Path, way: str
) -> None:
    note = write(tmp_path / "note.txt", "hello")
    source = held.root / "crates" / "library" / "src" / "lib.rs"
    write(source, f'pub const TEXT: &str = include_str!("{way.format(note)}");\n')

    [unit] = units_of(held.build(), "compile")

    assert accesses(unit) == [("read", str(note), "refused")]


def test_no_other_process_is_taken_for_the_compiler(held: HeldCompilations) -> None:
    source = held.root / "crates" / "library" / "src" / "lib.rs"
    write(source, 'pub const TEXT: &[u8] = include_bytes!("/proc/1/cmdline");\n')

    [unit] = units_of(held.build(), "compile")

    assert accesses(unit) == [("read", "/proc/1/cmdline", "refused")]


@pytest.mark.slow
def test_each_process_of_a_library_is_told_of(held: HeldCompilations, tmp_path: Path) -> None:
    note = write(tmp_path / "elsewhere.txt", "there")
    with_macros(held, f'"{note}"')
    source = held.root / "crates" / "library" / "src" / "lib.rs"
    write(
        source,
        MACROS
        + "#[proc_macro]\npub fn end(_: TokenStream) -> TokenStream { std::process::exit(0) }",
    )
    main = held.root / "src" / "lib.rs"
    write(main, f"pub const END: u8 = library::end!();\n{main.read_text()}")

    units = units_of(held.build(), "macro")

    told = [access for unit in units for access in accesses(unit)]
    assert ("read", str(note), "refused") in told


def test_no_build_script_brings_along_a_library_of_rustc(held: HeldCompilations) -> None:
    project = Projects(held.root, held.environment).open(["check"])
    names = needed_libraries.of_program(os.fsencode(project.toolchain.rustc))
    [name] = [name.decode() for name in names if name.startswith(b"libLLVM")]
    with_macros(held, '"src/lib.rs"')
    write(
        held.root / "crates" / "library" / "build.rs",
        PLANTING.format(name=name),
    )

    assert held.build().finished.exit_code == 101
    assert name in held.text
    assert "loaded before any sandbox is made" in held.text


@pytest.mark.parametrize("how", ["off", "watch"])
@pytest.mark.slow
def test_macros_are_held_whose_own_compiling_is_not(held: HeldCompilations, how: str) -> None:
    with_macros(held, '"src/lib.rs"')
    held.policy = replace(held.policy, compile="off")
    assert held.build().finished.exit_code == 0, held.text

    held.policy = replace(held.policy, compile="hold")
    held.grant("library", how=how)
    result = held.build()
    assert result.finished.exit_code == 0, held.text
    assert [unit.subject for unit in result.units] == ["macro"]
    held.build()
    assert held.compiled() == []

    held.grant("library")
    held.build()
    assert held.compiled() == ["library", "app"]


_CACHE = """
#include <unistd.h>
int extra(void);
int main(int count, char **words) { extra(); execv(words[1], words + 1); return 127; }
"""


@pytest.mark.slow
def test_no_build_script_brings_along_a_library_of_the_users_wrapper(
    held: HeldCompilations, tmp_path: Path
) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    soname = ("-shared", "-Wl,-soname,libextra.so")
    extra = compile_c("int extra(void) { return 0; }", libraries / "libextra.so", *soname)
    cache = compile_c(_CACHE, tmp_path / "cache", str(extra), f"-Wl,-rpath,{libraries}")
    held.environment["RUSTC_WRAPPER"] = str(cache)
    with_macros(held, '"src/lib.rs"')
    write(held.root / "crates" / "library" / "build.rs", PLANTING.format(name="libextra.so"))

    assert held.build().finished.exit_code == 101
    assert "loaded before any sandbox is made: libextra.so" in held.text


@pytest.mark.slow
def test_a_wrapper_looks_for_libraries_where_the_user_says(
    held: HeldCompilations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, own = tmp_path / "log", str(tmp_path / "own")
    cache = write(
        tmp_path / "cache", f'#!/bin/sh\necho "${{LD_LIBRARY_PATH-}}" >>{log}\nexec "$@"\n'
    )
    cache.chmod(0o755)
    held.environment |= {"RUSTC_WRAPPER": str(cache), "LD_LIBRARY_PATH": own}
    monkeypatch.setenv("LD_LIBRARY_PATH", own)
    with_macros(held, '"src/lib.rs"')
    lib = held.root / "src" / "lib.rs"
    told = 'const _: () = assert!(env!("LD_LIBRARY_PATH").len() > LENGTH);\n'
    lib.write_text(lib.read_text() + told.replace("LENGTH", str(len(own))))

    assert held.build().finished.exit_code == 0, held.text
    assert set(log.read_text().splitlines()) == {own}


@pytest.mark.slow
def test_a_person_closes_files_of_the_package_itself(held: HeldCompilations) -> None:
    write(held.root / "crates/library/src/notes.txt", "hello")
    library = write(
        held.root / "crates/library/src/lib.rs",
        'pub const N: &str = include_str!("notes.txt");\n',
    )
    held.grant("library", denials=[Rule(Kind.READ, "$MANIFEST_DIR/src/*.txt")])
    assert held.build().finished.exit_code == 101
    assert "library 0.1.0 was refused to read" in held.text

    write(library, "")
    denied = "$WORKSPACE/crates/library/src/notes.txt"
    lib = write(
        held.root / "src/lib.rs",
        'pub const N: &str = include_str!("../crates/library/src/notes.txt");\n',
    )
    assert held.build().finished.exit_code == 0, held.text
    held.grant("app", denials=[Rule(Kind.READ, denied)])
    assert held.build().finished.exit_code == 101
    assert "app 0.1.0 was refused to read" in held.text

    write(lib, "")
    assert held.build().finished.exit_code == 0, held.text


@pytest.mark.slow
def test_tools_around_the_compiler_read_the_settings_of_a_workspace(
    held: HeldCompilations, tmp_path: Path
) -> None:
    root = tmp_path / "virtual"
    package(root / "crates" / "app", "app", None)
    write(root / "Cargo.toml", '[workspace]\nmembers = ["crates/app"]\nresolver = "2"\n')
    write(root / "clippy.toml", "too-many-arguments-threshold = 1\n")
    write(root / "crates/app/src/lib.rs", "pub fn f(_a: u8, _b: u8) {}\n")
    virtual = HeldCompilations(root, held.environment)

    linted = virtual.build("clippy")

    assert linted.finished.exit_code == 0, virtual.text
    assert "too many arguments (2/1)" in virtual.text
    assert linted.units == ()

    (root / "clippy.toml").unlink()
    write(root / "other" / "notes.toml", "too-many-arguments-threshold = 1\n")
    (root / "clippy.toml").symlink_to("other/notes.toml")
    assert units_of(virtual.build("clippy"), "compile") != []


@pytest.mark.parametrize(
    ("when", "first", "second"),
    [("clippy", "clippy", ("build",)), ("debug_assertions", "build", ("build", "--release"))],
)
@pytest.mark.slow
def test_another_compilation_of_a_program_tells_nothing(
    held: HeldCompilations, when: str, first: str, second: tuple[str, ...]
) -> None:
    held.environment["MY_TOKEN"] = "t"
    text = f'#[cfg({when})] pub const T: Option<&str> = option_env!("MY_TOKEN");\nfn main() {{}}\n'
    write(held.root / "src" / "main.rs", text)
    assert len(units_of(held.build(first), "compile")) == 1
    assert units_of(held.build(*second), "compile") == []
    assert len(units_of(held.build(first), "compile")) == 1
