from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy.kinds import Kind
from buildperm.report.manifest_place import GrantLines, in_repository, uri

PATH = Path("Cargo.toml")

MANIFEST = """\
[workspace]
members = ["app"]

[workspace.dependencies]
pad = "1"
renamed = { package = "left-padding", version = "1" }

[target.'cfg(unix)'.build-dependencies.nested]
version = "1"

[workspace.metadata.buildperm]
version = 1

[workspace.metadata.buildperm.crates]
inline = { exec = ["cc"], reviewed = ["1.0.0"] }

[workspace.metadata.buildperm.crates.cc]
exec = ["a"]

[workspace.metadata.buildperm.crates."cc@1.2"]
exec = [
  # the first
  "b",
  "c",
]
presets = ["bindgen", "cmake"]

[workspace.metadata.buildperm.crates."git+https://example.org/cc#cc"]
read = ["/opt/**"]
"""


def line_of(text: str) -> int:
    """Return the line of the only occurrence of `text`, as an editor counts."""
    assert MANIFEST.count(text) == 1
    return MANIFEST[: MANIFEST.index(text)].count("\n") + 1


@pytest.fixture(scope="module")
def lines() -> GrantLines:
    return GrantLines(MANIFEST.encode(), PATH)


def test_the_line_of_a_crate_is_its_table(lines: GrantLines) -> None:
    assert lines.of_crate("cc", "0.9.0") == line_of("crates.cc]")
    assert lines.of_crate("inline", "1.0.0") == line_of("inline =")
    assert lines.of_crate("git+https://example.org/cc#cc", "1.2.3") == line_of(
        '[workspace.metadata.buildperm.crates."git'
    )


def test_the_key_with_the_longest_fitting_version_counts(lines: GrantLines) -> None:
    assert lines.of_crate("cc", "1.2.30") == line_of('"cc@1.2"')
    assert lines.of_crate("cc", "1.20.3") == line_of("crates.cc]")
    assert lines.of_crate("cc@1.2", "") == line_of('"cc@1.2"')
    assert lines.of_crate("cc", "") == line_of("crates.cc]")


def test_the_line_of_a_kind_is_its_list_or_the_very_grant(lines: GrantLines) -> None:
    assert lines.of_kind("cc", "1.2.0", Kind.EXEC, ["c", "z"]) == line_of('"c",')
    assert lines.of_kind("cc", "1.2.0", Kind.EXEC, ["z"]) == line_of("exec = [\n")
    assert lines.of_kind("cc", "1.2.0", Kind.READ, ["z"]) == line_of('"cc@1.2"')


def test_the_line_of_a_grant_is_its_own(lines: GrantLines) -> None:
    assert lines.of_grant("cc", "1.2.0", "exec:b") == line_of('"b",')
    assert lines.of_grant("cc", "1.2.0", "preset:cmake") == line_of("presets =")
    assert lines.of_grant("inline", "1.0.0", "exec:cc") == line_of("inline =")
    assert lines.of_grant("cc", "1.2.0", "deny") == line_of('"cc@1.2"')


def test_without_a_table_it_is_the_dependency_that_pulls_the_crate_in(lines: GrantLines) -> None:
    assert lines.of_crate("pad", "1.0.0") == line_of("pad = ")
    assert lines.of_crate("left-padding", "1.0.0") == line_of("renamed")
    assert lines.of_crate("nested", "1.0.0") == line_of("nested]")
    assert lines.of_crate("far", "1.0.0", ("app", "pad", "middle", "far")) == line_of("pad = ")


def test_else_it_is_the_head_of_all_grants_or_the_first_line(lines: GrantLines) -> None:
    assert lines.of_crate("other", "1.0.0") == line_of("buildperm]")
    assert lines.of_kind("other", "1.0.0", Kind.NET, ["x"]) == line_of("buildperm]")
    for manifest in (b"", b'[package]\nname = "x"\n', b"[workspace]\n"):
        assert GrantLines(manifest, PATH).of_crate("other", "1.0.0") == 1


def test_a_package_without_a_workspace_and_a_byte_order_mark_are_read() -> None:
    manifest = (
        b'\xef\xbb\xbf[package]\r\nname = "x"\r\n\r\n[package.metadata.buildperm.crates.x]\r\n'
    )

    assert GrantLines(manifest, PATH).of_crate("x", "1.0.0") == 4


def test_odd_manifests_do_no_harm() -> None:
    odd = (
        b"dependencies = 1\ntarget = { x = 2 }\n"
        b"[workspace]\nmetadata = { buildperm = { crates = 3 } }\n"
    )

    assert GrantLines(odd, PATH).of_crate("x", "1.0.0", ("y",)) == 4
    with pytest.raises(BuildpermError, match=r"Cargo\.toml"):
        GrantLines(b"[", PATH)


@given(st.text(), st.text(), st.lists(st.text()), st.text())
def test_every_question_has_an_answer_within_the_file(
    crate: str, version: str, way: list[str], grant: str
) -> None:
    lines = GrantLines(MANIFEST.encode(), PATH)
    last = MANIFEST.count("\n") + 1

    assert 1 <= lines.of_crate(crate, version, way) <= last
    assert 1 <= lines.of_kind(crate, version, Kind.EXEC, way, way) <= last
    assert 1 <= lines.of_grant(crate, version, grant, way) <= last
    assert 1 <= lines.of_grant("cc", "1.2.0", grant, way) <= last


@pytest.mark.parametrize("is_second_tree", [False, True])
def test_a_manifest_is_named_from_the_root_of_its_repository(
    tmp_path: Path, is_second_tree: bool
) -> None:
    folder = tmp_path / "repository/a b/c"
    folder.mkdir(parents=True)
    git = tmp_path / "repository/.git"
    if is_second_tree:
        git.write_text("gitdir: elsewhere\n")
    else:
        git.mkdir()

    assert in_repository(folder / "Cargo.toml") == "a b/c/Cargo.toml"
    assert in_repository(tmp_path / "repository/Cargo.toml") == "Cargo.toml"


def test_a_manifest_outside_of_any_repository_is_named_from_its_folder(tmp_path: Path) -> None:
    assert in_repository(tmp_path / "Cargo.toml") == "Cargo.toml"


def test_a_path_is_written_as_a_uri() -> None:
    assert uri("a b/ü%#?.toml") == "a%20b/%C3%BC%25%23%3F.toml"
    assert uri("Cargo.toml") == "Cargo.toml"


@given(st.text())
def test_a_uri_is_relative_and_names_the_same_file(name: str) -> None:
    written = uri(name)

    parts = urlsplit(written)
    assert not parts.scheme
    assert not parts.netloc
    assert not parts.query
    assert not parts.fragment
    assert written.isascii()
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:
        return
    told = unquote_to_bytes(written)
    assert os.path.normpath(told) == os.path.normpath(raw) or told == b"." + raw
