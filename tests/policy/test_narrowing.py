"""What was allowed stays allowed where it becomes narrower, and is asked again otherwise."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.kinds import Kind
from buildperm.policy.narrowing import is_within
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.proposals import propose
from buildperm.policy.review_state import Review
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import is_literal, matches
from buildperm.rules.sensitive import why

PATTERNS = (
    "$WORKSPACE/gen/a", "$WORKSPACE/gen/b", "$WORKSPACE/gen/*", "$WORKSPACE/gen/**",
    "$WORKSPACE/**", "$HOME/x/*", "$HOME/x/id_rsa", "$HOME/.ssh/id_rsa", "$HOME/**", "/usr/**",
)  # fmt: skip

choices = st.builds(
    Choice,
    st.just("a way"),
    st.lists(
        st.builds(
            Rule, st.sampled_from((Kind.READ, Kind.WRITE, Kind.EXEC)), st.sampled_from(PATTERNS)
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    preset=st.sampled_from(("", "", "cc", "pkg-config")),
    consumers=st.sampled_from(((), (), ("a",), ("a", "b"))),
)


def reads(*patterns: str, preset: str = "", consumers: tuple[str, ...] = ()) -> Choice:
    rules = tuple(Rule(Kind.READ, each) for each in patterns)
    return Choice("a way", rules, preset=preset, consumers=consumers)


@pytest.mark.parametrize(
    ("choice", "allowed", "holds"),
    [
        (reads("$WORKSPACE/a"), reads("$WORKSPACE/a", "$WORKSPACE/b"), True),
        (reads("$WORKSPACE/a"), reads("$WORKSPACE/*"), True),
        (reads("$WORKSPACE/*.c"), reads("$WORKSPACE/**"), True),
        (reads("$WORKSPACE/**"), reads("$WORKSPACE/*.c"), False),
        (reads("$WORKSPACE/a", "$WORKSPACE/b"), reads("$WORKSPACE/a"), False),
        (Choice("it", (Rule(Kind.WRITE, "$WORKSPACE/a"),)), reads("$WORKSPACE/*"), False),
        (reads("$HOME/.ssh/id_rsa"), reads("$HOME/**"), False),
        (reads("a"), reads("a", consumers=("other",)), True),
        (reads("a", consumers=("other",)), reads("a"), False),
        (Choice("cc", (Rule(Kind.EXEC, "cc"),)), Choice("preset", (), preset="cc"), True),
        (Choice("preset", (), preset="cc"), Choice("cc", (Rule(Kind.EXEC, "cc"),)), False),
        (Choice("preset", (), preset="cc"), Choice("preset", (), preset="cmake"), False),
        (Choice("preset", (), preset="unheard-of"), reads("$WORKSPACE/**"), False),
    ],
)
def test_what_lies_within_what_was_allowed(choice: Choice, allowed: Choice, holds: bool) -> None:
    assert is_within(choice, allowed) is holds
    assert is_within(choice, choice)


@example(
    Choice("a key", (Rule(Kind.EXEC, "$HOME/x/id_rsa"),)),
    Choice("around it", (Rule(Kind.EXEC, "$HOME/**"),)),
)
@given(choices, choices)
def test_what_lies_within_opens_no_target_more_and_is_no_riskier(
    choice: Choice, allowed: Choice
) -> None:
    if not is_within(choice, allowed) or choice.preset:
        return
    theirs = [*allowed.rules, *(PRESETS[allowed.preset].rules if allowed.preset else ())]
    for rule in choice.rules:
        for target in PATTERNS:
            if is_literal(target) and matches(rule.pattern, target):
                assert any(
                    each.kind is rule.kind and matches(each.pattern, target) for each in theirs
                )
        if rule not in theirs and is_literal(rule.pattern):
            assert not why(rule.pattern, writing=rule.kind is Kind.WRITE)
    most = max(assess_rule(rule)[0] for rule in theirs)
    assert max(assess_rule(rule)[0] for rule in choice.rules) <= most
    assert {*choice.consumers} <= {*allowed.consumers}


def asked(*ways: Choice) -> Proposal:
    seen = Access(Kind.READ, "$WORKSPACE/gen/a", Outcome.DONE, 1, 0, 1, (("build-script",),))
    return Proposal("0", "x", "1.0.0", "read it", ways, Risk.LOW, ("because",), (seen,))


@given(
    st.lists(choices, min_size=2, max_size=5),
    st.lists(st.tuples(st.sampled_from("cauUdl"), st.integers(0, 4)), max_size=12),
)
def test_nothing_is_allowed_that_nobody_has_allowed(
    ways: list[Choice], steps: list[tuple[str, int]]
) -> None:
    """However a person goes up and down: what is allowed lies within what `allow` was said of."""
    review = Review([asked(*ways)])
    said: list[Choice] = []
    for what, number in steps:
        match what:
            case "c" if number < len(ways):
                was_allowed = review.decision("0").answer is Answer.ALLOW
                if was_allowed and review.violation("0", number) is not None:
                    continue
                review.choose("0", number)
            case "a":
                if review.violation("0", review.decision("0").chosen) is None:
                    review.allow("0")
                    said.append(review.choice("0"))
            case "u":
                review.undo()
            case "U":
                review.redo()
            case "d":
                review.deny("0")
            case _:
                review.later("0")
        if review.decision("0").answer is Answer.ALLOW:
            assert any(is_within(review.choice("0"), each) for each in said)


@pytest.mark.parametrize(
    "targets",
    [
        ["$WORKSPACE/gen/a.proto", "$WORKSPACE/gen/b.proto"],
        [f"$HOME/.pyenv/versions/3.11/lib/{number}.py" for number in range(9)],
        ["$WORKSPACE/deep/er/still/a.c", "$WORKSPACE/deep/b.h"],
        ["/opt/sdk/include/a.h", "/opt/sdk/lib/b.a"],
    ],
)
def test_each_step_down_a_ladder_keeps_the_answer_and_each_step_up_asks_again(
    targets: list[str],
) -> None:
    seen = [
        Access(Kind.READ, each, Outcome.DONE, 1, 0, 1, (("build-script",),)) for each in targets
    ]
    for proposal in propose("x", "1.0.0", seen):
        review = Review([proposal])
        open_ = [
            number
            for number in range(len(proposal.choices))
            if review.violation(proposal.id, number) is None and not proposal.locked
        ]
        for lower, upper in pairwise(open_):
            review.choose(proposal.id, upper)
            review.allow(proposal.id)
            review.choose(proposal.id, lower)
            assert review.decision(proposal.id).answer is Answer.ALLOW
            review.choose(proposal.id, upper)
            assert review.decision(proposal.id).answer is Answer.UNDECIDED
