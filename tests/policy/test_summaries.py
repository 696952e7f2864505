"""What a group of accesses is called, and why it deserves a thought."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import risk, summaries
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk


def accesses(kind: Kind, *targets: str, example: str = "") -> list[Access]:
    return [Access(kind, target, Outcome.DONE, 1, 0, 0, (), example) for target in targets]


@pytest.mark.parametrize(
    ("kind", "targets", "title"),
    [
        (Kind.READ, ["/etc/hosts"], "read /etc/hosts"),
        (Kind.READ, ["/a/b/c", "/a/b/d/e"], "read 2 files below /a/b"),
        (Kind.READ, ["/a/b", "/a/b/c"], "read 2 files below /a/b"),
        (Kind.READ, ["/a/bc/x", "/a/bd/x"], "read 2 files below /a"),
        (Kind.READ, ["/a/x", "/b/x"], "read 2 files in several places"),
        (
            Kind.READ,
            ["$WORKSPACE", "$WORKSPACE/a", "$WORKSPACE/b"],
            "read 3 files below $WORKSPACE",
        ),
        (Kind.READ, ["$WORKSPACE/x", "$HOME/x"], "read 2 files in several places"),
        (Kind.WRITE, ["$WORKSPACE/x", "$WORKSPACE/y"], "write 2 files below $WORKSPACE"),
        (Kind.EXEC, ["a", "b", "c", "d"], "run a, b, c, d"),
        (Kind.EXEC, ["a", "b", "c", "d", "e"], "run a, b, c and 2 more programs"),
        (Kind.ENV, ["A"], "see the environment variable A"),
        (Kind.ENV, ["A", "B"], "see the environment variables A, B"),
        (Kind.SYSTEM, ["ptrace"], "call ptrace"),
        (Kind.DIRECTIVE, ["rustc-cfg=x"], "tell Cargo rustc-cfg=x"),
        (Kind.NET, ["a.b:1"], "connect to a.b:1"),
    ],
)
def test_a_group_is_called_by_what_it_does(kind: Kind, targets: list[str], title: str) -> None:
    assert summaries.title(kind, accesses(kind, *targets)) == title


def test_only_what_nobody_has_opened_is_looked_at() -> None:
    one, other = accesses(Kind.READ, "/a/x", "/a/y")
    look, another = (replace(each, is_look=True) for each in (one, other))
    assert summaries.title(Kind.READ, [look]) == "look at /a/x"
    assert summaries.title(Kind.READ, [look, another]) == "look at 2 files below /a"
    assert summaries.title(Kind.READ, [look, other]) == "read 2 files below /a"


def test_a_socket_that_waits_for_others_is_called_so() -> None:
    bound = accesses(Kind.NET, "0.0.0.0:80", example="bound")

    assert summaries.title(Kind.NET, bound) == "listen on 0.0.0.0:80"
    assert summaries.title(Kind.NET, [*bound, *accesses(Kind.NET, "a.b:1")]).startswith(
        "connect to"
    )


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@given(st.lists(paths, min_size=2, max_size=5, unique=True))
def test_a_common_folder_is_one_that_holds_everything(targets: list[str]) -> None:
    title = summaries.title(Kind.READ, accesses(Kind.READ, *targets))

    folder = title.partition(" below ")[2]
    for target in targets:
        assert target == folder or target.startswith(f"{folder}/")


def test_the_worst_reason_comes_first_and_each_only_once() -> None:
    group = [*accesses(Kind.READ, "/usr/a", "$HOME/b"), *accesses(Kind.READ, "$HOME/b")]

    worst, told = summaries.risk_notes(group)

    assert worst is Risk.HIGH
    assert told == [risk.assess_access(group[1])[1], risk.assess_access(group[0])[1]]


def told_of(*targets: str) -> list[str]:
    return summaries.risk_notes(accesses(Kind.READ, *targets))[1]


def test_a_reason_that_several_share_is_told_once() -> None:
    (alone,) = told_of("/srv/a")
    (two,) = told_of("/srv/a", "/srv/b")
    (many,) = told_of(*(f"/srv/{number}" for number in range(100)))

    assert alone.startswith("`/srv/a`: it lies outside")
    assert two == alone.replace("`/srv/a`", "`/srv/a` (and 1 other likewise)")
    assert many.startswith("`/srv/0` (and 99 others likewise): it lies outside")
    assert len(told_of("/srv/a", "$WORKSPACE/b")) == 2


def test_of_many_reasons_the_rest_is_counted() -> None:
    directives = ("rustc-link-arg", "rustc-link-search", "rustc-link-lib", "rustc-env", "metadata")
    group = accesses(Kind.DIRECTIVE, *(f"{name}=/x" for name in directives))
    group += accesses(Kind.READ, "/srv/a", "$WORKSPACE/b", "$HOME/.ssh/id_ed25519")

    assert len(summaries.risk_notes(group[: summaries.NOTES_MOST])[1]) == summaries.NOTES_MOST
    told = summaries.risk_notes(group)[1]
    assert len(told) == summaries.NOTES_MOST
    assert told[-1] == "And 3 more reasons."


def test_what_repeated_runs_do_not_agree_on_is_one_sentence() -> None:
    one, other, steady = accesses(Kind.READ, "/a", "/b", "/c")
    some, few = "in 2 of 3 runs", "in 1 of 3 runs"

    assert summaries.unstable([steady]) == ()
    assert summaries.unstable(
        [replace(one, unstable=some), steady, replace(other, unstable=few)]
    ) == ("Seen in 1 of 3 runs only: `/b`; in 2 of 3 runs only: `/a`.",)


def test_folders_that_have_only_a_root_in_common_are_named() -> None:
    names = ("$WORKSPACE/a", "$WORKSPACE/a/x", "$WORKSPACE/b/y")
    many = tuple(f"$WORKSPACE/{name}/x" for name in "abcd")

    assert summaries.title(Kind.READ, accesses(Kind.READ, *names)) == (
        "read 3 files below $WORKSPACE/a, $WORKSPACE/b"
    )
    assert summaries.title(Kind.READ, accesses(Kind.READ, *many)) == (
        "read 4 files below $WORKSPACE"
    )
