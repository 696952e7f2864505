"""Whether one pattern covers all of another, which decides whether a grant became wider."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buildperm.policy.inclusion import contains
from buildperm.rules.pattern import matches

_PIECES = ["a", "b", "/", "/", "*", "**", "?", "%2A", "/**", "/**/", "**/"]
_patterns = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join)
_texts = st.lists(st.sampled_from(["a", "b", "/", "%2A", "%25", "c"]), max_size=7).map("".join)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("$WORKSPACE/proto/**", "$WORKSPACE/proto/a.txt"),
        ("$WORKSPACE/proto/**", "$WORKSPACE/proto"),
        ("$WORKSPACE/proto/**", "$WORKSPACE/proto/*.txt"),
        ("$WORKSPACE/proto/**", "$WORKSPACE/proto/v1/**"),
        ("$WORKSPACE/proto/**", "$WORKSPACE/proto/**/a"),
        ("$WORKSPACE/**/a", "$WORKSPACE/a"),
        ("$WORKSPACE/**/*", "$WORKSPACE/*/**/a"),
        ("OPENSSL_*", "OPENSSL_*_DIR"),
        ("OPENSSL_*", "OPENSSL_?"),
        ("*.example.org:443", "*.a.example.org:443"),
        ("a?", "a%20"),
        ("X/**", "X/**/**/y"),
    ],
)
def test_what_is_narrower_is_contained(wide: str, narrow: str) -> None:
    assert contains(wide, narrow)
    assert not contains(narrow, wide)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$WORKSPACE/*", "$WORKSPACE/**"),  # As text, the one matches the other.
        ("$W/?", "$W/*"),
        ("a*", "a**"),
        ("$W/*/x", "$W/**/x"),
        ("$W/a/**", "$W/ab/**"),
        ("$W/a*", "$W/b*"),
        ("*.example.org:443", "*.example.org:80"),
        ("/usr/**", "$HOME/**"),
        ("$W/**/a", "$W/*a"),
        ("$W/**/a", "$W/**/*a"),
        ("$W/**/?", "$W/**/??"),
        ("**/a*", "b?a*"),
    ],
)
def test_what_looks_alike_is_not_contained(one: str, other: str) -> None:
    assert not contains(one, other)


@given(_patterns, _patterns, _texts)
@example("a/**", "a/**/", "a")
@example("**/a", "**/**/a", "a")
@example("/**/?", "/**/??", "/ab")
def test_what_is_contained_covers_nothing_else(wide: str, narrow: str, text: str) -> None:
    if contains(wide, narrow) and matches(narrow, text):
        assert matches(wide, text)


@given(_patterns)
def test_a_pattern_contains_itself_and_everything_contains_it(pattern: str) -> None:
    assert contains(pattern, pattern)
    assert contains("**", pattern)


@given(_patterns, _texts)
def test_a_text_is_contained_where_it_is_matched(wide: str, text: str) -> None:
    assert contains(wide, text) == (matches(wide, text) or wide == text)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("a" + "*a" * 1_000, "a" + "*a" * 1_001),
        ("**" + "?" * 4_000, "**" + "?" * 4_001),
        ("/**/a" * 800, "/**/a" * 801),
        ("**a" + "?" * 200 + "*", "**a" + "?" * 201 + "*b*"),
    ],
    ids=["stars", "marks", "folders", "sets"],
)
def test_what_takes_long_is_not_contained_rather_than_waited_for(wide: str, narrow: str) -> None:
    begun = time.process_time()

    contains(wide, narrow)

    assert time.process_time() - begun < 10
