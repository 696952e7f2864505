"""The outline of a review: crates, what in them is the cause, and the proposals, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import ProposalGroup
    from buildperm.presentation.proposal_cause import ProposalCause

NONE = -1


class Place(NamedTuple):
    """What one line stands for: a crate, a cause in it, or a proposal."""

    group: int  # Index into the groups.
    cause: int = NONE  # Index into the causes of the group; NONE on the line of the crate.
    proposal: int = NONE  # Index into the proposals of the cause; NONE on the line of the cause.


class Outline:
    """Which lines are shown, as crates and causes are opened and closed; draws nothing.

    A crate begins closed, a cause open.
    """

    def __init__(self) -> None:
        self.groups: Sequence[ProposalGroup] = ()
        self.places: list[Place] = []
        """The lines that are shown, from above."""
        self._opened: set[tuple[str, str]] = set()
        self._opened_before: set[tuple[str, str]] | None = None  # While all are open.
        self._closed: set[tuple[tuple[str, str], str]] = set()  # Causes.

    def fill(self, groups: Sequence[ProposalGroup], *, opening: bool = False) -> None:
        """Show other groups; with `opening` all are open until groups come without it again."""
        if not self.groups and not self._opened and groups:
            self._opened.add(groups[0].key)
        if opening:
            self._opened_before = self._opened_before or set(self._opened)
            self._opened = {each.key for each in groups}
        elif self._opened_before is not None:
            self._opened, self._opened_before = self._opened_before, None
        self.groups = groups
        self._lay()

    def cause(self, place: Place) -> ProposalCause | None:
        """Return the cause that a line stands for or lies below; None on the line of a crate."""
        return self.groups[place.group].causes[place.cause] if place.cause != NONE else None

    def proposal(self, place: Place) -> Proposal | None:
        """Return the proposal that a line stands for, if it does."""
        cause = self.cause(place)
        return cause.proposals[place.proposal] if cause and place.proposal != NONE else None

    def is_open(self, place: Place) -> bool:
        """Tell whether what lies below the line of a crate or a cause is shown."""
        key = self.groups[place.group].key
        cause = self.cause(place)
        if cause is None:
            return key in self._opened
        return place.proposal == NONE and (key, cause.program) not in self._closed

    def toggle(self, place: Place) -> None:
        """Open or close a crate or a cause."""
        key = self.groups[place.group].key
        cause = self.cause(place)
        if cause is None:
            self._opened ^= {key}
        elif place.proposal == NONE:
            self._closed ^= {(key, cause.program)}
        self._lay()

    def open_all(self) -> None:
        """Open every crate and every cause."""
        self._opened = {group.key for group in self.groups}
        self._closed.clear()
        self._lay()

    def close_all(self) -> None:
        """Close every crate."""
        self._opened = set()
        self._lay()

    def find(self, proposal: Proposal) -> int | None:
        """Return the line of a proposal, opening what it lies in; None if it is not listed."""
        wanted = self._place_of(proposal)
        if wanted is None:
            return None
        key = self.groups[wanted.group].key
        closed = key, self.groups[wanted.group].causes[wanted.cause].program
        if key not in self._opened or closed in self._closed:
            self._opened.add(key)
            self._closed.discard(closed)
            self._lay()
        return self.places.index(wanted)

    def row_of(self, place: Place) -> int:
        """Return the line that is shown for `place`: its own, else that of what it lies in."""
        for candidate in (place, place._replace(proposal=NONE), Place(place.group)):
            if candidate in self.places:
                return self.places.index(candidate)
        return 0

    def row_of_key(self, key: tuple[str, str]) -> int:
        """Return the line of the crate with this key, 0 where it is not listed."""
        for row, place in enumerate(self.places):
            if place.cause == NONE and self.groups[place.group].key == key:
                return row
        return 0

    def parent_row(self, row: int) -> int:
        """Return the line that another one lies below: of its cause, else of its crate."""
        place = self.places[row]
        if place.proposal != NONE:
            return self.row_of(place._replace(proposal=NONE))
        return self.row_of(Place(place.group))

    def is_below_cause(self, place: Place) -> bool:
        """Tell whether a proposal's line lies below the line of its cause."""
        cause = self.cause(place)
        return cause is not None and has_line(cause, self.groups[place.group].causes)

    def _place_of(self, proposal: Proposal) -> Place | None:
        for number, group in enumerate(self.groups):
            if group.key != (proposal.crate, proposal.version):
                continue
            for at, cause in enumerate(group.causes):
                for index, candidate in enumerate(cause.proposals):
                    if candidate.id == proposal.id:
                        return Place(number, at, index)
        return None

    def _lay(self) -> None:
        places: list[Place] = []
        for number, group in enumerate(self.groups):
            places.append(Place(number))
            if group.key not in self._opened:
                continue
            for at, cause in enumerate(group.causes):
                if has_line(cause, group.causes):
                    places.append(Place(number, at))
                    if (group.key, cause.program) in self._closed:
                        continue
                places += (Place(number, at, index) for index in range(len(cause.proposals)))
        self.places = places


def has_line(cause: ProposalCause, causes: Sequence[ProposalCause]) -> bool:
    """Tell whether one of a crate's causes has a line: not where those below say as much."""
    if cause.program:
        return len(cause.proposals) > 1 or bool(cause.proposals[0].wanted_by)
    return any(other.program and has_line(other, causes) for other in causes)
