"""Completion in the filter: whatever it offers is a filter that is understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import selection
from buildperm.policy.kinds import WORDS, Kind
from buildperm.presentation.filter_completion import candidates, completed

CRATES = ("openssl-sys", "ring", "openssl", "ring")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", tuple(f"{each}:" for each in selection.FIELDS)),
        ("k", ("kind:",)),
        ("perl -r", ("-risk:", "-reason:")),
        ("kind:e", ("kind:exec", "kind:env")),
        ("kind:d", ("kind:directives",)),
        ("kind:directive", ("kind:directives",)),
        ("risk:>=", ("risk:>=critical", "risk:>=high", "risk:>=medium", "risk:>=low")),
        ("risk:h", ("risk:high",)),
        ("is:l", ("is:later", "is:locked")),
        ("crate:o", ("crate:openssl-sys", "crate:openssl")),
        ("crate:", ("crate:openssl-sys", "crate:ring", "crate:openssl")),
        ("nothing:", ()),
        ("perl", ()),
    ],
)
def test_what_may_come_next(typed: str, offered: tuple[str, ...]) -> None:
    assert candidates(typed, CRATES) == offered


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("ki", "kind:"),
        ("perl is:un", "perl is:undecided"),
        ("crate:op", "crate:openssl"),
        ("crate:openssl", "crate:openssl-sys"),
        ("perl", "perl"),
    ],
)
def test_a_word_is_completed_as_far_as_it_is_clear(typed: str, becomes: str) -> None:
    assert completed(typed, CRATES) == becomes


def test_each_kind_is_offered_in_one_word_and_understood_in_every_one() -> None:
    offered = [each.partition(":")[2] for each in candidates("kind:", CRATES)]
    assert offered == [str(kind) for kind in Kind]
    for word in (*WORDS, "d", "DIRECTIVE"):
        selection.parse(f"kind:{word}")
    with pytest.raises(BuildpermError) as refused:
        selection.parse("kind:zzz")
    assert refused.value.hint.count("directive") == 1


@given(
    st.lists(st.sampled_from(["kind:exec", "-perl", "x"]), max_size=2),
    st.sampled_from(selection.FIELDS),
    st.text("abcdefghijklmnopqrstuvwxyz>=<-", max_size=3),
)
def test_everything_that_is_offered_is_understood(words: list[str], field: str, value: str) -> None:
    typed = " ".join([*words, f"{field}:{value}"])

    for offer in candidates(typed, CRATES):
        assert offer.startswith(f"{field}:{value}")
        try:
            selection.parse(" ".join([*words, offer]))
        except BuildpermError as error:
            pytest.fail(f"{offer}: {error}")
