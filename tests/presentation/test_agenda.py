"""What comes next in a review."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.kinds import Kind
from buildperm.policy.merging import takes_answer
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.presentation.agenda import Agenda
from buildperm.presentation.obstacles import obstacles
from buildperm.tui.widgets.card import CardSubject, crate_lines


def proposal(name: str, *, crate: str = "x") -> Proposal:
    rule = Rule(Kind.READ, f"$WORKSPACE/{name}")
    seen = Access(rule.kind, rule.pattern, Outcome.DONE, 1, 0, 1, (("build",),))
    choices = (Choice("exactly this file", (rule,), "", ""),)
    return Proposal(name, crate, "1.0.0", f"read {name}", choices, Risk.LOW, ("why",), (seen,), "")


def test_next_and_previous_undecided_go_round() -> None:
    first, second, third, fourth = shown = (
        *map(proposal, ("first", "second", "third")),
        proposal("fourth", crate="y"),
    )
    review = Review(shown)
    agenda = Agenda(review, lambda _: None, {})
    review.allow(second.id)

    assert agenda.next_undecided(None, 1) == first
    assert agenda.next_undecided(first, 1) == third
    assert agenda.next_undecided(fourth, 1) == first
    assert agenda.next_undecided(third, -1) == first
    assert agenda.next_undecided(first, -1) == fourth
    assert agenda.next_undecided(None, -1) == fourth
    review.later(first.id, third.id, fourth.id)
    assert agenda.next_undecided(first, 1) is None
    assert Agenda(Review([]), lambda _: None, {}).next_undecided(None, 1) is None


def test_what_an_undecided_proposal_includes_is_not_asked_beside_it() -> None:
    folder = Rule(Kind.READ, "$WORKSPACE/proto/**")
    files = replace(
        proposal("proto/a.proto"),
        choices=(*proposal("proto/a.proto").choices, Choice("the folder", (folder,), "", "")),
    )
    listing, apart = proposal("proto"), proposal("secrets")
    elsewhere = replace(proposal("proto", crate="y"), id="elsewhere")
    riskier = replace(proposal("proto/key"), risk=Risk.CRITICAL)
    review = Review([files])
    agenda = Agenda(review, lambda _: None, {})

    agenda.add([listing, apart, elsewhere, riskier])
    assert set(review.proposals) == {files, apart, elsewhere, riskier}

    review.deny(files.id)
    agenda.add([listing])
    assert listing in review.proposals


def test_what_was_left_for_later_does_not_hide_what_comes_up() -> None:
    first, second = proposal("proto"), replace(proposal("proto"), id="again")
    review = Review([first])
    agenda = Agenda(review, lambda _: None, {})
    review.later(first.id)
    agenda.add([second])

    assert second in review.proposals


# Rules of each kind: what may be granted, what needs a reason, and what nobody may grant.
_RULES = [
    Rule(kind, pattern)
    for kind, patterns in {
        Kind.READ: ("$WORKSPACE/a.txt", "$HOME/.ssh/id_ed25519", "$HOME/**", "/**", "", "a//b"),
        Kind.WRITE: ("$WORKSPACE/gen/**", "$WORKSPACE/**", "$WORKSPACE/.git/config", "/etc/*"),
        Kind.EXEC: ("cc", "*", "$HOME/.ssh/tool", "$NOWHERE/x"),
        Kind.ENV: ("A_DIR", "API_TOKEN", "A=b", "*"),
        Kind.NET: ("crates.io:443", "127.0.0.1:80", "*.io:443", "nowhere"),
        Kind.DIRECTIVE: ("rustc-link-arg=-lm", "rustc-env=LD_PRELOAD=x", "none"),
        Kind.SYSTEM: ("io_uring_setup",),
    }.items()
    for pattern in patterns
]


@st.composite
def _proposals(draw: st.DrawFn) -> Proposal:
    rules = st.lists(st.sampled_from(_RULES), max_size=3).map(tuple)
    choices = draw(st.lists(rules, min_size=1, max_size=4))
    crate = draw(st.sampled_from("xy"))
    return replace(
        proposal(f"{crate}{draw(st.integers(0, 10**6))}", crate=crate),
        choices=tuple(Choice(f"way {number}", way) for number, way in enumerate(choices)),
        risk=draw(st.sampled_from(Risk)),
        locked=draw(st.sampled_from(("", "", "by hand only"))),
        reason=draw(st.sampled_from(Reason)),
    )


@given(
    st.lists(_proposals(), min_size=1, max_size=4, unique_by=lambda each: each.id),
    st.lists(
        st.tuples(
            st.sampled_from([*Answer, "everywhere", "all", "step(-1)", "step(1)", "undo", "redo"]),
            st.integers(0, 3),
        ),
        max_size=20,
    ),
)
def test_no_key_that_nothing_speaks_against_ends_in_an_error(
    shown: list[Proposal], keys: list[tuple[Answer | str, int]]
) -> None:
    agenda = Agenda(Review(shown), lambda _: None)
    for key, number in keys:
        about = agenda.shown[number % len(shown)]
        against = obstacles(agenda, None, about)
        match key:
            case Answer() if not agenda.refusal(about, key):
                agenda.decide([about], key)
                assert agenda.answer(about) is key or about.reason is Reason.NEWCOMER
            case "everywhere":
                for answer in (Answer.ALLOW, Answer.DENY):
                    if not agenda.refusal(about, answer):
                        agenda.decide_everywhere(about, answer)
            case "all":
                agenda.decide(agenda.acceptable(agenda.shown), Answer.ALLOW)
            case "step(-1)" | "step(1)" if key not in against:
                agenda.step(about, 1 if key == "step(1)" else -1)
            case "undo":
                agenda.undo()
            case "redo":
                agenda.redo()
            case _:
                pass  # Something speaks against it, and is said.


def test_a_rule_that_needs_a_reason_is_refused_with_a_sentence() -> None:
    token = Rule(Kind.ENV, "API_TOKEN")
    asked = replace(proposal("token"), choices=(Choice("exactly this variable", (token,)),))
    agenda = Agenda(Review([asked]), lambda _: None)

    told = agenda.refusal(asked, Answer.ALLOW)

    assert "looks like a secret's and its crate gives no reason" in told
    assert obstacles(agenda, None, asked)["answer('allow')"] == told
    assert not agenda.refusal(asked, Answer.DENY)


def test_what_counts_as_undecided_is_the_same_everywhere() -> None:
    asked = [proposal(name, crate="x") for name in ("one", "two", "three", "four")]
    call = Access(Kind.SYSTEM, "io_uring_setup", Outcome.REFUSED, 1, 0, 1, (("build",),))
    shown_only = replace(proposal("call"), evidence=(call,), locked="no grant opens it")
    dormant = replace(proposal("dormant"), reason=Reason.DORMANT, evidence=())
    unused = replace(proposal("unused"), reason=Reason.UNUSED)
    review = Review([*asked, shown_only, dormant, unused])
    agenda = Agenda(review, lambda _: None, {})
    review.allow("one")
    review.deny("two")
    review.later("three")

    left = ["three", "four", "dormant"]
    assert [each.id for each in review.undecided()] == left
    assert review.counts().open == agenda.counts().open == len(left)
    assert [each.id for each in review.proposals if agenda.is_due(each)] == ["four", "dormant"]
    assert [each.id for each in review.proposals if agenda.is_optional(each)] == ["call", "unused"]
    assert [each.id for each in review.proposals if not takes_answer(each)] == ["call", "unused"]
    subjects = [CardSubject(each, 0, agenda.answer(each)) for each in review.proposals]
    (group,) = agenda.groups
    first = next(crate_lines(group, subjects, None, 80, str))
    assert first.right == ((f"{len(left)} undecided", "muted"),)

    review.deny("three", "four", "dormant")
    assert review.undecided() == []
    assert review.counts().open == 0
