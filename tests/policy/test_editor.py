"""Editing Cargo.toml: the grants change, and not one other byte."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.editor import diff, with_all_grants, with_grants, write_atomically
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.printable import is_visible
from tests import surroundings

SOME = CrateGrants(
    "openssl-sys",
    reviewed=frozenset({"0.9.104", "0.9.99", "0.9.104-rc.1"}),
    presets=frozenset({"pkg-config", "cc"}),
    rules=frozenset(
        {
            Rule(Kind.EXEC, "perl"),
            Rule(Kind.READ, "/etc/ssl/**"),
            Rule(Kind.READ, "$WORKSPACE/proto/**"),
            Rule(Kind.DIRECTIVE, "rustc-link-arg=-lm"),
        }
    ),
    denials=frozenset({Rule(Kind.ENV, "GITHUB_TOKEN")}),
    reason='links the system\'s "OpenSSL"\nand more',
)

WRITTEN = """\
[workspace.metadata.buildperm]
version = 1

[workspace.metadata.buildperm.crates.openssl-sys]
reviewed = ["0.9.99", "0.9.104-rc.1", "0.9.104"]
presets = ["cc", "pkg-config"]
exec = ["perl"]
read = ["$WORKSPACE/proto/**", "/etc/ssl/**"]
directives = ["rustc-link-arg=-lm"]
deny = { env = ["GITHUB_TOKEN"] }
reason = "links the system's \\"OpenSSL\\"\\nand more"
"""

LAYOUTS = {
    "package": b'[package]\nname = "x"\n',
    "windows": b'[package]\r\nname = "x"\r\n\r\n# last words\r\n',
    "byte order mark": b"\xef\xbb\xbf[workspace]\nmembers = []\n",
    "no last line feed": b'[package]\nname = "x"\n[profile.dev]\nopt-level = 1',
    "inline package": b"package = { name = 'x' } # c\n[lib]\n",
    "inline metadata": b"[package]\nname = 'x'\nmetadata = { docs = { all = true } } # c\n",
    "inline table": b"[workspace]\nmetadata.buildperm = { version = 1 } # c\n",
    "inline crates": b"[workspace.metadata.buildperm]\nversion = 1\n"
    b"crates = { zlib = { exec = ['cc'] } }\n",
    "inline over lines": b"[workspace]\nmetadata = {\n  a = 1, # c\n  b = 2,\n}\n",
    "dotted metadata": b"[workspace]\nmetadata.docs.x = 1\nresolver = '2'\n",
    "dotted at the root": b"workspace.resolver = '2'\nworkspace.metadata.x = 1\n[profile.dev]\n",
    "dotted table": b"[workspace.metadata]\nbuildperm.version = 1\nother = 1\n"
    b"# tail\n\n# dev\n[profile.dev]\n",
    "out of order": b"[package]\nname = 'x'\n[workspace]\n[package.metadata.docs]\na = 1\n"
    b"[workspace.metadata.docs]\nb = 1\n[dependencies]\n",
    "other crates": b"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n\n"
    b"# about aws\n[workspace.metadata.buildperm.crates.aws-lc-sys]\nexec = ['cmake']\n# in aws\n\n"
    b"# about zstd\n[workspace.metadata.buildperm.crates.zstd-sys]\nexec = ['cc']\n\n"
    b"# dev\n[profile.dev]\n",
    "quoted keys": b"[ workspace . 'metadata' .\"buildperm\" ]\nversion = 1\n[workspace]\n",
    "comments only at the end": b"[workspace]\n# a\n\n  # b\n",
    "empty lines": b"\n\n[workspace]\n\n\n",
}


def parsed(raw: bytes) -> dict[str, Any]:
    return manifest.parse(raw, Path("Cargo.toml"))[1]


def without_ours(document: dict[str, Any]) -> dict[str, Any]:
    for home in ("workspace", "package"):
        document.get(home, {}).get("metadata", {}).pop("buildperm", None)
        if not document.get(home, {}).get("metadata", {1: 1}):
            del document[home]["metadata"]
    return document


def edited(raw: bytes, grants: CrateGrants) -> bytes:
    """Edit, and hold the edit to everything that holds for every edit."""
    before = dict(manifest.read(raw, Path("Cargo.toml")).crates)
    after = with_grants(raw, grants.key, grants)

    expected = {**before, grants.key: grants}
    if grants.is_empty():
        del expected[grants.key]
    assert dict(manifest.read(after, Path("Cargo.toml")).crates) == expected
    assert with_grants(after, grants.key, grants) == after
    assert without_ours(parsed(after)) == without_ours(parsed(raw))
    windows = raw.count(b"\r\n") * 2 > raw.count(b"\n")
    assert not windows or after.count(b"\n") == after.count(b"\r\n")
    assert windows or b"\r" not in after
    assert raw.endswith(b"\n") or not after.endswith(b"\n")
    return after


def lines_lost(before: bytes, after: bytes) -> set[bytes]:
    return set(before.split(b"\n")) - set(after.split(b"\n"))


def test_a_first_edit_appends_a_table_in_the_order_of_the_documentation() -> None:
    raw = b"[workspace]\nmembers = []\n"

    assert edited(raw, SOME) == raw + b"\n" + WRITTEN.encode()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_takes_grants_and_keeps_its_lines(name: str) -> None:
    raw = LAYOUTS[name]
    after = edited(raw, SOME)

    if "inline" not in name:  # There the one line that holds the table must change.
        assert not lines_lost(raw, after) - {raw.rpartition(b"\n")[2]}
    narrower = replace(
        SOME,
        reviewed=frozenset({"0.9.104"}),
        rules=frozenset({Rule(Kind.EXEC, "nasm"), Rule(Kind.WRITE, "$WORKSPACE/out/**")}),
        denials=frozenset(),
        reason="",
    )
    changed = edited(after, narrower)
    again = edited(changed, SOME)
    other = edited(again, replace(SOME, key="zstd-sys@2.0"))
    gone = edited(edited(other, CrateGrants("zstd-sys@2.0")), CrateGrants(SOME.key))
    assert edited(gone, SOME).count(b"\n") >= again.count(b"\n") - 1


def test_comments_around_tables_stay_with_what_they_are_about() -> None:
    after = edited(LAYOUTS["other crates"], CrateGrants("libz-sys", presets=frozenset({"cc"})))

    assert after.decode() == LAYOUTS["other crates"].decode().replace(
        "# about zstd\n",
        '[workspace.metadata.buildperm.crates.libz-sys]\npresets = ["cc"]\n\n# about zstd\n',
    )
    last = edited(LAYOUTS["other crates"], CrateGrants("zz", presets=frozenset({"cc"})))
    assert last.decode() == LAYOUTS["other crates"].decode().replace(
        "# dev\n", '[workspace.metadata.buildperm.crates.zz]\npresets = ["cc"]\n\n# dev\n'
    )


def test_adding_and_removing_a_crate_gives_the_file_back() -> None:
    for name in ("other crates", "inline table", "inline crates", "dotted table"):
        raw = LAYOUTS[name]
        there = edited(raw, CrateGrants("libz-sys", presets=frozenset({"cc"})))
        back = edited(there, CrateGrants("libz-sys"))

        assert parsed(back).get("profile") == parsed(raw).get("profile")
        if name == "other crates":
            assert back == raw


def test_comments_and_style_within_lists_are_kept() -> None:
    raw = b"""\
[package]
[package.metadata.buildperm]
version = 1
[package.metadata.buildperm.crates.x]
exec = [ # tools
  # the assembler
  'nasm', # for sha

  "perl", # for asm
  "zip"
  # last
] # behind
read = ["$WORKSPACE/z", "$WORKSPACE/a"] # unsorted, and left alone
  [package.metadata.buildperm.crates.x.deny] # no secrets
  env = ["B"]
"""
    rules = frozenset(
        {
            Rule(Kind.EXEC, "nasm"),
            Rule(Kind.EXEC, "awk"),
            Rule(Kind.EXEC, "zip"),
            Rule(Kind.READ, "$WORKSPACE/z"),
            Rule(Kind.READ, "$WORKSPACE/a"),
        }
    )
    denials = frozenset({Rule(Kind.ENV, "B"), Rule(Kind.EXEC, "curl")})

    after = edited(raw, CrateGrants("x", rules=rules, denials=denials, reason="why"))

    assert (
        after.decode()
        == """\
[package]
[package.metadata.buildperm]
version = 1
[package.metadata.buildperm.crates.x]
exec = [ # tools
  "awk",
  # the assembler
  'nasm', # for sha
  "zip",
  # last
] # behind
read = ["$WORKSPACE/z", "$WORKSPACE/a"] # unsorted, and left alone
reason = "why"
  [package.metadata.buildperm.crates.x.deny] # no secrets
  exec = ["curl"]
  env = ["B"]
"""
    )


def test_the_last_denial_takes_its_table_with_it() -> None:
    base = b"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n"
    for denial in (
        b"[workspace.metadata.buildperm.crates.x]\nexec = ['cc']\ndeny = { env = ['A'] }\n",
        b"[workspace.metadata.buildperm.crates.x]\nexec = ['cc']\ndeny.env = ['A']\n",
        b"[workspace.metadata.buildperm.crates.x]\nexec = ['cc']\n"
        b"[workspace.metadata.buildperm.crates.x.deny]\nenv = ['A']\n",
        b"crates.x = { exec = ['cc'], deny = { env = ['A'] } }\n",
        b"crates.x.deny.env = ['A']\ncrates.x.exec = ['cc']\n",
    ):
        after = edited(base + denial, CrateGrants("x", rules=frozenset({Rule(Kind.EXEC, "cc")})))

        assert b"deny" not in after


def test_a_table_that_only_its_denials_imply_gets_a_header() -> None:
    raw = (
        b"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n\n"
        b"# no secrets\n[workspace.metadata.buildperm.crates.x.deny]\nenv = ['A']\n"
    )

    after = edited(
        raw,
        CrateGrants(
            "x",
            rules=frozenset({Rule(Kind.EXEC, "cc")}),
            denials=frozenset({Rule(Kind.ENV, "A")}),
        ),
    )

    assert after.decode() == raw.decode().replace(
        "# no", '[workspace.metadata.buildperm.crates.x]\nexec = ["cc"]\n\n# no'
    )


def test_long_lists_take_as_few_lines_as_hold_them() -> None:
    rules = frozenset(Rule(Kind.READ, f"$WORKSPACE/some/long/path/{n}") for n in range(9))
    denials = frozenset(Rule(Kind.EXEC, f"program-with-a-long-name-{n}") for n in range(9))
    after = edited(b"[workspace]\r\n", CrateGrants("x", rules=rules, denials=denials)).decode()

    assert max(map(len, after.split("\r\n"))) <= 100
    first, second, third = (f'"$WORKSPACE/some/long/path/{n}"' for n in range(3))
    assert f"\r\nread = [\r\n    {first}, {second}, {third},\r\n" in after
    first, second, third = (f'"program-with-a-long-name-{n}"' for n in range(3))
    assert f"\r\ndeny.exec = [\r\n    {first}, {second}, {third},\r\n" in after


def test_a_crate_goes_only_when_it_says_nothing() -> None:
    raw = edited(b"[workspace]\n", SOME)

    for rest in (
        CrateGrants(SOME.key, reviewed=SOME.reviewed),
        CrateGrants(SOME.key, denials=SOME.denials),
        CrateGrants(SOME.key, reason=SOME.reason),
    ):
        assert b"crates.openssl-sys]" in edited(raw, rest)
    assert edited(raw, CrateGrants(SOME.key)) == (
        b"[workspace]\n\n[workspace.metadata.buildperm]\nversion = 1\n"
    )
    assert with_grants(b"[workspace]\n", "x", CrateGrants("x")) == b"[workspace]\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "neither `[package]` nor `[workspace]`"),
        (b"[dependencies]\nx = '1'\n", "neither `[package]` nor `[workspace]`"),
        (b"[workspace\n", "broken TOML"),
        (b"[workspace]\nmetadata = 1\n", "must be a table"),
        (b"[workspace]\n[[workspace.metadata]]\n", "must be a table"),
        (b"[workspace]\n[workspace.metadata.buildperm]\nversion = 9\n", "newer buildperm"),
    ],
)
def test_a_file_that_cannot_take_grants_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(BuildpermError) as caught:
        with_grants(raw, "openssl-sys", SOME)

    assert message in str(caught.value)
    assert caught.value.hint


def test_grants_that_could_not_be_read_again_are_not_written() -> None:
    with pytest.raises(BuildpermError) as caught:
        with_grants(
            b"[workspace]\n", "x", CrateGrants("x", rules=frozenset({Rule(Kind.READ, "/**")}))
        )

    assert "too much" in str(caught.value)


text = st.text(st.characters(codec="utf-8"), max_size=12)
keys = st.sampled_from(
    ["x", "a-b", "b@1", "b@1.2", "git+https://h/p?branch=x#x", "path+$HOME/q r#é"]
)
rules = st.frozensets(
    st.one_of(
        st.builds(lambda n: Rule(Kind.READ, f"$WORKSPACE/some/folder/{n}"), st.integers(0, 30)),
        st.builds(lambda n: Rule(Kind.EXEC, f"tool-{n}"), st.integers(0, 30)),
        st.builds(lambda n: Rule(Kind.ENV, f"NAME_{n}*"), st.integers(0, 9)),
        st.builds(lambda n: Rule(Kind.DIRECTIVE, f"rustc-link-arg=-l{n}"), st.integers(0, 9)),
    ),
    max_size=12,
)
grants = st.builds(
    CrateGrants,
    keys,
    st.frozensets(st.builds("{}.{}.0".format, st.integers(0, 20), st.integers(0, 20)), max_size=5),
    st.frozensets(st.sampled_from(["cc", "cmake", "git"])),
    rules,
    rules,
    text,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(LAYOUTS)), text, text)
@example("package", "\u202e\u200b\x1b", "\U000e0001\ufe0f")
def test_no_reason_writes_a_character_that_is_not_seen(name: str, first: str, second: str) -> None:
    raw = LAYOUTS[name]
    kept = {character for character in raw.decode() if not is_visible(character)}
    for reason in (first, second):
        raw = edited(raw, replace(SOME, reason=reason))

    assert {character for character in raw.decode() if not is_visible(character)} <= kept | {"\n"}


@given(st.sampled_from(sorted(LAYOUTS)), st.lists(grants, min_size=1, max_size=5))
def test_any_series_of_edits_says_what_was_asked_for(name: str, series: list[CrateGrants]) -> None:
    raw = LAYOUTS[name]
    for each in series:
        raw = edited(raw, each)

    comments = [line.strip() for line in LAYOUTS[name].split(b"\n") if line.strip()[:1] == b"#"]
    assert all(comment in raw for comment in comments)


@pytest.mark.slow
@given(st.sampled_from(sorted(LAYOUTS)), st.lists(st.lists(grants, max_size=5), max_size=3))
def test_many_edits_at_once_say_what_they_say_one_by_one(
    name: str, series: list[list[CrateGrants]]
) -> None:
    raw = LAYOUTS[name]
    for each in series:
        wanted = {grants.key: grants for grants in each}
        one_by_one = raw
        for key, now in wanted.items():
            one_by_one = with_grants(one_by_one, key, now)
        raw = with_all_grants(raw, wanted)
        crates = manifest.read(one_by_one, Path("Cargo.toml")).crates
        assert manifest.read(raw, Path("Cargo.toml")).crates == crates
        assert without_ours(parsed(raw)) == without_ours(parsed(LAYOUTS[name]))
        lost, lost_before = (
            {line for line in lines_lost(LAYOUTS[name], after) if line.lstrip().startswith(b"#")}
            for after in (raw, one_by_one)
        )
        assert lost <= lost_before


def test_many_tables_below_a_file_without_a_last_line_feed_stand_as_one_by_one() -> None:
    raw, wanted = b'[workspace]\nmembers = ["app"]', {key: replace(SOME, key=key) for key in "abc"}
    one_by_one = raw
    for key, now in wanted.items():
        one_by_one = with_grants(one_by_one, key, now)

    assert with_all_grants(raw, wanted) == one_by_one


@pytest.mark.slow
def test_many_edits_at_once_take_little_longer_for_each() -> None:
    wanted = {f"crate-{number}": replace(SOME, key=f"crate-{number}") for number in range(300)}
    calls = 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    def cost(many: int) -> int:
        nonlocal calls
        some = dict(list(wanted.items())[:many])
        with_all_grants(LAYOUTS["package"], some)
        calls = 0
        sys.setprofile(count)
        try:
            with_all_grants(LAYOUTS["package"], some)
        finally:
            sys.setprofile(None)
        return calls

    assert cost(300) < 4.5 * cost(100)


def real_manifests() -> list[Path]:
    """Find Cargo.toml files that people wrote, as registries keep them beside the normalised."""
    home = Path(surroundings.registries()["CARGO_HOME"])
    found = sorted(home.glob("registry/src/*/*/Cargo.toml*"))
    return random.Random(1).sample(found, min(len(found), 20))


def test_real_manifests_lose_nothing() -> None:
    found = real_manifests()
    if not found:
        pytest.skip("no crates in CARGO_HOME")
    for path in found:
        raw = path.read_bytes()
        if not {"package", "workspace"} & parsed(raw).keys():
            continue
        after = edited(raw, SOME)
        after = edited(after, replace(SOME, key="git+https://github.com/a/b#b"))
        after = edited(after, replace(SOME, denials=frozenset(), reviewed=frozenset({"1.0.0"})))

        inline = [line for line in lines_lost(raw, after) if b"= {" in line]
        assert after.startswith(raw) or len(lines_lost(raw, after)) == len(inline) == 1, path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\nb\n", b"a\nc\nb\n"),
        (b"a\nb", b"a\nb\nc"),
        (b"a\r\nb\r\n", b"a\r\n"),
        (b"", b"a\x0cb\xe2\x80\xa8c\n"),
    ],
)
def test_a_diff_can_be_applied_by_patch(before: bytes, after: bytes, tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_bytes(before)
    text = diff(before, after)

    applied = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        input=text.encode(),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        capture_output=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    assert (tmp_path / "Cargo.toml").read_bytes() == after


def test_no_change_has_no_diff() -> None:
    assert diff(b"a\n", b"a\n") == ""


def test_a_write_keeps_mode_and_link_and_leaves_nothing_behind(tmp_path: Path) -> None:
    real = tmp_path / "real" / "manifest.toml"
    real.parent.mkdir()
    real.write_bytes(b"old")
    real.chmod(0o640)
    link = tmp_path / "Cargo.toml"
    link.symlink_to("real/manifest.toml")

    write_atomically(link, b"old", b"new")

    assert real.read_bytes() == b"new"
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert os.listdir(real.parent) == ["manifest.toml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_write_keeps_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "Cargo.toml"
    path.write_bytes(b"old")
    path.chmod(0o4755)
    os.chown(path, 1234, 4321)
    path.chmod(0o4755)

    write_atomically(path, b"old", b"new")

    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o4755)


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "Cargo.toml"
    path.write_bytes(b"somebody's work")

    with pytest.raises(BuildpermError) as caught:
        write_atomically(path, b"old", b"new")

    assert "changed by somebody else" in str(caught.value)
    assert path.read_bytes() == b"somebody's work"
    assert os.listdir(tmp_path) == ["Cargo.toml"]


@pytest.mark.parametrize("path", ["missing/Cargo.toml", "folder", "loop"])
def test_what_cannot_be_written_is_one_clear_error(path: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(BuildpermError) as caught:
        write_atomically(tmp_path / path, b"", b"new")

    assert str(caught.value).startswith(f"write {tmp_path / path}: ")
    assert caught.value.hint


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """Return a folder that all may enter, and run the test as a user whom modes restrict."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        privileged = os.geteuid() == 0
        if privileged:
            os.setegid(65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if privileged:
                os.seteuid(0)
                os.setegid(0)
            folder.chmod(0o777)


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "Cargo.toml"
    path.write_bytes(b"old")
    path.chmod(0o444)

    with pytest.raises(BuildpermError, match=r"is read-only|Permission denied"):
        write_atomically(path, b"old", b"new")

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["Cargo.toml"]


@pytest.mark.parametrize("which", ["file", "folder"])
def test_an_unwritable_file_or_folder_is_one_clear_error(which: str, as_nobody: Path) -> None:
    folder = as_nobody / "workspace"
    folder.mkdir()
    path = folder / "Cargo.toml"
    path.write_bytes(b"old")
    (path if which == "file" else folder).chmod(0o555)

    with pytest.raises(BuildpermError) as caught:
        write_atomically(path, b"old", b"new")

    folder.chmod(0o755)
    assert str(caught.value).startswith(f"write {path}: Permission denied\nhint: ")
    assert path.read_bytes() == b"old"
    assert os.listdir(folder) == ["Cargo.toml"]
