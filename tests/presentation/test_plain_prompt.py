"""The plain-text review: transcripts of what is asked and what comes of the answers."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy import editor, manifest, reasons, removal_proposals
from buildperm.policy.access import Access, Outcome
from buildperm.policy.comparison import Comparison, SourceChange
from buildperm.policy.decision import Answer, JournalEntry
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Reason, Risk
from buildperm.policy.proposals import propose
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.presentation.front_end import Failure, Ran
from buildperm.presentation.front_end import ReviewEnd as Ending
from buildperm.presentation.plain_prompt import ask
from buildperm.presentation.proposal_evidence import proposal_evidence
from buildperm.presentation.wording import reason_text
from tests.programs import program_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.front_end import Progress
    from buildperm.presentation.proposal_evidence import ProposalEvidence

EMPTY = Policy("portable", {}, Path("Cargo.toml"))
MANIFEST = b'[package]\nname = "app"\nversion = "0.1.0"\n'


def access(kind: Kind, target: str, *chain: str, example: str = "") -> Access:
    chains = (("build-script-build", *chain),)
    return Access(kind, target, Outcome.DONE, 2, 0, 1, chains, example)


SEEN = (
    access(Kind.EXEC, "perl", "make", "perl", example="perl -e ./Configure linux-x86_64"),
    access(Kind.READ, "$WORKSPACE/proto/a.proto"),
    access(Kind.READ, "$WORKSPACE/proto/b.proto"),
)


class AnsweringTerminal(io.StringIO):
    """Answers that come from somebody, echoed as a terminal does, or from nobody."""

    def __init__(self, *answers: str, listening: bool = True, echo: TextIO | None = None) -> None:
        super().__init__("".join(f"{answer}\n" for answer in answers))
        self.listening = listening
        self.echo = echo

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override] # as StringIO
        line = super().readline() if size is None else super().readline(size)
        if self.echo is not None:
            self.echo.write(line)
        return line

    def isatty(self) -> bool:
        return self.listening


class Conversation:
    """One conversation over a real review."""

    def __init__(self, *answers: str, listening: bool = True) -> None:
        self.review = Review(propose("openssl-sys", "0.9.104", SEEN))
        self.entries: list[JournalEntry] = []
        self.failures: list[Sequence[Failure]] = []
        self.trouble: BuildpermError | None = None
        self.comparisons: dict[tuple[str, str], Comparison] = {}
        self.unsaved: list[str] = []
        self.heading = self.summary = ""
        self.is_tried = True
        self.sink = io.StringIO()
        self.source = AnsweringTerminal(*answers, listening=listening, echo=self.sink)

    def run(self) -> Ending:
        return ask(
            self.review,
            preview=self.preview,
            verify=self.verify,
            journal=self.entries.append,
            comparisons=self.comparisons,
            heading=self.heading,
            summary=self.summary,
            ran=Ran(7),
            unsaved=lambda: self.unsaved,
            evidence=self,
            is_tried=self.is_tried,
            source=self.source,
            sink=self.sink,
        )

    def of(self, asked: Proposal, /) -> ProposalEvidence:
        return proposal_evidence(asked, (), missing="recorded elsewhere")

    def edit(self, asked: Proposal, chosen: int, answer: Answer, /) -> tuple[str, ...]:
        return (f"+{asked.title} {chosen} {answer}",)

    def preview(self) -> tuple[bytes, bytes]:
        if self.trouble is not None:
            raise self.trouble
        after = MANIFEST
        policy = manifest.read(MANIFEST, Path("Cargo.toml"))
        for key, grants in self.review.grants(policy).items():
            after = editor.with_grants(after, key, grants)
        return MANIFEST, after

    def verify(self, progress: Progress) -> Sequence[Failure]:
        progress(1, 1, "openssl-sys")
        return self.failures.pop(0) if self.failures else ()

    @property
    def said(self) -> list[str]:
        return self.sink.getvalue().splitlines()

    def answers(self) -> list[Answer]:
        return [self.review.decision(each.id).answer for each in self.review.proposals]


def test_each_fact_is_a_line_of_its_own_and_nothing_moves_the_cursor() -> None:
    talk = Conversation("q", "k")
    talk.run()

    assert "Crate: openssl-sys 0.9.104" in talk.said
    assert "Wants to: run perl" in talk.said
    assert "Risk: high" in talk.said
    assert any(line.startswith("Why: `perl`") for line in talk.said)
    assert "Seen: run perl, 2 times, done" in talk.said
    assert "Command: perl -e ./Configure linux-x86_64" in talk.said
    assert "Allows: exec perl" in talk.said
    assert all(line.isprintable() for line in talk.said)


def test_answers_are_decisions_and_w_writes_after_the_diff() -> None:
    talk = Conversation("d", "a", "w", "y")

    assert talk.run() is Ending.WRITE
    assert talk.answers() == [Answer.DENY, Answer.ALLOW]
    assert len(talk.entries) == 2
    assert "- " not in talk.said
    assert "+ openssl-sys must not run perl" in talk.said
    assert '    +deny = { exec = ["perl"] }' in talk.said
    assert "Checking 1 of 1: openssl-sys" in talk.said


def test_an_empty_answer_never_allows() -> None:
    talk = Conversation(*[""] * 10)

    assert talk.run() is Ending.KEEP
    assert set(talk.answers()) == {Answer.LATER}


def test_the_end_of_input_stops_and_keeps() -> None:
    talk = Conversation("d")

    assert talk.run() is Ending.KEEP
    assert talk.answers() == [Answer.DENY, Answer.UNDECIDED]
    assert talk.said[-1] == "Stopped. Your decisions are kept; nothing was written."


def test_brackets_step_to_the_next_choice() -> None:
    talk = Conversation("s", "]", "]", "[", "a", "k")
    talk.run()

    proposal = talk.review.proposals[1]
    assert len(proposal.choices) > 1
    assert talk.review.decision(proposal.id).chosen == max(min(2, len(proposal.choices) - 1) - 1, 0)
    assert any(line.startswith("Rule 2 of") for line in talk.said)


def test_i_prints_the_evidence_and_asks_again() -> None:
    talk = Conversation("]", "i", "q")

    talk.run()

    assert "Evidence: recorded elsewhere" in talk.said
    at = talk.said.index("Cargo.toml, if you allow it by the chosen rule: changes by")
    assert re.fullmatch(r" *\+run perl \d allow", talk.said[at + 1])
    assert talk.review.counts().open == len(talk.review.proposals)


def test_undo_asks_again() -> None:
    talk = Conversation("d", "u", "s", "q", "k")
    talk.run()

    assert talk.said.count("Wants to: run perl") == 2
    assert "Taken back: run perl" in talk.said
    assert talk.answers()[0] is Answer.LATER


def test_anything_else_explains_the_letters_and_decides_nothing() -> None:
    talk = Conversation("yes", "?", "q", "k")
    talk.run()

    assert talk.said.count("a  allow the chosen rule") == 2
    assert set(talk.answers()) == {Answer.UNDECIDED}


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    talk = Conversation("a", "a", "w", listening=False)

    assert talk.run() is Ending.KEEP
    assert "openssl-sys 0.9.104: run perl (high)" in talk.said
    assert not any(line.startswith("Answer") for line in talk.said)
    assert set(talk.answers()) == {Answer.UNDECIDED}


def test_x_discards() -> None:
    assert Conversation("d", "q", "x").run() is Ending.DISCARD


def test_u_at_the_end_goes_on_deciding() -> None:
    talk = Conversation("d", "d", "u", "a", "w", "y")

    assert talk.run() is Ending.WRITE
    assert talk.answers() == [Answer.DENY, Answer.ALLOW]


def test_what_is_missing_is_asked_about_next() -> None:
    talk = Conversation("d", "d", "w", "d", "w", "y")
    late = propose("ring", "0.17.8", [access(Kind.EXEC, "nasm")])
    talk.failures.append([Failure("ring", "0.17.8", "was refused: run nasm", tuple(late))])

    assert talk.run() is Ending.WRITE
    assert "Missing: ring 0.17.8: was refused: run nasm" in talk.said
    assert f"Wants to: {late[0].title}" in talk.said
    assert talk.answers() == [Answer.DENY] * 3


def test_a_failure_without_proposals_is_written_only_on_purpose() -> None:
    endings = {"": Ending.KEEP, "w": Ending.KEEP, "y": Ending.KEEP, "override": Ending.WRITE}
    for answer, ending in endings.items():
        talk = Conversation("d", "d", "w", answer)
        talk.failures.append([Failure("openssl-sys", "0.9.104", "exit status 1")])

        assert talk.run() is ending


def test_an_edit_that_cannot_be_made_is_told() -> None:
    talk = Conversation("d", "d", "w")
    talk.trouble = BuildpermError("Cargo.toml was changed", hint="Run it again.")

    assert talk.run() is Ending.KEEP
    assert "Cannot write: Cargo.toml was changed" in talk.said


def test_nothing_to_decide_is_said() -> None:
    sink = io.StringIO()
    ending = ask(
        Review([]),
        preview=lambda: (MANIFEST, MANIFEST),
        verify=lambda progress: (),
        journal=lambda entry: None,
        ran=Ran(7),
        source=AnsweringTerminal(),
        sink=sink,
    )

    assert ending is Ending.KEEP
    assert (
        sink.getvalue()
        == "7 build scripts within the baseline and their grants: nothing to decide.\n"
    )


def test_what_is_typed_before_a_risky_question_is_thrown_away() -> None:
    """A real terminal, with three lines typed ahead of the first question."""
    program = program_text("asks_on_terminal.py")
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        os.write(ours, b"go\na\na\nw\n")
        assert child.stderr is not None
        told = ""
        while "Answer (" not in told:
            letter = child.stderr.read(1)
            assert letter, told
            told += letter
        os.write(ours, b"\x04")
        out, _ = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        os.close(theirs)

    assert "END keep ['undecided']" in out


@pytest.mark.parametrize("module", ["buildperm.presentation.plain_prompt"])
def test_plain_text_needs_no_textual_and_no_rich(module: str) -> None:
    program = f"import sys, {module}; print([m for m in ('textual', 'rich') if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip

    assert told.stdout == "[]\n"


# After an update.

GIT = access(Kind.EXEC, "git", "git", example="git describe")
ASKED = propose("a", "1.1.0", [GIT])[0].title
PROTO = Rule(Kind.READ, "$WORKSPACE/proto/**")


def update_talk(*answers: str, listening: bool = True, last: int | None = None) -> Conversation:
    """Talk about three crates that run git, and about what is no question."""
    protos = [access(Kind.READ, "$WORKSPACE/proto/a.proto")]
    seen = [SeenAccess(each.kind, each.target, each.outcome) for each in (GIT, *protos)]
    granted = CrateGrants("b", rules=frozenset({Rule(Kind.EXEC, "perl"), PROTO}))
    proposals = [
        *propose("a", "1.1.0", [GIT]),
        reasons.newcomer("fresh", "0.1.0", ["app", "a", "fresh"]),
        *propose("b", "2.0.0", [GIT]),
        *reasons.covered("b", "2.0.0", seen, protos, [PROTO]),
        *removal_proposals.removals("b", "2.0.0", granted, ["exec:perl"]),
        *propose("c", "3.0.0", [GIT]),
    ]
    talk = Conversation(*answers, listening=listening)
    talk.review = Review(proposals[:last])
    change = SourceChange("build.rs", b"fn main() {}\n", b"fn main() { git() }\n")
    causes = ("was 1.0.0",)
    done = (seen[0],)
    compared = [
        Comparison("a", "1.1.0", "1.0.0", ("app", "a"), causes, done, (), (), (change,)),
        Comparison(
            "fresh", "0.1.0", "", ("app", "a", "fresh"), ("new",), (), (), (),
            (SourceChange("build.rs", None, b"fn main() {}\n"),),
        ),
        Comparison("b", "2.0.0", "1.9.0", (), causes, done, (), (), (), "no cache"),
    ]  # fmt: skip
    talk.comparisons = {(each.crate, each.version): each for each in compared}
    return talk


def test_what_changed_in_a_crate_is_told_once_before_its_first_question() -> None:
    talk = update_talk("s", "", "s", "s", "s", "s", "k")
    talk.run()

    assert talk.said.count("Changed: a 1.0.0 -> 1.1.0") == 1
    assert talk.said.count("Changed: b 1.9.0 -> 2.0.0") == 1
    first = talk.said.index("Changed: a 1.0.0 -> 1.1.0")
    assert talk.said[first + 1 : first + 6] == [
        "Way into the graph: app > a",
        "Cause: was 1.0.0",
        "Beyond the baseline: + 1 new, - 0 gone, 0 same",
        "    + run git",
        "Sources: 1 file changed",
    ]
    assert "New build script: fresh 0.1.0" in talk.said
    assert "Sources: not compared: no cache" in talk.said
    assert all(line.isprintable() for line in talk.said)


def test_ae_allows_and_de_denies_everywhere() -> None:
    for letters, answer, told in (
        ("ae", Answer.ALLOW, "Allowed, in 3 crates; u takes all of it back."),
        ("de", Answer.DENY, "Denied, in 3 crates; u takes all of it back."),
    ):
        talk = update_talk(letters, "", "q", "k")
        talk.run()

        git = [each for each in talk.review.proposals if each.title == ASKED]
        assert [talk.review.decision(each.id).answer for each in git] == [answer] * 3
        assert told in talk.said
        assert len(talk.entries) == 1


def test_undo_takes_back_an_answer_everywhere() -> None:
    talk = update_talk("ae", "u", "q", "k")
    talk.review = Review([each for each in talk.review.proposals if each.crate != "fresh"])
    talk.run()

    assert talk.review.counts().allowed == 0
    assert len(talk.entries) == 2
    assert talk.said.count(f"Wants to: {ASKED}") == 2


def test_the_letters_for_everywhere_are_only_offered_where_somebody_else_asks() -> None:
    talk = update_talk("ae", "de", "s", "k", last=1)
    talk.run()

    assert "Answer (a d s e r dc aa da [ ] i o u U v ? q): ae" in talk.said
    assert talk.answers() == [Answer.LATER]
    assert talk.said.count("a  allow the chosen rule") == 2


def test_o_prints_the_sources_and_asks_again() -> None:
    talk = update_talk("o", "s", "o", "", "o", "q", "k")
    talk.run()

    first = talk.said.index("File: build.rs, +1 -1")
    assert talk.said[first + 1 : first + 4] == [
        "    @@ -1 +1 @@",
        "    -fn main() {}",
        "    +fn main() { git() }",
    ]
    assert "File: build.rs, new, +1 -0" in talk.said
    assert "a  allow the chosen rule" in talk.said  # No `o` for b: there is nothing to print.
    assert talk.answers()[0] is Answer.LATER


def test_a_newcomer_is_shown_and_takes_no_answer() -> None:
    talk = update_talk("s", "a", "d", "ae", "", "q", "k")
    talk.run()

    assert "New: is new, and stays within the baseline" in talk.said
    assert "Answer (o q, Enter goes on): a" in talk.said
    assert talk.said.count(reason_text(Reason.NEWCOMER)) == 3
    assert talk.answers()[1] is Answer.UNDECIDED
    assert len(talk.entries) == 1


def test_what_is_covered_and_what_is_unused_may_be_answered_or_left() -> None:
    talk = update_talk("a", "", "a", "d", "d", "a", "k")
    talk.run()

    assert any(line.startswith("Does: new, but already allowed by") for line in talk.said)
    assert "Was granted: made no use of exec `perl`" in talk.said
    assert f"Listed because: {reason_text(Reason.COVERED)}" in talk.said
    assert "Removed." in talk.said
    assert talk.answers()[3:5] == [Answer.DENY, Answer.DENY]

    left = update_talk("a", "", "a", "", "", "a", "k")
    left.run()
    assert "Left for later; it stays allowed." in left.said
    assert "Left for later; the grant stays." in left.said


def test_an_unused_grant_that_is_kept_is_told_so() -> None:
    talk = update_talk("a", "", "a", "a", "a", "a", "k")
    talk.run()

    assert "Fine." in talk.said
    assert "Kept." in talk.said


def test_what_has_to_be_decided_is_counted_without_the_rest() -> None:
    talk = update_talk("a", "", "a", "", "", "a", "k")
    talk.run()

    assert "3 proposals undecided." in talk.said
    assert [line for line in talk.said if line.startswith("Left to decide")] == [
        "Left to decide: 3", *["Left to decide: 2"] * 2, *["Left to decide: 1"] * 3,
    ]  # fmt: skip


def test_without_a_terminal_everything_is_listed_with_what_it_is() -> None:
    talk = update_talk(listening=False)

    assert talk.run() is Ending.KEEP
    assert f"a 1.1.0: {ASKED} (medium)" in talk.said
    assert (
        "fresh 0.1.0: is new, and stays within the baseline (new build script, nothing to decide)"
        in talk.said
    )
    assert "b 2.0.0: made no use of exec `perl` (unused grant)" in talk.said
    assert any(line.endswith("(nothing to decide)") for line in talk.said)
    assert talk.said.count("Changed: b 1.9.0 -> 2.0.0") == 1


def test_heading_and_summary_come_first() -> None:
    talk = update_talk(listening=False)
    talk.heading, talk.summary = "review \x1b[2J", "3 of 9 build scripts need you"
    talk.run()

    assert talk.said[0] == "review %1B[2J: 3 of 9 build scripts need you."


def test_what_was_only_looked_at_can_be_kept() -> None:
    """Else a new build script without questions would be put to people for ever."""
    talk = update_talk("", "w")
    talk.review = Review([reasons.newcomer("fresh", "0.1.0", ["app", "fresh"])])
    talk.unsaved = ["fresh 0.1.0"]

    assert talk.run() is Ending.WRITE
    assert (
        "Cargo.toml stays as it is. w writes: buildperm.lock notes 1 crate as reviewed "
        "(fresh 0.1.0)."
    ) in talk.said


def test_writing_takes_a_confirmation_after_the_check() -> None:
    for answer in ("", "w", "n", "Y es"):
        assert Conversation("d", "a", "w", answer).run() is Ending.KEEP


def test_grants_that_nothing_has_tried_are_not_called_so() -> None:
    talk = Conversation("d", "a", "w", "y")
    talk.is_tried = False

    assert talk.run() is Ending.WRITE
    assert any("not tried here" in line for line in talk.said)
    assert "y writes Cargo.toml alone; anything else writes nothing." in talk.said
    assert not any("builds with" in line for line in talk.said)


def test_dc_denies_all_that_a_crate_wants_at_any_risk() -> None:
    talk = Conversation("dc", "n", "dc", "y", "k")

    assert talk.run() is Ending.KEEP
    assert talk.answers() == [Answer.DENY] * 2
    assert "Nothing is denied." in talk.said
    assert any("cargo remove openssl-sys" in line for line in talk.said)
    assert len(talk.entries) == 1


def test_a_crate_of_the_workspace_is_not_to_be_removed_by_cargo() -> None:
    talk = Conversation("dc", "n", "k")
    talk.review = Review(propose("openssl-sys", "0.9.104", SEEN), local=["openssl-sys"])
    talk.run()

    assert "Look at what its build script does, or take it out of the workspace." in talk.said
    assert not any("cargo remove" in line for line in talk.said)


def test_a_rule_is_written_by_hand() -> None:
    talk = Conversation(
        *("d", "e", "read:proto/*", "", "e", "", "e", "read:$WORKSPACE/proto/*.proto", "", "a", "k")
    )

    talk.run()

    assert any("a relative path has no meaning here" in line for line in talk.said)
    assert "The rule stays as it was." in talk.said
    assert "Covers everything that was seen (2 things)." in talk.said
    rules = talk.review.grants(EMPTY)["openssl-sys"].rules
    assert rules == {Rule(Kind.READ, "$WORKSPACE/proto/*.proto")}


def test_a_reason_and_a_last_day_are_asked_for() -> None:
    answers = ("d", "r", "for TLS", "2000-01-01", "r", "for TLS", "2999-12-31", "r", "-", "")
    talk = Conversation(*answers, "u", "q", "k")

    talk.run()

    assert any("is over already" in line for line in talk.said)
    said = talk.review.grants(EMPTY)["openssl-sys"]
    assert (said.reason, str(said.expires)) == ("for TLS", "2999-12-31")
    assert any(line.startswith("+ openssl-sys is granted all of it until") for line in talk.said)


def test_all_that_is_left_is_decided_together_after_it_was_listed() -> None:
    talk = Conversation("aa", "n", "aa", "y", "u", "U", "u", "da", "y", "k")

    talk.run()

    assert "Left out: 1 of high or critical risk; decide them one by one." in talk.said
    assert sum(line.startswith("  ") and "Nothing" not in line for line in talk.said) >= 3
    assert talk.answers() == [Answer.DENY, Answer.DENY]


def test_v_prints_what_writing_would_change_before_all_is_decided() -> None:
    talk = Conversation("d", "v", "q", "k")

    talk.run()

    at = next(i for i, line in enumerate(talk.said) if line.endswith("v ? q): v"))
    assert any("must not run perl" in line for line in talk.said[at : at + 5])


def test_a_number_takes_a_hunk_out() -> None:
    talk = Conversation("d", "a", "2", "3", "9", "k")

    assert talk.run() is Ending.KEEP

    assert "    Hunk 2:" in talk.said
    follows = "It follows from the other decisions about this crate: take those out."
    assert follows in talk.said
    assert sum(line.startswith("Undecided again: openssl-sys: ") for line in talk.said) == 1
    assert talk.answers() == [Answer.DENY, Answer.UNDECIDED]
    assert len(talk.entries) == 3


def test_nothing_is_written_where_something_waits_and_nothing_is_decided() -> None:
    talk = update_talk("q")

    assert talk.run() is Ending.KEEP
    assert "Nothing is decided, so nothing is written." in talk.said


def test_hostile_sources_move_no_cursor() -> None:
    talk = update_talk("o", "q", "k")
    key = "a", "1.1.0"
    evil = SourceChange("\x1b[2J.rs", None, b"\x1b]0;x\x07\r\n\xff")
    talk.comparisons[key] = replace(
        talk.comparisons[key], causes=("\x1b[2J\u202e",), way=("a\nb",), sources=(evil,)
    )
    talk.run()

    assert all(line.isprintable() for line in talk.said)
    assert any("%1B%5D0;x%07" in line or "%1B]0;x%07" in line for line in talk.said)


def test_what_is_critical_takes_the_name_of_its_crate() -> None:
    (made,) = propose("openssl-sys", "0.9.104", [access(Kind.READ, "/srv/data")])
    review = Review([replace(made, risk=Risk.CRITICAL, locked="")])
    sink = io.StringIO()
    source = AnsweringTerminal("a", "y", "a", "openssl-sys", "k", echo=sink)

    ask(
        review,
        preview=lambda: (MANIFEST, MANIFEST),
        verify=lambda progress: (),
        journal=lambda entry: None,
        source=source,
        sink=sink,
    )

    assert sink.getvalue().count("type openssl-sys to allow it") == 2
    assert "Nothing is allowed." in sink.getvalue()
    assert review.decision(made.id).answer is Answer.ALLOW


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/opt/tool/x", "it was installed on this machine, and others may not have it there"),
        ("$WORKSPACE/x", ""),
        ("/etc/tool.conf", ""),
    ],
)
@pytest.mark.parametrize("letters", [("d",), ("da", "y"), ("dc", "y")])
def test_a_denial_that_holds_here_alone_is_said_to(
    target: str, why: str, letters: tuple[str, ...]
) -> None:
    talk = Conversation(*letters, "k")
    talk.review = Review(propose("x", "1.0.0", [access(Kind.READ, target)]))

    talk.run()

    assert talk.answers() == [Answer.DENY]
    marked = [line for line in talk.said if line.startswith("Denied on this machine only: ")]
    assert marked == ([f"Denied on this machine only: {target}: {why}"] if why else [])


def test_without_a_terminal_what_would_be_granted_here_alone_is_marked() -> None:
    talk = Conversation(listening=False)
    here, anywhere = access(Kind.READ, "/opt/tool/x"), access(Kind.READ, "$WORKSPACE/x")
    talk.review = Review(propose("x", "1.0.0", [here, anywhere]))

    talk.run()

    (one,) = (line for line in talk.said if "/opt/tool/x" in line)
    (other,) = (line for line in talk.said if "$WORKSPACE/x" in line)
    assert one.endswith(", on this machine only)")
    assert "machine" not in other
