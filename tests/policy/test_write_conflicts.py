"""What two crates may both write: an error with a way out, unless somebody says it is meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import manifest
from buildperm.policy.editor import with_grants
from buildperm.policy.overlap import overlap
from buildperm.policy.write_conflicts import area
from buildperm.rules.pattern import matches

MANIFEST = Path("/w/Cargo.toml")


def table(first: str, second: str, *, keys: tuple[str, str] = ("a", "b"), shared: str = "") -> str:
    said = f"shared = [{shared!r}]\n" if shared else ""
    return (
        f"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n{said}"
        f'[workspace.metadata.buildperm.crates."{keys[0]}"]\nwrite = [{first!r}]\n'
        f"[workspace.metadata.buildperm.crates.\"{keys[1]}\"]\nwrite = ['/own', {second!r}]\n"
    )


def test_two_crates_that_may_write_the_same_are_an_error_that_says_how_to_go_on() -> None:
    raw = table("$WORKSPACE/gen/**", "$WORKSPACE/gen/b.txt").encode()

    with pytest.raises(BuildpermError) as caught:
        manifest.read(raw, MANIFEST)

    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.args[0] == (
        "/w/Cargo.toml:7: [workspace.metadata.buildperm.crates.b] write: `$WORKSPACE/gen/b.txt`: "
        "`a` may write there, too (`$WORKSPACE/gen/**`), and each could change what the other has "
        "made"
    )
    assert caught.value.hint == (
        'Narrow or remove one of them; if it is meant, add `shared = ["$WORKSPACE/gen/b.txt"]` to '
        "`[workspace.metadata.buildperm]`."
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("$WORKSPACE/gen/**", "$WORKSPACE/gen/**"),
        ("$WORKSPACE/gen/x", "$WORKSPACE/gen/x"),
        ("$WORKSPACE/gen/**", "$WORKSPACE/gen/deep/er/**"),
        ("$WORKSPACE/gen/x", "$WORKSPACE/gen/**"),
        ("$WORKSPACE/gen/**", "$WORKSPACE/gen"),
    ],
)
def test_what_meets_has_to_be_shared(first: str, second: str) -> None:
    with pytest.raises(BuildpermError, match="may write there, too"):
        manifest.read(table(first, second).encode(), MANIFEST)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("$WORKSPACE/gen/**", "$WORKSPACE/generated/**"),
        ("$WORKSPACE/gen/x", "$WORKSPACE/gen/y"),
        ("$OUT_DIR/**", "$OUT_DIR/**"),
        ("$MANIFEST_DIR/gen/**", "$MANIFEST_DIR/gen/**"),
    ],
)
def test_what_does_not_meet_or_is_each_crates_own_is_fine(first: str, second: str) -> None:
    assert len(manifest.read(table(first, second).encode(), MANIFEST).crates) == 2


@pytest.mark.parametrize(
    ("keys", "is_one"),
    [
        (("a@1", "a@2"), True),
        (("a", "a@0.9.1"), True),
        (("a", "git+https://host/a#a"), False),
        (("a@1", "b@1"), False),
    ],
)
def test_two_versions_of_one_crate_are_no_strangers(keys: tuple[str, str], is_one: bool) -> None:
    raw = table("/x/**", "/x/**", keys=keys).encode()
    if is_one:
        assert set(manifest.read(raw, MANIFEST).crates) == set(keys)
    else:
        with pytest.raises(BuildpermError, match="may write there, too"):
            manifest.read(raw, MANIFEST)


@pytest.mark.parametrize(
    ("shared", "is_meant"),
    [
        ("$WORKSPACE/gen/one/**", True),
        ("$WORKSPACE/gen/**", True),
        ("$WORKSPACE/gen/one/x", False),
        ("$WORKSPACE/gen/two/**", False),
        ("$WORKSPACE/gen/one", False),  # The folder itself, and nothing in it.
    ],
)
def test_what_is_said_to_be_shared_is_and_nothing_else(shared: str, is_meant: bool) -> None:
    raw = table("$WORKSPACE/gen/**", "$WORKSPACE/gen/one/**", shared=shared).encode()
    if is_meant:
        assert manifest.read(raw, MANIFEST).shared == (shared,)
    else:
        with pytest.raises(BuildpermError, match="may write there, too"):
            manifest.read(raw, MANIFEST)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("shared = '$WORKSPACE/gen'", "must be a list of strings"),
        ("shared = ['$OUT_DIR/**']", "each crate has another one"),
        ("shared = ['gen/**']", "a relative path has no meaning here"),
        ("shared = ['$WORKSPACE/**']", "too much for one grant"),
        ("shared = ['$WORKSPACE/*/x']", "one file, or a folder with everything below it"),
    ],
)
def test_what_cannot_be_shared_names_its_line(said: str, why: str) -> None:
    raw = f"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n{said}\n".encode()
    with pytest.raises(BuildpermError, match=rf"Cargo\.toml:4: .*shared.*{why}"):
        manifest.read(raw, MANIFEST)


def test_an_edit_keeps_what_is_shared() -> None:
    raw = table("/x/**", "/x/**", shared="/x/**").encode()
    grants = replace(manifest.read(raw, MANIFEST).crates["a"], key="c")

    edited = with_grants(raw, "c", grants)

    assert manifest.read(edited, MANIFEST).shared == ("/x/**",)
    assert b"shared = ['/x/**']\n" in edited


names = st.lists(st.sampled_from("abc"), max_size=3).map(lambda parts: "/".join(("", "w", *parts)))
patterns = st.builds(lambda name, tail: name + tail, names, st.sampled_from(["", "/**"]))


@given(patterns, patterns)
def test_areas_meet_and_hold_as_the_patterns_that_they_are_made_from(
    first: str, second: str
) -> None:
    assert area(first).meets(area(second)) == overlap(first, second)
    if area(first).holds(area(second)):
        below = second.replace("/**", "/x/y")
        assert matches(first, second.removesuffix("/**"))
        assert matches(first, below)
