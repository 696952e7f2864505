"""The lines of a review: crates, causes and proposals, as they are opened and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.rule import Rule
from buildperm.presentation.agenda import Agenda
from buildperm.presentation.outline import Outline, Place
from buildperm.presentation.proposal_cause import ProposalCause

if TYPE_CHECKING:
    from collections.abc import Sequence


def proposal(name: str, crate: str = "x", *, program: str = "", runs: str = "") -> Proposal:
    """Make a proposal that a program, or the script itself, wants."""
    rule = Rule(Kind.EXEC, runs) if runs else Rule(Kind.READ, f"$WORKSPACE/{name}")
    seen = Access(rule.kind, rule.pattern, Outcome.DONE, 1, 0, 1, (("build",),), causes=(program,))
    choices = (Choice("exactly this", (rule,), "", ""),)
    return Proposal(
        name, crate, "1.0.0", name, choices, Risk.LOW, ("why",), (seen,), wanted_by=program
    )


GIT = (
    proposal("run git", runs="git"),
    proposal("read config", program="git"),
    proposal("read proto"),
    proposal("read data"),
)


def outline(proposals: Sequence[Proposal]) -> Outline:
    """Fill an outline as the agenda does."""
    made = Outline()
    made.fill(Agenda(Review(proposals), lambda _: None).groups)
    return made


def lines(made: Outline) -> list[str]:
    """Name what each line stands for."""
    named = []
    for place in made.places:
        found, cause = made.proposal(place), made.cause(place)
        if found is not None:
            named.append(f"{'    ' if made.is_below_cause(place) else '  '}{found.title}")
        else:
            named.append(f"  {cause.name}:" if cause else made.groups[place.group].crate)
    return named


def test_what_a_program_wants_lies_below_it_with_the_running_of_it() -> None:
    assert lines(outline(GIT)) == [
        "x", "  git:", "    run git", "    read config",
        "  the build script itself:", "    read proto", "    read data",
    ]  # fmt: skip


def test_where_no_program_wants_anything_there_are_no_lines_for_causes() -> None:
    flat = outline((*GIT[:1], *GIT[2:]))

    assert lines(flat) == ["x", "  run git", "  read proto", "  read data"]


def test_a_macro_and_a_compiler_are_called_what_they_are() -> None:
    roles = {subject: (Role(subject),) for subject in SubjectKind}
    made = {
        subject: Proposal("i", "x", "1", "t", (), Risk.LOW, (), (Access(
            Kind.READ, "a", Outcome.DONE, 1, 0, 1, (), roles=role),))
        for subject, role in roles.items()
    }  # fmt: skip

    assert [ProposalCause("", (each,)).name for each in made.values()] == [
        "the build script itself", "the procedural macro itself", "the compiler itself",
    ]  # fmt: skip
    assert ProposalCause("", tuple(made.values())).name == "the crate itself"
    assert ProposalCause("git", tuple(made.values())).name == "git"


def test_a_cause_closes_and_finding_something_in_it_opens_it() -> None:
    made = outline(GIT)
    made.toggle(Place(0, 0))
    assert lines(made)[1:3] == ["  git:", "  the build script itself:"]
    assert not made.is_open(Place(0, 0))

    row = made.find(GIT[1])

    assert row is not None
    assert made.proposal(made.places[row]) == GIT[1]
    assert made.parent_row(row) == 1
    assert made.parent_row(1) == 0


def test_the_cursor_of_a_closed_crate_goes_to_its_line() -> None:
    made = outline((*GIT, proposal("other", "y")))
    place = made.places[2]
    made.close_all()

    assert lines(made) == ["x", "y"]
    assert made.row_of(place) == 0
    assert made.row_of_key(("y", "1.0.0")) == 1
    assert made.row_of_key(("z", "1.0.0")) == 0
    assert made.find(proposal("unknown")) is None


many = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from(["", "git", "sh"]), st.booleans()),
    max_size=12,
).map(
    lambda drawn: [
        proposal(str(number), crate, program="" if ran else program, runs=program if ran else "")
        for number, (crate, program, ran) in enumerate(drawn)
    ]
)


@given(many, st.lists(st.integers(0, 20), max_size=6))
def test_every_proposal_has_one_line_that_is_always_found(
    proposals: list[Proposal], toggled: list[int]
) -> None:
    made = outline(proposals)
    made.open_all()
    agenda = Agenda(Review(proposals), lambda _: None)
    shown = [found for place in made.places if (found := made.proposal(place)) is not None]

    assert [each.id for each in shown] == [each.id for each in agenda.shown]
    for number in toggled:
        if made.places:
            made.toggle(made.places[number % len(made.places)])
    for each in proposals:
        row = made.find(each)
        assert row is not None
        assert made.proposal(made.places[row]) == each
        assert made.parent_row(row) < row
