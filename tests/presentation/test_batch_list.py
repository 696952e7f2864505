"""The list that one answer is given about: complete, grouped, no two rows alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.rule import Rule
from buildperm.presentation.batch_list import batch_groups
from buildperm.presentation.proposal_cause import by_cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from buildperm.presentation.proposal_cause import ProposalCause

roles = st.sampled_from([(Role(subject),) for subject in SubjectKind])


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[Proposal, str]]:
    """Draw proposals out of few words, so that many are alike."""
    made = []
    for number in range(draw(st.integers(0, 12))):
        target = draw(st.sampled_from(["a", "b"]))
        program = draw(st.sampled_from(["", "git"]))
        seen = Access(
            Kind.READ, target, Outcome.DONE, 1, 0, 1, (), causes=(program,), roles=draw(roles)
        )
        rule = Rule(Kind.READ, "**")
        proposal = Proposal(
            f"{number:012x}",
            draw(st.sampled_from(["x", "y"])),
            draw(st.sampled_from(["1.0.0", "2.0.0"])),
            draw(st.sampled_from(["read files", "run git"])),
            (Choice("exactly", (rule,)),),
            draw(st.sampled_from(list(Risk))),
            ("why",),
            (seen,),
            wanted_by=program,
        )
        made.append((proposal, draw(st.sampled_from(["read **", "read $HOME/**", ""]))))
    return made


@given(rows())
def test_every_proposal_has_one_row_and_no_two_rows_read_the_same(
    listed: list[tuple[Proposal, str]],
) -> None:
    groups = [*batch_groups(listed)]
    shown = [
        (each.crate, each.version, row.title, row.rule) for each in groups for row in each.rows
    ]

    assert len(set(shown)) == len(shown) == len(listed)
    assert {row.proposal.id for each in groups for row in each.rows} == {p.id for p, _ in listed}
    for proposal, rule in listed:
        (row,) = (row for each in groups for row in each.rows if row.proposal == proposal)
        assert rule in row.rule
        assert row.title.startswith(proposal.title)


@given(rows())
def test_the_riskiest_of_a_group_comes_first(listed: list[tuple[Proposal, str]]) -> None:
    for group in batch_groups(listed):
        risks = [row.proposal.risk for row in group.rows]

        assert risks == sorted(risks, reverse=True)


def test_a_crate_is_looked_at_when_its_group_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def counting(proposals: Sequence[Proposal], known: dict[str, str]) -> tuple[ProposalCause, ...]:
        looked_at.append(proposals[0].crate)
        return by_cause(proposals, known)

    monkeypatch.setattr("buildperm.presentation.batch_list.by_cause", counting)
    seen = Access(Kind.READ, "a", Outcome.DONE, 1, 0, 1, ())
    one = Proposal("1", "x", "1.0.0", "read files", (), Risk.LOW, (), (seen,))
    groups = batch_groups([(one, "read a"), (replace(one, id="2", crate="y"), "read a")])

    assert next(groups).crate == "x"
    assert looked_at == ["x"]
    assert [each.crate for each in groups] == ["y"]


def test_a_preset_is_told_with_what_it_allows() -> None:
    seen = Access(Kind.EXEC, "cc", Outcome.DONE, 1, 0, 1, ())
    choice = Choice("preset cc", (), preset="cc", widening="Allows compilers.")
    one = Proposal("1", "x", "1.0.0", "compile", (choice,), Risk.LOW, (), (seen,))

    (group,) = batch_groups([(one, "preset cc")])

    assert [row.rule for row in group.rows] == ["preset cc: Allows compilers."]


def test_what_differs_is_told_only_where_rows_would_be_alike() -> None:
    seen = Access(Kind.READ, "a", Outcome.DONE, 1, 0, 1, ())
    macro = (Role(SubjectKind.MACRO),)
    one = Proposal("1", "x", "1.0.0", "read files", (), Risk.LOW, (), (seen,))
    other = replace(one, id="2", evidence=(replace(seen, roles=macro),))

    (alone,) = batch_groups([(one, "read a")])
    (both,) = batch_groups([(one, "read a"), (other, "read a")])

    assert [row.title for row in alone.rows] == ["read files"]
    assert [row.title for row in both.rows] == [
        "read files (build script)", "read files (procedural macro)",
    ]  # fmt: skip
