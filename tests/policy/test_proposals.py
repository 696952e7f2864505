"""Proposals: each access is asked about once, and every answer settles it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import presets, validation
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.proposals import propose
from buildperm.policy.risk_combinations import looks_like_theft
from buildperm.policy.rule import Rule
from buildperm.policy.sought_secrets import EMPTY_HOME
from buildperm.policy.undecided_accesses import denied, undecided
from buildperm.rules.pattern import matches
from tests.policy.questions import all_asked, an_access, some_reads, some_runs, the_one


@pytest.mark.parametrize(
    "access",
    [
        *some_reads(
            "$MANIFEST_DIR/build.rs", "/usr/include/stdio.h", "$OUT_DIR/x", "/etc/ld.so.cache"
        ),
        *some_reads(
            "/proc/self/maps",
            "/dev/tty",
            "/proc",
            "$SYSROOT/lib/librustc_driver-1.so",
            "$TARGET_DIR/debug/deps",
        ),
        *(an_access(Kind.WRITE, target) for target in ("$OUT_DIR/x", "$TMP/x", "/dev/null")),
        *some_runs("$SYSROOT/bin/rustc", "/lib64/ld-linux-x86-64.so.2"),
        *(an_access(Kind.ENV, name) for name in ("OUT_DIR", "CC", "DEP_Z_ROOT", "OPENSSL_DIR")),
        an_access(Kind.DIRECTIVE, "rustc-env=VERSION"),
        an_access(Kind.DIRECTIVE, "rerun-if-changed"),
        an_access(Kind.READ, "$WORKSPACE/absent", Outcome.FAILED),
        an_access(Kind.EXEC, "/usr/local/bin/cc", Outcome.FAILED),
        an_access(Kind.READ, "$TARGET_DIR/debug/build/z-1/out/z.h", is_free=True),
        an_access(Kind.NET, "/run/nscd/socket", Outcome.REFUSED),
        an_access(Kind.SYSTEM, "io_uring_setup", Outcome.REFUSED),
        an_access(Kind.WRITE, "$WORKSPACE/scripts/__pycache__", Outcome.REFUSED),
        an_access(Kind.WRITE, "$WORKSPACE/scripts/__pycache__/x.pyc.1234", Outcome.REFUSED),
        *some_reads("$WORKSPACE/scripts/__pycache__/x.cpython-311.pyc"),
        an_access(Kind.WRITE, "$WORKSPACE/.git/index.lock", Outcome.REFUSED, held="it runs later"),
    ],
    ids=lambda access: f"{access.kind}-{access.target}",
)
def test_the_baseline_and_what_is_no_news_is_never_asked_about(access: Access) -> None:
    assert all_asked(access) == []


def test_a_refused_variable_of_the_baseline_is_news() -> None:
    assert all_asked(an_access(Kind.ENV, "CC", Outcome.REFUSED))


def test_what_is_granted_or_denied_is_not_asked_about() -> None:
    accesses = [*some_reads("$WORKSPACE/proto/a.proto"), *some_runs("protoc")]
    allowed = Rule(Kind.READ, "$WORKSPACE/proto/**")
    denial = Rule(Kind.EXEC, "proto?")

    assert len(propose("a", "1", accesses)) == 2
    assert [p.title for p in propose("a", "1", accesses, [allowed])] == ["run protoc"]
    assert propose("a", "1", accesses, [allowed], [denial]) == []
    assert undecided(accesses, [], [denial]) == [accesses[0]]


def test_what_was_refused_because_it_is_denied_is_told_from_the_rest() -> None:
    one = an_access(Kind.EXEC, "protoc", Outcome.REFUSED)
    other = an_access(Kind.EXEC, "perl", Outcome.REFUSED)
    done = an_access(Kind.EXEC, "protoc")

    assert denied([one, other, done], [Rule(Kind.EXEC, "proto?")]) == [one]
    assert denied([one, other, done], []) == []


def test_a_rule_by_path_allows_a_program_that_was_asked_for_by_name() -> None:
    run = an_access(Kind.EXEC, "tool", resolved="/opt/tools/tool-1.2")

    assert all_asked(run, rules=(Rule(Kind.EXEC, "/opt/tools/**"),)) == []
    assert all_asked(run, rules=(Rule(Kind.EXEC, "/opt/other/**"),))


def test_a_secret_and_a_way_out_are_worse_together() -> None:
    secret = an_access(Kind.ENV, "GITHUB_TOKEN", Outcome.REFUSED, held="a secret")
    way_out = an_access(Kind.NET, "10.0.0.1:443", Outcome.REFUSED)
    alone = the_one(way_out)
    together = all_asked(secret, way_out)

    assert alone.risk is Risk.HIGH
    assert [p.risk for p in together] == [Risk.CRITICAL, Risk.CRITICAL]
    assert all("steal" in p.notes[0] for p in together)


def test_no_secret_is_at_hand_that_is_not_there_and_asking_git_is_no_way_out() -> None:
    absent = an_access(Kind.READ, "$HOME/.netrc", Outcome.FAILED, held="a secret")
    refused = an_access(Kind.READ, "$HOME/.netrc", Outcome.REFUSED, held="a secret")
    way_out = an_access(Kind.NET, "10.0.0.1:443", Outcome.REFUSED)
    asking = an_access(Kind.EXEC, "git", example="git status --porcelain")
    fetching = an_access(Kind.EXEC, "git", example="git fetch")
    mixed = replace(asking, commands=((asking.example, 1), (fetching.example, 1)))

    assert not looks_like_theft([absent, way_out])
    assert looks_like_theft([replace(absent, sensitive=f"a secret; {EMPTY_HOME}"), way_out])
    assert not looks_like_theft([refused, asking])
    for way in (way_out, fetching, mixed):
        assert looks_like_theft([refused, way])


def test_running_what_was_just_written_says_so() -> None:
    written = an_access(Kind.WRITE, "$OUT_DIR/x")
    proposal = the_one(written, *some_runs("$OUT_DIR/x"))
    downloaded = all_asked(written, *some_runs("$OUT_DIR/x", "curl"))

    assert proposal.risk is Risk.MEDIUM
    assert any("written by the script" in reason for reason in proposal.notes)
    assert [p.risk for p in downloaded] == [Risk.CRITICAL, Risk.HIGH]


def test_ids_are_stable_and_different() -> None:
    accesses = [*some_runs("cc", "perl", "protoc"), *some_reads("$WORKSPACE/a/x", "/etc/hosts")]
    first, again = propose("a", "1", accesses), propose("a", "2", reversed(accesses))
    other = propose("b", "1", accesses)

    assert {p.id for p in first} == {p.id for p in again}
    assert len({p.id for p in (*first, *other)}) == 2 * len(first)
    assert all(len(p.id) == 12 and int(p.id, 16) >= 0 for p in first)


def test_the_riskiest_comes_first() -> None:
    proposals = all_asked(
        *some_reads("$WORKSPACE/a/x"),
        *some_runs("cc", "perl"),
        an_access(Kind.READ, "$HOME/.ssh/x", Outcome.REFUSED, held="ssh keys"),
    )

    assert [p.risk for p in proposals] == [Risk.CRITICAL, Risk.HIGH, Risk.MEDIUM, Risk.LOW]


PATHS = str.split("""
    $WORKSPACE/a/b $WORKSPACE/a/c $WORKSPACE/a $WORKSPACE/d $MANIFEST_DIR/x /etc/hosts
    /opt/x/y /opt/x/y/z $HOME/x/y $HOME/x $CARGO_HOME/registry/src/i/c-1/a /mnt/%2A/b
    $TARGET_DIR/debug/build/c-0123456789abcdef/out/f $TARGET_DIR/x
""")


TARGETS = {
    Kind.READ: PATHS,
    Kind.WRITE: [
        path for path in PATHS if not path.startswith(("$TARGET", "$CARGO", "/opt", "/etc"))
    ],
    Kind.EXEC: ["cc", "git", "sh", "perl", "unheard-of", "$OUT_DIR/x", "/opt/x/y"],
    Kind.NET: ["10.0.0.1:80", "example.org:443"],
    Kind.ENV: ["FOO_A", "FOO_B", "BAR", "CC"],
    Kind.DIRECTIVE: ["rustc-link-arg=-s", "rustc-link-search=native=$MANIFEST_DIR/lib"],
    Kind.SYSTEM: ["bpf", "clone3"],
}


accesses = st.sampled_from(list(Kind)).flatmap(
    lambda kind: st.builds(
        an_access, st.just(kind), st.sampled_from(TARGETS[kind]), st.sampled_from(list(Outcome))
    )
)


@given(st.lists(accesses, max_size=12, unique_by=lambda access: (access.kind, access.target)))
def test_every_undecided_access_is_asked_about_once_and_every_choice_settles_it(
    found: list[Access],
) -> None:
    proposals = propose("a", "1.0.0", found)
    asked = [access for proposal in proposals for access in proposal.evidence]

    assert sorted(asked, key=str) == sorted(undecided(found), key=str)
    assert len({proposal.id for proposal in proposals}) == len(proposals)
    for proposal in proposals:
        assert proposal.notes
        assert proposal.title
        for choice in proposal.choices:
            rules = presets.expand((choice.preset,)) if choice.preset else frozenset()
            assert not undecided(proposal.evidence, rules.union(choice.rules))
        if not proposal.locked:
            assert not proposal.suggestion.locked
            for choice in proposal.choices:
                refused = [validation.to_grant(rule, reason="") for rule in choice.rules]
                assert any(refused) is bool(choice.locked)
            for narrow, wide in pairwise(proposal.choices):
                for rule in narrow.rules:
                    assert any(matches(each.pattern, rule.pattern) for each in wide.rules)


def test_what_goes_together_is_not_told_by_what_was_looked_for_in_vain() -> None:
    missing = an_access(Kind.EXEC, "/usr/local/sbin/git", Outcome.FAILED)
    found = an_access(Kind.EXEC, "git", Outcome.REFUSED, example="git fetch")
    token = an_access(Kind.ENV, "MY_TOKEN", Outcome.REFUSED, held="its name says so")

    notes = [note for each in all_asked(missing, found, token) for note in each.notes]

    assert any("it reaches for `MY_TOKEN` and for `git`." in note for note in notes)
    assert not any("/usr/local/sbin/git" in note for note in notes)


def test_what_a_program_wanted_is_asked_about_apart_from_what_the_script_wanted() -> None:
    ran, own, its, both = (
        replace(access, causes=causes)
        for access, causes in zip(
            (*some_runs("perl"), *some_reads("$WORKSPACE/x/a", "$WORKSPACE/x/b", "$WORKSPACE/x/c")),
            (("",), ("",), ("perl",), ("", "perl")),
            strict=True,
        )
    )
    found = {proposal.title: proposal for proposal in all_asked(ran, own, its, both)}

    assert {title: each.wanted_by for title, each in found.items()} == {
        "run perl": "",
        "read 2 files below $WORKSPACE/x": "",
        "read $WORKSPACE/x/b": "perl",
    }


def test_a_program_is_one_question_with_the_parts_of_it_that_it_needs() -> None:
    """A version manager's python3 is a script, which runs a dozen programs of its own."""
    home = "$HOME/.pyenv"
    python = replace(some_runs("python3")[0], resolved=f"{home}/shims/python3")
    its = [
        replace(access, causes=("python3",))
        for access in (
            *some_runs("bash", "sed", f"{home}/versions/3/bin/python3", "curl"),
            *some_reads(f"{home}/libexec/pyenv", f"{home}/versions/3/lib/os.py", "$WORKSPACE/x/a"),
        )
    ]
    found = {each.title: each for each in all_asked(python, *its)}

    assert set(found) == {
        "run python3 and 3 programs that it starts",
        "run curl",
        "read $WORKSPACE/x/a",
    }
    bundle = found["run python3 and 3 programs that it starts"]
    assert bundle.runs == ("python3",)
    assert [str(rule) for rule in bundle.suggestion.rules] == [
        "exec:$HOME/.pyenv/versions/3/bin/python3",
        "exec:bash",
        "exec:python3",
        "exec:sed",
        "read:$HOME/.pyenv/**",
    ]
    assert found["run curl"].wanted_by == "python3"
