"""A review: what a person decides about proposals, with unlimited undo; no I/O and no screen.

Three answers: allow, deny, later. Undecided is none of them: it is refused when enforced, never
stored, and asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from buildperm.errors import BuildpermError
from buildperm.policy import edited_rule, merging, selection, validation
from buildperm.policy.answer_tally import AnswerTally
from buildperm.policy.decision import (
    Answer,
    Counts,
    Decision,
    JournalEntry,
    ReviewAction,
    SavedDecision,
    SavedTerms,
    Terms,
    signature,
)
from buildperm.policy.dependents import Dependents, answer_along
from buildperm.policy.equivalence import EquivalentProposals
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.narrowing import is_within
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_history import ReviewHistory, Stand
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule

BATCH_LIMIT = Risk.MEDIUM
"""The highest risk that may be allowed without looking at each proposal."""


class Review:
    """Proposals and what was decided about them so far.

    Every method that changes something returns the entry for the journal, or None where nothing
    changed.
    """

    def __init__(
        self,
        proposals: Iterable[Proposal],
        settled: Iterable[tuple[str, str]] = (),
        present: Collection[tuple[str, str]] | None = None,
        revisions: Mapping[tuple[str, str], str] | None = None,
        terms: Mapping[str, Terms] | None = None,
        local: Collection[str] = (),
    ) -> None:
        """Begin with nothing decided.

        Args:
            proposals: In the order in which they are shown.
            settled: Key and version of the crates that ran and ask for nothing.
            present: Key and revision of the crates in Cargo.lock. Where a crate is reviewed in
                another one, those that are not among them no longer count as reviewed; None keeps
                all.
            revisions: What counts as reviewed then, by key and version; the version by default.
            terms: What Cargo.toml says of each crate's grants now, by key.
            local: Names of the packages that Cargo takes from a folder, such as the members.

        Raises:
            ValueError: Two proposals about the same version have the same id.
        """
        self.proposals = _with_unique_ids(proposals)
        self.local = frozenset(local)
        self._settled = tuple(settled)
        self._present = present
        self._revisions = dict(revisions or {})
        self._by_id = {proposal.id: proposal for proposal in self.proposals}
        if len(self._by_id) != len(self.proposals):
            raise ValueError("two proposals about the same version with the same id")
        self._equivalent = EquivalentProposals(self.proposals)
        self._dependents = Dependents(self.proposals)
        self._decisions = {each.id: _at_first(each) for each in self.proposals}
        self._texts = selection.SearchTexts()
        self._tally = AnswerTally((each, self._decisions[each.id]) for each in self.proposals)
        self._terms = dict(terms or {})
        self._terms_before = dict(self._terms)  # As Cargo.toml has them.
        self._history = ReviewHistory()

    def decision(self, proposal_id: str) -> Decision:
        """Return what has been decided about one proposal."""
        return self._decisions[proposal_id]

    def choice(self, proposal_id: str) -> Choice:
        """Return the chosen way to allow one proposal."""
        return self._by_id[proposal_id].choices[self._decisions[proposal_id].chosen]

    def violation(self, proposal_id: str, index: int) -> validation.Violation | None:
        """Say why one of the ways to allow a question cannot become grants, if it cannot.

        The reason that the crate's table gives makes no difference: what needs one is sensitive,
        and is granted by hand.
        """
        proposal = self._by_id[proposal_id]
        is_asked = proposal.reason is Reason.ASKED
        return _violation(proposal.choices[index]) if is_asked else None

    def allow(self, proposal_id: str) -> JournalEntry | None:
        """Allow one proposal by its present choice.

        Raises:
            BuildpermError: It is locked, or the choice holds a rule that cannot be granted.
        """
        decision = replace(self._decisions[proposal_id], answer=Answer.ALLOW, elsewhere=False)
        self._refuse(self._by_id[proposal_id], decision)
        return self._change({proposal_id: decision})

    def deny(self, *ids: str) -> JournalEntry | None:
        """Deny proposals, and what only the programs concerned wanted, in one step."""
        return self._answer(ids, Answer.DENY)

    def later(self, *ids: str) -> JournalEntry | None:
        """Put proposals off, in one step."""
        return self._answer(ids, Answer.LATER)

    def clear(self, *ids: str) -> JournalEntry | None:
        """Take back what was decided about proposals, in one step."""
        return self._answer(ids, Answer.UNDECIDED)

    def same(self, proposal_id: str) -> tuple[str, ...]:
        """Return the other proposals that may be answered along with one: they ask the same.

        They are undecided and not locked, one of their choices is the same as that of this one
        does, and they are neither critical nor riskier than this one. What lies in a crate's own
        folders is another thing in each crate, whatever it is called.
        """
        return tuple(self._alike(proposal_id))

    def _alike(self, proposal_id: str) -> dict[str, int]:
        """Return the index of that choice in each proposal that `same` returns."""
        alike = self._equivalent.find(self._by_id[proposal_id], self.choice(proposal_id))
        return {
            other: index
            for other, index in alike.items()
            if self._decisions[other].answer is Answer.UNDECIDED
        }

    def answer_everywhere(self, proposal_id: str, answer: Answer) -> JournalEntry | None:
        """Give one answer about a proposal and all that `same` returns, in one step.

        A version does not count as reviewed because of what was allowed so where that would put
        other risky grants in force.

        Raises:
            BuildpermError: It is to be allowed, and is locked or allows what no grant may say.
        """
        proposal = self._by_id[proposal_id]
        index = self._decisions[proposal_id].chosen
        self._refuse(proposal, Decision(answer, index))
        if proposal.reason is Reason.NEWCOMER:
            return None
        along = {
            other: Decision(answer, at, elsewhere=answer is Answer.ALLOW)
            for other, at in self._alike(proposal_id).items()
        }
        return self._change({proposal_id: Decision(answer, index), **along})

    def accept_up_to(self, risk: Risk, among: Iterable[str] | None = None) -> JournalEntry | None:
        """Allow, in one step, all that is undecided, not locked and of at most this risk.

        A proposal whose choice is wider than the suggested one, or allows more than this risk, is
        left to be allowed by itself.

        Args:
            risk: LOW or MEDIUM.
            among: The proposals concerned; all of them by default.

        Raises:
            BuildpermError: The risk is higher than a batch may allow.
        """
        if risk > BATCH_LIMIT:
            raise BuildpermError(
                f"{risk.name.lower()} risk is never allowed in a batch",
                hint="Look at each of these proposals and allow them one by one.",
            )
        return self._answer(self.acceptable(risk, among), Answer.ALLOW)

    def acceptable(self, risk: Risk, among: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return what `accept_up_to` would allow."""
        ids = self._by_id if among is None else among
        return tuple(each for each in ids if self._is_acceptable(each, min(risk, BATCH_LIMIT)))

    def _is_acceptable(self, proposal_id: str, limit: Risk) -> bool:
        proposal, decision = self._by_id[proposal_id], self._decisions[proposal_id]
        choice = proposal.choices[decision.chosen]
        return (
            decision.answer is Answer.UNDECIDED
            and proposal.reason is Reason.ASKED
            and not proposal.locked
            and _violation(choice) is None
            and proposal.risk <= limit
            and not (decision.chosen > proposal.suggested and choice.widening)
            and not choice.consumers
            and not choice.is_edited
            and all(assess_rule(rule)[0] <= limit for rule in choice.rules)
        )

    def choose(self, proposal_id: str, index: int) -> JournalEntry | None:
        """Choose another way to allow a proposal.

        The answer stays, unless it was to allow it and this way allows more: nobody has allowed
        that.

        Raises:
            BuildpermError: It is allowed, and the choice holds a rule that cannot be granted.
            IndexError: There is no such choice.
        """
        if not 0 <= index < len(self._by_id[proposal_id].choices):
            raise IndexError(f"no choice {index}")
        decision = replace(self._decisions[proposal_id], chosen=index)
        self._refuse(self._by_id[proposal_id], decision)
        choice = self._by_id[proposal_id].choices[index]
        if decision.answer is Answer.ALLOW and not is_within(choice, self.choice(proposal_id)):
            decision = replace(decision, answer=Answer.UNDECIDED, elsewhere=False)
        return self._change({proposal_id: decision})

    def widen(self, proposal_id: str) -> JournalEntry | None:
        """Step to the next wider choice, if there is one."""
        index = self._decisions[proposal_id].chosen + 1
        return (
            self.choose(proposal_id, index)
            if index < len(self._by_id[proposal_id].choices)
            else None
        )

    def narrow(self, proposal_id: str) -> JournalEntry | None:
        """Step to the next narrower choice, if there is one."""
        index = self._decisions[proposal_id].chosen - 1
        return self.choose(proposal_id, index) if index >= 0 else None

    def edit(self, proposal_id: str, rules: Sequence[Rule]) -> JournalEntry | None:
        """Choose rules that a person wrote, as one more way to allow a proposal.

        What was allowed is undecided then: nobody has allowed these rules. `proposals` has another
        proposal of this id afterwards, with one choice more, unless one of its choices said the
        same.

        Raises:
            BuildpermError: One of the rules cannot be granted, or there is none.
        """
        proposal = self._by_id[proposal_id]
        edited_rule.refuse(rules, proposal)
        choice = edited_rule.choice(rules, proposal, self.choice(proposal_id).consumers)
        index, decision = self._place(proposal, choice), self._decisions[proposal_id]
        if decision.answer is Answer.ALLOW and index != decision.chosen:
            decision = replace(decision, answer=Answer.UNDECIDED, elsewhere=False)
        return self._change({proposal_id: replace(decision, chosen=index)})

    def _place(self, proposal: Proposal, choice: Choice) -> int:
        """Return the index of a choice that a person wrote; it is added where it is new."""
        now, index = edited_rule.placed(proposal, choice)
        self._by_id[proposal.id] = now
        self.proposals = tuple(self._by_id.values())
        return index

    def distrust(self, crate: str) -> JournalEntry | None:
        """Deny, in one step, all that a crate wants, of whatever risk, whatever was answered."""
        return self.deny(*self.wanted_by(crate))

    def wanted_by(self, crate: str) -> tuple[str, ...]:
        """Return the proposals of a crate that can be denied, in all its versions."""
        return tuple(
            each.id
            for each in self.proposals
            if each.crate == crate and each.reason is not Reason.NEWCOMER
        )

    def terms(self, crate: str) -> Terms:
        """Return what holds for all grants of a crate: the reason, and the last day."""
        return self._terms.get(crate, Terms())

    def set_terms(self, crate: str, terms: Terms) -> JournalEntry | None:
        """Say why a crate is granted what it is granted, and until when, in one step."""
        return None if terms == self.terms(crate) else self._step(Stand({}, {crate: terms}))

    def take_back(self, ids: Iterable[str], crate: str = "") -> JournalEntry | None:
        """Take back, in one step, answers about proposals, and the terms of a crate if it is named.

        Its terms are then as Cargo.toml has them.
        """
        decisions = {
            each: cleared
            for each in ids
            if (cleared := replace(self._decisions[each], answer=Answer.UNDECIDED, elsewhere=False))
            != self._decisions[each]
        }
        before = self._terms_before.get(crate, Terms())
        changed = bool(crate) and self.terms(crate) != before
        stand = Stand(decisions, {crate: before} if changed else {})
        return self._step(stand) if stand else None

    def undo(self) -> JournalEntry | None:
        """Take back the last step."""
        stand = self._history.undo()
        return None if stand is None else self._set(ReviewAction.UNDO, stand)

    def redo(self) -> JournalEntry | None:
        """Do again what was last taken back."""
        stand = self._history.redo()
        return None if stand is None else self._set(ReviewAction.REDO, stand)

    @property
    def has_answers(self) -> bool:
        """Whether anything has been answered and not been taken back."""
        return bool(self._tally.given)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history.can_redo

    def add(self, proposals: Iterable[Proposal]) -> None:
        """Add new proposals as undecided; those that are there already stay as they are."""
        everything = _with_unique_ids((*self.proposals, *proposals))
        added = {each.id: each for each in everything if each.id not in self._by_id}
        new = tuple(added.values())
        self._by_id |= added
        for proposal in new:
            self._decisions[proposal.id] = _at_first(proposal)
            self._tally.put(proposal, self._decisions[proposal.id])
        self._equivalent.add(new)
        self._dependents.add(new)
        self.proposals = tuple(self._by_id.values())

    def replay(self, entries: Iterable[JournalEntry]) -> None:
        """Repeat the steps of an earlier review; what they say of other proposals is skipped.

        A proposal is undecided if its choice no longer exists, or if it is locked by now.
        """
        for entry in entries:
            stand = self._restored(entry)
            if not stand:
                continue
            if entry.act is ReviewAction.UNDO and self._history.would_undo_to(stand):
                self.undo()
            elif entry.act is ReviewAction.REDO and self._history.would_redo_to(stand):
                self.redo()
            else:
                self._step(stand)

    def _restored(self, entry: JournalEntry) -> Stand:
        """Return what a step of an earlier review would change now."""
        decisions = {
            picked.id: self._restored_decision(picked)
            for picked in entry.picked
            if picked.id in self._by_id and self._revision(self._by_id[picked.id]) == picked.version
        }
        crates = {proposal.crate for proposal in self.proposals}
        terms = {saved.crate: saved.terms for saved in entry.terms if saved.crate in crates}
        return Stand(
            {each: now for each, now in decisions.items() if now != self._decisions[each]},
            {each: now for each, now in terms.items() if now != self.terms(each)},
        )

    def select(self, words: str) -> list[Proposal]:
        """Return the proposals that a filter such as `kind:exec risk:>=high` lets through.

        Raises:
            BuildpermError: A word of the filter means nothing.
        """
        wanted = selection.parse(words, self._texts)
        return [
            proposal
            for proposal in self.proposals
            if wanted(proposal, str(self._decisions[proposal.id].answer))
        ]

    def counts(self, proposals: Iterable[Proposal] | None = None) -> Counts:
        """Count the answers about all proposals, or about some.

        Undecided is only what is asked, and system calls ask for no answer.
        """
        if proposals is None:
            return self._tally.counts
        some = ((each, self._decisions[each.id]) for each in proposals)
        return AnswerTally(some).counts

    def grants(self, policy: Policy) -> dict[str, CrateGrants]:
        """Return the crates whose entry in `policy` is to change, by key, with what it is to say.

        What a crate had is kept, except that the newest answer about the same rule wins, and that
        an unused grant goes where its removal was wanted. A version counts as reviewed once all
        that is asked about it is allowed or denied, unless that alone would put risky grants in
        force that nobody has looked at with it in mind. A crate that asks for nothing and has no
        entry gets none.
        """
        decided = ((proposal, self._decisions[proposal.id]) for proposal in self.proposals)
        terms = {
            crate: terms
            for crate, terms in self._terms.items()
            if terms != self._terms_before.get(crate, Terms())
        }
        return merging.granted(
            policy, decided, self._settled, self._present, self._revisions, terms
        )

    def _revision(self, proposal: Proposal) -> str:
        return self._revisions.get((proposal.crate, proposal.version), proposal.version)

    def _restored_decision(self, picked: SavedDecision) -> Decision:
        proposal = self._by_id[picked.id]
        if proposal.reason is Reason.NEWCOMER:
            return Decision()
        proposal = self._with_edit(proposal, picked.choice)
        found = _at_first(proposal)
        if picked.answer is Answer.LATER:
            found = replace(found, answer=Answer.LATER)
        for index, choice in enumerate(proposal.choices):
            if signature(choice) == picked.choice:
                found = Decision(picked.answer, index, picked.elsewhere)
        try:
            self._refuse(proposal, found)
        except BuildpermError:
            return _at_first(proposal)
        return found

    def _with_edit(self, proposal: Proposal, said: tuple[str, ...]) -> Proposal:
        """Return a proposal with the choice that a person wrote in an earlier review."""
        choice = edited_rule.restored(said, proposal)
        if choice is not None:
            self._place(proposal, choice)
        return self._by_id[proposal.id]

    def _refuse(self, proposal: Proposal, decision: Decision) -> None:
        """Raise where a decision would allow what cannot be allowed."""
        if decision.answer is not Answer.ALLOW:
            return
        what = f"`{proposal.title}` of {proposal.crate} cannot be allowed from here"
        if proposal.locked:
            raise BuildpermError(f"{what}: {proposal.locked}")
        found = self.violation(proposal.id, decision.chosen)
        if found is not None:
            raise BuildpermError(f"{what}: {found.what}", hint=found.hint)

    def _answer(self, ids: Iterable[str], answer: Answer) -> JournalEntry | None:
        return self._change(
            {
                each: replace(self._decisions[each], answer=answer, elsewhere=False)
                for each in ids
                if self._by_id[each].reason is not Reason.NEWCOMER
            }
        )

    def _change(self, wanted: Mapping[str, Decision]) -> JournalEntry | None:
        """Make a step of the decisions that really change, with what depends on them."""
        everything = {**self._along(wanted), **wanted}
        changes = {each: new for each, new in everything.items() if self._decisions[each] != new}
        if not changes:
            return None
        return self._step(Stand(changes))

    def _along(self, wanted: Mapping[str, Decision]) -> dict[str, Decision]:
        """Return what becomes of what only the programs wanted that are decided about."""
        along: dict[str, Decision] = {}
        for each, new in wanted.items():
            before = self._decisions[each].answer
            for other in self._dependents.of(self._by_id[each]):
                known = self._decisions[other]
                answer = answer_along(before, new.answer, known.answer)
                if answer is not known.answer:
                    along[other] = replace(known, answer=answer, elsewhere=False)
        return along

    def _step(self, after: Stand) -> JournalEntry:
        before = Stand(
            {each: self._decisions[each] for each in after.decisions},
            {each: self.terms(each) for each in after.terms},
        )
        self._history.add(before, after)
        return self._set(ReviewAction.DECIDE, after)

    def _set(self, act: ReviewAction, stand: Stand) -> JournalEntry:
        for each, decision in stand.decisions.items():
            self._tally.put(self._by_id[each], self._decisions[each], -1)
            self._tally.put(self._by_id[each], decision)
        self._decisions.update(stand.decisions)
        self._terms.update(stand.terms)
        picked = []
        for each, decision in stand.decisions.items():
            proposal = self._by_id[each]
            choice = signature(proposal.choices[decision.chosen])
            picked.append(
                SavedDecision(
                    each, self._revision(proposal), decision.answer, choice, decision.elsewhere
                )
            )
        terms = tuple(SavedTerms(crate, terms) for crate, terms in stand.terms.items())
        return JournalEntry(act, tuple(picked), terms)


def _at_first(proposal: Proposal) -> Decision:
    """Return how a proposal stands before anybody has said anything about it."""
    return Decision(chosen=proposal.suggested)


def _with_unique_ids(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Give proposals about further versions of a crate ids of their own."""
    versions: dict[str, str] = {}
    apart: list[Proposal] = []
    for proposal in proposals:
        if versions.setdefault(proposal.id, proposal.version) != proposal.version:
            text = f"{proposal.id}@{proposal.version}"
            own = hashlib.sha256(text.encode()).hexdigest()[: len(proposal.id)]
            proposal = replace(proposal, id=own)
        apart.append(proposal)
    return tuple(apart)


@lru_cache(maxsize=20_000)
def _violation(choice: Choice) -> validation.Violation | None:
    """Say why a choice cannot become grants, if it cannot."""
    found = (validation.to_grant(rule, reason="") for rule in choice.rules)
    return next((each for each in found if each is not None), None)
