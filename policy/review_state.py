"""A review: what a person decides about proposals, with unlimited undo; no I/O and no screen.

Three answers: allow, deny, later. Undecided is none of them: it is refused when enforced, never
stored, and asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from buildperm.policy import answer_limits, merging, rule_choice, selection, validation
from buildperm.policy.answer_tally import AnswerTally
from buildperm.policy.closed_rules import Closed, nothing
from buildperm.policy.decision import Answer, Counts, Decision, JournalEntry, Terms
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.joint_answers import JointAnswers
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_history import Stand
from buildperm.policy.review_ledger import ReviewLedger
from buildperm.policy.review_replay import (
    allowed_beside_open,
    kept_by_answers,
    replayed,
    still_written,
)
from buildperm.policy.rule import Rule


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
        closed: Closed = nothing,
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
            closed: Says why a rule cannot be written here; what only such a rule allows is locked.

        Raises:
            ValueError: Two proposals about the same version have the same id.
        """
        self._ledger = ReviewLedger(proposals, revisions or {}, terms or {}, closed)
        self.local = frozenset(local)
        self._settled = tuple(settled)
        self._present = present
        self._joint = JointAnswers(self._ledger)
        self._texts = selection.SearchTexts()

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """All proposals in their order, with the choices that a person wrote."""
        return self._ledger.proposals

    def decision(self, proposal_id: str) -> Decision:
        """Return what has been decided about one proposal."""
        return self._ledger.decision(proposal_id)

    def choice(self, proposal_id: str) -> Choice:
        """Return the chosen way to allow one proposal."""
        return self._ledger.choice(proposal_id)

    def violation(self, proposal_id: str, index: int) -> validation.Violation | None:
        """Say why one of the ways to allow a question cannot become grants, if it cannot."""
        return answer_limits.violation(self._ledger.proposal(proposal_id), index)

    def allow(self, proposal_id: str) -> JournalEntry | None:
        """Allow one proposal by its present choice.

        Raises:
            BuildpermError: It is locked, or the choice holds a rule that cannot be granted.
        """
        decision = replace(self._ledger.decision(proposal_id), answer=Answer.ALLOW, elsewhere=False)
        answer_limits.refuse(self._ledger.proposal(proposal_id), decision)
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
        return tuple(self._joint.alike(proposal_id))

    def answer_everywhere(self, proposal_id: str, answer: Answer) -> JournalEntry | None:
        """Give one answer about a proposal and all that `same` returns, in one step.

        A version does not count as reviewed because of what was allowed so where that would put
        other risky grants in force.

        Raises:
            BuildpermError: It is to be allowed, and is locked or allows what no grant may say.
        """
        wanted = self._joint.everywhere(proposal_id, answer)
        answer_limits.refuse(self._ledger.proposal(proposal_id), wanted[proposal_id])
        is_newcomer = self._ledger.proposal(proposal_id).reason is Reason.NEWCOMER
        return None if is_newcomer else self._change(wanted)

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
        answer_limits.refuse_batch(risk)
        return self._answer(self.acceptable(risk, among), Answer.ALLOW)

    def acceptable(self, risk: Risk, among: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return what `accept_up_to` would allow."""
        return tuple(
            each
            for each in (self._ledger if among is None else among)
            if answer_limits.is_acceptable(
                self._ledger.proposal(each), self._ledger.decision(each), risk
            )
        )

    def choose(self, proposal_id: str, index: int) -> JournalEntry | None:
        """Choose another way to allow a proposal.

        The answer stays, unless it was to allow it and this way allows more: nobody has allowed
        that.

        Raises:
            BuildpermError: It is allowed, and the choice holds a rule that cannot be granted.
            IndexError: There is no such choice.
        """
        decision = rule_choice.chosen(self._ledger, proposal_id, index)
        return self._change({proposal_id: decision})

    def widen(self, proposal_id: str) -> JournalEntry | None:
        """Step to the next wider choice, if there is one."""
        return self._move(proposal_id, 1)

    def narrow(self, proposal_id: str) -> JournalEntry | None:
        """Step to the next narrower choice, if there is one."""
        return self._move(proposal_id, -1)

    def _move(self, proposal_id: str, by: int) -> JournalEntry | None:
        index = self._ledger.decision(proposal_id).chosen + by
        exists = 0 <= index < len(self._ledger.proposal(proposal_id).choices)
        return self.choose(proposal_id, index) if exists else None

    def edit(self, proposal_id: str, rules: Sequence[Rule]) -> JournalEntry | None:
        """Choose rules that a person wrote, as one more way to allow a proposal.

        What was allowed is undecided then: nobody has allowed these rules. `proposals` has another
        proposal of this id afterwards, with one choice more, unless one of its choices said the
        same.

        Raises:
            BuildpermError: One of the rules cannot be granted, or there is none.
        """
        decision = rule_choice.edited(self._ledger, proposal_id, rules)
        return self._change({proposal_id: decision})

    def distrust(self, crate: str) -> JournalEntry | None:
        """Deny, in one step, all that a crate wants, of whatever risk, whatever was answered."""
        return self.deny(*self.wanted_by(crate))

    def wanted_by(self, crate: str) -> tuple[str, ...]:
        """Return the proposals of a crate that can be denied, in all its versions."""
        about = (each for each in self.proposals if each.crate == crate)
        return tuple(each.id for each in about if each.reason is not Reason.NEWCOMER)

    def terms(self, crate: str) -> Terms:
        """Return what holds for all grants of a crate: the reason, and the last day."""
        return self._ledger.terms(crate)

    def set_terms(self, crate: str, terms: Terms) -> JournalEntry | None:
        """Say why a crate is granted what it is granted, and until when, in one step."""
        return None if terms == self.terms(crate) else self._ledger.step(Stand({}, {crate: terms}))

    def take_back(self, ids: Iterable[str], crate: str = "") -> JournalEntry | None:
        """Take back, in one step, answers about proposals, and the terms of a crate if it is named.

        Its terms are then as Cargo.toml has them.
        """
        stand = self._ledger.without_answers(ids, crate)
        return self._ledger.step(stand) if stand else None

    def undo(self) -> JournalEntry | None:
        """Take back the last step."""
        return self._ledger.undo()

    def redo(self) -> JournalEntry | None:
        """Do again what was last taken back."""
        return self._ledger.redo()

    @property
    def has_answers(self) -> bool:
        """Whether anything has been answered and not been taken back."""
        return bool(self._ledger.tally.given)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._ledger.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._ledger.can_redo

    def add(self, proposals: Iterable[Proposal]) -> None:
        """Add new proposals as undecided; those that are there already stay as they are."""
        self._joint.add(self._ledger.add(proposals))

    def replay(self, entries: Iterable[JournalEntry]) -> None:
        """Repeat the steps of an earlier review; what they say of other proposals is skipped.

        A proposal is undecided if its choice no longer exists, or if it is locked by now.
        """
        for entry in entries:
            stand = replayed(self._ledger, entry)
            if stand:
                self._ledger.repeat(entry.act, stand)

    def allowed_beside_open(self) -> JournalEntry | None:
        """Return what was allowed to versions that are still asked about something else.

        None if there is nothing such.
        """
        return allowed_beside_open(self._ledger)

    def replay_written(self, entries: Iterable[JournalEntry], policy: Policy) -> None:
        """Repeat what `allowed_beside_open` has told, as far as Cargo.toml still grants it.

        Whoever has taken a grant away since then, or let it end, is asked again. What was allowed
        to this very version is not asked about as a grant from before.
        """
        for entry in entries:
            self.replay([still_written(self._ledger, entry, policy)])
        known = kept_by_answers(self._ledger)
        if known:
            self._ledger.step(known)

    def select(self, words: str) -> list[Proposal]:
        """Return the proposals that a filter such as `kind:exec risk:>=high` lets through.

        Raises:
            BuildpermError: A word of the filter means nothing.
        """
        wanted = selection.parse(words, self._texts)
        return [
            proposal
            for proposal in self.proposals
            if wanted(proposal, str(self._ledger.decision(proposal.id).answer))
        ]

    def counts(self, proposals: Iterable[Proposal] | None = None) -> Counts:
        """Count the answers about all proposals, or about some.

        Undecided is only what is asked, and system calls ask for no answer.
        """
        if proposals is None:
            return self._ledger.tally.counts
        return AnswerTally((each, self.decision(each.id)) for each in proposals).counts

    def undecided(self) -> list[Proposal]:
        """Return the proposals that `counts` counts as open: neither allowed nor denied."""
        everything = self._ledger.decided()
        return [each for each, decision in everything if not merging.is_settled(each, decision)]

    def grants(self, policy: Policy) -> dict[str, CrateGrants]:
        """Return the crates whose entry in `policy` is to change, by key, with what it is to say.

        What a crate had is kept, except that the newest answer about the same rule wins, and that
        an unused grant goes where its removal was wanted. A version counts as reviewed once all
        that is asked about it is allowed or denied, unless that alone would put risky grants in
        force that nobody has looked at with it in mind. A crate that asks for nothing and has no
        entry gets none.
        """
        ledger, settled, present = self._ledger, self._settled, self._present
        decided, terms = ledger.decided(), ledger.new_terms()
        return merging.granted(policy, decided, settled, present, ledger.revisions, terms)

    def _answer(self, ids: Iterable[str], answer: Answer) -> JournalEntry | None:
        return self._change(
            {
                each: replace(self._ledger.decision(each), answer=answer, elsewhere=False)
                for each in ids
                if self._ledger.proposal(each).reason is not Reason.NEWCOMER
            }
        )

    def _change(self, wanted: Mapping[str, Decision]) -> JournalEntry | None:
        """Make a step of the decisions that really change, with what depends on them."""
        stand = self._joint.stand(wanted)
        return self._ledger.step(stand) if stand else None
