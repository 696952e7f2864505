"""Answers of the plain review that take more than one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.policy import expiry
from buildperm.policy.decision import Answer
from buildperm.presentation import batch_scope, distrust, rule_check, terms_check
from buildperm.presentation.batch_list import glossed_rule
from buildperm.presentation.local_rules import denied_here_lines
from buildperm.presentation.wording import ANSWER_VERBS, plural, risk_word
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.prompt_terminal import PromptTerminal


@dataclass(frozen=True, slots=True)
class PlainAnswers:
    """Asks what is needed besides, lists what is concerned, and takes `y` alone for a yes."""

    terminal: PromptTerminal
    agenda: Agenda

    def distrust(self, crate: str) -> bool:
        """Deny all that a crate wants, once that is confirmed; tell whether it was."""
        wanted = distrust.rows(self.agenda, crate)
        self.terminal.print_lines(f"Deny all that {shown(crate)} wants:")
        self._list(wanted)
        local = self.agenda.is_local(distrust.package_name(crate))
        self.terminal.print_lines(*distrust.consequences(crate, is_local=local))
        if not self._is_confirmed("Nothing is denied."):
            return False
        told = distrust.told(crate, self.agenda.distrust(crate))
        self.terminal.print_lines(f"{told} u takes it back.")
        self._mark(wanted)
        return True

    def batch(self, answer: Answer) -> bool:
        """Give one answer about all that is left, once that is confirmed; tell whether it was."""
        taken, left_out = batch_scope.scope(self.agenda, self.agenda.shown, answer)
        verb = ANSWER_VERBS[answer].capitalize()
        if taken:
            self.terminal.print_lines(f"{verb} {plural(len(taken), 'proposal')}:")
            self._list(taken)
        self.terminal.print_lines(*left_out)
        if not taken:
            self.terminal.print_lines("Nothing is left that this could be said of.")
            return False
        if not self._is_confirmed("Nothing is decided."):
            return False
        self.agenda.decide(taken, answer)
        told = f"{verb}: {plural(len(taken), 'proposal')}. u takes it back."
        self.terminal.print_lines(told)
        self._mark(taken)
        return True

    def is_named(self, proposal: Proposal) -> bool:
        """Have the name of the crate typed where it is critical; tell whether to allow it."""
        if not self.agenda.needs_name(proposal):
            return True
        name = shown(proposal.crate)
        self.terminal.print_lines("It is critical.")
        asked = f"type {name} to allow it, Enter to leave it"
        if self.terminal.answer(asked, flushing=True) == name:
            return True
        self.terminal.print_lines("Nothing is allowed.")
        return False

    def edit(self, proposal: Proposal) -> Proposal:
        """Have the rule written by hand; return the proposal with it, or as it was."""
        lines, refusal = rule_check.editable(proposal, self.agenda.chosen(proposal))
        if refusal:
            self.terminal.print_lines(refusal)
            return proposal
        self.terminal.print_lines(
            "The rule, one line each:",
            *(f"  {line}" for line in lines),
            "Write it as it should be, one line each; an empty line ends it.",
            "Nothing but an empty line leaves it as it is.",
        )
        written: list[str] = []
        while line := self.terminal.answer(f"rule {len(written) + 1}", flushing=False):
            written.append(line)
        if not written:
            self.terminal.print_lines("The rule stays as it was.")
            return proposal
        found = rule_check.check(written, proposal)
        self.terminal.print_lines(*found.problems, *found.facts)
        if not found.is_fine:
            self.terminal.print_lines("The rule stays as it was.")
            return proposal
        self.terminal.print_lines("The rule is as you wrote it; a allows it, u takes it back.")
        return self.agenda.edit(proposal, found.rules)

    def terms(self, crate: str) -> None:
        """Ask why, and until when, a crate is granted what it is granted."""
        terms = self.agenda.terms(crate)
        note = terms_check.secrets_note(self.agenda.wanted_by(crate))
        self.terminal.print_lines(
            "It holds for everything that Cargo.toml grants this crate.",
            *([note] if note else []),
            f"Reason now: {shown(terms.reason) or '(none)'}. Last day now: "
            f"{terms.expires or '(none)'}.",
            "An empty answer leaves it as it is; - removes it.",
        )
        reason = self._kept("reason", terms.reason)
        day = self._kept("last day, such as 2027-01-31", str(terms.expires or ""))
        found = terms_check.check(reason, day, expiry.today())
        self.terminal.print_lines(found.told)
        if found.terms is None:
            self.terminal.print_lines("Nothing is changed.")
        elif self.agenda.set_terms(crate, found.terms):
            self.terminal.print_lines(f"Noted for {shown(crate)}; u takes it back.")

    def _kept(self, asked: str, now: str) -> str:
        said = self.terminal.answer(asked, flushing=False)
        return "" if said == "-" else said or now

    def _list(self, proposals: Iterable[Proposal]) -> None:
        for each in proposals:
            crate = f"{shown(each.crate)} {shown(each.version)}"
            rule = glossed_rule(each, self.agenda.rule_text(each))
            told = f"  {risk_word(each.risk)}: {crate}: {shown(each.title)} ({rule})"
            self.terminal.print_lines(told)

    def _mark(self, answered: Iterable[Proposal]) -> None:
        """Say which of the denials hold on this machine alone."""
        here = (rule for each in answered for rule in self.agenda.denied_here(each))
        self.terminal.print_lines(*denied_here_lines(sorted(set(here))))

    def _is_confirmed(self, otherwise: str) -> bool:
        if self.terminal.answer("y n", flushing=True) == "y":
            return True
        self.terminal.print_lines(otherwise)
        return False
