"""What a crate did: judged as a review judges it, and told in sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import why_sensitive
from buildperm.policy.undecided_accesses import undecided
from buildperm.presentation.crate_account import (
    AREAS,
    CrateAccount,
    Standing,
    area_of,
    deed_text,
    map_cells,
)
from buildperm.report.html_page import Severity

KEY = "$HOME/.ssh/id_ed25519"
READ = Rule(Kind.READ, "$WORKSPACE/proto/*.proto")


def access(kind: Kind, target: str, outcome: Outcome = Outcome.DONE) -> Access:
    sensitive = why_sensitive(kind, target)
    return Access(kind, target, outcome, 1, 0, 0, (), sensitive=sensitive)


def account(
    *accesses: Access, rules: frozenset[Rule] = frozenset(), denials: frozenset[Rule] = frozenset()
) -> CrateAccount:
    grants = CrateGrants("a", rules=rules, denials=denials)
    return CrateAccount.of(accesses, grants, "1.0.0", (SubjectKind.SCRIPT,))


def test_each_access_says_what_became_of_it() -> None:
    made = account(
        access(Kind.READ, "$WORKSPACE/proto/a.proto"),
        access(Kind.EXEC, "perl"),
        access(Kind.ENV, "CHANNEL"),
        access(Kind.READ, "/usr/include/stdio.h"),
        rules=frozenset({READ}),
        denials=frozenset({Rule(Kind.EXEC, "perl")}),
    )

    told = {each.access.target: (each.standing, each.said) for each in made.judged}

    assert told == {
        "$WORKSPACE/proto/a.proto": (
            Standing.GRANTED,
            "granted by read $WORKSPACE/proto/*.proto",
        ),
        "perl": (Standing.DENIED, "denied by exec perl"),
        "CHANNEL": (Standing.UNDECIDED, "undecided"),
        "/usr/include/stdio.h": (Standing.EVERYBODY, ""),
    }
    assert made.verdict() == "1 access undecided, 1 denied, 1 granted."


def test_a_denied_attempt_is_no_good_sign() -> None:
    made = account(
        access(Kind.READ, KEY, Outcome.REFUSED), denials=frozenset({Rule(Kind.READ, KEY)})
    )

    assert made.severity is Severity.CRITICAL
    assert made.verdict() == "1 access denied."


def test_secrets_and_the_network_look_like_theft() -> None:
    made = account(
        access(Kind.READ, KEY, Outcome.REFUSED),
        access(Kind.NET, "10.0.0.1:80", Outcome.REFUSED),
    )

    assert made.is_theft
    assert made.verdict().startswith("Looks like theft: it reaches for secrets and for the network")
    assert made.judged[0].access.target == KEY
    assert {each.severity for each in made.beyond} == {Severity.CRITICAL}


def test_deeds_are_told_in_the_past_and_refusals_as_attempts() -> None:
    made = account(
        access(Kind.EXEC, "cc"),
        access(Kind.EXEC, "ld"),
        access(Kind.READ, KEY, Outcome.REFUSED),
        access(Kind.READ, "/usr/include/stdio.h"),
        access(Kind.EXEC, "/root/bin/cc", Outcome.FAILED),
    )

    assert list(made.deeds()) == [
        f"Tried to read {KEY}; buildperm refused it.",
        "Ran cc, ld.",
        "Besides, it did what everybody may: read 1 file.",
        "1 attempt came to nothing, as is usual.",
    ]


def test_a_look_is_not_told_as_reading() -> None:
    read = access(Kind.READ, "$HOME/.ssh/id_ed25519")
    look = replace(read, is_look=True)

    told = deed_text(Outcome.DONE, Kind.READ, [look])
    assert told.startswith("Looked whether there is $HOME/.ssh/id_ed25519")
    assert told.endswith(", and read nothing of it.")
    assert deed_text(Outcome.DONE, Kind.READ, [look, read]).startswith("Read ")
    assert deed_text(Outcome.REFUSED, Kind.READ, [look]).startswith("Tried to look at $HOME/")


def test_nothing_out_of_the_ordinary_is_said_in_a_sentence() -> None:
    made = account(access(Kind.READ, "/usr/include/stdio.h"))

    assert made.severity is Severity.CALM
    assert made.verdict() == "Did nothing but what everybody may do."
    assert list(made.deeds()) == ["It did what everybody may: read 1 file."]


@pytest.mark.parametrize(
    ("seen", "area"),
    [
        (access(Kind.READ, KEY), "Secrets"),
        (access(Kind.ENV, "GITHUB_TOKEN"), "Secrets"),
        (access(Kind.ENV, "CHANNEL"), "Variables"),
        (access(Kind.WRITE, "$MANIFEST_DIR/a"), "Workspace, written"),
        (access(Kind.READ, "/etc/hosts"), "Elsewhere, read"),
        (access(Kind.NET, "example.com:443"), "Network"),
        (access(Kind.SYSTEM, "ptrace"), "Kernel"),
    ],
)
def test_each_access_has_its_place_on_the_map(seen: Access, area: str) -> None:
    assert area_of(seen) == area
    assert area in AREAS


_ACCESSES = st.lists(
    st.builds(
        access,
        st.sampled_from(Kind),
        st.sampled_from(
            (KEY, "$WORKSPACE/a", "/usr/lib/x", "cc", "TOKEN", "10.0.0.1:80", "ptrace")
        ),
        st.sampled_from(Outcome),
    ),
    max_size=12,
    unique_by=lambda one: (one.kind, one.target),
)


@given(_ACCESSES, st.booleans())
def test_it_agrees_with_a_review_and_the_map_counts_everything(
    accesses: list[Access], granted: bool
) -> None:
    rules = frozenset({Rule(Kind.READ, "$WORKSPACE/a")} if granted else ())

    made = account(*accesses, rules=rules)

    open_ = {each.access.target for each in made.beyond if each.standing is Standing.UNDECIDED}
    assert open_ == {each.target for each in undecided(accesses, rules)}
    cells = map_cells(made)
    assert len(cells) == len(AREAS)
    assert sum(cell.number for cell in cells) == len(made.beyond)
    assert sorted(each.access.target for each in made.judged) == sorted(
        each.target for each in accesses
    )
    for cell in cells:
        assert (cell.severity is Severity.CALM) == ("?" not in cell.mark)
