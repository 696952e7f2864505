"""What nobody can allow here is shown, says why, and can be denied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy import merging
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.rule import Rule
from buildperm.policy.sought_secrets import EMPTY_HOME
from buildperm.policy.undecided_accesses import undecided
from buildperm.rules import sensitive
from tests.policy.questions import all_asked, an_access, patterns_of, some_reads, the_one


@pytest.mark.parametrize(
    ("first", "second", "denied"),
    [
        ("/dev/shm/psm_deadbeef", "/dev/shm/psm_0badcafe", "/dev/shm/psm_*"),
        ("/dev/shm/sem.vwg9Sz", "/dev/shm/sem.mp-abcdefgh", "/dev/shm/sem.*"),
    ],
)
def test_a_name_of_one_run_is_asked_about_once_and_no_rule(
    first: str, second: str, denied: str
) -> None:
    asked, again = (
        the_one(*(an_access(kind, target, Outcome.REFUSED) for kind in (Kind.WRITE,)))
        for target in (first, second)
    )

    assert asked.locked.startswith("No grant can allow it: the next run gives it another name")
    assert (asked.id, asked.title) == (again.id, again.title)
    denial = merging.refused_by(asked, asked.suggestion)
    assert denial == {Rule(Kind.WRITE, denied)}
    assert not undecided(again.evidence, (), denial)


def test_java_counts_where_it_can_and_nobody_is_asked() -> None:
    counters = "/tmp/hsperfdata_me/4711"
    tried = [an_access(kind, counters, Outcome.REFUSED) for kind in (Kind.READ, Kind.WRITE)]

    assert not undecided([*tried, an_access(Kind.WRITE, "/tmp/hsperfdata_me", Outcome.REFUSED)])
    assert undecided([an_access(Kind.WRITE, "/tmp/hsperf/4711", Outcome.REFUSED)])
    assert undecided([an_access(Kind.WRITE, counters)])  # Somebody could.


def test_a_name_that_stays_is_granted_as_ever(tmp_path: Path) -> None:
    # As where the checkout of a job lies in /tmp, or another program has made the folder.
    there = tmp_path / "job-4711"
    there.mkdir()
    target = f"{there}/build.log"
    proposal = the_one(an_access(Kind.WRITE, target, Outcome.REFUSED))
    assert not proposal.locked
    assert patterns_of(proposal)[0] == [target]
    assert not the_one(*some_reads("/tmp/absent-4711/settings")).locked  # Somebody else's.
    (read,) = some_reads("/tmp/own-4711/x")
    made = an_access(Kind.WRITE, "/tmp/own-4711", Outcome.REFUSED)
    assert patterns_of(the_one(read, made)) == [["/tmp/**"]]


@pytest.mark.parametrize(
    "access",
    [
        an_access(Kind.READ, "$HOME/.ssh/id_rsa", Outcome.REFUSED, held="ssh keys"),
        an_access(Kind.READ, "$HOME/.ssh/id_rsa", Outcome.FAILED, held="ssh keys"),
        an_access(Kind.WRITE, "$WORKSPACE/Cargo.toml", Outcome.REFUSED, held="grants"),
        an_access(Kind.NET, "/var/run/docker.sock", Outcome.REFUSED, held="docker"),
        an_access(Kind.ENV, "GITHUB_TOKEN", Outcome.REFUSED, held="a secret"),
        an_access(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD", Outcome.REFUSED, held="steers"),
    ],
    ids=lambda access: f"{access.kind}-{access.outcome}",
)
def test_the_sensitive_tier_is_shown_and_locked(access: Access) -> None:
    proposal = the_one(access)

    assert proposal.locked
    assert proposal.risk is Risk.CRITICAL
    assert proposal.choices
    assert proposal.notes


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED])
def test_who_only_looks_for_a_secret_is_to_be_denied(outcome: Outcome) -> None:
    """What answers it would be a grant to read: so it is as risky, and says what it opens."""
    opened = an_access(Kind.READ, "$WORKSPACE/.env", outcome, held="settings with secrets")
    looked = replace(opened, is_look=True)

    proposal = the_one(looked)
    assert proposal.title == "look at $WORKSPACE/.env (settings with secrets)"
    assert proposal.locked.startswith("Deny it: it only looked whether this is there")
    assert "would let it read all that is in it" in proposal.locked
    assert proposal.risk is Risk.CRITICAL
    assert the_one(opened).title.startswith("read $WORKSPACE/.env")
    assert the_one(opened).locked.startswith("Sensitive: not grantable here")
    other = replace(opened, target="$WORKSPACE/.env.local")
    assert {each.title[:4] for each in all_asked(looked, other)} == {"look", "read"}


def test_system_calls_and_sockets_of_this_machine_are_shown_and_locked() -> None:
    proposals = all_asked(
        an_access(Kind.NET, "/tmp/socket", Outcome.REFUSED),
        an_access(Kind.NET, "0.0.0.0:80", Outcome.REFUSED),
        an_access(Kind.SYSTEM, "bpf", Outcome.REFUSED),
        an_access(Kind.SYSTEM, "ptrace", Outcome.REFUSED),
    )

    assert [p.title for p in proposals] == [
        "call bpf, ptrace",
        "connect to /tmp/socket",
        "connect to 0.0.0.0:80",
    ]
    assert all(p.locked and p.risk is Risk.HIGH for p in proposals)


def test_where_machines_get_their_credentials_is_for_nobody_but_by_hand() -> None:
    held = "machines of clouds get their credentials there"
    proposal = the_one(an_access(Kind.NET, "169.254.169.254:80", Outcome.REFUSED, held=held))

    assert proposal.locked
    assert proposal.risk is Risk.CRITICAL


def test_nobody_is_told_how_to_allow_what_an_empty_home_lacks() -> None:
    held = f"a private ssh key; {EMPTY_HOME}"
    look = the_one(an_access(Kind.READ, "$HOME/.ssh/id_rsa", Outcome.FAILED, held=held))

    assert look.risk is Risk.CRITICAL
    assert look.title == "read $HOME/.ssh/id_rsa (a private ssh key; it saw an empty home)"
    assert look.locked.startswith("Sensitive: nothing to allow")


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("$TARGET_DIR/debug/app", "No grant can allow it: it is Cargo's own"),
        ("$TARGET_DIR/debug/deps/liba.rlib", "No grant can allow it: it is Cargo's own"),
        ("$TARGET_DIR/debug/libx.so", "by hand, as an exact path"),
    ],
)
def test_what_lies_beside_programs_is_by_hand_and_what_cargo_makes_is_closed(
    target: str, hint: str
) -> None:
    held = sensitive.why(target, writing=True)
    proposal = the_one(an_access(Kind.WRITE, target, outcome=Outcome.REFUSED, held=held))

    assert proposal.risk is Risk.CRITICAL
    assert hint in proposal.locked


@pytest.mark.parametrize(
    "target",
    [
        "$TARGET_DIR/buildperm-session",
        "$TARGET_DIR/buildperm-compile/x/y",
        "$TARGET_DIR/debug/build/a-0123456789abcdef/buildperm/context",
        "$WORKSPACE/target/buildperm/learn/debug/x",
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED])
def test_reading_our_own_files_is_nobodys_question_and_writing_them_is(
    target: str, outcome: Outcome
) -> None:
    assert all_asked(an_access(Kind.READ, target, outcome=outcome)) == []
    held = sensitive.why(target, writing=True)
    assert the_one(an_access(Kind.WRITE, target, outcome=Outcome.REFUSED, held=held)).locked


def test_a_file_of_one_run_that_was_read_and_written_is_one_question() -> None:
    names = ("/dev/shm/psm_deadbeef", "/dev/shm/psm_0badcafe")
    seen = [
        an_access(kind, name, outcome=Outcome.REFUSED)
        for name in names
        for kind in (Kind.READ, Kind.WRITE)
    ]

    proposal, again = the_one(*seen), the_one(*reversed(seen))

    assert proposal.locked
    assert proposal.id == again.id
    assert proposal.title == "write /dev/shm/psm_*"
