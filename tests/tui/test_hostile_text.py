"""Text that a build script chose: it is shown, it is never obeyed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.rule import Rule
from buildperm.presentation.wording import chain_text
from buildperm.printable import shown
from buildperm.tracer.notation import encode
from buildperm.tui.widgets.styled_line import Line, hanging, middle, strip, wrap

if TYPE_CHECKING:
    import pytest

    from buildperm.policy.proposal import Proposal
    from tests.tui.review_bench import ReviewBench

WIDE = (120, 36)
NAMES = [
    b"\x1b[2J\x1b[1;1H\x1b[32mrisk: low",
    b"a\nb\r\nc\td",
    "\u202etxt.exe\u2066".encode(),
    "zero\u200bwidth\ufeff".encode(),
    b"\xff\xfe not utf-8",
    ("漢字" * 40).encode(),
]


def hostile(proposal: Proposal, text: str) -> Proposal:
    """Put `text` wherever a build script has a say."""
    rule = Rule(Kind.READ, text)
    access = dataclasses.replace(
        proposal.evidence[0], target=text, example=text, chains=((text, text),)
    )
    return dataclasses.replace(
        proposal,
        crate=text,
        title=text,
        notes=(text,),
        evidence=(access,),
        choices=(Choice(text, (rule,)), Choice(text, (rule, rule), widening=text)),
    )


async def test_names_in_notation_reach_the_screen_as_letters(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    names = [encode(name) for name in NAMES]
    bench = make_bench(
        dataclasses.replace(hostile(proposals[0], name), id=f"{number:012x}")
        for number, name in enumerate(names)
    )
    async with bench.app.run_test(size=WIDE) as pilot:
        for name in names:
            await pilot.press("n")
            pixels = bench.pixels()

            assert all(character.isprintable() or character == "\n" for character in pixels)
            assert name[:12] in bench.text("#card")
            assert name[:12] in pixels


async def test_markup_in_titles_and_reasons_is_only_text(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    text = "[bold red]x[/] [@click=app.bell]y[/] $primary [/] {{x}}"
    bench = make_bench([hostile(proposals[0], text)])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        assert text in bench.pixels()

        await pilot.press("A")
        assert text in bench.pixels()


async def test_what_has_been_forgotten_to_be_encoded_is_still_no_control_sequence(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench([hostile(proposals[0], "\x1b[2J\x07\u202e")])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")

        assert "\x1b" not in bench.pixels()
        assert "%1B[2J%07%E2%80%AE" in bench.text("#card")


async def test_what_is_too_long_to_be_shown_cannot_be_allowed(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench([hostile(proposals[0], "x" * 10_001)])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "a", "A", "y")
        assert bench.answers() == {}
        assert "not shown: 10,001 characters" in bench.text("#card")
        assert "cannot be allowed" in bench.text("#card")

        await pilot.press("d")
        assert set(bench.answers().values()) == {"deny"}


async def test_a_long_value_is_shortened_in_the_tree_and_whole_on_the_card(
    make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    path = "read /opt/" + "deep/" * 60 + "needle.txt"
    bench = make_bench([dataclasses.replace(proposals[0], title=path)])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")

        joined = "".join(line.strip() for line in bench.text("#card").splitlines())
        assert path.replace(" ", "") in joined.replace(" ", "")
        assert "…" in bench.pixels()
        assert "needle.txt" in bench.pixels()


def test_a_program_cannot_name_itself_like_a_chain_of_two() -> None:
    step = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
    honest = chain_text(("script", "cc", "ld"))

    assert chain_text(("script", f"cc {step} ld")) != honest
    assert honest == f"script {step} cc {step} ld"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


@example("0\N{THAANA ABAFILI}", 1)
@given(texts, st.integers(0, 60))
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, cells: int) -> None:
    text = shown(text)
    short = middle(text, cells)

    assert cell_len(short) <= cells
    if cell_len(text) <= cells:
        assert short == text
    elif short:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


@given(texts, st.integers(4, 60))
def test_wrapping_loses_nothing_but_spaces_and_fits(text: str, cells: int) -> None:
    text = shown(text)
    lines = list(wrap(text, cells))

    assert all(cell_len(line) <= cells for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.lists(texts, max_size=3), st.lists(texts, max_size=2), st.integers(1, 60))
def test_a_line_is_exactly_as_wide_as_its_sheet(
    left: list[str], right: list[str], cells: int
) -> None:
    line = Line(
        tuple((shown(text), "") for text in left), tuple((shown(text), "") for text in right)
    )

    assert strip(line, cells, Style(), lambda tone: Style()).cell_length == cells


@given(texts, st.integers(10, 60))
def test_hanging_lines_fit(text: str, cells: int) -> None:
    for line in hanging((("lead ", ""),), shown(text), "", cells):
        assert sum(cell_len(piece) for piece, _ in line.left) <= cells


async def test_risk_is_a_glyph_and_a_word_without_any_colour(
    make_bench: type[ReviewBench], proposals: list[Proposal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    glyphs = {Risk.LOW: ".", Risk.MEDIUM: "~", Risk.HIGH: "!", Risk.CRITICAL: "!!"}
    bench = make_bench(
        dataclasses.replace(proposals[0], id=f"{risk:012x}", crate=f"crate-{risk}", risk=risk)
        for risk in Risk
    )
    async with bench.app.run_test(size=WIDE) as pilot:
        for risk, glyph in glyphs.items():
            await pilot.press("n")

            assert f"{glyph} {risk.name.lower()}" in bench.text("#card")
            assert f"{glyph} {risk.name.lower()}" in bench.text("#tree")
            assert f"{glyph}1" in bench.text("#counts")


async def test_the_cursor_is_seen_without_any_colour(
    bench: ReviewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    bench = type(bench)(bench.review.proposals)
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        reversed_lines = [
            row
            for row in range(bench.tree().size.height)
            if any(piece.style and piece.style.reverse for piece in bench.tree().render_line(row))
        ]

        assert reversed_lines == [1]
