"""A program may deny anything, and never allow what a person has to look at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.robot_limits import why_not_by_person, why_not_by_robot
from buildperm.policy.rule import Rule

rules = st.builds(
    Rule,
    st.sampled_from([Kind.READ, Kind.EXEC, Kind.ENV, Kind.WRITE, Kind.NET]),
    st.sampled_from(["cc", "perl", "$WORKSPACE/a.txt", "$HOME/.ssh/**", "example.org:443", "A_B"]),
)
choices = st.builds(
    Choice,
    st.just("this"),
    st.lists(rules, max_size=3).map(tuple),
    consumers=st.sampled_from([(), ("other",)]),
)
proposals = st.builds(
    Proposal,
    st.just("0" * 12),
    st.just("crate"),
    st.just("1.0.0"),
    st.just("do something"),
    st.lists(choices, min_size=1, max_size=3).map(tuple),
    st.sampled_from(Risk),
    st.just(("note",)),
    st.just((Access(Kind.READ, "x", Outcome.DONE, 1, 0, 0, ()),)),
    st.sampled_from(["", "locked"]),
    st.sampled_from(Reason),
)


@given(proposals, st.data())
def test_a_robot_allows_no_more_than_a_person_and_nothing_of_high_risk(
    proposal: Proposal, data: st.DataObject
) -> None:
    choice = data.draw(st.sampled_from(proposal.choices))

    if not why_not_by_robot(proposal, choice):
        assert not why_not_by_person(proposal, choice)
        assert proposal.risk <= Risk.MEDIUM
        assert all(assess_rule(rule)[0] <= Risk.MEDIUM for rule in choice.rules)
        assert not proposal.locked
        assert not choice.consumers
        assert proposal.reason is Reason.ASKED


@given(proposals, st.data())
def test_nobody_allows_what_is_locked_by_a_command(proposal: Proposal, data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(proposal.choices))

    refused = bool(why_not_by_person(proposal, choice))

    assert refused is (
        bool(proposal.locked) or proposal.reason not in (Reason.ASKED, Reason.DORMANT)
    )


def test_a_person_may_confirm_what_is_critical_and_a_robot_may_not() -> None:
    choice = Choice("this", (Rule(Kind.EXEC, "docker"),))
    evidence = (Access(Kind.EXEC, "docker", Outcome.REFUSED, 1, 0, 0, ()),)
    asked = Proposal("0" * 12, "a", "1.0.0", "run", (choice,), Risk.CRITICAL, ("n",), evidence)

    assert why_not_by_person(asked, choice) == ""
    assert "critical: only a person at a terminal" in why_not_by_robot(asked, choice)


def test_what_is_harmless_and_was_asked_a_robot_may_allow() -> None:
    rule = Rule(Kind.READ, "$WORKSPACE/a.txt")
    evidence = (Access(Kind.READ, rule.pattern, Outcome.REFUSED, 1, 0, 0, ()),)
    choice = Choice("this", (rule,))
    asked = Proposal("0" * 12, "a", "1.0.0", "read", (choice,), Risk.LOW, ("n",), evidence)

    assert why_not_by_robot(asked, choice) == ""
