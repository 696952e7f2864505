"""Macros that hid what they did: in a second process, within another macro, in documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import buildperm
from tests.redteam.packages import crate, workspace

MACRO = "[lib]\nproc-macro = true\n"
HEAD = "extern crate proc_macro;\nuse proc_macro::TokenStream;\n"
READS = """
#[proc_macro]
pub fn read(_: TokenStream) -> TokenStream {{
    let _ = std::fs::read("{path}");
    "1".parse().unwrap()
}}
"""
ENDS = "#[proc_macro]\npub fn end(_: TokenStream) -> TokenStream { std::process::exit(0) }\n"
NESTS = """
#[proc_macro]
pub fn nest(_: TokenStream) -> TokenStream {
    "evil::read!()".parse::<TokenStream>().unwrap().expand_expr().unwrap()
}
"""


@pytest.fixture
def note(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/note.txt").write_text("not theirs")
    return tmp_path / "elsewhere/note.txt"


def _reads(note: Path) -> str:
    return HEAD + READS.format(path=note)


def _uses(folder: Path, source: str, *, name: str = "app") -> None:
    manifest = "[dependencies]\nevil = { path = '../evil' }\n"
    if name != "app":
        manifest += "[lib]\nname = 'same'\n"
    crate(folder / name, manifest=manifest, source=source)


def _is_told(folder: Path, note: Path, *words: str) -> None:
    held = buildperm("ci", "--", *words, folder=folder)

    assert held.returncode == 20, held.stdout + held.stderr
    assert "\nevil 0.1.0\n" in held.stdout
    assert "procedural macro, for crate" in held.stdout
    assert f" read     {note}" in held.stdout


def test_a_process_that_ends_hides_no_later_one(tmp_path: Path, note: Path) -> None:
    folder = workspace(tmp_path / "ws", "app", "evil")
    crate(folder / "evil", manifest=MACRO, source=_reads(note) + ENDS)
    _uses(folder, "pub const A: u8 = evil::end!(); pub const B: u8 = evil::read!();")

    _is_told(folder, note, "check")


@pytest.mark.slow
def test_a_macro_within_a_macro_is_told_of(
    tmp_path: Path, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the feature it says the same to the compiler by itself."""
    monkeypatch.setenv("RUSTC_BOOTSTRAP", "1")
    folder = workspace(tmp_path / "ws", "app", "evil")
    source = "#![feature(proc_macro_expand)]\n" + _reads(note) + NESTS
    crate(folder / "evil", manifest=MACRO, source=source)
    _uses(folder, "pub const A: u8 = evil::nest!();")

    _is_told(folder, note, "check")
    _is_told(folder, note, "check")  # All is fresh.


@pytest.mark.slow
def test_documentation_of_a_namesake_hides_nothing(tmp_path: Path, note: Path) -> None:
    """Both are documented as `same`, one over the other."""
    folder = workspace(tmp_path / "ws", "app", "evil", "first", "second")
    crate(folder / "evil", manifest=MACRO, source=_reads(note))
    _uses(folder, "#[cfg(doc)] pub const A: u8 = evil::read!();", name="first")
    for name, needs in (("second", "first"), ("app", "second")):
        named = "[lib]\nname = 'same'\n" if name == "second" else ""
        manifest = f"{named}[dependencies]\n{needs} = {{ path = '../{needs}' }}\n"
        crate(folder / name, manifest=manifest)

    _is_told(folder, note, "doc", "-p", "app", "-j1")
    _is_told(folder, note, "doc", "-p", "app", "-j1")

    (folder / "evil/src/lib.rs").write_text(HEAD + READS.format(path=folder / "Cargo.toml"))
    honest = buildperm("ci", "--", "doc", "-p", "app", folder=folder)
    assert honest.returncode == 0, honest.stdout + honest.stderr
