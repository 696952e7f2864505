"""The edit hunk by hunk: every hunk knows the decisions that it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildperm.policy import editor, manifest
from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer, Terms
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.presentation import edit_hunks, edit_sentences
from buildperm.presentation.agenda import Agenda
from buildperm.presentation.edit_hunks import TERMS, WHOLE_CRATE

BEFORE = b"""\
[package]
name = "app"

[package.metadata.buildperm]
version = 1

[package.metadata.buildperm.crates.b] # mine
exec = ["perl", "tool-b1"]
reason = "kept"

[dependencies]
a = "1"
"""


def asked(crate: str, kind: Kind, pattern: str, reason: Reason = Reason.ASKED) -> Proposal:
    seen = Access(kind, pattern, Outcome.DONE, 1, 0, 1, (("build-script",),), pattern)
    return Proposal(
        f"{crate}-{kind}-{pattern}",
        crate,
        "1.0.0",
        f"{kind} {pattern}",
        (Choice("this", (Rule(kind, pattern),)), Choice("preset cc", (), preset="cc")),
        Risk.MEDIUM,
        ("because",),
        (seen,),
        reason=reason,
    )


ALL = (
    asked("a", Kind.EXEC, "tool-a1"),
    asked("a", Kind.EXEC, "curl"),
    asked("a", Kind.READ, "$WORKSPACE/x"),
    asked("b", Kind.EXEC, "tool-b1"),
    asked("b", Kind.EXEC, "tool-b2"),
    asked("b", Kind.ENV, "B_DIR"),
    asked("b", Kind.EXEC, "perl", Reason.UNUSED),
)


class Desk:
    """A review, with the edit that it amounts to."""

    def __init__(self) -> None:
        path = Path("Cargo.toml")
        self.policy = manifest.read(BEFORE, path)
        self.review = Review(ALL, terms={"b": Terms("kept")})
        self.agenda = Agenda(self.review, lambda entry: None)

    def after(self) -> bytes:
        raw = BEFORE
        for key, grants in self.review.grants(self.policy).items():
            raw = editor.with_grants(raw, key, grants)
        return raw

    def edit(self) -> edit_hunks.Edit:
        return edit_hunks.edit(BEFORE, self.after())


def test_hunks_are_fields_and_know_their_decisions() -> None:
    desk = Desk()
    desk.review.allow(ALL[0].id)
    desk.review.deny(ALL[1].id, ALL[3].id)
    desk.review.allow(ALL[5].id)
    desk.review.deny(ALL[6].id)

    found = {
        (hunk.crate, hunk.field): {each.title for each in desk.agenda.sources(hunk)}
        for hunk in desk.edit().hunks
    }

    assert found == {
        ("a", ""): {"exec tool-a1", "exec curl"},
        ("a", "exec"): {"exec tool-a1"},
        ("a", "deny"): {"exec curl"},
        ("b", "exec"): {"exec tool-b1", "exec perl"},
        ("b", "env"): {"env B_DIR"},
        ("b", "deny"): {"exec tool-b1"},
    }


def test_a_hunk_has_the_risk_of_what_it_allows() -> None:
    desk = Desk()
    for each in ALL[:3]:
        desk.review.allow(each.id)

    risks = {hunk.field: hunk.risk for hunk in desk.edit().hunks}

    assert risks["exec"] is Risk.HIGH  # curl
    assert risks["read"] < Risk.HIGH


@pytest.mark.parametrize("terms", [Terms("new"), Terms("")])
def test_terms_are_taken_back_to_what_the_file_says(terms: Terms) -> None:
    desk = Desk()
    desk.review.set_terms("b", terms)
    (hunk,) = desk.edit().hunks

    assert hunk.field == "reason"
    assert desk.agenda.take_out(hunk)
    assert desk.after() == BEFORE


def test_every_sentence_belongs_to_a_hunk() -> None:
    desk = Desk()
    desk.review.allow(ALL[0].id)
    desk.review.deny(*(each.id for each in ALL[1:]))
    desk.review.set_terms("a", Terms("why"))
    edit = desk.edit()

    for sentence in edit_sentences.explain(BEFORE, desk.after()):
        assert any(
            hunk.crate == sentence.crate and hunk.field == sentence.field for hunk in edit.hunks
        ), sentence


@settings(max_examples=60)
@given(st.data())
def test_what_is_taken_out_is_gone_and_undo_brings_it_back(data: st.DataObject) -> None:
    desk = Desk()
    for each in ALL:
        match data.draw(st.sampled_from(["allow", "deny", "preset", "leave"])):
            case "allow":
                desk.review.allow(each.id)
            case "deny":
                desk.review.deny(each.id)
            case "preset":
                desk.review.choose(each.id, 1)
                if each.reason is Reason.ASKED:
                    desk.review.allow(each.id)
            case _:
                pass
    for crate in data.draw(st.sets(st.sampled_from(["a", "b"]))):
        desk.review.set_terms(crate, Terms(data.draw(st.sampled_from(["x", "kept"]))))
    edit, after = desk.edit(), desk.after()
    if not edit.hunks:
        return
    hunk = data.draw(st.sampled_from(edit.hunks))
    sources = desk.agenda.sources(hunk)

    if not desk.agenda.take_out(hunk):
        assert hunk.field == "reviewed"
        return

    assert all(desk.agenda.answer(each) is Answer.UNDECIDED for each in sources)
    left = [each for each in desk.edit().hunks if each.crate == hunk.crate]
    if hunk.field == WHOLE_CRATE:
        assert left == []
    elif hunk.field not in TERMS:
        assert all(each.field != hunk.field or each.removes for each in left)
    desk.agenda.undo()
    assert desk.after() == after
