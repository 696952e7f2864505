"""Taking back an edit: exactly it goes, what else changed stays, and what is unclear is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.reverse_edit import reversed_edit

lines = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "exec = []\n", "\n"]), max_size=12)


def raw(text: list[str]) -> bytes:
    return "".join(text).encode()


@given(lines, lines)
def test_what_is_untouched_goes_back_to_what_it_was(before: list[str], after: list[str]) -> None:
    assert reversed_edit(raw(before), raw(after), raw(after)) == raw(before)


@given(lines, st.data())
def test_what_was_edited_elsewhere_stays(edge: list[str], data: st.DataObject) -> None:
    mine, theirs = data.draw(lines), data.draw(lines)
    before, after = ["<1>\n", "<2>\n", *edge, "<3>\n"], ["<1>\n", "<2>\n", *mine, "<3>\n"]

    now = ["<0>\n", *theirs, *after, "<4>\n", *theirs]

    assert reversed_edit(raw(before), raw(after), raw(now)) == raw(
        ["<0>\n", *theirs, *before, "<4>\n", *theirs]
    )


@given(lines, lines, lines)
def test_a_result_never_loses_a_line_of_somebody_else(
    before: list[str], after: list[str], others: list[str]
) -> None:
    named = [f"mine {number} {line}" for number, line in enumerate(others)]
    now = [*named, *after]

    found = reversed_edit(raw(before), raw(after), raw(now))

    if found is not None:
        kept = found.decode().splitlines(keepends=True)
        assert [line for line in kept if line.startswith("mine")] == named


@pytest.mark.parametrize(
    "now",
    [
        b"[a]\nexec = ['cc', 'mine']\n[b]\n",
        b"[a]\n[b]\n",
        b"[changed]\nexec = ['cc']\n[b]\n",
        b"[a]\nexec = ['cc']\nmore = 1\n[b]\n",
        b"",
        b"[a]\r\nexec = ['cc']\r\n[b]\r\n",
    ],
)
def test_what_was_edited_in_the_same_place_is_refused(now: bytes) -> None:
    assert reversed_edit(b"[a]\n[b]\n", b"[a]\nexec = ['cc']\n[b]\n", now) is None


def test_what_was_added_at_the_end_goes_though_more_was_added_since() -> None:
    before, after = b"[a]\n", b"[a]\n\n[grants]\nexec = ['cc']\n"

    assert reversed_edit(before, after, after + b"[mine]\n") == before + b"[mine]\n"
