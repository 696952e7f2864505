"""What is known of a build while it runs, whatever order its news come in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from buildperm.cargo.script_progress import ScriptEnded, ScriptStarted
from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal, Risk
from buildperm.presentation.build_progress import LineViewer
from buildperm.presentation.build_tally import BuildTally, EndedScript
from buildperm.presentation.build_viewer import refusal_text
from tests.tui.proposals import access, proposal

if TYPE_CHECKING:
    import pytest

    from buildperm.presentation.build_viewer import BuildListener


def wanting(risk: Risk, title: str = "run perl", *, refused: bool = False) -> Proposal:
    outcome = Outcome.REFUSED if refused else Outcome.DONE
    seen = access(Kind.EXEC, "perl", outcome=outcome)
    return proposal("gen", "1.0.0", title, risk, "note", [seen])


def ended(pid: int, crate: str = "gen", *, code: int = 0) -> ScriptEnded:
    return ScriptEnded(crate, "1.0.0", pid, code, None, 2_000_000_000)


def test_a_script_waits_runs_and_is_done() -> None:
    tally = BuildTally(lambda _: (wanting(Risk.HIGH),), clock=lambda: 7.0)
    assert not tally.state.is_begun

    tally.expect([("z", "1"), ("gen", "1.0.0")])
    assert tally.state.waiting == (("gen", "1.0.0"), ("z", "1"))
    tally.on_progress(ScriptStarted("gen", "1.0.0", 3))
    state = tally.state
    assert (state.waiting, state.running[0].crate, state.running[0].since_s) == (
        (("z", "1"),), "gen", 7.0,
    )  # fmt: skip
    tally.on_progress(ended(3))

    state = tally.state
    assert (state.scripts, state.running, state.ended[0].duration_s) == (2, (), 2.0)
    assert state.risks() == {Risk.HIGH: 1}


def test_the_most_alarming_thing_stays_until_something_is_worse() -> None:
    risks = iter([(), (Risk.LOW, Risk.HIGH), (Risk.HIGH,), (Risk.CRITICAL,), (Risk.LOW,)])
    tally = BuildTally(lambda _: tuple(wanting(risk) for risk in next(risks)))
    worst = []
    for pid, crate in enumerate("abcde"):
        tally.on_progress(ended(pid, crate))
        worst.append(tally.state.worst.crate if tally.state.worst else "")

    assert worst == ["", "b", "b", "d", "d"]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.sampled_from("abc")), max_size=30),
    st.lists(st.sampled_from("abcd"), max_size=6),
)
def test_no_order_of_news_loses_or_doubles_a_script(
    news: list[tuple[bool, int, str]], expected: list[str]
) -> None:
    tally = BuildTally(lambda _: ())
    tally.expect([(each, "1.0.0") for each in dict.fromkeys(expected)])
    running: dict[int, str] = {}
    done = 0
    for is_start, pid, crate in news:
        if is_start:
            tally.on_progress(ScriptStarted(crate, "1.0.0", pid))
            running[pid] = crate
        else:
            tally.on_progress(ended(pid, crate))
            running.pop(pid, None)
            done += 1

    state = tally.state
    assert [each.crate for each in state.running] == [*running.values()]
    assert len(state.ended) == done
    started = {crate for is_start, _, crate in news if is_start}
    assert {crate for crate, _ in state.waiting} == {*expected} - started


@given(st.lists(st.binary(max_size=30), max_size=12))
def test_the_log_is_the_same_however_it_is_cut(pieces: list[bytes]) -> None:
    whole, cut = BuildTally(lambda _: ()), BuildTally(lambda _: ())
    whole.on_output(b"".join(pieces))
    for piece in pieces:
        cut.on_output(piece)
    whole.finish()
    cut.finish()

    assert whole.lines() == cut.lines()
    assert not any(b"\x1b" in line for line in cut.lines()[1])


def test_lines_are_given_once() -> None:
    tally = BuildTally(lambda _: ())
    tally.on_output(b"\x1b[1m   Compiling\x1b[0m a v1\n one")
    number, lines = tally.lines()
    assert (number, lines) == (1, [b"   Compiling a v1"])

    tally.note("buildperm: a note")
    tally.on_output(b" two\n")

    assert tally.lines(number) == (3, [b"buildperm: a note", b" one two"])
    assert tally.lines(3) == (3, [])
    assert tally.state.crates == 1


def test_who_was_refused_something_and_failed_is_not_left_alone_with_it() -> None:
    told = [wanting(Risk.LOW, refused=True), wanting(Risk.HIGH, "read a key", refused=True)]

    assert refusal_text(EndedScript("gen", "1.0.0", 1.0, True, tuple(told))) == (
        "gen 1.0.0 failed; refused by buildperm: read a key and 1 other thing; decide about it next"
    )
    assert refusal_text(EndedScript("gen", "1.0.0", 1.0, False, tuple(told))) == ""
    told[1] = replace(told[1], locked="No grant opens a system call.")
    assert refusal_text(EndedScript("gen", "1.0.0", 1.0, True, tuple(told))).endswith(
        "read a key and 1 other thing; no decision can allow that; decide about the rest next"
    )
    assert refusal_text(EndedScript("gen", "1.0.0", 1.0, True, (told[1],))) == (
        "gen 1.0.0 failed; refused by buildperm: read a key; no decision can allow that"
    )
    assert refusal_text(EndedScript("gen", "1.0.0", 1.0, True, (wanting(Risk.HIGH),))) == ""


def test_without_a_terminal_a_refusal_is_a_line_beside_what_cargo_says(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def build(listener: BuildListener) -> str:
        listener.on_progress(ended(1, code=101))
        return "built"

    built = LineViewer().watch("learn", lambda _: (wanting(Risk.HIGH, refused=True),), build)

    assert built == "built"
    assert b"buildperm: gen 1.0.0 failed; refused by buildperm: run perl;" in (
        capfdbinary.readouterr().err
    )


def test_a_screen_reader_gets_a_line_a_script_and_nothing_is_redrawn(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    found = iter([(), (wanting(Risk.HIGH), wanting(Risk.LOW))])

    def build(listener: BuildListener) -> None:
        listener.on_begin([], lambda: None)
        listener.on_progress(ended(1, "quiet"))
        listener.on_output(b"   Compiling gen v1.0.0\n")
        listener.on_progress(ended(2))

    LineViewer(is_linear=True).watch("learn", lambda _: next(found), build)

    said = capfdbinary.readouterr().err
    assert b"\x1b" not in said
    assert said.splitlines() == [
        b"buildperm: quiet 1.0.0 is recorded: nothing to decide",
        b"   Compiling gen v1.0.0",
        b"buildperm: gen 1.0.0 is recorded: 2 decisions, high: run perl",
    ]
