"""Why a build script has to be reviewed again: each cause, and nothing where nothing changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import causes
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause
from buildperm.policy.presets import PRESETS
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import Inputs, SeenAccess, Snapshot
from buildperm.policy.snapshots import seen
from buildperm.policy.undecided_accesses import undecided
from buildperm.rules.variables import withheld_because
from tests.policy import snapshot_strategies

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
GIT = "git+https://example.org/x?branch=main"
FOLDER = "$WORKSPACE/x"
ABSENT = "f" * 64
INPUTS = Inputs("", {}, ("cc 1.2.3",), "0" * 64)


def before(version: str = "1.0.0", source: str = CRATES_IO, inputs: Inputs = INPUTS) -> Snapshot:
    return Snapshot("x", version, source, inputs, {}, ())


def of_inputs(
    known: Snapshot, now: Inputs, version: str = "1.0.0", source: str | None = None
) -> list[tuple[Cause, str]]:
    came_from = known.source if source is None else source
    return list(causes.from_inputs(known, version, came_from, now, FOLDER, ABSENT))


def test_grants_that_have_ended_are_a_cause_from_the_day_after() -> None:
    last = date(2027, 1, 31)

    assert list(causes.from_expiry(last, last)) == []
    assert list(causes.from_expiry(last, date(2027, 2, 1))) == [
        (Cause.GRANTS, "the grants ended on 2027-01-31")
    ]


def test_a_build_script_that_was_never_reviewed_is_new() -> None:
    assert list(causes.from_version(None, "1.0.0")) == [
        (Cause.NEW, "no build script of it was ever reviewed")
    ]


def test_another_version_is_told_with_the_one_that_was_reviewed() -> None:
    assert list(causes.from_version(before("0.9.0"), "1.0.0")) == [(Cause.VERSION, "was 0.9.0")]
    assert list(causes.from_version(before("1.1.0"), "1.0.0")) == [(Cause.VERSION, "was 1.1.0")]
    assert list(causes.from_version(before(), "1.0.0")) == []


def test_the_same_version_with_another_checksum_is_no_update() -> None:
    now = replace(INPUTS, checksum="b", digest="1" * 64)
    known = before(inputs=replace(INPUTS, checksum="a"))

    assert of_inputs(known, now) == [(Cause.SOURCE, "the same version with another checksum")]
    assert of_inputs(known, now, "1.0.1") == []


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (f"{GIT}#0123456789abcdef", f"{GIT}#fedcba9876543210", "commit 012345678 -> fedcba987"),
        (CRATES_IO, "", f"from a folder, was from {CRATES_IO}"),
        ("", f"{GIT}#01", f"from {GIT}#01, was from a folder"),
        (f"{GIT}#01", "git+https://b.org/x#01", f"from git+https://b.org/x#01, was from {GIT}#01"),
        (CRATES_IO, "git+https://b.org/\x1b[2J#1", "from git+https://b.org/%1B[2J#1, was from"),
    ],
    ids=["commit", "to a folder", "from a folder", "other place", "hostile"],
)  # fmt: skip
def test_another_source_is_named(then: str, now: str, told: str) -> None:
    ((cause, sentence),) = of_inputs(before(source=then), INPUTS, source=now)

    assert cause is Cause.SOURCE
    assert sentence.startswith(told)
    assert sentence.isprintable()


def test_files_that_differ_are_named_as_seen_from_the_package() -> None:
    known = before(
        source="",
        inputs=replace(
            INPUTS,
            files={
                f"{FOLDER}/build.rs": "1" * 64,
                f"{FOLDER}/build/old.rs": "2" * 64,
                f"{FOLDER}/same.rs": "3" * 64,
                f"{FOLDER}/away.rs": "4" * 64,
                "$WORKSPACE/shared/inc.rs": "5" * 64,
                f"{FOLDER}/never.rs": ABSENT,
            },
        ),
    )
    now = replace(
        INPUTS,
        files={
            f"{FOLDER}/build.rs": "a" * 64,
            f"{FOLDER}/build/new.rs": "b" * 64,
            f"{FOLDER}/same.rs": "3" * 64,
            f"{FOLDER}/away.rs": ABSENT,
            "$WORKSPACE/shared/inc.rs": "c" * 64,
        },
    )

    assert of_inputs(known, now) == [
        (Cause.SOURCE, "$WORKSPACE/shared/inc.rs changed"),
        (Cause.SOURCE, "away.rs is gone"),
        (Cause.SOURCE, "build.rs changed"),
        (Cause.SOURCE, "build/new.rs is new"),
        (Cause.SOURCE, "build/old.rs is gone"),
    ]


def test_files_are_not_compared_with_those_of_another_source() -> None:
    """A crate that has moved to a registry has no files of its own any more: that is no news."""
    folder = before(source="", inputs=replace(INPUTS, files={f"{FOLDER}/build.rs": "1" * 64}))

    assert len(of_inputs(folder, INPUTS, source=CRATES_IO)) == 1
    assert len(of_inputs(before(), folder.inputs, source="")) == 1


def test_of_many_files_the_first_are_named_and_the_rest_is_counted() -> None:
    def changed(count: int) -> list[str]:
        files = {f"{FOLDER}/{number:02}.rs": "1" * 64 for number in range(count)}
        now = replace(INPUTS, files=dict.fromkeys(files, "2" * 64))
        return [
            text
            for _, text in of_inputs(before(source="", inputs=replace(INPUTS, files=files)), now)
        ]

    assert changed(6)[-1] == "05.rs changed"
    assert changed(7)[-2:] == ["04.rs changed", "and 2 more files that differ"]
    assert len(changed(200)) == 6


def test_build_dependencies_are_compared_name_by_name() -> None:
    known = before(
        inputs=replace(INPUTS, build_dependencies=("cc 1.0.83", "old 1.0.0", "two 1.0.0"))
    )
    now = replace(INPUTS, build_dependencies=("cc 1.2.1", "new 0.1.0", "two 1.0.0", "two 2.0.0"))

    assert of_inputs(known, now) == [
        (Cause.BUILD_DEPENDENCIES, "cc 1.0.83 -> 1.2.1"),
        (Cause.BUILD_DEPENDENCIES, "new 0.1.0 is a new build-dependency"),
        (Cause.BUILD_DEPENDENCIES, "old 1.0.0 is no build-dependency any more"),
        (Cause.BUILD_DEPENDENCIES, "two 2.0.0 is a new build-dependency"),
    ]


def test_what_build_dependencies_need_is_told_where_nothing_else_is() -> None:
    deeper = replace(INPUTS, digest="1" * 64)
    nothing = Inputs("", {}, (), "1" * 64)

    assert of_inputs(before(), deeper) == [
        (Cause.BUILD_DEPENDENCIES, "what its build-dependencies need has changed")
    ]
    assert of_inputs(before(), deeper, "1.0.1") == []  # The version says so already.
    assert of_inputs(before(inputs=replace(nothing, digest="0" * 64)), nothing) == [
        (Cause.SOURCE, "it is made from something else than it was")
    ]


@given(
    snapshot_strategies.inputs,
    snapshot_strategies.versions,
    st.sampled_from(["", CRATES_IO, f"{GIT}#01"]),
)
def test_what_is_made_from_the_same_has_no_cause(inputs: Inputs, version: str, source: str) -> None:
    assert of_inputs(before(version, source, inputs), inputs, version) == []


@given(snapshot_strategies.inputs, snapshot_strategies.inputs)
def test_whatever_differs_is_told_in_a_printable_line(then: Inputs, now: Inputs) -> None:
    found = of_inputs(before(source="", inputs=then), now)

    assert bool(found) or then.digest == now.digest
    assert all(sentence and sentence.isprintable() for _, sentence in found)
    assert len(found) == len(set(found))
    assert len(found) <= 19


def test_features_that_were_switched_are_listed() -> None:
    assert list(causes.from_features(["default", "ssl"], ["vendored", "default"])) == [
        (Cause.FEATURES, "features: + vendored, - ssl")
    ]
    assert list(causes.from_features(["b", "a"], ("a", "b"))) == []


def test_a_context_is_told_by_its_words() -> None:
    (here,) = causes.from_context("check --features 'a b'", is_declared=False)
    (declared,) = causes.from_context("test", is_declared=True)

    assert here == (Cause.CONTEXT, "never recorded with `check --features 'a b'`")
    assert declared == (Cause.CONTEXT, "never recorded with `test`, which Cargo.toml declares")


CC = SeenAccess(Kind.EXEC, "cc", Outcome.DONE)
PROTO = SeenAccess(Kind.READ, "$WORKSPACE/proto/a.proto", Outcome.DONE)
SETTING = SeenAccess(Kind.ENV, "MY_SETTING", Outcome.DONE)


def left(
    *found: SeenAccess, rules: tuple[Rule, ...] = (), denials: tuple[Rule, ...] = ()
) -> list[str]:
    told = list(causes.from_grants(found, rules, denials))
    assert all(cause is Cause.GRANTS for cause, _ in told)
    return [sentence for _, sentence in told]


def test_what_is_not_granted_any_more_is_told_with_what_it_did() -> None:
    assert left(CC, PROTO, SETTING) == [
        "seen reading the variable `MY_SETTING`, which is not granted",
        "seen running `cc`, which is not granted",
        "seen reading `$WORKSPACE/proto/a.proto`, which is not granted",
    ]


def test_what_is_granted_or_denied_is_no_cause() -> None:
    rules = (Rule(Kind.READ, "$WORKSPACE/proto/**"), *PRESETS["cc"].rules)

    assert left(CC, PROTO, SETTING, rules=rules, denials=(Rule(Kind.ENV, "MY_*"),)) == []
    assert left(CC, denials=(Rule(Kind.READ, "cc"),)) != []


def test_a_program_that_ran_by_its_name_may_be_granted_by_its_path() -> None:
    assert left(CC, rules=(Rule(Kind.EXEC, "/opt/tools/cc"),)) == []
    assert left(CC, rules=(Rule(Kind.EXEC, "/opt/tools/c*"),)) == []
    assert left(CC, denials=(Rule(Kind.EXEC, "/opt/tools/cc"),)) == []
    assert left(CC, rules=(Rule(Kind.EXEC, "/opt/tools/gcc"),)) != []
    assert left(CC, rules=(Rule(Kind.READ, "/opt/tools/cc"),)) != []


@pytest.mark.parametrize(
    "one",
    [
        SeenAccess(Kind.NET, "/tmp/socket", Outcome.REFUSED),
        SeenAccess(Kind.NET, "169.254.169.254:80", Outcome.REFUSED),
        SeenAccess(Kind.SYSTEM, "ptrace", Outcome.REFUSED),
        SeenAccess(Kind.READ, "$HOME/.ssh/id_ed25519", Outcome.REFUSED),
        SeenAccess(Kind.ENV, "GITHUB_TOKEN", Outcome.REFUSED),
        SeenAccess(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD=/x.so", Outcome.REFUSED),
        SeenAccess(Kind.WRITE, "$WORKSPACE/.git/hooks/pre-commit", Outcome.REFUSED),
    ],
    ids=lambda one: str(one.target),
)
def test_what_no_review_could_grant_is_no_cause(one: SeenAccess) -> None:
    """Else every such build script would be pending for ever."""
    assert left(one) == []


def test_a_secret_that_was_once_granted_by_hand_is_a_cause_without_its_grant() -> None:
    token = SeenAccess(Kind.ENV, "GITHUB_TOKEN", Outcome.DONE)

    assert left(token) != []
    assert left(token, rules=(Rule(Kind.ENV, "GITHUB_*"),)) != []
    assert left(token, rules=(Rule(Kind.ENV, "GITHUB_TOKEN"),)) == []


def test_a_directive_that_cargo_was_not_told_may_still_be_granted() -> None:
    argument = SeenAccess(Kind.DIRECTIVE, "rustc-link-arg=-Wl,-z,now", Outcome.REFUSED)

    assert left(argument) == [
        "seen telling Cargo `rustc-link-arg=-Wl,-z,now`, which is not granted"
    ]
    assert left(argument, rules=(Rule(Kind.DIRECTIVE, argument.target),)) == []


def test_a_directive_that_is_none_does_not_break_the_look() -> None:
    """`buildperm.lock` may come from a stranger's pull request."""
    assert left(SeenAccess(Kind.DIRECTIVE, "nonsense", Outcome.REFUSED)) is not None
    assert left(SeenAccess(Kind.DIRECTIVE, "rustc-env=%zz", Outcome.REFUSED)) is not None
    assert left(SeenAccess(Kind.DIRECTIVE, "", Outcome.REFUSED)) is not None


def test_many_accesses_are_counted() -> None:
    names = [SeenAccess(Kind.ENV, f"MY_{number:02}", Outcome.DONE) for number in range(40)]

    told = left(*names)

    assert len(told) == 6
    assert told[-1] == "and 35 more accesses that are not granted"


targets = st.sampled_from(
    ["cc", "perl", "curl", "$WORKSPACE/proto/a", "$WORKSPACE/b", "MY_A", "MY_B", "GITHUB_TOKEN"]
)
accesses = st.lists(
    st.builds(
        lambda kind, target, outcome: Access(
            kind,
            target,
            outcome,
            1,
            0,
            0,
            (),
            sensitive=withheld_because(target) if kind is Kind.ENV else "",
        ),
        st.sampled_from([Kind.READ, Kind.EXEC, Kind.ENV]),
        targets,
        st.sampled_from([Outcome.DONE, Outcome.REFUSED]),
    ),
    max_size=8,
)
rules = st.lists(
    st.builds(
        Rule,
        st.sampled_from([Kind.READ, Kind.EXEC, Kind.ENV]),
        st.sampled_from(["cc", "perl", "$WORKSPACE/**", "MY_*", "MY_A", "*"]),
    ),
    max_size=4,
)


@given(accesses, rules, rules)
def test_what_a_review_leaves_nothing_to_say_about_is_never_pending(
    did: list[Access], granted: list[Rule], denied: list[Rule]
) -> None:
    """The law between `review` and `check`: what is settled by one is so for the other."""
    if not undecided(did, granted, denied):
        assert left(*seen(did), rules=tuple(granted), denials=tuple(denied)) == []
