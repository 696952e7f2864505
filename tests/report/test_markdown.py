"""Foreign text in Markdown is code and nothing else, whatever it is made of."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.printable import printable
from buildperm.report import markdown
from tests.report.rendered_markdown import code, escaped, tokens
from tests.report.report_strategies import TEXTS


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("cc", "`cc`"),
        ("a`b", "``a`b``"),
        ("a``b`c", "```a``b`c```"),
        ("`", "`` ` ``"),
        ("``x", "` ``x `"),
        (" x", "`  x `"),
        ("<b>[x](y)", "`<b>[x](y)`"),
        ("a\nb", "`a%0Ab`"),
        ("", ""),
        ("  ", ""),
        ("x" * 50, f"`{'x' * 39}…`"),
    ],
)
def test_a_span_is_fenced_by_what_it_does_not_hold(raw: str, written: str) -> None:
    assert markdown.code(raw, 40) == written


@given(TEXTS)
def test_a_span_shows_exactly_its_text_wherever_it_stands(raw: str) -> None:
    span = markdown.code(raw, 1_000)
    shown = [printable(raw)] if span else []

    assert bool(span) == bool(printable(raw).strip())
    for source in (f"It is {span}.", f"{span}", f"## x {span}", f"{span} and {span}"):
        assert code(source) == shown * source.count(span) if span else code(source) == []
        assert not escaped(source)


@given(st.lists(TEXTS, max_size=4), st.sampled_from(["text", "toml"]))
def test_a_block_shows_exactly_its_lines(lines: list[str], language: str) -> None:
    source = "\n".join([*markdown.block(lines, 1_000, language=language), "", "after"])

    fence, *rest = (token for token in tokens(source) if token.type in ("fence", "text"))
    assert fence.content == "".join(f"{printable(line)}\n" for line in lines)
    assert fence.info == language
    assert [token.content for token in rest] == ["after"]


@pytest.mark.parametrize("line", ["```", "  ````  ", "~~~", "`````` x", "</details>"])
def test_no_line_ends_the_block_that_it_stands_in(line: str) -> None:
    source = "\n".join([*markdown.block([line, "<b>"], 1_000), "", "after"])

    assert code(source) == [f"{line}\n<b>\n"]
    assert not escaped(source)


@given(TEXTS, TEXTS)
def test_a_cell_stays_one_cell(first: str, second: str) -> None:
    cells = [markdown.cell(text, 1_000) for text in (first, second)]
    source = f"| a | b |\n|---|---|\n| {cells[0]} | {cells[1]} |\n"

    shown = [printable(text).replace("\\", "%5C") for text in (first, second)]
    assert code(source) == [text for text in shown if text.strip()]
    assert not escaped(source)
    assert [token.type for token in tokens(source)].count("td_open") == 2


@given(TEXTS)
def test_text_inside_html_is_no_markup(raw: str) -> None:
    written = markdown.inside_html(raw, 1_000)

    assert not set("<>\"'\n") & set(written)
    assert html.unescape(written) == printable(raw)


def test_the_reader_of_these_tests_sees_what_gets_out() -> None:
    for source in (
        "see https://example.org",
        "[x](y)",
        "![x](y)",
        "a <b>c</b>",
        "<img src=x>",
        "@all",
        "#1",
        "``` mermaid\nx\n```",
        "a\n===\n# b {x}",
        "<details>\n<summary><code>a<b></code>: 1 finding</summary>\n",
        "~~x~~ `y`",
    ):
        assert escaped(source), source
    assert not escaped("Plain words, **strong** ones and `@all <code>`.")
