"""From the recordings of macros and compilations to what a person is asked, and to Cargo.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.policy import editor, manifest
from buildperm.policy.access import Access, Outcome
from buildperm.policy.combination import combine
from buildperm.policy.decision import Answer
from buildperm.policy.fold import fold
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.proposals import propose
from buildperm.policy.review_state import Review
from buildperm.policy.role import Role, SubjectKind, named
from buildperm.policy.rule import Rule
from tests.policy.macro_recordings import connects, reads, record, writes

MEMBERS = ("api", "web")
SQLX = "sqlx-macros"
QUERIES = b"/ws/.sqlx/query-1.json"
RULE = Rule(Kind.READ, "$WORKSPACE/.sqlx/query-1.json")


def queries_for(path: Path, consumer: str) -> list[Access]:
    found = record(path / f"{consumer}.jsonl", reads(QUERIES), consumer=consumer)
    return fold(found, MEMBERS)


def test_a_macro_says_for_whom_it_did_something(tmp_path: Path) -> None:
    found = record(tmp_path / "a.jsonl", reads(QUERIES), connects("127.0.0.1:5432"))

    read, net = fold(found, MEMBERS)

    assert (read.kind, read.target) == (RULE.kind, RULE.pattern)
    assert (net.kind, net.target, net.outcome) == (Kind.NET, "127.0.0.1:5432", Outcome.REFUSED)
    assert read.roles == (Role(SubjectKind.MACRO, "api"),)
    assert read.chains == (("procedural macro for api",),)
    assert read.outside == ""
    (proposal, *_) = propose(SQLX, "0.8.0", [read])
    assert proposal.who == "sqlx-macros 0.8.0 (procedural macro, for crate api)"


def test_a_macro_may_read_the_package_that_it_is_expanded_in(tmp_path: Path) -> None:
    found = record(tmp_path / "a.jsonl", reads(b"/ws/api/templates/a.html"), reads(b"/ws/api/.env"))

    (asked,) = propose(SQLX, "0.8.0", fold(found, MEMBERS))

    assert [each.target for each in asked.evidence] == ["$MANIFEST_DIR/.env"]
    assert asked.locked  # It may hold passwords, wherever it lies.


def test_only_a_build_script_may_write_to_its_output_folder(tmp_path: Path) -> None:
    places = {"OUT_DIR": "/ws/target/out", "MANIFEST_DIR": "/ws/api", "WORKSPACE": "/ws"}

    def asked(subject: str) -> list[str]:
        found = record(
            tmp_path / subject, writes(b"/ws/target/out/x"), subject=subject, places=places
        )
        return [each.title for each in propose(SQLX, "0.8.0", fold(found, MEMBERS))]

    assert asked("script") == []
    assert asked("macro") == asked("compile") == ["write $OUT_DIR/x"]


def test_one_macro_in_two_packages_of_the_workspace_is_one_question(tmp_path: Path) -> None:
    together = combine([queries_for(tmp_path, "api"), queries_for(tmp_path, "web")])

    (proposal,) = propose(SQLX, "0.8.0", together)

    assert proposal.who == "sqlx-macros 0.8.0 (procedural macro, for crates api and web)"
    assert [each.count for each in proposal.evidence] == [2]
    assert propose(SQLX, "0.8.0", together, [RULE]) == []


def test_a_grant_holds_for_the_workspace_and_for_others_only_by_name(tmp_path: Path) -> None:
    together = combine([queries_for(tmp_path, "api"), queries_for(tmp_path, "elsewhere")])

    (asked,) = propose(SQLX, "0.8.0", together, [RULE])

    assert asked.who == "sqlx-macros 0.8.0 (procedural macro, for crate elsewhere)"
    assert asked.risk is Risk.MEDIUM
    assert all(choice.consumers == ("elsewhere",) for choice in asked.choices)
    assert propose(SQLX, "0.8.0", together, [RULE], consumers=["elsewhere"]) == []
    assert len({each.id for each in propose(SQLX, "0.8.0", together)}) == 2


def test_what_would_come_along_for_an_outsider_decides_about_the_risk(tmp_path: Path) -> None:
    granted = [Rule(Kind.EXEC, "curl"), RULE]

    (asked,) = propose(SQLX, "0.8.0", queries_for(tmp_path, "elsewhere"), granted)

    assert asked.risk is Risk.HIGH
    assert any("elsewhere would also get" in note for note in asked.notes)


def test_a_macro_of_nobody_knows_whom_has_no_grants(tmp_path: Path) -> None:
    found = record(tmp_path / "a.jsonl", reads(QUERIES), consumer="")

    (asked,) = propose(SQLX, "0.8.0", fold(found, MEMBERS), [RULE])

    assert asked.locked


def test_an_outsider_is_written_into_cargo_toml_and_never_in_a_batch(tmp_path: Path) -> None:
    raw = b'[workspace]\nmembers = ["api"]\n'
    path = Path("Cargo.toml")
    proposals = propose(SQLX, "0.8.0", queries_for(tmp_path, "elsewhere"))
    review = Review(proposals)

    assert review.accept_up_to(Risk.MEDIUM) is None
    review.allow(proposals[0].id)
    granted = review.grants(manifest.read(raw, path))
    after = editor.with_grants(raw, SQLX, granted[SQLX], path)

    assert b'for = ["elsewhere"]' in after
    assert manifest.read(after, path).crates[SQLX] == CrateGrants(
        SQLX, frozenset({"0.8.0"}), rules=frozenset({RULE}), consumers=frozenset({"elsewhere"})
    )


def test_denying_leaves_nobody_in_for(tmp_path: Path) -> None:
    proposals = propose(SQLX, "0.8.0", queries_for(tmp_path, "elsewhere"))
    review = Review(proposals)

    review.deny(proposals[0].id)
    policy = manifest.read(b"[workspace]\n", Path("Cargo.toml"))
    (granted,) = review.grants(policy).values()

    assert granted.consumers == frozenset()
    assert granted.denials == {RULE}
    assert review.decision(proposals[0].id).answer is Answer.DENY


def test_what_the_compiler_was_refused_is_its_crates(tmp_path: Path) -> None:
    found = record(
        tmp_path / "a.jsonl",
        reads(b"/home/u/.ssh/id_ed25519", refused=True),
        subject="compile",
        crate="evil",
    )

    (asked,) = propose("evil", "1.0.0", fold(found))

    assert asked.who == "compiling evil 1.0.0"
    assert asked.risk is Risk.CRITICAL
    assert asked.evidence[0].chains == (("compiler",),)


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ((), "a 1.0.0"),
        ((Role(),), "a 1.0.0"),
        ((Role(SubjectKind.COMPILE),), "compiling a 1.0.0"),
        ((Role(SubjectKind.MACRO, "b"),), "a 1.0.0 (procedural macro, for crate b)"),
        (
            (Role(), Role(SubjectKind.MACRO, "b"), Role(SubjectKind.COMPILE)),
            "a 1.0.0 (build script; procedural macro, for crate b; compiler)",
        ),
        (
            tuple(Role(SubjectKind.MACRO, name) for name in "edcba"),
            "a 1.0.0 (procedural macro, for crates a, b, c and 2 more)",
        ),
        (
            (Role(SubjectKind.MACRO, "git+https://x/\x1b[2J#y"),),
            "a 1.0.0 (procedural macro, for crate git+https://x/%1B%5B2J#y)",
        ),
    ],
)
def test_who_did_it_is_told_in_words(roles: tuple[Role, ...], told: str) -> None:
    assert named("a", "1.0.0", roles) == told
