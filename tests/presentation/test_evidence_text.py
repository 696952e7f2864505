"""What lies behind a proposal, one fact a line."""

from __future__ import annotations

from pathlib import Path

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.presentation.evidence_text import evidence_facts
from buildperm.presentation.proposal_evidence import (
    ProposalEvidence,
    SourceLine,
    proposal_evidence,
    run_evidence,
)
from buildperm.printable import is_visible
from buildperm.tracer.recording.event import DirectivePrinted, Executed, RecordedProcess, Verdict
from tests.presentation.trace_recordings import HOSTILE, made_run

MS = 1_000_000
PROCESSES = (
    RecordedProcess(7, 0, b"/out/build", (b"/out/build",), 0, 90 * MS, 0),
    RecordedProcess(8, 7, b"/bin/sh", (b"sh", b"-c", HOSTILE), MS, 13 * MS, 9),
    RecordedProcess(9, 7, b"/bin/ls", (b"ls",), MS, 2 * MS, 0),
)


def evidence(commands: int = 1) -> ProposalEvidence:
    """Return what is known about a shell that was run."""
    access = Access(Kind.EXEC, "sh", Outcome.DONE, 1, 0, 0, (("build script",),))
    asked = Proposal("0" * 12, "gen", "1", "t", (Choice("x", ()),), Risk.LOW, ("n",), (access,))
    events = [
        Executed(n, 7, b"/bin/sh", b"/bin/sh", (b"sh", b"-c", HOSTILE + b"%d" % n), 0, False)
        for n in range(1, commands)
    ]
    events.append(Executed(0, 7, b"/bin/sh", b"/bin/sh", (b"sh", b"-c", HOSTILE), 0, False, 3))
    told = DirectivePrinted(9, "rustc-env", "LD_PRELOAD=/x", Verdict.FORBIDDEN)
    run = run_evidence(made_run(PROCESSES, [*events, told]), events)
    line = SourceLine("gen 1", "build.rs", Path("/w/build.rs"), 12, "  sh(\x1b)", "sh")
    return proposal_evidence(asked, [run], asking=[line], searched="searched gen 1 for `sh`.")


def test_each_fact_is_a_line_of_its_own() -> None:
    lines = list(evidence_facts(evidence(), ["--- a", "+++ b", " same", "+new"], "if you allow it"))

    assert lines == [
        "Command: sh -c $'\\e]0;x\\x07::error::\\xe2\\x80\\xae', 3 times",
        "Recorded: build script, debug, x86_64-unknown-linux-gnu, "
        "recorded while learning 3 minutes ago",
        "Process, level 0: build script, exit 0, 90 ms",
        "Process, level 1: sh -c $'\\e]0;x\\x07::error::\\xe2\\x80\\xae', "
        "killed by SIGKILL, 12 ms, did it",
        "Event at 0.000 s: run sh -c $'\\e]0;x\\x07::error::\\xe2\\x80\\xae', 3 times",
        "Told Cargo: rustc-env=LD_PRELOAD=/x, refused by buildperm; it can never be granted",
        "Source: a guess; searched gen 1 for `sh`.",
        "Source: gen 1, build.rs line 12: sh(%1B)",
        "Cargo.toml, if you allow it: changes by",
        "  +new",
    ]


def test_thousands_are_cut_and_counted() -> None:
    lines = list(evidence_facts(evidence(3_000), (), "if you deny it"))

    assert len(lines) < 150
    assert "(2,960 more of this kind; `buildperm trace` has all)" in lines
    assert "(2,980 more events; `buildperm trace` has all)" in lines
    assert lines[-1] == "Cargo.toml, if you deny it: stays as it is"
    assert all(map(is_visible, lines))
