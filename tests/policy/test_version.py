"""The order of versions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.version import sort_key

WRITTEN = """
    0.9.9 0.10.0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11
    1.0.0-rc.1 1.0.0 1.0.0+20130313 1.0.0+21-a 1.0.1-0 1.0.1 1.2.0 1.10.0 2.0.0
"""
ORDERED = WRITTEN.split()


def test_versions_stand_in_the_order_of_semantic_versioning() -> None:
    assert sorted(sorted(ORDERED), key=sort_key) == ORDERED
    assert all(sort_key(one) < sort_key(other) for one, other in pairwise(ORDERED))


def test_a_number_beyond_all_measure_is_still_a_number() -> None:
    assert sort_key("1.0.0") < sort_key(f"1.0.{'9' * 5000}") < sort_key(f"1.0.1{'0' * 5000}")


@given(st.lists(st.text("0123.-+a²", max_size=8), max_size=5, unique=True))
def test_whatever_stands_for_a_version_has_one_place(versions: list[str]) -> None:
    ages = sorted(map(sort_key, versions))

    assert all(one < other for one, other in pairwise(ages))
    assert sorted(map(sort_key, reversed(versions))) == ages
