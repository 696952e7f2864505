"""Pages of the HTML report as nobody would write them, for the properties that each one has."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from hypothesis import strategies as st

from buildperm.report.html_page import (
    AccessRow,
    BaselineCount,
    CrateChapter,
    GrantRow,
    KeyFigure,
    MapCell,
    MapRow,
    OpenQuestion,
    ProcessRow,
    ReportPage,
    RunOutline,
    Severity,
    TimelineMark,
    TouchedTarget,
)
from tests.report.report_strategies import TEXTS

MARKUP = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>'),
    *("</style><style>*{display:none}</style>", "</script><script>alert(1)</script>"),
    *("' onmouseover='alert(1)", "{{ 7*7 }}", "{% raw %}", "<!--", "]]>", "&lt;b&gt;", "</title>"),
    *("javascript:alert(1)", "<base href=//x>", "<meta http-equiv=refresh content=0>", "`<b>`"),
)
"""What would do something if it were taken for markup."""


def page(texts: list[str], number: int) -> ReportPage:
    """Make a page that has everything, in which every text that others choose is one of `texts`.

    Args:
        texts: Used again and again, in turn.
        number: What there is more or less of.
    """
    text = cycle(texts).__next__

    def some(most: int) -> tuple[str, ...]:
        return tuple(text() for _ in range(1 + number % most))

    return ReportPage(
        workspace=text(),
        made="2026-11-30 12:00 UTC",
        source=text(),
        verdict=text(),
        severity=list(Severity)[number % 5],
        figures=(KeyFigure("5", "crates", None), KeyFigure("1", "open", Severity.HIGH)),
        chapters=tuple(_chapter(text, some, number + each, each) for each in range(2)),
        areas=("Secrets", "Network"),
        map_rows=(
            MapRow("crate-0", text(), (MapCell(2, "?", Severity.LOW, "2 undecided"), _NOTHING)),
        ),
        touched=(
            TouchedTarget(
                text(), text(), text(), Severity.CRITICAL, (("crate-0", text()),), number % 2
            ),
        ),
        touched_left_out=number % 3,
        quiet=number % 3,
        other_grants=((text(), (_grant(text, some),)),),
        folders=(("$HOME", "the home folder"),),
        warnings=some(2),
    )


_NOTHING = MapCell(0, "", Severity.CALM, "")


def _grant(text: Callable[[], str], some: Callable[[int], tuple[str, ...]]) -> GrantRow:
    return GrantRow(text(), text(), Severity.CALM, some(2))


def _chapter(
    text: Callable[[], str], some: Callable[[int], tuple[str, ...]], number: int, at: int
) -> CrateChapter:
    has_times = number % 2 == 0
    return CrateChapter(
        anchor=f"crate-{at}",
        name=text(),
        version=text(),
        what=text(),
        way=text(),
        severity=list(Severity)[number % 5],
        verdict=text(),
        deeds=some(3),
        questions=(OpenQuestion(text(), Severity.HIGH, some(2)),),
        accesses=(
            AccessRow(
                verb=text(),
                target=text(),
                gloss=text(),
                outcome=text(),
                state=text(),
                severity=Severity.HIGH,
                risk="high",
                why=text(),
                times=number,
                at="1 ms",
                chains=some(2),
                listed=some(3),
            ),
        ),
        accesses_left_out=number % 2,
        baseline=(BaselineCount("read", 3, some(2)),),
        runs=(
            RunOutline(
                title=text(),
                duration="took 1 s",
                ending=text(),
                warning=text(),
                processes=(
                    ProcessRow("└─ ", text(), text(), has_times, "0 ms", "1 ms", (0.0, 5.5)),
                    ProcessRow("", text(), text(), not has_times, "", "", None),
                ),
                left_out=number % 2,
                marks=(TimelineMark(3.5, Severity.CRITICAL, text()),),
                has_times=has_times,
            ),
        ),
        runs_left_out=number % 2,
        grants=(_grant(text, some),),
        reason=text(),
        source=text(),
    )


HOSTILE_TEXTS = st.lists(
    st.sampled_from(MARKUP) | TEXTS | st.lists(st.sampled_from(MARKUP), max_size=3).map("".join),
    min_size=1,
    max_size=9,
)
