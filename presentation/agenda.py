"""What the screens and the plain prompts ask of a review; knows no terminal.

`policy.review` says what may be decided and what a decision means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.policy.answer_limits import BATCH_LIMIT
from buildperm.policy.coverage import OpenCoverage
from buildperm.policy.decision import Answer
from buildperm.policy.merging import takes_answer
from buildperm.policy.proposal import Reason, Risk
from buildperm.policy.robot_limits import risk_of
from buildperm.presentation.comparison_facts import is_new
from buildperm.presentation.edit_hunks import TERMS, WHOLE_CRATE, is_source
from buildperm.presentation.local_rules import denied_here
from buildperm.presentation.proposal_cause import by_cause
from buildperm.presentation.wording import is_unreadable
from buildperm.printable import shown

if TYPE_CHECKING:
    from buildperm.policy.comparison import Comparison
    from buildperm.policy.decision import Counts, JournalEntry, Terms
    from buildperm.policy.proposal import Proposal
    from buildperm.policy.review_state import Review
    from buildperm.policy.rule import Rule
    from buildperm.presentation.edit_hunks import EditHunk
    from buildperm.presentation.front_end import Journal
    from buildperm.presentation.proposal_cause import ProposalCause


DUE = (Reason.ASKED, Reason.DORMANT)
"""What has to be answered."""

_OPTIONAL = (Reason.COVERED, Reason.UNUSED)
"""What may be answered, but need not be."""


@dataclass(frozen=True, slots=True)
class ProposalGroup:
    """One crate in one version, with those of its proposals that the filter lets through."""

    crate: str
    version: str
    causes: tuple[ProposalCause, ...]
    proposals: tuple[Proposal, ...]  # ProposalCause by cause.

    @property
    def key(self) -> tuple[str, str]:
        """A key that no other group has."""
        return self.crate, self.version


class Agenda:
    """The proposals that are shown, in their order, and every step on its way to the journal."""

    def __init__(
        self,
        review: Review,
        journal: Journal,
        comparisons: Mapping[tuple[str, str], Comparison] | None = None,
    ) -> None:
        self._review = review
        self._journal = journal
        self._comparisons = comparisons or {}  # By crate and version.
        self._words = ""
        self._shown: tuple[Proposal, ...] = ()
        self._positions: dict[str, int] = {}  # In _shown, by id.
        self._groups: tuple[ProposalGroup, ...] = ()
        self._causes: dict[str, str] = {}  # Of proposals, by id.
        self._elsewhere: tuple[str, tuple[Proposal, ...]] = (
            "",
            (),
        )  # The last answer, and to what.
        self._by_id: dict[str, Proposal] = {}  # All of them, once they are asked for by id.
        self.trouble = ""
        """Why the latest step did not reach the journal; empty if it did."""
        self.filter("")

    # What is shown.

    @property
    def groups(self) -> tuple[ProposalGroup, ...]:
        """The crates that are shown, in the order of their first proposal."""
        return self._groups

    @property
    def shown(self) -> tuple[Proposal, ...]:
        """The proposals that are shown, crate by crate."""
        return self._shown

    @property
    def crates(self) -> tuple[str, ...]:
        """The names of all crates that ask for something, shown or not."""
        return tuple(dict.fromkeys(each.crate for each in self._review.proposals))

    @property
    def is_filtered(self) -> bool:
        """Whether there are proposals that are not shown."""
        return bool(self._words.strip())

    def filter(self, words: str) -> str:
        """Show what a filter lets through; return what is wrong with it, else nothing."""
        try:
            selected = self._review.select(words)
        except BuildpermError as error:
            return shown(str(error).replace("\n", " "))
        crates: dict[tuple[str, str], list[Proposal]] = {}
        for proposal in selected:
            crates.setdefault((proposal.crate, proposal.version), []).append(proposal)
        self._words = words
        self._groups = tuple(self._group(*key, proposals) for key, proposals in crates.items())
        self._shown = tuple(each for group in self._groups for each in group.proposals)
        self._positions = {each.id: number for number, each in enumerate(self._shown)}
        return ""

    def _group(self, crate: str, version: str, proposals: Sequence[Proposal]) -> ProposalGroup:
        causes = by_cause(sorted(proposals, key=_is_put_last), self._causes)
        listed = tuple(each for cause in causes for each in cause.proposals)
        return ProposalGroup(crate, version, causes, listed)

    def add(self, proposals: Sequence[Proposal]) -> None:
        """Add proposals that have come up meanwhile, and show everything.

        What an undecided one of the crate includes is left out: it comes up again where the answer
        to that one does not settle it.
        """
        undecided = (each for each in self._review.proposals if self.is_due(each))
        asked = OpenCoverage(undecided)
        self._review.add([each for each in proposals if not asked.includes(each)])
        self._elsewhere = "", ()
        self.filter("")

    # Where things stand.

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._review.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to take again."""
        return self._review.can_redo

    def comparison(self, group: ProposalGroup | None) -> Comparison | None:
        """Return how a crate's build script differs from the last reviewed one, if it is known."""
        return self._comparisons.get(group.key) if group is not None else None

    def comparison_of(self, proposal: Proposal) -> Comparison | None:
        """Return how the build script that makes a proposal differs, if it is known."""
        return self._comparisons.get((proposal.crate, proposal.version))

    @property
    def has_comparisons(self) -> bool:
        """Whether there is an earlier review that anything is compared with."""
        return bool(self._comparisons)

    def is_new(self, group: ProposalGroup) -> bool:
        """Tell whether no version of a crate's build script was ever reviewed."""
        comparison = self.comparison(group)
        if comparison is not None:
            return is_new(comparison)
        return any(each.reason is Reason.NEWCOMER for each in group.proposals)

    def is_due(self, proposal: Proposal) -> bool:
        """Tell whether a proposal still has to be decided."""
        return self._is_undecided(proposal) and takes_answer(proposal)

    def is_optional(self, proposal: Proposal) -> bool:
        """Tell whether a proposal may still be answered, but need not be."""
        if not self._is_undecided(proposal):
            return False
        return proposal.reason in _OPTIONAL or _is_only_shown(proposal)

    def _is_undecided(self, proposal: Proposal) -> bool:
        return self.answer(proposal) is Answer.UNDECIDED

    def elsewhere(self, proposal: Proposal) -> tuple[Proposal, ...]:
        """Return the proposals of other crates that are about the same access."""
        known, found = self._elsewhere
        if known != proposal.id:
            found = tuple(self._same(proposal))
            self._elsewhere = proposal.id, found
        return found

    def _same(self, proposal: Proposal) -> Iterator[Proposal]:
        ids = self._review.same(proposal.id)
        if ids and len(self._by_id) != len(self._review.proposals):
            self._by_id = {each.id: each for each in self._review.proposals}
        yield from (self._by_id[each] for each in ids if each != proposal.id)

    def counts(self) -> Counts:
        """Count the answers about everything, shown or not."""
        return self._review.counts()

    @property
    def is_settled(self) -> bool:
        """Whether there are proposals and none of them waits for an answer.

        Then what was seen can be kept, even where Cargo.toml stays as it is.
        """
        return bool(self._review.proposals) and not self._review.counts().open

    @property
    def has_answers(self) -> bool:
        """Whether anything has been answered yet."""
        return self._review.has_answers and any(
            self.answer(proposal) is not Answer.UNDECIDED for proposal in self._shown
        )

    def answer(self, proposal: Proposal) -> Answer:
        """Return the answer to a proposal."""
        return self._review.decision(proposal.id).answer

    def chosen(self, proposal: Proposal) -> int:
        """Return the index of the choice that is made."""
        return self._review.decision(proposal.id).chosen

    def rule_text(self, proposal: Proposal) -> str:
        """Return the chosen rules as Cargo.toml has them."""
        choice = self._review.choice(proposal.id)
        parts = [f"preset {choice.preset}"] if choice.preset else []
        for kind in dict.fromkeys(rule.kind for rule in choice.rules):
            patterns = (rule.pattern for rule in choice.rules if rule.kind is kind)
            parts.append(f"{kind.value} {', '.join(patterns)}")
        return shown("; ".join(parts))

    def refusal(self, proposal: Proposal, answer: Answer) -> str:
        """Return why an answer cannot be given about a proposal; empty if it can."""
        if proposal.reason is Reason.NEWCOMER and answer is not Answer.UNDECIDED:
            return "There is nothing to decide about this build script."
        if answer is Answer.ALLOW and proposal.locked:
            return shown(proposal.locked)
        if answer is Answer.ALLOW and is_unreadable(proposal):
            return "It is too long to be shown, and what cannot be read cannot be allowed."
        return self._rule_refusal(proposal, self.chosen(proposal)) if answer is Answer.ALLOW else ""

    def choice_refusal(self, proposal: Proposal, index: int) -> str:
        """Return why another way cannot be chosen in the state that the answer is in, if so.

        Only what is allowed already is concerned: there is nothing to be won by asking again.
        """
        is_allowed = self.answer(proposal) is Answer.ALLOW
        return self._rule_refusal(proposal, index) if is_allowed else ""

    def _rule_refusal(self, proposal: Proposal, index: int) -> str:
        found = self._review.violation(proposal.id, index)
        if found is None:
            return ""
        told = f"This rule cannot be allowed here: {found.what}."
        if len(proposal.choices) == 1:
            return shown(f"{told} Deny it, or add it to Cargo.toml by hand.")
        return shown(f"{told} Choose another one, or deny it.")

    def denied_here(self, proposal: Proposal) -> tuple[Rule, ...]:
        """Return the denials of a proposal that hold on this machine alone; none unless denied."""
        return denied_here(self._review, proposal)

    def needs_name(self, proposal: Proposal) -> bool:
        """Tell whether allowing a proposal takes the name of its crate, typed: it is critical."""
        choice = proposal.choices[self.chosen(proposal)]
        return proposal.reason in DUE and risk_of(proposal, choice) is Risk.CRITICAL

    def is_high(self, proposal: Proposal) -> bool:
        """Tell whether allowing a proposal by its chosen rule is of high risk, or critical."""
        return risk_of(proposal, proposal.choices[self.chosen(proposal)]) >= Risk.HIGH

    def next_undecided(self, proposal: Proposal | None, step: int) -> Proposal | None:
        """Return the next undecided one of those shown, going round; with -1 the previous one.

        What does not have to be decided comes only where nothing else is left.
        """
        first = -1 if step > 0 else 0
        start = self._positions.get(proposal.id, first) if proposal is not None else first
        for is_wanted in (self.is_due, self.is_optional):
            for distance in range(1, len(self._shown) + 1):
                candidate = self._shown[(start + step * distance) % len(self._shown)]
                if is_wanted(candidate):
                    return candidate
        return None

    # What is decided.

    def decide(self, proposals: Sequence[Proposal], answer: Answer) -> None:
        """Give one answer about proposals, in one step; several are only allowed up to a risk.

        Raises:
            BuildpermError: The answer cannot be given; see `refusal`.
        """
        ids = tuple(proposal.id for proposal in proposals)
        match answer:
            case Answer.ALLOW if len(ids) == 1:
                self._keep(self._review.allow(ids[0]))
            case Answer.ALLOW:
                self._keep(self._review.accept_up_to(BATCH_LIMIT, ids))
            case Answer.DENY:
                self._keep(self._review.deny(*ids))
            case Answer.LATER:
                self._keep(self._review.later(*ids))
            case Answer.UNDECIDED:
                self._keep(self._review.clear(*ids))

    def decide_everywhere(self, proposal: Proposal, answer: Answer) -> int:
        """Give the same answer about the same access in all crates, in one step.

        Returns:
            In how many crates it is answered now.

        Raises:
            BuildpermError: The answer cannot be given; see `refusal`.
        """
        entry = self._review.answer_everywhere(proposal.id, answer)
        self._keep(entry)
        return len(entry.picked) if entry is not None else 0

    def edit(self, proposal: Proposal, rules: Sequence[Rule]) -> Proposal:
        """Choose rules that a person wrote; return the proposal with them among its choices.

        Raises:
            BuildpermError: One of them cannot be granted.
        """
        self._keep(self._review.edit(proposal.id, rules))
        self.filter(self._words)
        return next(each for each in self._review.proposals if each.id == proposal.id)

    def terms(self, crate: str) -> Terms:
        """Return why, and until when, a crate is granted anything."""
        return self._review.terms(crate)

    def set_terms(self, crate: str, terms: Terms) -> bool:
        """Say why, and until when; tell whether that is anything new."""
        entry = self._review.set_terms(crate, terms)
        self._keep(entry)
        return entry is not None

    def wanted_by(self, crate: str) -> tuple[Proposal, ...]:
        """Return all that a crate wants in any version, shown or not, and that can be denied."""
        ids = set(self._review.wanted_by(crate))
        return tuple(each for each in self._review.proposals if each.id in ids)

    def is_local(self, name: str) -> bool:
        """Tell whether Cargo takes a package of this name from a folder, as it does members."""
        return name in self._review.local

    def distrust(self, crate: str) -> int:
        """Deny all that a crate wants, at any risk and whatever was answered, in one step.

        Returns:
            How much of it is denied now.
        """
        self._keep(self._review.distrust(crate))
        return len(self._review.wanted_by(crate))

    def sources(self, hunk: EditHunk) -> tuple[Proposal, ...]:
        """Return the proposals whose answers a hunk of the edit comes from."""
        return tuple(
            each
            for each in self._review.proposals
            if is_source(each, self._review.decision(each.id), hunk)
        )

    def take_out(self, hunk: EditHunk) -> bool:
        """Take back, in one step, what a hunk of the edit comes from; tell whether there was any.

        Terms go back to what Cargo.toml says.
        """
        ids = tuple(each.id for each in self.sources(hunk))
        has_terms = hunk.field in (WHOLE_CRATE, *TERMS)
        entry = self._review.take_back(ids, hunk.crate if has_terms else "")
        self._keep(entry)
        return entry is not None

    def acceptable(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Return those that one step may allow: low enough in risk, and readable in full."""
        ids = set(self._review.acceptable(BATCH_LIMIT, (each.id for each in proposals)))
        return [each for each in proposals if each.id in ids and not is_unreadable(each)]

    def step(self, proposal: Proposal, by: int) -> None:
        """Choose the next wider choice, or with -1 the next narrower one.

        Raises:
            BuildpermError: It cannot be chosen; see `choice_refusal`.
        """
        step = self._review.widen if by > 0 else self._review.narrow
        self._keep(step(proposal.id))

    def choose(self, proposal: Proposal, index: int) -> None:
        """Choose one of the ways to allow a proposal.

        Raises:
            BuildpermError: It cannot be chosen; see `choice_refusal`.
        """
        self._keep(self._review.choose(proposal.id, index))

    def undo(self) -> Proposal | None:
        """Take the last step back; return a proposal that it was about."""
        return self._concerned(self._review.undo())

    def redo(self) -> Proposal | None:
        """Take the step again that was taken back; return a proposal that it is about."""
        return self._concerned(self._review.redo())

    def _concerned(self, entry: JournalEntry | None) -> Proposal | None:
        """Keep a step; return the first shown proposal that it is about, if one is shown."""
        self._keep(entry)
        ids = {picked.id for picked in entry.picked} if entry is not None else set()
        return next((proposal for proposal in self._shown if proposal.id in ids), None)

    def _keep(self, entry: JournalEntry | None) -> None:
        self._elsewhere, self._by_id = ("", ()), {}
        if entry is None:
            return
        try:
            self._journal(entry)
        except BuildpermError as error:
            self.trouble = shown(str(error).replace("\n", " "))
        else:
            self.trouble = ""


def _is_only_shown(proposal: Proposal) -> bool:
    """Tell whether something was refused that is nobody's decision: a system call."""
    return proposal.reason is Reason.ASKED and not takes_answer(proposal)


def _is_put_last(proposal: Proposal) -> bool:
    """Tell whether a proposal stands below the questions of its crate."""
    return proposal.reason is not Reason.ASKED
