"""What a crate asks for in its own Cargo.toml: read as foreign text, and compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.crate_request import read, told
from buildperm.policy.kinds import Kind
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.presentation.proposal_facts import facts

PERL = SeenAccess(Kind.EXEC, "perl", Outcome.DONE)
CHANNEL = SeenAccess(Kind.ENV, "RELEASE_CHANNEL", Outcome.DONE)


def asked(**table: object) -> object:
    return {"buildperm": table}


def test_a_request_is_read() -> None:
    found = read(asked(exec=["perl"], presets=["cc"], reason="assembly"))

    assert found is not None
    assert found.rules == {Rule(Kind.EXEC, "perl")}
    assert found.presets == {"cc"}
    assert (found.reason, found.unread) == ("assembly", ())


@pytest.mark.parametrize(
    "metadata",
    [None, [], {}, {"buildperm": []}, {"docs": {}}, asked(version=1, crates={"x": {}})],
)
def test_what_asks_for_nothing_is_no_request(metadata: object) -> None:
    assert read(metadata) is None


@pytest.mark.parametrize("listed", ["perl", ["perl", 1], [""], ["%zz"], {"a": 1}, None])
def test_what_cannot_be_read_is_told_and_is_no_error(listed: object) -> None:
    found = read(asked(exec=listed))

    assert found is not None
    assert found.unread == ("exec",)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["exec", "read", "presets", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_nothing_that_a_crate_writes_is_an_error(said: object) -> None:
    read({"buildperm": said})
    read(said)


def test_it_is_marked_where_behaviour_and_request_differ() -> None:
    found = read(asked(exec=["perl", "cmake"], presets=["pkg-config"]))
    assert found is not None

    assert found.beyond([PERL, CHANNEL]) == [Rule(Kind.EXEC, "cmake"), "pkg-config"]
    assert found.unasked([PERL, CHANNEL]) == [CHANNEL]
    assert found.unasked([PERL]) == []


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (["perl", "git"], "asks for this; that grants nothing"),
        (["git"], "asks for other things, and not for this"),
    ],
)
def test_a_question_says_whether_the_crate_asks_for_it(listed: list[str], said: str) -> None:
    access = Access(Kind.EXEC, "perl", Outcome.DONE, 1, 0, 0, (("build script",),))
    (proposal,) = propose("x", "1.0.0", [access])

    marked = told(proposal, read(asked(exec=listed)))

    assert [line for line in facts(marked) if said in line]
    assert told(proposal, None) == proposal
