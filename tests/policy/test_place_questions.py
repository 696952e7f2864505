"""Places that are one question, whatever the names of the files in them."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from tests.policy.questions import all_asked, an_access, patterns_of, the_one


@pytest.mark.parametrize(
    ("first", "second", "folder"),
    [
        ("/tmp/app-build-22980", "/tmp/app-build-23071", "/tmp"),
        ("/tmp/tmp.MAp6GnQk9S", "/tmp/tmp.0o0167AQwl", "/tmp"),
        ("/var/tmp/job_4711/x.o", "/var/tmp/job_4712/x.o", "/var/tmp"),
        ("/tmp/**", "/tmp/app-build-4711", "/tmp"),  # As it is seen while learning.
    ],
)
def test_a_temporary_file_is_one_question_about_a_folder_of_its_own(
    first: str, second: str, folder: str
) -> None:
    done = Outcome.DONE if first.endswith("**") else Outcome.REFUSED
    asked = the_one(an_access(Kind.WRITE, first, done))
    again = the_one(
        an_access(Kind.WRITE, second, Outcome.REFUSED),
        an_access(Kind.READ, second, Outcome.REFUSED),
    )

    assert (asked.id, asked.title) == (again.id, again.title)
    assert (asked.risk, asked.locked) == (Risk.LOW, "")
    assert patterns_of(asked) == [[f"{folder}/**"]]
    granted = [Rule(Kind.WRITE, f"{folder}/**")]
    assert not propose("app", "1.0.0", (*asked.evidence, *again.evidence), granted)


def test_a_temporary_file_that_is_there_is_somebody_elses() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="theirs-") as theirs:
        proposal = the_one(an_access(Kind.WRITE, f"{theirs}/key", Outcome.REFUSED))

    assert patterns_of(proposal)[0] == [f"{theirs}/key"]
    assert proposal.risk is Risk.HIGH
    agent = the_one(
        an_access(Kind.WRITE, "/tmp/ssh-XXXXab/agent.1", Outcome.REFUSED, held="an agent")
    )
    assert agent.locked


def test_a_shared_folder_of_the_target_directory_is_one_question_about_both() -> None:
    seen = [
        an_access(Kind.WRITE, "$TARGET_DIR/cxxbridge", outcome=Outcome.REFUSED),
        an_access(Kind.WRITE, "$TARGET_DIR/cxxbridge/one/src/lib.rs.h", outcome=Outcome.REFUSED),
        an_access(Kind.READ, "$TARGET_DIR/cxxbridge/rust/cxx.h"),
    ]

    proposal = the_one(*seen)

    assert (proposal.risk, proposal.locked) == (Risk.MEDIUM, "")
    assert "crates share it" in " ".join(proposal.notes)
    assert [(rule.kind, rule.pattern) for rule in proposal.suggestion.rules] == [
        (Kind.READ, "$TARGET_DIR/cxxbridge/**"),
        (Kind.WRITE, "$TARGET_DIR/cxxbridge/**"),
    ]


@pytest.mark.parametrize("target", ["$TARGET_DIR/app", "$TARGET_DIR/libx.so"])
def test_a_file_in_the_target_directory_itself_is_no_shared_folder(target: str) -> None:
    proposal = the_one(an_access(Kind.WRITE, target, outcome=Outcome.REFUSED))

    assert proposal.risk is Risk.HIGH
    assert [rule.pattern for rule in proposal.suggestion.rules] == [target]


def _read(target: str, *, is_folder: bool = False, cause: str = "") -> Access:
    return replace(an_access(Kind.READ, target), is_folder=is_folder, causes=(cause,))


BUILT = (
    _read("$WORKSPACE/target/debug/deps/liba-0123456789abcdef.rmeta"),
    _read("$WORKSPACE/target/debug/.fingerprint", is_folder=True),
    _read("$TARGET_DIR/debug/.fingerprint/a-0123456789abcdef/lib-a"),
    _read("$TARGET_DIR/debug/incremental", is_folder=True),
    _read("$TARGET_DIR/.rustc_info.json"),
)


def test_a_walk_through_the_package_asks_once_about_what_is_built_in_it() -> None:
    top = _read("$WORKSPACE/target", is_folder=True)
    proposal = the_one(top, *BUILT)

    assert proposal.title == "read all that Cargo has built, as it walks through its package"
    assert proposal.risk is Risk.MEDIUM
    assert patterns_of(proposal) == [
        ["$TARGET_DIR/.rustc_info.json", "$TARGET_DIR/debug/**", "$WORKSPACE/target/**"]
    ]
    later = _read("$TARGET_DIR/debug/deps/libb-fedcba9876543210.rmeta")
    assert all_asked(top, *BUILT, later, rules=proposal.suggestion.rules) == []
    # What it looks for besides is a question of its own.
    other = _read("$WORKSPACE/notes.txt")
    assert len(all_asked(top, *BUILT, other)) == 2


@pytest.mark.parametrize(
    "top",
    [
        _read("$WORKSPACE/data", is_folder=True),
        _read("$WORKSPACE/target"),  # A file.
        _read("$WORKSPACE/target", is_folder=True, cause="find"),
    ],
)
def test_who_does_not_walk_through_the_package_is_asked_about_each_folder(top: Access) -> None:
    for proposal in all_asked(top, *BUILT):
        assert "as it walks" not in proposal.title
        assert ["$TARGET_DIR/debug/**"] not in patterns_of(proposal)[:1]
