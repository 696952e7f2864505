"""What a person decides, undoes, batches, and what becomes of it in the grant table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import journal, manifest, reasons, selection
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import effective
from buildperm.policy.decision import (
    Answer,
    Decision,
    JournalEntry,
    ReviewAction,
    SavedDecision,
    Terms,
)
from buildperm.policy.editor import with_grants
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule

EMPTY = Policy("portable", {}, Path("Cargo.toml"))


def proposal(
    name: str,
    *,
    crate: str = "x",
    version: str = "1.0.0",
    kind: Kind = Kind.READ,
    risk: Risk = Risk.LOW,
    locked: str = "",
    outcome: Outcome = Outcome.DONE,
) -> Proposal:
    folder = f"$WORKSPACE/{name}"
    seen = Access(kind, f"{folder}/a", outcome, 2, 0, 1, (("build-script", "cc"),), f"cc {name}")
    if kind is Kind.DIRECTIVE:
        folder = f"rustc-link-arg={folder}"
    choices = (
        Choice("this file", (Rule(kind, f"{folder}/a"),)),
        Choice("everything below", (Rule(kind, f"{folder}/**"),), widening="all of the folder"),
    )
    if kind is Kind.EXEC:
        choices = (
            Choice(name, (Rule(kind, name),)),
            Choice("preset", (), preset="cc", widening="the whole preset"),
        )
    return Proposal(
        f"{crate}-{version}-{name}",
        crate,
        version,
        f"{kind} {name}",
        choices,
        risk,
        ("because",),
        (seen,),
        locked,
    )


LOW = proposal("low")
MEDIUM = proposal("medium", risk=Risk.MEDIUM)
HIGH = proposal("high", risk=Risk.HIGH, kind=Kind.DIRECTIVE)
LOCKED = proposal("locked", risk=Risk.LOW, locked="by hand only")
COMPILER = proposal("cc", kind=Kind.EXEC, risk=Risk.MEDIUM, crate="zstd-sys", version="2.0.1")
ALL = (LOW, MEDIUM, HIGH, LOCKED, COMPILER)


def answers(review: Review) -> list[str]:
    return [str(review.decision(each.id).answer) for each in review.proposals]


def test_nothing_is_decided_to_begin_with() -> None:
    review = Review(ALL)

    assert answers(review) == ["undecided"] * 5
    assert review.grants(EMPTY) == {}
    assert review.undo() is None
    assert review.redo() is None


def test_locked_proposals_can_be_denied_but_not_allowed() -> None:
    review = Review(ALL)

    with pytest.raises(BuildpermError, match="by hand only"):
        review.allow(LOCKED.id)
    assert review.decision(LOCKED.id) == Decision()
    assert review.deny(LOCKED.id)
    assert review.decision(LOCKED.id).answer is Answer.DENY


@pytest.mark.parametrize(
    ("risk", "allowed"), [(Risk.LOW, [LOW]), (Risk.MEDIUM, [LOW, MEDIUM, COMPILER])]
)
def test_a_batch_takes_what_is_open_and_low_enough_in_one_step(
    risk: Risk, allowed: list[Proposal]
) -> None:
    review = Review(ALL)

    assert review.acceptable(risk) == tuple(each.id for each in allowed)
    assert review.accept_up_to(risk)

    taken = [each for each in ALL if review.decision(each.id).answer is Answer.ALLOW]
    assert taken == allowed
    assert review.accept_up_to(risk) is None
    review.undo()
    assert answers(review) == ["undecided"] * 5


@pytest.mark.parametrize("risk", [Risk.HIGH, Risk.CRITICAL])
def test_no_batch_goes_beyond_medium(risk: Risk) -> None:
    review = Review(ALL)

    with pytest.raises(BuildpermError, match="never allowed in a batch"):
        review.accept_up_to(risk)
    assert HIGH.id not in review.acceptable(risk)
    assert answers(review) == ["undecided"] * 5


def test_a_batch_leaves_answers_and_widened_rules_alone() -> None:
    review = Review(ALL)
    review.deny(LOW.id)
    review.widen(MEDIUM.id)

    review.accept_up_to(Risk.MEDIUM, among=[LOW.id, MEDIUM.id, COMPILER.id])

    assert answers(review) == ["deny", "undecided", "undecided", "undecided", "allow"]


def test_a_batch_looks_at_the_rules_and_not_only_at_the_label() -> None:
    mislabelled = Proposal(
        "id", "x", "1.0.0", "t", (Choice("c", (Rule(Kind.NET, "a.b:1"),)),), Risk.LOW, ("r",), ()
    )

    assert Review([mislabelled]).accept_up_to(Risk.MEDIUM) is None


def test_every_step_is_undone_and_redone() -> None:
    review = Review(ALL)
    states = [answers(review)]
    steps: list[Callable[[], JournalEntry | None]] = [
        lambda: review.allow(LOW.id),
        lambda: review.widen(LOW.id),
        lambda: review.deny(HIGH.id, LOCKED.id),
        lambda: review.accept_up_to(Risk.MEDIUM),
        lambda: review.later(LOW.id),
        lambda: review.clear(LOW.id, HIGH.id),
    ]
    for step in steps:
        assert step()
        states.append([f"{review.decision(each.id)}" for each in ALL])

    back = []
    while review.undo():
        back.append([f"{review.decision(each.id)}" for each in ALL])
    assert back[:-1] == states[-2:0:-1]
    assert answers(review) == states[0]
    forth = []
    while review.redo():
        forth.append([f"{review.decision(each.id)}" for each in ALL])
    assert forth == states[1:]
    review.undo()
    review.allow(HIGH.id)
    assert review.redo() is None


def test_deciding_the_same_again_is_no_step() -> None:
    review = Review(ALL)

    assert review.allow(LOW.id)
    assert review.allow(LOW.id) is None
    assert review.narrow(LOW.id) is None
    assert review.widen(LOW.id)
    assert review.widen(LOW.id) is None
    assert review.choice(LOW.id).title == "everything below"
    assert review.decision(LOW.id) == Decision(Answer.UNDECIDED, 1)
    assert review.allow(LOW.id)
    assert review.narrow(LOW.id)
    assert review.decision(LOW.id) == Decision(Answer.ALLOW, 0)
    with pytest.raises(IndexError):
        review.choose(LOW.id, 2)


def test_counts() -> None:
    review = Review(ALL)
    review.allow(LOW.id)
    review.deny(MEDIUM.id)
    review.later(HIGH.id)

    counts = review.counts()

    assert (counts.undecided, counts.allowed, counts.denied, counts.later) == (2, 1, 1, 1)
    assert counts.open == 3
    assert dict(counts.open_by_risk) == {
        Risk.LOW: 1,
        Risk.MEDIUM: 1,
        Risk.HIGH: 1,
        Risk.CRITICAL: 0,
    }
    assert review.counts([LOW]).allowed == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ALL),
        ("kind:exec", (COMPILER,)),
        ("kind:directive", (HIGH,)),
        ("risk:>=medium", (MEDIUM, HIGH, COMPILER)),
        ("risk:<medium", (LOW, LOCKED)),
        ("risk:high", (HIGH,)),
        ("risk:>=h", (HIGH,)),
        ("crate:*-sys", (COMPILER,)),
        ("crate:zstd", (COMPILER,)),
        ("crate:*@2*", (COMPILER,)),
        ("-crate:*-sys risk:low", (LOW, LOCKED)),
        ("is:locked", (LOCKED,)),
        ("-is:undecided", (LOW,)),
        ("is:allowed", (LOW,)),
        ("outcome:refused", ()),
        ("HIGH", (HIGH,)),
        ("$WORKSPACE/medium", (MEDIUM,)),
        ("preset", (COMPILER,)),
        ("zzz", ()),
        ("kind:read is:undecided -is:locked", (MEDIUM,)),
        ("reason:asked", ALL),
        ("reason:unused", ()),
        ("-standing:asked", ()),
        ("risk:high standing:asked", (HIGH,)),
    ],
)
def test_the_filter_language(words: str, expected: tuple[Proposal, ...]) -> None:
    review = Review(ALL)
    review.allow(LOW.id)

    assert review.select(words) == list(expected)


def test_the_next_letter_of_a_filter_makes_no_text_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    text = selection._text

    def counting(each: Proposal) -> str:
        made.append(each.id)
        return text(each)

    monkeypatch.setattr(selection, "_text", counting)
    review = Review(ALL)
    review.select("medi")
    assert review.select("medium") == [MEDIUM]

    assert sorted(made) == sorted(each.id for each in ALL)


def test_a_rule_that_was_edited_meanwhile_is_found() -> None:
    review = Review(ALL)
    assert review.select("elsewhere") == []
    review.edit(MEDIUM.id, [Rule(Kind.READ, "$WORKSPACE/elsewhere/a")])

    assert [each.id for each in review.select("elsewhere")] == [MEDIUM.id]


@pytest.mark.parametrize("words", ["kind:exek", "risk:>=", "risk:huge", "is:", "kind:", "x is:l"])
def test_a_filter_that_means_nothing_says_so(words: str) -> None:
    with pytest.raises(BuildpermError, match=r"filter: (no |`.*` needs a value)") as caught:
        Review(ALL).select(words)
    assert caught.value.hint


def test_decisions_become_grants_and_only_a_finished_crate_is_reviewed() -> None:
    review = Review(ALL)
    review.allow(LOW.id)
    review.widen(MEDIUM.id)
    review.allow(MEDIUM.id)
    review.widen(COMPILER.id)
    review.allow(COMPILER.id)
    review.later(HIGH.id)
    review.deny(LOCKED.id)

    assert review.grants(EMPTY) == {
        "x": CrateGrants(
            "x",
            rules=frozenset(
                {Rule(Kind.READ, "$WORKSPACE/low/a"), Rule(Kind.READ, "$WORKSPACE/medium/**")}
            ),
            denials=frozenset({Rule(Kind.READ, "$WORKSPACE/locked/a")}),
        ),
        "zstd-sys": CrateGrants(
            "zstd-sys", reviewed=frozenset({"2.0.1"}), presets=frozenset({"cc"})
        ),
    }
    review.allow(HIGH.id)
    assert review.grants(EMPTY)["x"].reviewed == {"1.0.0"}


def test_grants_are_added_to_what_is_there_and_the_newest_answer_wins() -> None:
    had = CrateGrants(
        "x",
        reviewed=frozenset({"0.9.0"}),
        presets=frozenset({"git"}),
        rules=frozenset(
            {
                Rule(Kind.READ, "$WORKSPACE/medium/a"),
                Rule(Kind.READ, "$WORKSPACE/medium/b"),
                Rule(Kind.READ, "$WORKSPACE/other"),
            }
        ),
        denials=frozenset({Rule(Kind.READ, "$WORKSPACE/low/a"), Rule(Kind.EXEC, "curl")}),
        reason="kept",
    )
    review = Review((LOW, MEDIUM))
    review.allow(LOW.id)
    review.widen(MEDIUM.id)
    review.deny(MEDIUM.id)

    assert review.grants(Policy("portable", {"x": had}, Path("Cargo.toml"))) == {
        "x": CrateGrants(
            "x",
            reviewed=frozenset({"0.9.0", "1.0.0"}),
            presets=frozenset({"git"}),
            rules=frozenset(
                {Rule(Kind.READ, "$WORKSPACE/low/a"), Rule(Kind.READ, "$WORKSPACE/other")}
            ),
            denials=frozenset({Rule(Kind.READ, "$WORKSPACE/medium/**"), Rule(Kind.EXEC, "curl")}),
            reason="kept",
        )
    }


def test_a_crate_that_asks_for_nothing_is_noted_only_where_it_has_an_entry() -> None:
    policy = Policy("portable", {"ring": CrateGrants("ring", frozenset({"0.16.0"}))}, Path("x"))
    review = Review((), settled=[("ring", "0.17.8"), ("libc", "0.2.150")])

    assert review.grants(policy) == {"ring": CrateGrants("ring", frozenset({"0.16.0", "0.17.8"}))}
    assert Review((), settled=[("ring", "0.16.0")]).grants(policy) == {}


def test_a_new_version_gets_no_risky_grant_of_its_predecessors_by_the_way() -> None:
    risky = Rule(Kind.EXEC, "curl")
    had = CrateGrants("x", reviewed=frozenset({"0.9.0"}), rules=frozenset({risky}))
    policy = Policy("portable", {"x": had}, Path("Cargo.toml"))
    quiet = Review((), settled=[("x", "1.0.0")])
    batch = Review((LOW,))
    batch.accept_up_to(Risk.MEDIUM)
    looked_at = Review((HIGH,))
    looked_at.allow(HIGH.id)

    assert quiet.grants(policy) == {}
    assert batch.grants(policy)["x"].reviewed == {"0.9.0"}
    assert looked_at.grants(policy)["x"].reviewed == {"0.9.0"}
    assert looked_at.grants(EMPTY)["x"].reviewed == {"1.0.0"}


def test_a_risky_answer_revives_no_risky_grant_that_was_not_shown_with_it() -> None:
    curl = Rule(Kind.EXEC, "curl")
    had = CrateGrants("x", reviewed=frozenset({"0.9.0"}), rules=frozenset({curl}))
    policy = Policy("portable", {"x": had}, Path("Cargo.toml"))
    (shown,) = reasons.dormant("x", "1.0.0", had, [HIGH])
    review = Review((HIGH, shown))
    review.allow(HIGH.id)
    review.accept_up_to(Risk.MEDIUM)

    assert review.counts().undecided == 1
    assert review.decision(shown.id).answer is Answer.UNDECIDED
    assert curl not in effective(review.grants(policy)["x"], "1.0.0").rules
    review.later(shown.id)
    assert review.grants(policy)["x"].reviewed == {"0.9.0"}
    review.allow(shown.id)
    assert effective(review.grants(policy)["x"], "1.0.0").rules == {curl, *HIGH.choices[0].rules}
    review.deny(shown.id)
    assert review.grants(policy)["x"] == CrateGrants(
        "x", reviewed=frozenset({"0.9.0", "1.0.0"}), rules=frozenset(HIGH.choices[0].rules)
    )


def test_a_narrow_answer_revives_no_wider_grant_and_a_wide_one_needs_no_other() -> None:
    curl = proposal("curl", kind=Kind.EXEC, risk=Risk.HIGH)
    narrow, wide = (choice.rules[0] for choice in HIGH.choices)
    for rule, index, counts in ((wide, 0, False), (wide, 1, True), (narrow, 1, True)):
        had = CrateGrants("x", frozenset({"0.9.0"}), rules=frozenset({rule}))
        review = Review((HIGH, curl))
        review.choose(HIGH.id, index)
        review.allow(HIGH.id)
        review.allow(curl.id)
        now = review.grants(Policy("portable", {"x": had}, Path("Cargo.toml")))["x"]
        assert ("1.0.0" in now.reviewed) == counts, (rule, index)


@pytest.mark.parametrize("chosen", [0, 1])
def test_what_was_allowed_to_this_version_is_no_grant_from_before(chosen: int) -> None:
    first = Review((HIGH, LOW))
    first.choose(HIGH.id, chosen)
    first.allow(HIGH.id)
    policy = Policy("portable", {}, Path("Cargo.toml"))
    written = replace(policy, crates=first.grants(policy))  # While LOW is open still.
    assert not written.crates["x"].reviewed
    entry = first.allowed_beside_open()
    assert entry is not None

    curl = Rule(Kind.EXEC, "curl")
    had = replace(written.crates["x"], rules=written.crates["x"].rules | {curl})
    policy = replace(policy, crates={"x": had})
    dormant = reasons.dormant("x", "1.0.0", had, [HIGH, LOW])
    second = Review((HIGH, LOW, *dormant))
    second.replay_written([entry], policy)

    open_ = {rule for each in second.undecided() for rule in each.choices[0].rules}
    assert open_ == {curl, *LOW.choices[0].rules}
    second.allow(LOW.id)
    assert not second.grants(policy)["x"].reviewed  # Nobody has said anything of curl.
    second.deny(next(each.id for each in dormant if each.choices[0].rules == (curl,)))
    assert second.grants(policy)["x"].reviewed == {"1.0.0"}


def test_two_versions_of_a_crate_are_finished_one_by_one() -> None:
    old, new = proposal("a", version="1.0.0"), proposal("b", version="2.0.0")
    review = Review((old, new))
    review.allow(old.id)

    assert review.grants(EMPTY)["x"].reviewed == {"1.0.0"}
    review.deny(new.id)
    assert review.grants(EMPTY)["x"].reviewed == {"1.0.0", "2.0.0"}


def test_denying_a_preset_denies_what_was_seen() -> None:
    review = Review((COMPILER,))
    review.widen(COMPILER.id)
    review.deny(COMPILER.id)

    assert review.grants(EMPTY)["zstd-sys"].denials == {Rule(Kind.EXEC, "$WORKSPACE/cc/a")}


def test_system_calls_are_shown_and_never_stored_or_waited_for() -> None:
    call = proposal("ptrace", kind=Kind.SYSTEM, risk=Risk.HIGH, locked="no grant opens it")
    review = Review((LOW, call))
    review.allow(LOW.id)

    assert review.grants(EMPTY)["x"].reviewed == {"1.0.0"}
    assert review.counts().open == 0
    review.deny(call.id)
    assert review.counts().denied == 1
    assert review.grants(EMPTY)["x"].denials == frozenset()


def test_what_a_review_grants_can_be_written_and_read_back() -> None:
    review = Review((LOW, MEDIUM, COMPILER))
    review.accept_up_to(Risk.MEDIUM)
    raw = b"[workspace]\n"
    for key, grants in review.grants(EMPTY).items():
        raw = with_grants(raw, key, grants)

    policy = manifest.read(raw, Path("Cargo.toml"))
    assert dict(policy.crates) == review.grants(EMPTY)
    assert review.grants(policy) == {}


def test_proposals_with_the_same_id_are_a_bug_unless_the_versions_differ() -> None:
    with pytest.raises(ValueError, match="same id"):
        Review((LOW, LOW))

    other = replace(LOW, version="2.0.0")
    review = Review((LOW, other))
    first, second = review.proposals
    assert first is LOW
    assert second.id != first.id
    assert second == replace(other, id=second.id)
    assert [each.id for each in Review((LOW, other)).proposals] == [first.id, second.id]


def test_a_choice_that_no_grant_may_say_cannot_be_allowed() -> None:
    wide = Choice("everything", (Rule(Kind.WRITE, "$WORKSPACE/**"),))
    narrow = Choice("the folder", (Rule(Kind.WRITE, "$WORKSPACE/gen/**"),))
    asked = replace(HIGH, choices=(narrow, wide))
    review = Review([asked])
    review.choose(asked.id, 1)

    with pytest.raises(BuildpermError, match="too much for one grant") as caught:
        review.allow(asked.id)
    assert caught.value.hint
    review.narrow(asked.id)
    review.allow(asked.id)
    with pytest.raises(BuildpermError, match="too much for one grant"):
        review.widen(asked.id)
    assert review.decision(asked.id) == Decision(Answer.ALLOW, 0)
    replayed = Review([asked])
    picked = SavedDecision(asked.id, "1.0.0", Answer.ALLOW, ("write:$WORKSPACE/**",))
    replayed.replay([JournalEntry(ReviewAction.DECIDE, (picked,))])
    assert replayed.decision(asked.id) == Decision()


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["allow", "deny", "later", "clear", "widen", "narrow", "undo", "redo", "batch"]
        ),
        st.sampled_from([each.id for each in ALL if not each.locked]),
    ),
    max_size=30,
)


def apply(review: Review, what: str, which: str) -> JournalEntry | None:
    match what:
        case "undo":
            return review.undo()
        case "redo":
            return review.redo()
        case "batch":
            return review.accept_up_to(Risk.MEDIUM)
        case _:
            entry = getattr(review, what)(which)
            assert entry is None or isinstance(entry, JournalEntry)
            return entry


@given(steps)
def test_a_replayed_review_stands_and_undoes_as_the_first_did(
    series: list[tuple[str, str]],
) -> None:
    first = Review(ALL)
    entries = [entry for what, which in series if (entry := apply(first, what, which))]
    second = Review(ALL)
    second.replay(entries)

    undone = True
    while undone:
        assert [second.decision(each.id) for each in ALL] == [first.decision(e.id) for e in ALL]
        undone = bool(first.undo())
        assert bool(second.undo()) is undone


@given(steps, st.sets(st.sampled_from(ALL)))
def test_replaying_onto_other_proposals_never_decides_more(
    series: list[tuple[str, str]], remaining: set[Proposal]
) -> None:
    first = Review(ALL)
    entries = [entry for what, which in series if (entry := apply(first, what, which))]
    second = Review([each for each in ALL if each in remaining])
    second.replay(entries)

    for each in second.proposals:
        assert second.decision(each.id) == first.decision(each.id)


def test_a_replay_is_careful_where_proposals_have_changed() -> None:
    def replayed(now: Proposal, *picked: SavedDecision) -> Decision:
        review = Review([now])
        review.replay([JournalEntry(ReviewAction.DECIDE, picked)])
        return review.decision(now.id)

    allowed = SavedDecision(LOW.id, "1.0.0", Answer.ALLOW, ("read:$WORKSPACE/low/a",))
    assert replayed(LOW, allowed) == Decision(Answer.ALLOW, 0)
    other_version = proposal("low", version="1.0.0")
    assert (
        replayed(other_version, SavedDecision(LOW.id, "1.0.1", Answer.ALLOW, allowed.choice))
        == Decision()
    )
    assert (
        replayed(LOW, SavedDecision(LOW.id, "1.0.0", Answer.ALLOW, ("read:$HOME/**",)))
        == Decision()
    )
    assert replayed(proposal("low", locked="now"), allowed) == Decision()
    assert (
        replayed(LOW, SavedDecision("other", "1.0.0", Answer.ALLOW, allowed.choice)) == Decision()
    )


def test_the_journal_gives_every_step_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    review = Review(ALL)
    entries = [
        review.allow(LOW.id),
        review.accept_up_to(Risk.MEDIUM),
        review.deny(HIGH.id),
        review.undo(),
        review.redo(),
    ]
    assert journal.read(path) == []
    for entry in entries:
        assert entry
        journal.append(path, entry)

    assert journal.read(path) == entries
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes().splitlines()) == 5


def test_a_line_that_a_crash_cut_short_is_ignored_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    review = Review(ALL)
    first, second, third = review.allow(LOW.id), review.deny(HIGH.id), review.later(LOW.id)
    assert first
    assert second
    assert third
    journal.append(path, first)
    kept = len(path.read_bytes())
    journal.append(path, second)
    whole = path.read_bytes()

    for length in range(kept, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert journal.read(path) == [first]
        journal.append(path, third)
        assert journal.read(path) == [first, third]


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"[]",
        b"3",
        b'"x"',
        b"{}",
        b"\xff",
        b'{"version":2,"act":"undo","picked":[]}',
        b'{"version":1,"act":"jump","picked":[]}',
        b'{"version":1,"act":"decide"}',
        b'{"version":1,"act":"decide","picked":[1]}',
        b'{"version":1,"act":"decide","picked":[{"id":"a"}]}',
        b'{"version":1,"act":"decide","picked":'
        b'[{"id":"a","crate_version":"1","answer":"perhaps","choice":[]}]}',
        b"[" * 100_000,
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)
def test_a_journal_full_of_rubbish_is_harmless(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line + b"\n")

    assert journal.read(path) == []


def test_a_journal_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    entry = Review(ALL).allow(LOW.id)
    assert entry
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "journal.jsonl", Path("/dev/full")):
        with pytest.raises(BuildpermError) as caught:
            journal.append(path, entry)
        assert str(caught.value).startswith(f"write journal {path}: ")
        assert caught.value.hint
    with pytest.raises(BuildpermError):
        journal.read(tmp_path)


def test_distrust_denies_all_that_a_crate_wants_at_any_risk_in_one_step() -> None:
    worst = proposal("worst", risk=Risk.CRITICAL, locked="by hand only")
    review = Review((*ALL, worst))
    review.allow(MEDIUM.id)
    before = {each.id: review.decision(each.id) for each in review.proposals}

    assert review.distrust("x")

    told = {each.id: review.decision(each.id).answer for each in review.proposals}
    assert {told[each.id] for each in (LOW, MEDIUM, HIGH, LOCKED, worst)} == {Answer.DENY}
    assert told[COMPILER.id] is Answer.UNDECIDED
    denials = review.grants(EMPTY)["x"].denials
    assert Rule(Kind.READ, "$WORKSPACE/worst/a") in denials
    assert review.grants(EMPTY)["x"].rules == frozenset()
    review.undo()
    assert {each.id: review.decision(each.id) for each in review.proposals} == before
    assert review.distrust("nobody") is None


def test_terms_are_set_undone_and_survive_a_restart(tmp_path: Path) -> None:
    had = Terms("links the system's", None)
    policy = Policy("portable", {"x": CrateGrants("x", reason=had.reason)}, Path("Cargo.toml"))
    review = Review((LOW,), terms={"x": had})
    wanted = Terms("for the release", date(2027, 1, 31))
    path = tmp_path / "journal"
    for entry in (review.allow(LOW.id), review.set_terms("x", wanted)):
        assert entry is not None
        journal.append(path, entry)

    now = review.grants(policy)["x"]
    assert (now.reason, now.expires) == (wanted.reason, wanted.expires)
    assert review.set_terms("x", wanted) is None
    review.undo()
    assert review.terms("x") == had
    assert review.grants(policy)["x"].expires is None
    again = Review((LOW,), terms={"x": had})
    again.replay(journal.read(path))
    assert again.terms("x") == wanted
    assert again.undo()
    assert again.terms("x") == had


def test_a_crate_that_is_granted_nothing_has_no_terms() -> None:
    review = Review((LOW,))
    review.set_terms("x", Terms("why"))

    assert review.grants(EMPTY) == {}


def test_grants_that_have_ended_go_when_something_is_allowed_anew() -> None:
    old = Rule(Kind.EXEC, "perl")
    had = CrateGrants(
        "x",
        rules=frozenset({old}),
        denials=frozenset({Rule(Kind.EXEC, "curl")}),
        expires=date(2020, 1, 1),
    )
    policy = Policy("portable", {"x": had}, Path("Cargo.toml"))
    review = Review((LOW,))
    review.deny(LOW.id)

    assert review.grants(policy)["x"].rules == {old}
    review.allow(LOW.id)
    now = review.grants(policy)["x"]
    assert now.rules == frozenset(LOW.choices[0].rules)
    assert now.denials == had.denials
    assert now.expires is None


@given(st.data())
def test_undo_and_redo_lead_to_where_one_was(data: st.DataObject) -> None:
    review = Review(ALL)

    def stand() -> tuple[object, ...]:
        return (*(review.decision(each.id) for each in ALL), review.terms("x"))

    trail = [stand()]
    for _ in range(data.draw(st.integers(0, 8))):
        step = data.draw(st.sampled_from(["deny", "later", "clear", "distrust", "terms"]))
        ids = data.draw(st.lists(st.sampled_from([each.id for each in ALL]), unique=True))
        match step:
            case "distrust":
                entry = review.distrust("x")
            case "terms":
                entry = review.set_terms("x", Terms(data.draw(st.sampled_from(["", "a", "b"]))))
            case _:
                entry = getattr(review, step)(*ids)
        if entry is not None:
            trail.append(stand())
    for known in reversed(trail[:-1]):
        review.undo()
        assert stand() == known
    assert not review.can_undo
    for known in trail[1:]:
        review.redo()
        assert stand() == known
    assert not review.can_redo


def _asked(name: str, *rules: Rule, preset: str = "") -> Proposal:
    seen = Access(rules[0].kind if rules else Kind.EXEC, name, Outcome.DONE, 1, 0, 1, ())
    choice = Choice(name, rules, preset)
    return Proposal(name, "x", "1.0.0", name, (choice,), Risk.LOW, ("because",), (seen,))


@pytest.mark.parametrize(
    ("had", "allowed", "left"),
    [
        (
            ["read:$WORKSPACE/a/x", "read:$WORKSPACE/b"],
            "read:$WORKSPACE/a/**",
            ["read:$WORKSPACE/a/**", "read:$WORKSPACE/b"],
        ),
        (
            ["read:$WORKSPACE/a/*.c"],
            "read:$WORKSPACE/a/*",
            ["read:$WORKSPACE/a/*"],
        ),
        # No wildcard opens what is sensitive.
        (
            ["read:$HOME/x/.env"],
            "read:$HOME/x/**",
            ["read:$HOME/x/**", "read:$HOME/x/.env"],
        ),
        # What waits for a review of each version takes nothing away from other versions.
        (
            ["read:/usr/a"],
            "read:/usr/**",
            ["read:/usr/**"],
        ),
    ],
)
def test_a_wider_grant_takes_the_place_of_narrower_ones(
    had: list[str], allowed: str, left: list[str]
) -> None:
    grants = CrateGrants("x", rules=frozenset(map(Rule.parse, had)))
    review = Review([_asked("wide", Rule.parse(allowed))])
    review.allow("wide")

    changed = review.grants(replace(EMPTY, crates={"x": grants}))

    assert sorted(changed.get("x", grants).rules) == sorted(map(Rule.parse, left))


def test_what_a_preset_holds_is_not_granted_beside_it() -> None:
    grants = CrateGrants("x", rules=frozenset({Rule(Kind.EXEC, "gcc"), Rule(Kind.EXEC, "perl")}))
    review = Review([_asked("cc", preset="cc")])
    review.allow("cc")

    assert review.grants(replace(EMPTY, crates={"x": grants}))["x"].rules == {
        Rule(Kind.EXEC, "perl")
    }


def test_a_review_begins_with_the_suggested_rule_and_a_batch_takes_it() -> None:
    rules = [Rule(Kind.READ, f"$WORKSPACE/a/{name}") for name in ("x", "*.c", "**")]
    choices = tuple(Choice(str(rule), (rule,), widening="more") for rule in rules)
    each = replace(_asked("a", rules[0]), choices=choices, suggested=1)
    review = Review([each])

    assert review.choice("a") == choices[1]
    assert review.acceptable(Risk.LOW) == ("a",)
    review.choose("a", 2)
    assert review.acceptable(Risk.LOW) == ()
