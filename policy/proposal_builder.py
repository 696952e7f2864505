"""Makes proposals of one crate: risk, notes, title and identity of each group of accesses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from buildperm.policy import outside_consumers, portability, summaries
from buildperm.policy.access import Access
from buildperm.policy.choices import Choices
from buildperm.policy.kinds import Kind
from buildperm.policy.passing_names import is_passing
from buildperm.policy.proposal import Choice, Proposal, Risk, proposal_id
from buildperm.policy.risk_combinations import combinations
from buildperm.policy.role import NOBODY
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import in_any_run
from buildperm.tracer.notation import encode

_FOR_NOBODY = "No grant can allow it: it is not known in which crate the macro was expanded."


class ProposalBuilder:
    """The proposals of one crate in the making."""

    def __init__(
        self,
        crate: str,
        version: str,
        everything: Sequence[Access],
        outside: str,
        rules: Collection[Rule],
    ) -> None:
        """Prepare.

        Args:
            crate: Its key in Cargo.toml.
            version: Of the crate.
            everything: What it did, asked about or not.
            outside: The consumer that the grants would have to hold for, too; empty without one.
            rules: What it is granted.
        """
        self.proposals: list[Proposal] = []
        self._crate = crate
        self._version = version
        self.programs = [access for access in everything if access.kind is Kind.EXEC]
        self._combined = combinations(everything)
        self._environments = portability.environments(everything)
        self._outside = outside
        self.granted = rules

    def add(
        self, title: str, group: Sequence[Access], choices: Choices, *, locked: str = ""
    ) -> None:
        """Ask about a group that is as risky as the riskiest in it."""
        worst, notes = summaries.risk_notes(group)
        targets = [_in_any_run(access) for access in group]
        if any(access.is_entry for access in group):
            targets.append("and its folder")  # Another question than the one about the file.
        self.propose(
            self.id_of(group[0].kind, dict.fromkeys(targets)),
            title,
            choices,
            (worst, notes),
            group,
            locked,
        )

    def propose(
        self,
        proposal_id: str,
        title: str,
        choices: Choices,
        judged: tuple[Risk, Iterable[str]],
        group: Sequence[Access],
        locked: str = "",
    ) -> None:
        """Ask about a group.

        Args:
            proposal_id: As `id_of` returns it.
            title: What the script wants, without its name.
            choices: What can be answered.
            judged: The risk of the group by itself, and why it is that.
            group: What is asked about.
            locked: Why it cannot be allowed; empty where it can be.
        """
        combined, added = self._combined(group)
        notes = (*added, *judged[1], *summaries.unstable(group))
        level = max(judged[0], combined)
        if not locked:
            notes = (*notes, *portability.notes(choices.suggestion.rules, self._environments))
            choices = replace(choices, all=tuple(map(self._marked, choices.all)))
        if self._outside == NOBODY:
            locked = _FOR_NOBODY
        elif self._outside:
            title = f"{title} for {encode(self._outside.encode())}"
            every = (outside_consumers.extended(each, self._outside) for each in choices.all)
            choices = replace(choices, all=tuple(every))
            along, told = outside_consumers.judge(self._outside, self.granted)
            level, notes = max(level, along), (*notes, *told)
        self.proposals.append(
            Proposal(
                proposal_id,
                self._crate,
                self._version,
                title,
                choices.all,
                level,
                notes,
                tuple(group),
                locked,
                suggested=choices.suggested,
                wanted_by=_wanted_by(group),
            )
        )

    def id_of(self, what: str, targets: Iterable[str]) -> str:
        """Return the name of a question: the same in each run that leads to it."""
        outside = (f"for {self._outside}",) if self._outside else ()
        return proposal_id(self._crate, what, *sorted(targets), *outside)

    def _marked(self, choice: Choice) -> Choice:
        title = portability.marked(choice.title, choice.rules, self._environments)
        return replace(choice, title=title)


def _wanted_by(accesses: Iterable[Access]) -> str:
    """Return the program whose doing all of the accesses are; empty if there is no such one."""
    found = {access.wanted_by for access in accesses}
    return found.pop() if len(found) == 1 else ""


def _in_any_run(access: Access) -> str:
    """Return a target as the next run would have it, so that it is the same question then."""
    if is_passing(access.kind, access.target):
        return in_any_run(access.target)
    return access.target
