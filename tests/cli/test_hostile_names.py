"""Names that forge lines, move cursors or end quotes are granted exactly as they are."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, is_orderly, member
from tests.programs import program_text

BOTH = pytest.mark.parametrize("command", [LEARN, CI], ids=["learn", "ci"])

NASTY = b"a b\n]\n[x]\"'$HOME%2F*?[a]{b}\\#\x1b]0;t\x07\xe2\x80\xae\xff\t`id`"
"""Line breaks, TOML, shell, patterns, an escape sequence, a bell, a bidi override, no UTF-8."""

PRINTABLE = "a b]\"'$HOME*[a]#`id`"


def rust(raw: bytes) -> str:
    """Write a path for Rust."""
    escaped = "".join(f"\\x{byte:02x}" for byte in raw)
    return f'std::os::unix::ffi::OsStrExt::from_bytes(b"{escaped}")'


def script(body: str) -> str:
    return f"fn main() {{ let name: &std::ffi::OsStr = {rust(NASTY)}; {body} }}"


READS = 'assert_eq!(std::fs::read(std::path::Path::new("..").join(name)).unwrap(), b"x");'
WRITES = 'std::fs::write(std::path::Path::new("../made").join(name), "x").unwrap();'
LISTS = """for entry in std::fs::read_dir(std::path::Path::new("..").join(name)).unwrap() {
    std::fs::read(entry.unwrap().path()).unwrap();
}"""


def others(manifest: Path) -> object:
    """Return what a manifest says apart from grants."""
    said = tomllib.loads(manifest.read_text())
    del said["workspace"]["metadata"]
    return said


@pytest.mark.parametrize("body", [READS, LISTS], ids=["file", "folder"])
@pytest.mark.quick(1)
def test_a_file_to_read_is_granted_by_its_exact_name(tmp_path: Path, body: str) -> None:
    folder = member(tmp_path / "ws", script(body))
    nasty = os.path.join(os.fsencode(folder), NASTY)
    if body is READS:
        Path(os.fsdecode(nasty)).write_bytes(b"x")
    else:
        os.mkdir(nasty)
        Path(os.fsdecode(nasty + b"/" + NASTY)).write_bytes(b"x")
    before = tomllib.loads((folder / "Cargo.toml").read_text())

    refused = buildperm("ci", folder=folder)
    learned = buildperm(*LEARN, folder=folder)
    held = buildperm("ci", folder=folder)

    assert refused.returncode == 20, refused.stdout
    assert learned.returncode == 0, learned.stderr
    assert held.returncode == 0, held.stdout + held.stderr
    for told in (refused, learned, held):
        assert is_orderly(told.stdout + told.stderr), repr(told.stdout + told.stderr)
    assert others(folder / "Cargo.toml") == before
    assert (folder / "Cargo.toml").read_text().isascii()


@pytest.mark.slow
def test_what_is_granted_by_a_nasty_name_is_that_name_alone(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", script(READS))
    Path(os.fsdecode(os.path.join(os.fsencode(folder), NASTY))).write_bytes(b"x")
    learned = buildperm(*LEARN, folder=folder)
    (folder / "other").write_text("x")
    build = 'fn main() { std::fs::read("../other").unwrap(); }'
    (folder / "sample/build.rs").write_text(build)

    held = buildperm("ci", folder=folder)

    assert learned.returncode == 0, learned.stderr
    assert held.returncode == 20, held.stderr


@pytest.mark.slow
def test_a_file_to_write_is_suggested_as_a_grant_that_holds(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", script(WRITES))
    (folder / "made").mkdir()
    before = (folder / "Cargo.toml").read_bytes()

    learned = buildperm(*LEARN, folder=folder)
    refused = buildperm("ci", folder=folder)
    unchanged = (folder / "Cargo.toml").read_bytes() == before
    lines = [line.strip() for line in refused.stdout.splitlines()]
    begin = lines.index("write = [")
    grant = "\n".join(lines[begin : lines.index("]", begin) + 1])
    with (folder / "Cargo.toml").open("a") as file:
        file.write(
            "\n[workspace.metadata.buildperm]\nversion = 1\n"
            f'[workspace.metadata.buildperm.crates.sample]\nreviewed = ["0.1.0"]\n{grant}\n'
        )
    held = buildperm("ci", folder=folder)

    assert learned.returncode == 3, learned.stderr  # Of high risk: never accepted unseen.
    assert refused.returncode == 20, refused.stderr
    assert unchanged
    assert held.returncode == 0, held.stdout + held.stderr
    assert os.listdir(os.fsencode(folder / "made")) == [NASTY]
    for told in (learned, refused, held):
        assert is_orderly(told.stdout + told.stderr), repr(told.stdout + told.stderr)


@pytest.mark.slow
def test_the_name_of_a_variable_and_the_value_of_a_directive(tmp_path: Path) -> None:
    variable = PRINTABLE.replace("=", "") + "\x1b[31m\n\u202e"
    build = program_text("hostile_output.rs", NAME=rust(variable.encode()))
    folder = member(tmp_path / "ws", build)
    extra = {variable: "value"}

    learned = buildperm(*LEARN, folder=folder, extra=extra)
    held = buildperm("ci", folder=folder, extra=extra)

    assert learned.returncode == 3, learned.stderr
    assert held.returncode == 20, held.stderr
    assert "rustc-link-arg=-Wl,--x%22%5D" in held.stdout
    assert "directives = " not in held.stdout  # No line to paste beside what is critical.
    for told in (learned, held):
        assert is_orderly(told.stdout + told.stderr), repr(told.stdout + told.stderr)


@pytest.mark.parametrize(
    "name", [PRINTABLE, "tab\tand\x1b]0;escape\x07", "\u202egnp.exe"], ids=["quotes", "raw", "bidi"]
)
@pytest.mark.slow
def test_a_workspace_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = member(tmp_path / name, 'fn main() { std::fs::read_to_string("../data").unwrap(); }')
    (folder / "data").write_text("x")

    learned = buildperm(*LEARN, "--", "-q", folder=folder)
    held = buildperm("ci", "--", "-q", folder=folder)

    assert learned.returncode == 0, learned.stderr
    assert held.returncode == 0, held.stdout + held.stderr
    assert 'read = ["$WORKSPACE/data"]' in (folder / "Cargo.toml").read_text()
    for told in (learned, held):
        assert is_orderly(told.stdout + told.stderr), repr(told.stdout + told.stderr)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"line\nbreak", "line break"),
        (b"no\xffutf8", "not valid utf-8"),
        (b"{workspace-root}", "in braces"),
        (b"[", "Cargo cannot read the workspace"),
    ],
    ids=["line-break", "no-utf8", "braces", "bracket"],
)
@BOTH
@pytest.mark.slow
def test_a_workspace_that_cannot_be_built_where_it_is(
    tmp_path: Path, command: tuple[str, ...], name: bytes, said: str
) -> None:
    there = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    folder = member(there, "fn main() {}")
    before = (folder / "Cargo.toml").read_bytes()

    told = buildperm(*command, folder=folder)

    assert told.returncode == 2, told.stderr
    assert said in told.stderr, told.stderr
    assert is_orderly(told.stdout + told.stderr), repr(told.stderr)
    assert (folder / "Cargo.toml").read_bytes() == before
