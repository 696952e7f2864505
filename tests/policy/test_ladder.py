"""Ladders: each step covers the one before, none leaps, and the first says what was seen."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import inclusion, ladder
from buildperm.policy.pattern_set import PatternSet


@pytest.mark.parametrize(
    ("file", "extension"),
    [
        ("$WORKSPACE/a.proto", ".proto"),
        ("$WORKSPACE/a.tar.gz", ".gz"),
        ("$WORKSPACE/.gitignore", ""),
        ("$WORKSPACE/LICENSE", ""),
        ("$WORKSPACE/libx.so.1", ""),
        ("$WORKSPACE/x.d/LICENSE", ""),
    ],
)
def test_an_extension_is_what_a_kind_of_file_ends_in(file: str, extension: str) -> None:
    assert ladder.extension(file) == extension


def test_a_file_alone_of_its_kind_among_many_stays_exact() -> None:
    files = {"/x/a.proto", "/x/b.proto", "/x/README.md", "/x/LICENSE"}

    assert ladder.by_extension(files) == {"/x/*.proto", "/x/README.md", "/x/LICENSE"}
    assert ladder.by_extension({"/x/a.proto"}) == {"/x/*.proto"}


def test_many_kinds_of_files_are_any_file_there() -> None:
    files = {f"/x/a.{kind}" for kind in ("c", "h", "md", "py", "sh", "txt")}

    assert ladder.by_extension(files) == {"/x/*"}


def test_files_beside_keys_are_never_taken_by_their_kind() -> None:
    files = {"$HOME/a.txt", "$HOME/b.txt", "$CARGO_HOME/a.toml", "$CARGO_HOME/b.toml"}

    assert ladder.by_extension(files) == files


def test_every_folder_around_is_a_step() -> None:
    steps = [sorted(step.patterns) for step in ladder.of_reads({"$HOME/.pyenv/lib/x/a.py"})]

    assert steps == [
        ["$HOME/.pyenv/lib/x/*.py"],
        ["$HOME/.pyenv/lib/x", "$HOME/.pyenv/lib/x/*"],
        ["$HOME/.pyenv/lib/x/**"],
        ["$HOME/.pyenv/lib/**"],
        ["$HOME/.pyenv/**"],
        ["$HOME/**"],
    ]


def test_folders_that_have_another_name_in_each_build_are_the_last_step() -> None:
    output = "$TARGET_DIR/**/build/z-sys-*/out"
    last = list(ladder.of_reads({f"{output}/include/z.h"}))[-1]

    assert last.patterns == {f"{output}/**"}


def test_the_longest_beginnings_of_variables_come_first() -> None:
    names = {"OPENSSL_LIB_DIR", "OPENSSL_LIB_KIND"}

    assert [step.patterns for step in ladder.of_variables(names)] == [
        {"OPENSSL_LIB_*"},
        {"OPENSSL_*"},
    ]
    assert not list(ladder.of_variables({"LONELY"}))
    assert not list(ladder.of_variables({"A_B"}))


names = st.sampled_from(["a", "b.c", "b.h", "x.c", "d", "e.proto"])
targets = st.builds(
    lambda root, parts: "/".join((root, *parts)),
    st.sampled_from(["$WORKSPACE", "$HOME/.x", "/opt/y", "$TARGET_DIR/**/build/z-*/out"]),
    st.lists(names, min_size=1, max_size=4),
)


@pytest.mark.slow
@given(st.frozensets(targets, min_size=1, max_size=8))
def test_steps_cover_what_was_seen_and_each_step_covers_the_one_before(
    seen: frozenset[str],
) -> None:
    steps = list(ladder.of_reads(seen))

    for step in steps:
        allowed = PatternSet(step.patterns)
        assert all(map(allowed.covers, seen))
        assert step.title
        assert step.widening
    for narrow, wide in pairwise(steps):
        for pattern in narrow.patterns:
            assert any(inclusion.contains(each, pattern) for each in wide.patterns)


@given(st.frozensets(targets, min_size=1, max_size=8))
def test_no_step_goes_up_by_more_than_one_folder(seen: frozenset[str]) -> None:
    steps = list(ladder.of_folders({ladder.parent(each) for each in seen}, "wider"))

    for narrow, wide in pairwise(steps):
        folders = {pattern.removesuffix("/**") for pattern in wide.patterns}
        for pattern in narrow.patterns:
            folder = pattern.removesuffix("/**")
            assert not folders.isdisjoint((folder, ladder.parent(folder))) or any(
                folder.startswith(f"{each}/") for each in folders
            )


def test_digits_that_stand_for_a_byte_are_no_number() -> None:
    """Names that a script chose begin with bytes of all kinds: `tracer.notation`."""
    assert [ladder.numberless(name) for name in ("%01", "a%0A12", "%2515", "%25x", "x7%207")] == [
        "%01",
        "a%0A*",
        "%25*",
        "%25x",
        "x*%20*",
    ]
    assert not any("%*" in rung.patterns for rung in ladder.of_variables(["%01", "%02"]))
    assert any(rung.patterns == {"%01_*"} for rung in ladder.of_variables(["%01_1", "%01_2"]))
