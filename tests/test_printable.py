"""Foreign text on screens and in logs: one rule, which no front end can get round."""

from __future__ import annotations

import html
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.presentation.plain_prompt import ask
from buildperm.printable import (
    ELLIPSIS,
    cleaned,
    disarmed,
    is_storable,
    is_visible,
    log_line,
    log_text,
    printable,
    shortened,
    shown,
)
from buildperm.report import github, junit, markdown, sarif, text
from buildperm.report.finding import Finding, Level, Report
from buildperm.tracer.notation import decode, encode
from buildperm.tui.widgets.card import CardSubject, proposal_lines
from buildperm.tui.widgets.styled_line import strip
from tests.report.report_strategies import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
ROOMS = (
    *("buildperm/cli", "workflow", "tui", "presentation", "report", "cargo", "sandbox", "policy"),
    *("supervisor", "rules", "tracer"),
)
RULE = ("is_visible", "is_nameable", "is_storable", "escaped", "printable", "shortened", "shown",
        "log_line", "log_text", "cleaned", "disarmed")  # fmt: skip

# A name may hold anything, and be of any length that a screen still shows.
NAMES = TEXTS.filter(str.strip)
HOSTILE = (
    "\x1b[2J\a\x00\x9b31m \u202egnp\u2066 a\u200bb\ufeff \U000e0061\ufe0f\u034f\u3164 \ue000 "
    "\u2028x\u2029\x85\r\n::error::forged ##[group]x ##vso[task]y 100%0A%1B \udcff\ud800"
)

_DEFINED = re.compile(r"^def _?(\w+)", re.M)
_CARGO_TAKES = (0x00, 0x07, 0x0A, 0x1B, 0xD800, 0xDCFF)  # Out of its messages, or no path has it.


class Terminal(io.StringIO):
    """Somebody who leaves at the first question."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("plain text, ümläut, 漢字", "plain text, ümläut, 漢字"),
        ("a\nb\tc\r", "a%0Ab%09c%0D"),
        ("\x1b[31m\x07\x00\x7f\x85", "%1B[31m%07%00%7F%C2%85"),
        ("a\u202eb\u2028c\u200bd\ufeff", "a%E2%80%AEb%E2%80%A8c%E2%80%8Bd%EF%BB%BF"),
        ("\udcff\ud800", "%FF%ED%A0%80"),  # A byte that is no UTF-8, half of a pair.
        ("\ufffe\U0010ffff\ue000", "%EF%BF%BE%F4%8F%BF%BF%EE%80%80"),
        ("a\u00a0b\ufe0fc\u3164d", "a%C2%A0b%EF%B8%8Fc%E3%85%A4d"),  # Nothing is drawn for them.
        ("a\u2800b\U0001d159\u28ff", "a%E2%A0%80b%F0%9D%85%99\u28ff"),  # Or a blank.
        ("\U000e0061\U000e0100\u034f", "%F3%A0%81%A1%F3%A0%84%80%CD%8F"),
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

    assert is_visible(written)
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


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"plain text", b"plain text"),
        (b"tab\tstays", b"tab\tstays"),
        ("schön".encode(), "schön".encode()),
        (b"\x1b[1;31mred\x1b[0m", b"red"),
        (b"\x1b[38;2;1;2;3mred", b"red"),
        (b"\x1b]0;title\x07after", b"after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", b"link"),
        (b"\x1bPdevice\x1b\\after", b"after"),
        (b"\x1b(Bafter", b"after"),
        (b"\x1bcafter", b"after"),
        (b"a\rb\x08c\x00d\x7fe", b"abcde"),
        (b"\xc2\x9b31mred", b"31mred"),
        (b"\xff\xfea", b"a"),
        ("a\u202eb\u2066c\u200bd\u2028e".encode(), b"abcd e"),
        ("a\u00a0b".encode(), b"a b"),
        ("a\ufe00b\u3164c\U000e0100d\U000e0061e".encode(), b"abcde"),
        ("\u26a0\ufe0f warning".encode(), "\u26a0\ufe0f warning".encode()),
        ("\u28ff\u2800\u28ff".encode(), "\u28ff\u2800\u28ff".encode()),  # A picture.
        (b"\x1b", b""),
        (b"\x1b[", b""),
    ],
)
def test_only_what_is_visible_is_left(raw: bytes, expected: bytes) -> None:
    assert cleaned(raw) == expected


@given(st.binary())
def test_what_was_cleaned_is_harmless_text_and_stays_as_it_is(raw: bytes) -> None:
    found = cleaned(raw)

    assert cleaned(found) == found
    assert all(
        is_visible(each) or each in "\t\ufe0e\ufe0f\u2800\U0001d159" for each in found.decode()
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"::set-output name=a::b", b"%3A%3Aset-output name=a::b"),
        (b" \t ::stop-commands::x", b" \t %3A%3Astop-commands::x"),
        (b"a ##[add-mask]b", b"a %23%23[add-mask]b"),
        (b"##vso[task.setvariable variable=a]b", b"%23%23vso[task.setvariable variable=a]b"),
        (b"##teamcity[x]##[y]", b"%23%23teamcity[x]%23%23[y]"),
        (b"###[x]", b"%23%23#[x]"),
        (b"####[x]", b"##%23%23[x]"),
        (b"## A title [1]", b"## A title [1]"),
        (b"std::vec, a:: b", b"std::vec, a:: b"),
        (b"#[derive(Debug)]", b"#[derive(Debug)]"),
        (b"", b""),
    ],
)
def test_what_a_ci_service_would_obey_is_disarmed(line: bytes, shown: bytes) -> None:
    assert disarmed(line) == shown
    assert disarmed(shown) == shown


@given(st.text("#[:a ").map(str.encode))
def test_nothing_that_is_disarmed_is_a_command(line: bytes) -> None:
    shown = disarmed(line)
    assert b"##[" not in shown
    assert b"##a[" not in shown
    assert not shown.lstrip().startswith(b"::")


@given(TEXTS)
def test_two_names_never_look_the_same(raw: str) -> None:
    """Only where one of them is notation already, which stands for the very same bytes."""
    written = printable(raw)

    read = decode(encode(raw.encode("utf-8", "surrogatepass")))
    assert read == raw.encode("utf-8", "surrogatepass")
    if "%" not in raw and not any("\udc80" <= each <= "\udcff" for each in raw):
        assert decode(written) == raw.encode("utf-8", "surrogatepass")


@given(st.text(max_size=20), st.integers(0, 3))
def test_what_is_too_long_to_be_read_is_not_shown(raw: str, more: int) -> None:
    assert shown(raw) == printable(raw)
    assert shown("x" * (10_000 + more)).startswith("(not shown" if more else "xxx")


@given(TEXTS)
def test_a_line_of_output_is_what_is_printable_and_disarmed(raw: str) -> None:
    line = log_line(raw)

    assert is_visible(line)
    assert line == disarmed(printable(raw).encode()).decode()
    assert log_line(line) == line
    assert log_text(line) == line


def test_lines_of_output_keep_their_ends_and_tabs() -> None:
    assert log_text("a\tb\r\n\x1b[1m::c\n") == "a\tb\r\n%1B[1m::c\n"
    assert log_text("a\rb\r\n ::c") == "a%0Db\r\n %3A%3Ac"


@pytest.mark.parametrize(
    ("text", "storable"),
    [("漢字 \u00a0\ue000\u0378\ufe0f", True), ("a\u202e", False), ("a\n", False),
     ("\ud800", False), ("\u2028", False), ("\U000e0061", False)],
)  # fmt: skip
def test_what_a_committed_file_may_hold_does_not_depend_on_pythons_tables(
    text: str, storable: bool
) -> None:
    assert is_storable(text) is storable


def _proposal(name: str) -> Proposal:
    access = Access(Kind.READ, name, Outcome.DONE, 1, 0, 0, ((name,),))
    choice = Choice(name, (Rule(Kind.READ, name),))
    return Proposal("0" * 12, name, "1.0.0", name, (choice,), Risk.LOW, (name,), (access,))


def _report(name: str) -> Report:
    finding = Finding(
        rule="read", level=Level.ERROR, crate=name, version="1.0.0", title=name, details=(),
        way=(), remedy=(), command="", line=1, fingerprint="0" * 32,
    )  # fmt: skip
    return Report(None, (finding,), name, "Cargo.toml", 20)


def _on_screen(name: str) -> str:
    line = next(proposal_lines(CardSubject(_proposal(name), 0, Answer.UNDECIDED), None, 80, str))
    cells = 40 * (len(name) + 10)
    return strip(line, cells, Style(), lambda _: Style()).text


def _asked(name: str) -> list[str]:
    sink = io.StringIO()
    ask(
        Review([_proposal(name)]),
        preview=lambda: (b"", b""),
        verify=lambda _: (),
        journal=lambda _: None,
        source=Terminal(),
        sink=sink,
    )
    return sink.getvalue().split("\n")


@given(NAMES)
def test_every_front_end_shows_the_same_for_a_hostile_name(name: str) -> None:
    as_shown, report = printable(name), _report(name)
    said = f"{as_shown} 1.0.0"

    assert _on_screen(name).startswith(said)
    asked = _asked(name)
    assert f"Crate: {said}" in asked
    assert f"Seen: read {as_shown}, 1 time, done" in asked
    assert all(map(is_visible, asked))
    assert text.document(report).split("\n")[0] == log_line(said)
    assert html.unescape(markdown.inside_html(name, 10_000)) == as_shown
    (case,) = ET.fromstring(junit.document(report)).iter("testcase")
    assert case.get("classname") == as_shown
    (found,) = json.loads(sarif.document(report))["runs"][0]["results"]
    assert found["properties"]["crate"] == as_shown
    assert shortened(f"buildperm: {name}", 250).translate(
        {ord("%"): "%25", ord(":"): "%3A", ord(","): "%2C"}
    ) in github.annotations(report)


def test_an_error_shows_a_hostile_name_in_the_same_way(tmp_path: Path) -> None:
    nowhere = str(tmp_path / HOSTILE.translate(dict.fromkeys(_CARGO_TAKES)))
    Path(nowhere).mkdir()

    ended = subprocess.run(
        [sys.executable, "-m", "buildperm", "check"],
        cwd=nowhere,
        env=os.environ | {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )

    assert ended.returncode == 2
    said = ended.stderr.decode()
    assert log_text(nowhere) in said
    assert all(map(is_visible, said.split("\n")))


def _sources() -> list[Path]:
    rooms = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return [
        path for path in (*rooms, *(ROOT / "buildperm").glob("*.py")) if path.name != "printable.py"
    ]


def _own_rules(path: Path) -> Iterator[str]:
    text = path.read_text()
    for word in ("isprintable", "unicodedata", "unicode_escape"):
        if word in text:
            yield f"{path}: {word}"
    for name in _DEFINED.findall(text):
        if name in RULE:
            yield f"{path}: {name}"


def test_no_other_module_has_a_rule_of_its_own() -> None:
    found = [where for path in _sources() for where in _own_rules(path)]

    assert len(_sources()) > 150  # They were looked at.
    assert list(_own_rules(ROOT / "buildperm" / "printable.py"))
    assert not found
