"""The review as plain text: numbered questions, one fact per line, nothing redrawn.

The decisions are the same as on the screens. It is for dumb terminals, for screen readers, and for
`--no-tui`. Where nobody can answer it asks nothing and lists what is undecided.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TextIO

from buildperm.errors import BuildpermError
from buildperm.policy import portability
from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Reason, Risk
from buildperm.presentation import comparison_facts
from buildperm.presentation.agenda import Agenda
from buildperm.presentation.closing_prompt import ClosingPrompt
from buildperm.presentation.evidence_text import evidence_facts
from buildperm.presentation.front_end import NoEvidence, Ran, ReviewEnd
from buildperm.presentation.local_rules import denied_here_lines
from buildperm.presentation.plain_answers import PlainAnswers
from buildperm.presentation.prompt_terminal import PromptEndedError, PromptTerminal
from buildperm.presentation.proposal_facts import facts, rule_facts
from buildperm.presentation.wording import (
    LEFT_FOR_LATER,
    LISTED_AS,
    answer_word,
    plural,
    reason_text,
    risk_word,
    version_text,
)
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.policy.comparison import Comparison
    from buildperm.policy.proposal import Proposal
    from buildperm.policy.review_state import Review
    from buildperm.presentation.front_end import (
        EvidenceSource,
        Journal,
        Preview,
        ReviewSession,
        Unsaved,
        Verify,
    )

_HELP: Final = (
    "a  allow the chosen rule",
    "d  deny it and stop asking",
    "s  leave it for later; an empty answer does the same",
    "[  choose the next narrower rule",
    "]  choose the next wider rule",
    "e  write the rule by hand",
    "r  say why this crate is granted what it is granted, and until when",
    "dc  deny all that this crate wants, at any risk; lists it first",
    "aa  allow all that is left below high risk; lists it first",
    "da  deny all that is left, at any risk; lists it first",
    "ae, de  the same in all crates that ask for the same, where the question says so",
    "i  print the evidence: commands, processes, events, source lines, Cargo.toml",
    "o  print how the sources of the build script differ, where they are compared",
    "u, U  take the last step back, or again",
    "v  print what writing would change",
    "q  stop here; nothing is lost",
    "?  this list",
)


def ask(
    review: Review,
    *,
    preview: Preview,
    verify: Verify,
    journal: Journal,
    comparisons: Mapping[tuple[str, str], Comparison] = MappingProxyType({}),
    heading: str = "",
    summary: str = "",
    ran: Ran = Ran(),  # noqa: B008 - it never changes
    unsaved: Unsaved = tuple,
    evidence: EvidenceSource | None = None,
    is_tried: bool = True,
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
        ran: What ran, those that need nothing included.
        unsaved: Tells what buildperm.lock would note besides.
        evidence: Knows what lies behind a proposal; None where nothing but itself is at hand.
        is_tried: Whether `verify` builds; else it only compares with a report.
        source: Where answers come from; standard input unless given.
        sink: Where questions go; standard error unless given.
    """
    conversation = _Conversation(
        Agenda(review, journal, comparisons),
        PromptTerminal(source or sys.stdin, sink or sys.stderr),
        preview,
        verify,
        ": ".join(shown(part) for part in (heading, summary) if summary and part),
        unsaved,
        evidence or NoEvidence(),
        is_tried,
    )
    return conversation.run(ran)


class PlainPrompt:
    """The front end in plain text, on standard input and standard error."""

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Ask until all is decided or the person stops; return what is to be done."""
        return ask(
            session.review,
            preview=session.preview,
            verify=session.verify,
            journal=session.journal,
            ran=session.ran,
            comparisons=session.comparisons,
            unsaved=session.unsaved,
            evidence=session.evidence,
            is_tried=session.is_tried,
        )


@dataclass(slots=True)
class _Conversation:
    agenda: Agenda
    terminal: PromptTerminal
    preview: Preview
    verify: Verify
    heading: str  # Empty where there is nothing to say before all else.
    unsaved: Unsaved
    evidence: EvidenceSource
    is_tried: bool
    answers: PlainAnswers = field(init=False)
    closing: ClosingPrompt = field(init=False)
    _compared: set[tuple[str, str]] = field(default_factory=set)  # Whose comparison was told.
    _asked: set[str] = field(default_factory=set)  # Ids of what has been left for later.

    def __post_init__(self) -> None:
        self.answers = PlainAnswers(self.terminal, self.agenda)
        self.closing = ClosingPrompt(
            self.terminal,
            self.agenda,
            self.preview,
            self.verify,
            self.unsaved,
            self._asked.discard,
            self.is_tried,
        )

    def run(self, ran: Ran) -> ReviewEnd:
        if self.heading:
            self.terminal.print_lines(f"{self.heading}.")
        if not self.agenda.groups:
            self.terminal.print_lines(
                f"{ran} within the baseline and their grants: nothing to decide."
            )
            return ReviewEnd.KEEP
        if not self.terminal.is_answered:
            self._list()
            return ReviewEnd.KEEP
        self.terminal.print_lines(f"{plural(self.agenda.counts().open, 'proposal')} undecided.")
        self.terminal.print_lines("Answer with one letter and Enter; ? lists the letters.")
        try:
            while True:
                self._decide()
                ending = self.closing.run()
                if ending is not None:
                    return ending
        except (PromptEndedError, KeyboardInterrupt):
            self.terminal.print_lines("")
            self.terminal.print_lines("Stopped. Your decisions are kept; nothing was written.")
            return ReviewEnd.KEEP

    def _list(self) -> None:
        self.terminal.print_lines("No terminal to ask on. Undecided:")
        for proposal in self._undecided():
            self._print_comparison(proposal)
            crate = f"{shown(proposal.crate)} {version_text(proposal.version)}"
            word = LISTED_AS[proposal.reason] or risk_word(proposal.risk)
            if any(map(portability.why_local, proposal.suggestion.rules)):
                word += f", {portability.SHORT}"
            self.terminal.print_lines(f"{crate}: {shown(proposal.title)} ({word})")

    def _undecided(self) -> Iterator[Proposal]:
        """Yield what is not answered, including what an earlier session left for later."""
        for proposal in self.agenda.shown:
            waiting = self.agenda.answer(proposal) in (Answer.UNDECIDED, Answer.LATER)
            if waiting and proposal.id not in self._asked:
                yield proposal

    def _decide(self) -> None:
        """Ask until nothing is undecided except what was left for later."""
        while True:
            waiting = list(self._undecided())
            if not waiting:
                return
            left = self.agenda.counts().open
            if self._ask(waiting[0], left) == "q":
                return

    def _ask(self, proposal: Proposal, left: int) -> str:
        """Ask about one proposal; return the answer that ended it."""
        self.terminal.print_lines("")
        self._print_comparison(proposal)
        if left:
            self.terminal.print_lines(f"Left to decide: {left}")
        self.terminal.print_lines(*facts(proposal))
        if proposal.reason is Reason.NEWCOMER:
            return self._show_newcomer(proposal)
        self.terminal.print_lines(*rule_facts(proposal, self.agenda.chosen(proposal)))
        elsewhere = self.agenda.elsewhere(proposal)
        offered = "a d s e r dc aa da"
        if elsewhere:
            offered += " ae de"
            crates = ", ".join(f"{shown(each.crate)} {shown(each.version)}" for each in elsewhere)
            self.terminal.print_lines(
                f"The same in {plural(len(elsewhere), 'other crate')}: {crates}",
                "ae allows and de denies it there too.",
            )
        offered += " [ ] i o u U v ? q" if self._can_compare(proposal) else " [ ] i u U v ? q"
        while True:
            answer = self.terminal.answer(offered, flushing=proposal.risk >= Risk.HIGH)
            match answer:
                case "a" | "d" | "ae" | "de" if len(answer) == 1 or elsewhere:
                    if self._take(proposal, answer):
                        return answer
                case "dc":
                    if self.answers.distrust(proposal.crate):
                        return answer
                case "aa" | "da":
                    if self.answers.batch(Answer.ALLOW if answer == "aa" else Answer.DENY):
                        return answer
                case "e":
                    proposal = self.answers.edit(proposal)
                    self.terminal.print_lines(*rule_facts(proposal, self.agenda.chosen(proposal)))
                case "r":
                    self.answers.terms(proposal.crate)
                case "v":
                    self.closing.show()
                case "s" | "":
                    self._asked.add(proposal.id)
                    self.agenda.decide([proposal], Answer.LATER)
                    self.terminal.print_lines(LEFT_FOR_LATER[proposal.reason])
                    return "s"
                case "[" | "]":
                    self.agenda.step(proposal, -1 if answer == "[" else 1)
                    self.terminal.print_lines(*rule_facts(proposal, self.agenda.chosen(proposal)))
                case "i":
                    self._print_evidence(proposal)
                case "o" if self._can_compare(proposal):
                    self._print_sources(proposal)
                case "u" | "U":
                    if self._step(back=answer == "u"):
                        return answer
                case "q":
                    return "q"
                case _:
                    self.terminal.print_lines(*_HELP)

    def _step(self, *, back: bool) -> bool:
        """Take a step back, or again; tell whether the question may have changed by that."""
        if not (self.agenda.can_undo if back else self.agenda.can_redo):
            self.terminal.print_lines("Nothing to take back." if back else "Nothing to take again.")
            return False
        concerned = self.agenda.undo() if back else self.agenda.redo()
        told = "Taken back" if back else "Taken again"
        if concerned is not None:
            self._asked.discard(concerned.id)
            told += f": {shown(concerned.title)}"
        self.terminal.print_lines(told if concerned is not None else f"{told}.")
        return True

    def _take(self, proposal: Proposal, letters: str) -> bool:
        """Give the answer that the letters stand for; tell whether it could be given."""
        wanted = Answer.ALLOW if letters[0] == "a" else Answer.DENY
        refusal = self.agenda.refusal(proposal, wanted)
        if refusal:
            self.terminal.print_lines(f"Not possible: {refusal}")
            return False
        if wanted is Answer.ALLOW and not self.answers.is_named(proposal):
            return False
        told = answer_word(proposal, wanted).capitalize()
        if letters.endswith("e"):
            crates = plural(self.agenda.decide_everywhere(proposal, wanted), "crate")
            self.terminal.print_lines(f"{told}, in {crates}; u takes all of it back.")
        else:
            self.agenda.decide([proposal], wanted)
            self.terminal.print_lines(f"{told}.")
        self.terminal.print_lines(*denied_here_lines(self.agenda.denied_here(proposal)))
        return True

    def _show_newcomer(self, proposal: Proposal) -> str:
        """Show a new build script that leaves nothing to decide."""
        self._asked.add(proposal.id)
        offered = "o q, Enter goes on" if self._can_compare(proposal) else "q, Enter goes on"
        while True:
            match self.terminal.answer(offered, flushing=False):
                case "":
                    return "s"
                case "o" if self._can_compare(proposal):
                    self._print_sources(proposal)
                case "q":
                    return "q"
                case _:
                    self.terminal.print_lines(reason_text(proposal.reason))

    def _can_compare(self, proposal: Proposal) -> bool:
        comparison = self.agenda.comparison_of(proposal)
        return comparison is not None and bool(comparison.sources)

    def _print_comparison(self, proposal: Proposal) -> None:
        """Say what changed in a crate, before anything else is said about it."""
        key = (proposal.crate, proposal.version)
        comparison = self.agenda.comparison_of(proposal)
        if comparison is not None and key not in self._compared:
            self._compared.add(key)
            self.terminal.print_lines(*comparison_facts.facts(comparison))

    def _print_sources(self, proposal: Proposal) -> None:
        comparison = self.agenda.comparison_of(proposal)
        if comparison is not None:
            self.terminal.print_lines(*comparison_facts.source_lines(comparison))

    def _print_evidence(self, proposal: Proposal) -> None:
        answer = Answer.DENY if proposal.locked else Answer.ALLOW
        place = "if you deny it" if proposal.locked else "if you allow it by the chosen rule"
        try:
            found = self.evidence.of(proposal)
            edit = self.evidence.edit(proposal, self.agenda.chosen(proposal), answer)
        except BuildpermError as error:
            self.terminal.print_lines(f"Not possible: {shown(str(error).replace(chr(10), ' '))}")
            return
        self.terminal.print_lines(*evidence_facts(found, edit, place))
