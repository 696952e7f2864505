"""The review as plain text: numbered questions, one fact per line, nothing redrawn.

The same decisions as on the screens, for a dumb terminal, a screen reader or somebody who wants it
so. Where nobody can answer, nothing is asked: what is undecided is listed.
"""

from __future__ import annotations

import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TextIO

from buildperm.errors import BuildpermError
from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Reason, Risk
from buildperm.presentation import behaviour
from buildperm.presentation.agenda import DUE, Agenda
from buildperm.presentation.facts import explain, facts, rule_facts
from buildperm.presentation.front_end import ReviewEnd
from buildperm.presentation.unified_diff import WHOLE, compare
from buildperm.presentation.wording import answer_word, plural, reason_text, risk_word, version_text
from buildperm.printable import printable, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.policy.comparison import Comparison
    from buildperm.policy.proposal import Proposal
    from buildperm.policy.review import Review
    from buildperm.presentation.front_end import Failure, Journal, Preview, ReviewSession, Verify

_HELP: Final = (
    "a  allow the chosen rule",
    "d  deny it and stop asking",
    "s  leave it for later; an empty answer does the same",
    "[  choose the next narrower rule",
    "]  choose the next wider rule",
    "ae, de  the same in all crates that ask for the same, where the question says so",
    "o  print how the sources of the build script differ, where they are compared",
    "u  take the last decision back",
    "q  stop here; nothing is lost",
    "?  this list",
)


_LISTED: Final = {
    Reason.ASKED: "",
    Reason.DORMANT: "granted before",
    Reason.COVERED: "nothing to decide",
    Reason.UNUSED: "unused grant",
    Reason.NEWCOMER: "new build script, nothing to decide",
}

_LATER: Final = {
    Reason.ASKED: "Left for later; it stays refused.",
    Reason.DORMANT: "Left for later; the version does not count as reviewed.",
    Reason.COVERED: "Left for later; it stays allowed.",
    Reason.UNUSED: "Left for later; the grant stays.",
    Reason.NEWCOMER: "",
}


def ask(
    review: Review,
    *,
    preview: Preview,
    verify: Verify,
    journal: Journal,
    comparisons: Mapping[tuple[str, str], Comparison] = MappingProxyType({}),
    heading: str = "",
    summary: str = "",
    scripts: int = 0,
    source: TextIO | None = None,
    sink: TextIO | None = None,
) -> ReviewEnd:
    """Ask about everything undecided, show the diff, verify; return what is to be done.

    Without a terminal on `source` it only lists what is undecided and returns `ReviewEnd.KEEP`.

    Args:
        review: What is decided here.
        preview: Makes the edit of Cargo.toml without saving it.
        verify: Runs the build scripts concerned under the new grants.
        journal: Hears of every decision as it is made.
        comparisons: How build scripts differ from the last reviewed ones, by crate and version.
        heading: What is reviewed: the command and the workspace.
        summary: How much of it needs a person, in a few words.
        scripts: How many build scripts ran, those that need nothing included.
        source: Where answers come from; standard input unless given.
        sink: Where questions go; standard error unless given.
    """
    conversation = _Conversation(
        Agenda(review, journal, comparisons),
        source or sys.stdin,
        sink or sys.stderr,
        preview,
        verify,
        ": ".join(shown(part) for part in (heading, summary) if summary and part),
    )
    return conversation.run(scripts)


class PlainPrompt:
    """The front end in plain text, on standard input and standard error."""

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Ask until the person has had enough; return what is to be done."""
        return ask(
            session.review,
            preview=session.preview,
            verify=session.verify,
            journal=session.journal,
            scripts=session.scripts,
            comparisons=session.comparisons,
        )


class _PromptEndedError(Exception):
    """The person has stopped answering."""


@dataclass(slots=True)
class _Conversation:
    agenda: Agenda
    source: TextIO
    sink: TextIO
    preview: Preview
    verify: Verify
    heading: str  # Empty where there is nothing to say before all else.
    _compared: set[tuple[str, str]] = field(default_factory=set)  # Whose comparison was told.
    _asked: set[str] = field(default_factory=set)  # Ids of what has been left for later.

    def run(self, scripts: int) -> ReviewEnd:
        if self.heading:
            self._say(f"{self.heading}.")
        if not self.agenda.groups:
            count = plural(scripts, "build script")
            self._say(f"{count} within the baseline: nothing to decide.")
            return ReviewEnd.KEEP
        if not self.source.isatty():
            self._list()
            return ReviewEnd.KEEP
        self._say(f"{plural(self.agenda.counts().open, 'proposal')} undecided.")
        self._say("Answer with one letter and Enter; ? lists the letters.")
        try:
            while True:
                self._decide()
                ending = self._end()
                if ending is not None:
                    return ending
        except (_PromptEndedError, KeyboardInterrupt):
            self._say("")
            self._say("Stopped. Your decisions are kept; nothing was written.")
            return ReviewEnd.KEEP

    def _list(self) -> None:
        self._say("No terminal to ask on. Undecided:")
        for proposal in self._undecided():
            self._say_comparison(proposal)
            crate = f"{shown(proposal.crate)} {version_text(proposal.version)}"
            word = _LISTED[proposal.reason] or risk_word(proposal.risk)
            self._say(f"{crate}: {shown(proposal.title)} ({word})")

    def _undecided(self) -> Iterator[Proposal]:
        """Yield what has not been answered; what was left for later in an earlier session too."""
        for proposal in self.agenda.shown:
            waiting = self.agenda.answer(proposal) in (Answer.UNDECIDED, Answer.LATER)
            if waiting and proposal.id not in self._asked:
                yield proposal

    def _decide(self) -> None:
        """Ask until nothing is undecided but what was left for later."""
        while True:
            waiting = list(self._undecided())
            if not waiting:
                return
            left = sum(proposal.reason in DUE for proposal in waiting)
            if self._ask(waiting[0], left) == "q":
                return

    def _ask(self, proposal: Proposal, left: int) -> str:
        """Ask about one proposal; return the answer that ended it."""
        self._say("")
        self._say_comparison(proposal)
        if left:
            self._say(f"Left to decide: {left}")
        self._say(*facts(proposal))
        if proposal.reason is Reason.NEWCOMER:
            return self._show_newcomer(proposal)
        self._say(*rule_facts(proposal, self.agenda.rung(proposal)))
        elsewhere = self.agenda.elsewhere(proposal)
        offered = "a d s"
        if elsewhere:
            offered = "a d s ae de"
            crates = ", ".join(f"{shown(each.crate)} {shown(each.version)}" for each in elsewhere)
            self._say(
                f"The same in {plural(len(elsewhere), 'other crate')}: {crates}",
                "ae allows and de denies it there too.",
            )
        offered += " [ ] o u ? q" if self._can_compare(proposal) else " [ ] u ? q"
        while True:
            answer = self._answer(offered, flushing=proposal.risk >= Risk.HIGH)
            match answer:
                case "a" | "d" | "ae" | "de" if len(answer) == 1 or elsewhere:
                    if self._take(proposal, answer):
                        return answer
                case "s" | "":
                    self._asked.add(proposal.id)
                    self.agenda.decide([proposal], Answer.LATER)
                    self._say(_LATER[proposal.reason])
                    return "s"
                case "[" | "]":
                    self.agenda.step(proposal, -1 if answer == "[" else 1)
                    self._say(*rule_facts(proposal, self.agenda.rung(proposal)))
                case "o" if self._can_compare(proposal):
                    self._say_sources(proposal)
                case "u":
                    back = self.agenda.undo()
                    if back is not None:
                        self._asked.discard(back.id)
                        self._say(f"Taken back: {shown(back.title)}")
                        return "u"
                    self._say("Nothing to take back.")
                case "q":
                    return "q"
                case _:
                    self._say(*_HELP)

    def _take(self, proposal: Proposal, letters: str) -> bool:
        """Give the answer that the letters stand for; tell whether it could be given."""
        wanted = Answer.ALLOW if letters[0] == "a" else Answer.DENY
        refusal = self.agenda.refusal(proposal, wanted)
        if refusal:
            self._say(f"Not possible: {refusal}")
            return False
        told = answer_word(proposal, wanted).capitalize()
        if letters.endswith("e"):
            crates = plural(self.agenda.decide_everywhere(proposal, wanted), "crate")
            self._say(f"{told}, in {crates}; u takes all of it back.")
        else:
            self.agenda.decide([proposal], wanted)
            self._say(f"{told}.")
        return True

    def _show_newcomer(self, proposal: Proposal) -> str:
        """Let a build script be looked at that there is nothing to decide about."""
        self._asked.add(proposal.id)
        offered = "o q, Enter goes on" if self._can_compare(proposal) else "q, Enter goes on"
        while True:
            match self._answer(offered, flushing=False):
                case "":
                    return "s"
                case "o" if self._can_compare(proposal):
                    self._say_sources(proposal)
                case "q":
                    return "q"
                case _:
                    self._say(reason_text(proposal.reason))

    def _can_compare(self, proposal: Proposal) -> bool:
        comparison = self.agenda.comparison_of(proposal)
        return comparison is not None and bool(comparison.sources)

    def _say_comparison(self, proposal: Proposal) -> None:
        """Say what changed in a crate, before anything else is said about it."""
        key = (proposal.crate, proposal.version)
        comparison = self.agenda.comparison_of(proposal)
        if comparison is not None and key not in self._compared:
            self._compared.add(key)
            self._say(*behaviour.facts(comparison))

    def _say_sources(self, proposal: Proposal) -> None:
        comparison = self.agenda.comparison_of(proposal)
        if comparison is not None:
            self._say(*behaviour.source_lines(comparison))

    def _end(self) -> ReviewEnd | None:
        """Show the diff and ask what to do; None goes on deciding."""
        counts = self.agenda.counts()
        self._say("")
        self._say(f"Allowed {counts.allowed}, denied {counts.denied}, undecided {counts.open}.")
        if not (counts.allowed + counts.denied or self.agenda.is_settled):
            self._say("Nothing is decided, so nothing is written.")
            return ReviewEnd.KEEP
        try:
            before, after = self.preview()
            self._show_edit(before, after)
        except BuildpermError as error:
            self._say(*f"Cannot write: {error}".split("\n"))
            return ReviewEnd.KEEP
        while True:
            self._say("w writes after a verifying run, k keeps the decisions and writes nothing,")
            self._say("x discards them, u takes the last one back. An empty answer is k.")
            match self._answer("w k x u", flushing=True):
                case "w":
                    return self._verified()
                case "k" | "q" | "":
                    return ReviewEnd.KEEP
                case "x":
                    return ReviewEnd.DISCARD
                case "u":
                    back = self.agenda.undo()
                    if back is not None:
                        self._asked.discard(back.id)
                    return None
                case _:
                    continue

    def _show_edit(self, before: bytes, after: bytes) -> None:
        if before == after:
            self._say("Cargo.toml stays as it is; w keeps in buildperm.lock what was seen.")
        self._say(*explain(before, after))
        for line in compare(before, after, WHOLE).lines:
            self._say(f"    {line}")

    def _verified(self) -> ReviewEnd | None:
        """Run the scripts concerned; write, or ask what to do about what is missing."""
        try:
            failures = self.verify(self._show_progress)
        except BuildpermError as error:
            self._say(*f"Cannot verify: {error}".split("\n"))
            return ReviewEnd.KEEP
        if not failures:
            self._say("All build scripts concerned get by with these grants.")
            return ReviewEnd.WRITE
        self._show_failures(failures)
        new = [proposal for failure in failures for proposal in failure.proposals]
        if new:
            self.agenda.add(new)
            return None
        self._say("w writes all the same, an empty answer keeps the decisions and writes nothing.")
        return ReviewEnd.WRITE if self._answer("w k", flushing=True) == "w" else ReviewEnd.KEEP

    def _show_progress(self, done: int, total: int, crate: str) -> bool:
        self._say(f"Verifying {done} of {total}: {shown(crate)}")
        return True

    def _show_failures(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            crate = f"{shown(failure.crate)} {shown(failure.version)}"
            self._say(f"Missing: {crate}: {shown(failure.sentence)}")

    def _answer(self, offered: str, *, flushing: bool) -> str:
        """Return one answer; what was typed before the question is thrown away where it matters.

        Raises:
            _PromptEndedError: The person has closed the terminal or pressed Ctrl+D.
        """
        if flushing:
            self._flush()
        self.sink.write(f"Answer ({offered}): ")
        self.sink.flush()
        line = self.source.readline()
        if not line:
            raise _PromptEndedError
        return line.strip()

    def _flush(self) -> None:
        """Throw away type-ahead: `tcflush(3)`."""
        try:
            termios.tcflush(self.source.fileno(), termios.TCIFLUSH)
        except (OSError, ValueError, termios.error):
            pass  # A stream without a terminal's queue has no type-ahead to throw away.

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.sink.write(f"{printable(line)}\n")  # The last guard, as in the screens.
