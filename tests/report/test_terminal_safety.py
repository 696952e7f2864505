"""No report carries what could move a cursor, forge a line or turn a text around."""

from __future__ import annotations

import json as standard_json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.printable import ELLIPSIS, printable, shortened
from buildperm.report import github, json, junit, sarif, text
from buildperm.report.finding import Report
from buildperm.tracer.notation import decode, encode
from tests.report.report_strategies import REPORTS, TEXTS

DOCUMENTS = pytest.mark.parametrize(
    "write",
    [
        json.document,
        sarif.document,
        junit.document,
        github.annotations,
        github.summary,
        text.document,
    ],
    ids=["json", "sarif", "junit", "annotations", "summary", "text"],
)


def is_clean(document: str) -> bool:
    """Tell whether `document` is printable lines, all of which end."""
    return document.replace("\n", "").isprintable() and document[-1:] in ("", "\n")


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("plain text, ümläut, 漢字", "plain text, ümläut, 漢字"),
        ("a\nb\tc\r", "a%0Ab%09c%0D"),
        ("\x1b[31m\x07\x00\x7f\x85", "%1B[31m%07%00%7F%C2%85"),
        ("a\u202eb\u2028c\u200bd\ufeff", "a%E2%80%AEb%E2%80%A8c%E2%80%8Bd%EF%BB%BF"),
        ("\udcff\ud800", "%FF%ED%A0%80"),  # A byte that is no UTF-8, half of a pair.
        ("\ufffe\U0010ffff\ue000", "%EF%BF%BE%F4%8F%BF%BF%EE%80%80"),
        ("100%0A", "100%0A"),  # Text in notation stays as it is.
    ],
)
def test_what_is_not_printable_is_written_byte_by_byte(raw: str, written: str) -> None:
    assert printable(raw) == written


@given(st.binary(max_size=40))
def test_what_is_in_notation_already_is_not_written_anew(raw: bytes) -> None:
    assert printable(encode(raw)) == encode(raw)
    assert decode(encode(raw)) == raw


@given(TEXTS)
def test_printable_text_is_one_line_of_valid_unicode(raw: str) -> None:
    written = printable(raw)

    assert written.isprintable()
    assert len(written.splitlines()) <= 1
    assert written.encode().decode() == written
    assert printable(written) == written


@given(TEXTS, st.integers(1, 30))
def test_shortened_text_says_where_it_was_cut(raw: str, most: int) -> None:
    written = shortened(raw, most)

    assert len(written) <= most
    whole = printable(raw)
    assert written == whole or (
        written.endswith(ELLIPSIS) and whole.startswith(written[:-1]) and len(whole) > most
    )


@DOCUMENTS
def test_a_hostile_report_is_clean_in_every_format(
    hostile: Report, write: Callable[[Report], str]
) -> None:
    assert is_clean(write(hostile))


@DOCUMENTS
@given(report=REPORTS)
@pytest.mark.quick(3)
def test_every_format_is_clean_whatever_a_report_holds(
    report: Report, write: Callable[[Report], str]
) -> None:
    assert is_clean(write(report))


@given(REPORTS)
def test_the_json_report_says_exactly_what_it_was_given(report: Report) -> None:
    told = standard_json.loads(json.document(report))

    assert sorted(finding["title"] for finding in told["findings"]) == sorted(
        # Half of a pair, then the other one, is one character to whoever reads JSON.
        standard_json.loads(standard_json.dumps(finding.title))
        for finding in report.findings
    )
