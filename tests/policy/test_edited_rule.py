"""Rules that a person writes by hand: what may be written, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import edited_rule, journal
from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.policy.validation import Violation

EMPTY = Policy("portable", {}, Path("Cargo.toml"))
NAMES = ("a.proto", "b.proto", "notes.txt")


def seen(target: str) -> Access:
    return Access(Kind.READ, target, Outcome.DONE, 1, 0, 1, (("build-script",),), target)


def asked(locked: str = "", reason: Reason = Reason.ASKED) -> Proposal:
    targets = [f"$WORKSPACE/proto/{name}" for name in NAMES]
    return Proposal(
        "1",
        "x",
        "1.0.0",
        "read 3 files",
        (
            Choice("these 3 files", tuple(Rule(Kind.READ, each) for each in targets)),
            Choice("all below", (Rule(Kind.READ, "$WORKSPACE/proto/**"),), widening="more"),
        ),
        Risk.LOW,
        ("because",),
        tuple(map(seen, targets)),
        locked,
        reason,
    )


def rule(pattern: str, kind: Kind = Kind.READ) -> Rule:
    return Rule(kind, pattern)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$WORKSPACE/proto/*", "begins with none of"),
        ("", "begins with none of"),
        ("read:", "empty"),
        ("read:proto/*", "relative"),
        ("read:$WORKSPCE/x", "no token"),
        ("exec:perl", "something else than what was seen"),
        ("read:$HOME/.ssh/id_rsa", ""),
        ("read:/**", ""),
        ("read:~/x", "not expanded"),
    ],
)
def test_what_cannot_be_written_is_told_with_a_way_out(text: str, told: str) -> None:
    found = edited_rule.read(text, asked())

    assert isinstance(found, Violation)
    assert told in found.what
    assert found.hint


def test_a_rule_tells_what_of_the_seen_it_covers() -> None:
    proposal = asked()
    found = edited_rule.read(" read: $WORKSPACE/proto/*.proto ", proposal)

    assert found == rule("$WORKSPACE/proto/*.proto")
    reach = edited_rule.reach([found], proposal.evidence)
    assert [each.target for each in reach.left] == ["$WORKSPACE/proto/notes.txt"]
    assert len(reach.covered) == 2


def test_an_edited_rule_is_granted_undone_and_redone() -> None:
    review = Review([asked()])
    wanted = [rule("$WORKSPACE/proto/*.proto"), rule("$WORKSPACE/proto/notes.txt")]

    assert review.edit("1", wanted)
    assert review.decision("1").answer is Answer.UNDECIDED
    assert review.grants(EMPTY) == {}
    review.allow("1")
    assert review.grants(EMPTY)["x"].rules == set(wanted)
    review.undo()
    review.undo()
    review.allow("1")
    assert review.grants(EMPTY)["x"].rules == set(asked().choices[0].rules)
    assert len(review.proposals[0].choices) == 3
    review.edit("1", wanted)
    assert len(review.proposals[0].choices) == 3


def test_what_was_allowed_is_undecided_once_another_rule_is_written() -> None:
    review = Review([asked()])
    review.allow("1")

    assert review.edit("1", [rule("$WORKSPACE/**/*.proto"), rule("$WORKSPACE/proto/notes.txt")])
    assert review.decision("1").answer is Answer.UNDECIDED
    assert review.grants(EMPTY) == {}

    review.undo()
    assert review.decision("1").answer is Answer.ALLOW
    assert review.edit("1", asked().choices[0].rules) is None  # As it was.
    assert review.decision("1").answer is Answer.ALLOW


def test_denying_what_a_person_wrote_denies_all_that_was_seen() -> None:
    review = Review([asked()])
    review.edit("1", [rule("$WORKSPACE/proto/*.proto")])
    review.deny("1")

    assert review.grants(EMPTY)["x"].denials == {
        rule("$WORKSPACE/proto/*.proto"),
        rule("$WORKSPACE/proto/notes.txt"),
    }


def test_writing_what_a_choice_says_chooses_it() -> None:
    review = Review([asked()])
    review.edit("1", [rule("$WORKSPACE/proto/**")])

    assert review.decision("1").chosen == 1
    assert len(review.proposals[0].choices) == 2


def test_no_batch_allows_what_a_person_wrote() -> None:
    review = Review([asked()])
    review.edit("1", [rule("$WORKSPACE/proto/a.proto")])

    assert review.acceptable(Risk.MEDIUM) == ()


@pytest.mark.parametrize("proposal", [asked(locked="secret"), asked(reason=Reason.UNUSED)])
def test_what_cannot_be_allowed_cannot_be_edited(proposal: Proposal) -> None:
    review = Review([proposal])

    with pytest.raises(BuildpermError, match="cannot be edited"):
        review.edit("1", [rule("$WORKSPACE/proto/a.proto")])
    assert review.proposals == (proposal,)


def test_what_cannot_be_granted_is_refused_and_changes_nothing() -> None:
    review = Review([asked()])

    for wrong in ([], [rule("x")], [rule("$WORKSPACE/a"), rule("perl", Kind.EXEC)]):
        with pytest.raises(BuildpermError, match="cannot be edited"):
            review.edit("1", wrong)
    assert review.proposals == (asked(),)
    assert not review.can_undo


def test_an_edited_rule_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    review = Review([asked()])
    for entry in (review.edit("1", [rule("$WORKSPACE/proto/*")]), review.allow("1"), review.undo()):
        assert entry is not None
        journal.append(path, entry)

    again = Review([asked()])
    again.replay(journal.read(path))

    assert again.choice("1") == review.choice("1")
    assert again.decision("1") == review.decision("1")
    again.redo()
    assert again.grants(EMPTY)["x"].rules == {rule("$WORKSPACE/proto/*")}


def test_a_journal_cannot_bring_in_what_nobody_may_write(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    review = Review([asked()])
    entry = review.edit("1", [rule("$WORKSPACE/proto/*")])
    assert entry is not None
    journal.append(path, entry)
    for forged in ("$HOME/.ssh/id_rsa", "/**", "$TMP\u0000"):
        step = json.loads(path.read_text().replace("$WORKSPACE/proto/*", json.dumps(forged)[1:-1]))
        step.pop("signature")
        other = tmp_path / "forged"
        other.write_bytes(journal.signed(other, step))
        assert journal.read(other)
        again = Review([asked()])
        again.replay(journal.read(other))
        assert again.proposals == (asked(),)


@given(st.lists(st.sampled_from(["a.proto", "b.proto", "*.proto", "*", "**", "n?tes.txt"])))
def test_the_reach_divides_what_was_seen(names: list[str]) -> None:
    rules = [rule(f"$WORKSPACE/proto/{name}") for name in names]
    reach = edited_rule.reach(rules, asked().evidence)

    assert {*reach.covered, *reach.left} == set(asked().evidence)
    assert not {*reach.covered} & {*reach.left}
    assert edited_rule.reach([*rules, rule("$WORKSPACE/proto/**")], asked().evidence).left == ()
