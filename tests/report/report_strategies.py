"""Texts and reports as nobody would write them, for the properties that every report has."""

from __future__ import annotations

from itertools import cycle

from hypothesis import strategies as st

from buildperm.policy.proposal import Risk
from buildperm.report.build_run import BuildRun, ScriptRun
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.rule_catalogue import CATALOGUE

_PIECES = [
    *("::", "::error::", "::stop-commands::x", "##[error]", "##[add-mask]x", "%", "%0A", "%3A"),
    *("\n", "\r", "\r\n", "\x00", "\x0b", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff"),
    *("`", "``", "```", "~~~", "|", "\\", "\\|", "[x](https://x)", "![](https://x)", "<!--", "-->"),
    *("<script>", "</details>", "</code>", "&lt;", "&#58;", "{0}", "{", "}", "[0](0)", "]]>"),
    *("@all", "#1", "GH-1", "https://example.org", "www.example.org", "me@example.org", "$x$"),
    *(" ", "    ", "\t", "# ", "- ", "> ", "---", "***", "_x_", ":tada:", ",", "=", "\ud800"),
    *("\u200b", "\ufe0f", "\U000e0061", "\U000e0100", "\u3164", "\u00a0", "\ue000", "##vso[x]y"),
    *("\udcff", "\ufffe", "\uffff", "\U0010ffff", "e\u0301", "name", '"', "'", "..", "/"),
]

TEXTS = st.lists(st.sampled_from(_PIECES) | st.characters(), max_size=10).map("".join)
"""Text with what means something in any of the formats."""


def report(texts: list[str], number: int, *, is_built: bool) -> Report:
    """Make a report of a few findings in which every text is one of `texts`."""
    text = cycle(texts)
    findings = tuple(
        Finding(
            rule=CATALOGUE[(number + index) % len(CATALOGUE)].rule if index else next(text),
            level=list(Level)[(number + index) % 3],
            crate=next(text),
            version=next(text),
            title=next(text),
            details=tuple(next(text) for _ in range((number + index) % 3)),
            way=tuple(next(text) for _ in range((number // 2 + index) % 4)),
            remedy=tuple(next(text) for _ in range((number // 3 + index) % 3)),
            command=next(text),
            line=number - 3,
            fingerprint=f"{number + index:032x}",
            risk=[None, *Risk][(number + index) % 5],
        )
        for index in range(number % 4)
    )
    scripts = tuple(
        ScriptRun(
            crate=next(text),
            version=next(text),
            source=next(text),
            way=tuple(next(text) for _ in range(index)),
            events=number,
            accesses=number,
            duration_ns=number**3 - 1,
            findings=(),
            failure=next(text),
        )
        for index in range(number % 3)
    )
    run = BuildRun(next(text), number % 9, next(text), (next(text),), scripts, number % 256)
    return Report(run if is_built else None, findings, next(text), next(text), (number * 7) % 256)


REPORTS = st.builds(
    report,
    st.lists(TEXTS, min_size=1, max_size=7),
    st.integers(0, 100_000),
    is_built=st.booleans(),
)
