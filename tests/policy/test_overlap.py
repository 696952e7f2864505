"""What two patterns share."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from buildperm.policy.overlap import overlap
from buildperm.rules.pattern import matches


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("/a/**", "/a", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False),
        ("/a/*", "/a/b/c", False),
        ("/a/*.h", "/a/b.*", True),
        ("/a/*.h", "/a/b.c", False),
        ("/a/?", "/a//", False),
        ("/a/**/z", "/a/z", True),
        ("/a/**/z", "/a/b/**", True),
        ("/a/**/z", "/b/**", False),
        ("**/x", "/a/**", True),
        ("gcc-*", "gcc-12", True),
        ("gcc-*", "*-12", True),
        ("gcc-*", "g++-*", False),
        ("/a/?", "/a/%0A", True),
        ("/" + "a*" * 200 + "b", "/" + "a*" * 200 + "c", False),
    ],
)
def test_patterns_overlap_where_one_text_fits_both(first: str, second: str, shared: bool) -> None:
    assert overlap(first, second) is shared
    assert overlap(second, first) is shared


patterns = st.lists(
    st.sampled_from(["/", "a", "b", "*", "**", "?", "/**", "/**/"]), max_size=6
).map("".join)


@given(patterns, patterns, st.lists(st.sampled_from(["/", "a", "b"]), max_size=6).map("".join))
def test_no_text_that_fits_both_is_missed(first: str, second: str, text: str) -> None:
    if matches(first, text) and matches(second, text):
        assert overlap(first, second)


@given(patterns, st.lists(st.sampled_from(["/", "a", "b"]), max_size=6).map("".join))
def test_a_literal_overlaps_exactly_what_matches_it(pattern: str, text: str) -> None:
    assume("**/**" not in pattern)  # The second says nothing new, and may only widen the answer.

    assert overlap(pattern, text) is matches(pattern, text)
