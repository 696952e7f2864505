"""Patterns: what they cover, how paths are written, what they find on a real disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.pattern_set import PatternSet
from buildperm.rules.pattern import (
    TOKENS,
    absolute,
    folder,
    is_literal,
    locate,
    matches,
    names_alike,
    real_path,
    resolve,
    resolve_exec,
    which,
)
from buildperm.tracer.notation import encode

PLACES = {
    "OUT_DIR": b"/ws/target/debug/build/a-1/out",
    "TMP": b"/ws/target/debug/build/a-1/buildperm/scratch",
    "MANIFEST_DIR": b"/ws",
    "WORKSPACE": b"/ws",
    "TARGET_DIR": b"/ws/target",
    "CARGO_HOME": b"/home/u/.cargo",
    "GIT": b"/home/u/main/.git",
    "SYSROOT": b"/home/u/.rustup/toolchains/t",
    "HOME": b"/home/u",
}

components = st.binary(min_size=1, max_size=6).filter(
    lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b"..")
)
paths = st.lists(components, min_size=1, max_size=4).map(lambda parts: b"/" + b"/".join(parts))
pieces = st.sampled_from(["a", "b", "/", "*", "**", "?", "%2A", ".", "é"])


@pytest.mark.parametrize(
    ("pattern", "text", "covered"),
    [
        ("/a/b", "/a/b", True),
        ("/a/b", "/a/bc", False),
        ("/a/b", "/a/b/c", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/*", "/a", False),
        ("/a/*.rs", "/a/x.rs", True),
        ("/a/*.rs", "/a/x.rst", False),
        ("/a/**", "/a", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False),
        ("/a/**/z", "/a/z", True),
        ("/a/**/z", "/a/b/c/z", True),
        ("/a/**/z", "/a/bz", False),
        ("/a/**/**/z", "/a/z", True),
        ("/a/**/**", "/a", True),
        ("**/**/z", "z", True),
        ("/a/**/", "/a/b", True),
        ("**/.env", "/x/y/.env", True),
        ("**/.env", ".env", True),
        ("**/.env", "/x/y.env", False),
        ("**", "/any/thing", True),
        ("a**b", "a/x/b", True),
        ("a*b", "a/x/b", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a?c", "a%2Ac", True),
        ("a??c", "a%2Ac", False),
        ("*2A", "%2A", False),
        ("a*A", "a%2A", False),
        ("%41", "A", True),
        ("a'b", "a%27b", True),
        ("[ab]", "a", False),
        ("[ab]", "%5Bab%5D", True),
        ("*.example.org:443", "x.example.org:443", True),
        ("*.example.org:443", "example.org:443", False),
        ("$OUT_DIR/**", "$OUT_DIR/a", True),
        ("$OUT_DIR", "$OUT_DIR", True),
        ("", "", True),
        ("*", "", True),
    ],
)
def test_a_pattern_covers_what_it_says(pattern: str, text: str, covered: bool) -> None:
    assert matches(pattern, text) is covered
    assert PatternSet([pattern]).covers(text) is covered


def test_a_percent_sign_without_digits_is_an_error() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        matches("/a%", "/a%25")


@given(st.lists(pieces, max_size=7).map("".join), st.lists(pieces, max_size=7).map("".join))
def test_matching_agrees_with_regular_expressions(pattern: str, text: str) -> None:
    text = text.replace("?", "%3F").replace("*", "%2A")
    expected = re.fullmatch(_regular(pattern), text) is not None

    assert matches(pattern, text) is expected
    assert PatternSet([pattern]).covers(text) is expected


def _regular(pattern: str) -> str:
    """Translate independently of the implementation, unit by unit."""
    unit, inner = r"(?:%[0-9A-F]{2}|[^/%])", r"(?:%[0-9A-F]{2}|[^%])"
    pattern = re.sub(r"(?<=/)(?:\*\*/)+(?=\*\*(?:/|$))", "", pattern)
    pattern = re.sub(r"^(?:\*\*/)+(?=\*\*(?:/|$))", "", pattern)
    found = ""
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest in ("/**", "/**/"):
            return found + rf"(?:/{inner}*)?"
        if rest.startswith("/**/"):
            found, at = found + rf"/(?:{inner}*/)?", at + 4
        elif at == 0 and rest.startswith("**/"):
            found, at = found + rf"(?:{inner}*/)?", at + 3
        elif rest.startswith("**"):
            found, at = found + rf"{inner}*", at + 2
        elif rest[0] == "*":
            found, at = found + rf"{unit}*", at + 1
        elif rest[0] == "?":
            found, at = found + unit, at + 1
        elif rest[0] == "%":
            found, at = found + rest[:3], at + 3
        else:
            found, at = found + re.escape(rest[0]), at + 1
    return found


@given(paths)
def test_a_located_path_covers_itself_and_reads_back(path: bytes) -> None:
    text = locate(path, PLACES)

    assert matches(text, text)
    assert absolute(text, PLACES) == path
    assert matches("/**" if text.startswith("/") else f"{text.partition('/')[0]}/**", text)


@given(st.sampled_from(TOKENS), paths)
def test_every_token_reads_back(token: str, below: bytes) -> None:
    path = PLACES[token] + below
    text = locate(path, PLACES)

    assert text.startswith("$")
    assert absolute(text, PLACES) == path
    assert absolute(f"${token}{encode(below)}", PLACES) == path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"/ws", "$MANIFEST_DIR"),
        (b"/ws/src/a.c", "$MANIFEST_DIR/src/a.c"),
        (b"/wsx/a", "/wsx/a"),
        (b"/ws/target/x", "$TARGET_DIR/x"),
        (b"/ws/target/debug/build/a-1/out/b", "$OUT_DIR/b"),
        (b"/ws/target/debug/build/a-1/outer", "$TARGET_DIR/debug/build/a-1/outer"),
        (b"/home/u/.cargo/registry", "$CARGO_HOME/registry"),
        (b"/home/u/.config/x", "$HOME/.config/x"),
        (b"/home/u2", "/home/u2"),
        (b"/etc/a b\n\xff*", "/etc/a b%0A%FF%2A"),
    ],
)
def test_the_longest_token_is_written(path: bytes, text: str) -> None:
    assert locate(path, PLACES) == text


def test_a_place_that_is_the_root_covers_everything() -> None:
    assert locate(b"/app/x", {"WORKSPACE": b"/"}) == "$WORKSPACE/app/x"
    assert absolute("$WORKSPACE/app/x", {"WORKSPACE": b"/"}) == b"/app/x"


@pytest.mark.parametrize("token", ["HOME", "WORKSPACE", "CARGO_HOME", "SYSROOT", "MANIFEST_DIR"])
@pytest.mark.parametrize("place", [b"/", b"/usr", b"/usr/local"])
def test_what_is_the_systems_is_called_the_same_whose_folder_it_may_be_in(
    token: str, place: bytes
) -> None:
    for path in ("/usr/lib/x.so", "/usr/local/bin/cc", "/usr", "/usr/bin/cc", "/etc/shadow"):
        assert locate(path.encode(), {token: place}) == path


def test_the_rest_of_a_folder_that_the_system_shares_is_somebodys() -> None:
    assert locate(b"/usr/src/x", {"HOME": b"/usr"}) == "$HOME/src/x"
    assert locate(b"/.ssh/id", {"HOME": b"/", "SYSROOT": b"/usr"}) == "$HOME/.ssh/id"
    assert locate(b"/usr/local/x", {"SYSROOT": b"/usr/local", "HOME": b"/usr"}) == "/usr/local/x"


@pytest.mark.parametrize("sysroot", [b"/usr", b"/home/me/.rustup/toolchains/t", b"/opt/all"])
def test_a_tool_chain_is_called_the_same_wherever_it_lies(sysroot: bytes) -> None:
    places = {"SYSROOT": sysroot, "HOME": b"/home/me"}
    own = ("bin/rustfmt", "lib/rustlib/x/bin/rust-lld", "lib/rustlib", "lib/librustc_driver-1.so")
    for name in own:
        assert locate(sysroot + b"/" + name.encode(), places) == f"$SYSROOT/{name}"
    for name in ("bin/cc", "lib/python3/x", "src/x"):
        text = locate(sysroot + b"/" + name.encode(), places)
        assert text.startswith("$SYSROOT") == sysroot.startswith(b"/home")  # rustup's, whole.


def test_an_unknown_token_stands_for_nothing() -> None:
    assert absolute("$NOWHERE/x", PLACES) is None
    assert resolve("$NOWHERE/**", PLACES) == []
    assert folder("$NOWHERE/**", PLACES) is None


def test_a_folder_is_told_from_other_patterns() -> None:
    assert folder("$WORKSPACE/gen/**", PLACES) == b"/ws/gen"
    assert folder("$WORKSPACE/*/**", PLACES) is None
    assert folder("$WORKSPACE/gen", PLACES) is None
    assert not is_literal("a*")
    assert is_literal("a%2A")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    (root / "proto" / "deep").mkdir(parents=True)
    (root / "proto" / "a.proto").touch()
    (root / "proto" / "b.txt").touch()
    (root / "proto" / "deep" / "c.proto").touch()
    (root / "odd *name").touch()
    (root / "link").symlink_to("proto")
    (root / "dangling").symlink_to("nothing")
    return root


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("$WORKSPACE/proto/**", [("proto", True)]),
        ("$WORKSPACE/proto", [("proto", False)]),
        ("$WORKSPACE/proto/a.proto", [("proto/a.proto", False)]),
        ("$WORKSPACE/proto/a.proto/**", []),
        ("$WORKSPACE/missing/**", []),
        ("$WORKSPACE/dangling", []),
        ("$WORKSPACE/link/**", [("proto", True)]),
        ("$WORKSPACE/proto/*.proto", [("proto/a.proto", False)]),
        (
            "$WORKSPACE/**/*.proto",
            [("proto/a.proto", False), ("proto/deep/c.proto", False)],
        ),
        ("$WORKSPACE/*/**", [("proto", True)]),
        ("$WORKSPACE/*/deep/**", [("proto/deep", True)]),
        ("$WORKSPACE/odd %2Aname", [("odd *name", False)]),
        ("$WORKSPACE/odd %2A*", [("odd *name", False)]),
        ("$WORKSPACE/proto/?.txt", [("proto/b.txt", False)]),
        ("relative/**", []),
        ("$WORKSPACE/proto/../proto", []),
        ("$WORKSPACE/./proto/**", []),
        ("$WORKSPACE//proto", []),
        ("$WORKSPACE/%00", []),
    ],
)
def test_a_path_pattern_finds_what_exists(
    tree: Path, pattern: str, found: list[tuple[str, bool]]
) -> None:
    places = {"WORKSPACE": os.fsencode(tree)}
    expected = [(os.fsencode(tree / name), below) for name, below in found]

    assert sorted(resolve(pattern, places)) == expected


@given(st.lists(pieces, min_size=1, max_size=5).map("".join))
def test_what_a_pattern_finds_it_also_covers(
    tree_once: tuple[dict[str, bytes], list[bytes]], below: str
) -> None:
    places, everything = tree_once
    pattern = "$WORKSPACE/" + below
    found = resolve(pattern, places)
    covered = [path for path in everything if matches(pattern, locate(path, places))]

    for path, is_whole in found:
        assert matches(pattern, locate(path, places))
        if is_whole:
            assert matches(pattern, locate(path + b"/x/y", places))
    wide = [root for root, is_whole in found if is_whole]
    named = {path for path, _ in found}
    if all(part == "**" or "**" not in part for part in below.split("/")) and not re.search(
        r"//|/$|^/|/\.(/|$)", pattern
    ):
        for path in covered:
            assert path in named or any(path.startswith(root + b"/") for root in wide)


@pytest.fixture(scope="module")
def tree_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[bytes]]:
    root = tmp_path_factory.mktemp("w")
    everything = []
    for name in ("a", "b", "a/b", "b/a", "a/b/a", "é"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "*").touch()
        (root / name / "ab").touch()
        everything += [root / name, root / name / "*", root / name / "ab"]
    return {"WORKSPACE": os.fsencode(root)}, [os.fsencode(path) for path in everything]


def test_real_paths_are_the_kernels_answer(tree: Path) -> None:
    assert real_path(os.fsencode(tree / "link" / "a.proto")) == (
        os.fsencode(tree / "proto" / "a.proto"),
        False,
    )
    assert real_path(os.fsencode(tree / "link")) == (os.fsencode(tree / "proto"), True)
    assert real_path(b"relative") is None
    assert real_path(b"/nul\0") is None


@pytest.fixture
def search(tmp_path: Path) -> tuple[bytes, Path]:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    _program(second / "cc-13")
    (second / "cc").symlink_to("cc-13")
    _program(second / "tool-gcc")
    _program(first / "tool-gcc")
    (first / "cc").write_text("not executable")
    (first / "folder-gcc").mkdir()
    return os.fsencode(f"relative:{first}::{second}"), tmp_path


def _program(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_a_name_is_found_as_execvp_finds_it(search: tuple[bytes, Path]) -> None:
    variable, root = search

    assert which(b"cc", variable) == os.fsencode(root / "second" / "cc")
    assert resolve_exec("cc", variable, {}) == [(os.fsencode(root / "second" / "cc-13"), False)]
    assert resolve_exec("missing", variable, {}) == []
    assert which(b"../first/tool-gcc", variable) is None


def test_a_pattern_of_names_finds_programs_only(search: tuple[bytes, Path]) -> None:
    variable, root = search

    assert resolve_exec("*-gcc", variable, {}) == [
        (os.fsencode(root / "first" / "tool-gcc"), False),
        (os.fsencode(root / "second" / "tool-gcc"), False),
    ]


def test_an_exec_pattern_with_a_slash_is_a_path(search: tuple[bytes, Path]) -> None:
    variable, root = search
    places = {"WORKSPACE": os.fsencode(root)}

    assert resolve_exec("$WORKSPACE/second/**", variable, places) == [
        (os.fsencode(root / "second"), True)
    ]


PATTERNS = st.builds(
    "{}{}".format,
    st.lists(
        st.sampled_from(["a", "b", "$W", "*", "?", "x*", "**", "%2A"]), min_size=1, max_size=4
    ).map("/".join),
    st.sampled_from(["", "/*", "/**", "/a*", "*"]),
)
TEXTS = st.lists(st.sampled_from(["a", "b", "$W", "x1", "%2A", ""]), min_size=1, max_size=5).map(
    "/".join
)


@given(st.lists(PATTERNS, max_size=5), st.lists(TEXTS, min_size=1, max_size=6))
def test_what_is_known_of_a_folder_says_the_same_of_each_file(
    patterns: list[str], texts: list[str]
) -> None:
    many = PatternSet(patterns)

    for text in texts:
        assert many.covers(text) is any(matches(each, text) for each in patterns)


FOLDERS = (b"/ws", b"/ws/a", b"/ws/a/x", b"/usr", b"/usr/lib", b"/h", b"/h/tc", b"/h/tc/lib", b"/")
FOLDERS_OF_TOKENS = st.dictionaries(st.sampled_from(TOKENS), st.sampled_from(FOLDERS), max_size=6)


@given(
    FOLDERS_OF_TOKENS,
    st.sampled_from([*FOLDERS[:-1], b"/ws/a/y/z", b"/etc", b"/\xc3\xa9/%"]),
    st.sampled_from([b"f", b"x", b"lib", b"rustlib", b"bin", b"tc", b"a"]),
)
def test_what_lies_in_a_folder_is_called_after_it(
    places: dict[str, bytes], folder: bytes, name: bytes
) -> None:
    path = folder + b"/" + name
    if names_alike(folder, places) and path not in places.values():
        assert locate(path, places) == f"{locate(folder, places)}/{name.decode()}"
