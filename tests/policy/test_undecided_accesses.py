"""What was refused is told, whatever rule seems to cover it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import denied, habitual, undecided, unopened


def _access(kind: Kind, target: str, outcome: Outcome) -> Access:
    return Access(kind, target, outcome, 1, 0, 0, (("build script",),))


TOLD = (
    (Kind.WRITE, "$OUT_DIR/device", "unopened"),
    (Kind.WRITE, "$TMP/moved", "unopened"),
    (Kind.READ, "$WORKSPACE/granted/x", "unopened"),
    (Kind.READ, "/proc/self/environ", "habitual"),
    (Kind.READ, "/dev/tty", "habitual"),
    (Kind.SYSTEM, "unshare", "habitual"),
    (Kind.READ, "/srv/x", "undecided"),
    (Kind.READ, "$MANIFEST_DIR/x", "undecided"),
    (Kind.SYSTEM, "mount", "undecided"),
)


@pytest.mark.parametrize(("kind", "target", "where"), TOLD)
def test_each_refusal_is_told_in_one_way(kind: Kind, target: str, where: str) -> None:
    rules = [Rule(Kind.READ, "$WORKSPACE/granted/**")]
    refused = [_access(kind, target, Outcome.REFUSED)]

    found = {
        "undecided": undecided(refused, rules),
        "unopened": unopened(refused, rules),
        "habitual": habitual(refused),
    }

    assert [name for name, accesses in found.items() if accesses] == [where]


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.FAILED])
@pytest.mark.parametrize("target", ["$OUT_DIR/file", "/dev/tty"])
def test_what_was_not_refused_is_not_told_as_refused(target: str, outcome: Outcome) -> None:
    accesses = [_access(Kind.WRITE, target, outcome)]

    assert not unopened(accesses)
    assert not habitual(accesses)


def test_what_a_person_has_denied_is_told_as_that_alone() -> None:
    refused = [_access(Kind.WRITE, "$OUT_DIR/x", Outcome.REFUSED)]

    assert not unopened(refused, (), [Rule(Kind.WRITE, "$OUT_DIR/**")])


def test_the_interpreter_of_a_script_that_was_refused_is_not_told_beside_it() -> None:
    granted = [Rule(Kind.EXEC, "env")]
    shim = _access(Kind.EXEC, "python3", Outcome.REFUSED)
    env = replace(_access(Kind.EXEC, "env", Outcome.REFUSED), causes=("python3",))
    by_itself = replace(env, causes=("", "python3"))

    assert undecided([shim, env], granted) == [shim]
    assert not unopened([shim, env], granted)
    # Where the script was not refused, or `env` was run for its own sake, it is told.
    assert unopened([env], granted) == [env]
    assert unopened([shim, by_itself], granted) == [by_itself]


def test_what_is_free_of_itself_and_was_refused_is_no_secret_to_who_denied_it() -> None:
    free = replace(_access(Kind.READ, "$CARGO_HOME/bin", Outcome.REFUSED), is_free=True)

    assert undecided([replace(free, outcome=Outcome.DONE)]) == []
    assert undecided([free]) == [free]
    assert denied([free], [Rule(Kind.READ, "$CARGO_HOME/**")]) == [free]


def test_the_cache_of_ldconfig_is_its_habit_and_a_question_where_a_script_reads_it() -> None:
    cache = Access(
        Kind.READ, "/var/cache/ldconfig/aux-cache", Outcome.REFUSED, 1, 0, 0, (), causes=("sh",)
    )

    assert undecided([cache]) == []
    assert habitual([cache]) == [cache]
    own = replace(cache, causes=("",))
    assert undecided([own]) == [own]
    beside = replace(cache, target="/var/cache/debconf/passwords.dat")
    assert undecided([beside]) == [beside]
    written = replace(cache, kind=Kind.WRITE)
    assert undecided([written]) == [written]


def test_settings_that_a_tool_looks_for_in_vain_are_its_habit() -> None:
    npmrc = Access(
        Kind.READ,
        "$MANIFEST_DIR/web/.npmrc",
        Outcome.FAILED,
        1,
        0,
        0,
        (),
        sensitive="credentials of a package registry",
        causes=("npm",),
    )

    assert undecided([npmrc]) == []
    for news in (
        replace(npmrc, causes=("",)),  # The script itself.
        replace(npmrc, outcome=Outcome.REFUSED),  # There is one.
        replace(npmrc, outcome=Outcome.DONE),
        replace(npmrc, target="$MANIFEST_DIR/web/.env"),
        replace(npmrc, target="$HOME/.npmrc"),
        replace(npmrc, kind=Kind.WRITE),
    ):
        assert undecided([news]) == [news]
