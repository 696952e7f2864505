"""Snapshots: taken, found again, joined and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import Context, SeenAccess, Snapshot, SnapshotRun
from buildperm.policy.snapshots import canonical, compare, previous, seen, updated
from tests.policy import snapshot_strategies
from tests.policy.snapshot_strategies import OTHER, SAME, related

DEBUG = Context("x86_64-unknown-linux-gnu", "debug", ())
RELEASE = Context("x86_64-unknown-linux-gnu", "release", ())
CC = SeenAccess(Kind.EXEC, "cc", Outcome.DONE)
CURL = SeenAccess(Kind.EXEC, "curl", Outcome.DONE)
HOME = SeenAccess(Kind.ENV, "MY_SETTING", Outcome.DONE)


def access(kind: Kind, target: str, outcome: Outcome = Outcome.DONE) -> Access:
    return Access(kind, target, outcome, 1, 0, 0, ())


def snapshot(version: str = "1.0.0", crate: str = "x", **contexts: set[SeenAccess]) -> Snapshot:
    sightings = tuple(
        SnapshotRun({"debug": DEBUG, "release": RELEASE}[name], "portable", frozenset(found))
        for name, found in contexts.items()
    )
    return Snapshot(crate, version, "", SAME, {"check": ()}, sightings)


def by_key(*snapshots: Snapshot) -> dict[tuple[str, str], Snapshot]:
    return {(one.crate, one.version): one for one in snapshots}


def test_only_what_goes_beyond_the_baseline_is_kept() -> None:
    kept = seen(
        [
            access(Kind.EXEC, "cc"),
            access(Kind.EXEC, "curl", Outcome.REFUSED),
            access(Kind.READ, "$MANIFEST_DIR/build.rs"),
            access(Kind.WRITE, "$OUT_DIR/x"),
            access(Kind.READ, "/etc/absent", Outcome.FAILED),
            replace(access(Kind.ENV, "DEP_Z_ROOT"), is_free=True),
            access(Kind.ENV, "MY_SETTING"),
        ]
    )

    assert kept == {CC, CURL, HOME}


def test_the_same_seen_twice_counts_once() -> None:
    assert seen([access(Kind.EXEC, "cc"), replace(access(Kind.EXEC, "cc"), count=9)]) == {CC}


@pytest.mark.parametrize(
    ("known", "now", "found"),
    [
        ("0.9.0 0.10.0 0.11.0", "0.10.0", "0.10.0"),
        ("0.9.0 0.10.0 0.12.0", "0.11.0", "0.10.0"),
        ("1.0.0-rc.2 1.0.0-rc.10", "1.0.0", "1.0.0-rc.10"),
        ("2.0.0 3.0.0", "1.0.0", "2.0.0"),
        ("1.0.0+a", "1.0.0+b", "1.0.0+a"),
    ],
)
def test_a_version_is_compared_with_itself_or_the_nearest(known: str, now: str, found: str) -> None:
    snapshots = by_key(*map(snapshot, known.split()), snapshot(now, "other"))

    before = previous(snapshots, "x", now)

    assert before == snapshots["x", found]


def test_nothing_is_known_of_a_crate_by_the_name_of_another() -> None:
    assert previous(by_key(snapshot()), "git+https://example.org/x#x", "1.0.0") is None


def test_a_run_of_another_context_stays_and_commands_are_united() -> None:
    old = snapshot(debug={CC}, release={HOME})
    new = replace(snapshot(debug={CURL}), commands={"build": ("default",)})

    (joined,) = updated(by_key(old), [new], {("x", "1.0.0")}).values()

    assert joined.commands == {"check": (), "build": ("default",)}
    assert {one.context: one.seen for one in joined.sightings} == {
        DEBUG: {CC, CURL},  # What `check` has shown is not what `build` has shown.
        RELEASE: {HOME},
    }


def test_a_run_that_is_made_again_takes_the_place_of_the_former_one() -> None:
    old = snapshot(debug={CC}, release={HOME})

    (joined,) = updated(by_key(old), [snapshot(debug={CURL})], {("x", "1.0.0")}).values()

    assert {one.context: one.seen for one in joined.sightings} == {DEBUG: {CURL}, RELEASE: {HOME}}


def test_other_inputs_replace_what_was_known() -> None:
    old = snapshot(debug={CC}, release={HOME})
    new = replace(snapshot(debug={CURL}), inputs=OTHER)

    assert updated(by_key(old), [new], {("x", "1.0.0")}) == by_key(new)


def test_the_same_version_from_another_source_replaces_what_was_known() -> None:
    new = replace(snapshot(release={CURL}), source="registry+https://example.org/index")

    assert updated(by_key(snapshot(debug={CC})), [new], {("x", "1.0.0")}) == by_key(new)


def test_what_two_builds_of_one_review_saw_is_put_together() -> None:
    news = [
        replace(snapshot(debug={CC}), unused=frozenset({"exec:a", "exec:b"})),
        replace(snapshot(debug={CURL}), unused=frozenset({"exec:b"}), commands={"build": ()}),
        replace(snapshot(), commands={"test": ()}),  # Took no part in the third build.
    ]

    (joined,) = updated(by_key(snapshot(debug={HOME})), news, {("x", "1.0.0")}).values()

    assert joined.sightings == (SnapshotRun(DEBUG, "portable", frozenset({CC, CURL})),)
    assert joined.unused == {"exec:b"}
    assert set(joined.commands) == {"check", "build", "test"}


def test_of_two_runs_in_one_context_the_weaker_runtime_counts() -> None:
    runs = tuple(SnapshotRun(DEBUG, name, frozenset({CC})) for name in ("full", "portable", "full"))
    new = replace(snapshot(), sightings=runs)

    (joined,) = updated({}, [new], {("x", "1.0.0")}).values()

    assert joined.sightings == (SnapshotRun(DEBUG, "portable", frozenset({CC})),)


def test_a_grant_that_another_context_uses_is_not_unused() -> None:
    old = replace(snapshot(debug={CC}, release={CC}), unused=frozenset({"exec:perl"}))
    new = replace(snapshot(debug=set()), unused=frozenset({"exec:perl", "exec:cc"}))

    (joined,) = updated(by_key(old), [new], {("x", "1.0.0")}).values()

    assert joined.unused == {"exec:perl"}


def test_a_version_that_is_gone_is_kept_until_its_successor_is_settled() -> None:
    old = by_key(snapshot("1.0.0", debug={CC}), snapshot("1.0.0", "gone"))
    present = {("x", "1.1.0"), ("y", "1.0.0")}

    unsettled = updated(old, [snapshot("1.0.0", "y")], present)
    settled = updated(unsettled, [snapshot("1.1.0")], present)

    assert set(unsettled) == {("x", "1.0.0"), ("y", "1.0.0")}
    assert set(settled) == present


WRITE = access(Kind.WRITE, "$WORKSPACE/gen/a.h")


@pytest.mark.parametrize(
    "done",
    [
        WRITE,
        access(Kind.NET, "10.0.0.1:443"),
        access(Kind.EXEC, "curl"),
        access(Kind.ENV, "MY_SETTING"),
        access(Kind.DIRECTIVE, "rustc-link-arg=-s"),
    ],
    ids=lambda one: str(one.kind),
)
def test_the_same_is_seen_whether_it_is_granted_or_not(done: Access) -> None:
    refused = replace(done, outcome=Outcome.REFUSED)

    assert len(seen([done])) == 1
    assert seen([done]) == seen([refused])


def test_a_harmless_directive_is_not_kept() -> None:
    free = [access(Kind.DIRECTIVE, "rustc-env=VERSION"), access(Kind.DIRECTIVE, "rustc-cfg")]

    assert seen(free) == frozenset()


def test_what_is_sensitive_tells_whether_it_was_granted() -> None:
    key = replace(access(Kind.READ, "$HOME/.ssh/id_rsa"), sensitive="ssh keys")

    assert seen([key]) != seen([replace(key, outcome=Outcome.REFUSED)])


def test_two_runs_on_two_commits_see_the_same() -> None:
    first = [access(Kind.READ, "$WORKSPACE/.git/objects/91/ab"), WRITE]
    second = [
        access(Kind.READ, "$WORKSPACE/.git/objects/3b/cd"),
        replace(WRITE, outcome=Outcome.REFUSED),
    ]

    assert seen(first) == seen(second)


def test_a_new_file_in_a_folder_that_is_listed_is_no_news() -> None:
    read = [access(Kind.READ, f"$WORKSPACE/proto{name}") for name in ("", "/a.proto", "/LICENSE")]
    more = access(Kind.READ, "$WORKSPACE/proto/b.proto")
    other = access(Kind.READ, "$WORKSPACE/proto/b.key2")

    assert seen(read) == seen([*read, more])
    assert seen(read) < seen([*read, other])
    assert seen(read[1:]) < seen([*read[1:], more])  # Read by their names.


def test_what_was_told_file_by_file_is_what_a_pattern_tells_now() -> None:
    files = {SeenAccess(Kind.READ, f"$WORKSPACE/x/{name}.c", Outcome.DONE) for name in "ab"}
    pattern = SeenAccess(Kind.READ, "$WORKSPACE/x/*.c", Outcome.DONE)

    assert compare(snapshot(debug=files), snapshot(debug={pattern})) == ((), (), (pattern,))


def test_the_installation_of_a_program_is_told_as_one() -> None:
    python = replace(access(Kind.EXEC, "python3"), resolved="$HOME/.pyenv/shims/python3")
    parts = [
        replace(access(Kind.READ, f"$HOME/.pyenv/lib/{name}.py"), causes=("python3",))
        for name in "ab"
    ]

    assert {one.target for one in seen([python, *parts])} == {"python3", "$HOME/.pyenv/**"}


def test_what_only_denied_programs_wanted_is_not_kept() -> None:
    its = replace(access(Kind.READ, "$WORKSPACE/x"), causes=("git",))

    assert seen([its], [Rule(Kind.EXEC, "git")]) == frozenset()
    assert seen([its], [Rule(Kind.EXEC, "sh")]) != frozenset()


def test_what_earlier_versions_wrote_down_is_no_news() -> None:
    before = snapshot(debug={replace(CURL, outcome=Outcome.REFUSED), CC})

    assert compare(before, snapshot(debug={CURL, CC})) == ((), (), (CC, CURL))


def test_everything_is_new_where_nothing_was_known() -> None:
    assert compare(None, snapshot(debug={CURL, CC, HOME})) == ((HOME, CC, CURL), (), ())


def test_what_was_known_from_another_context_is_new_in_this_one() -> None:
    before = snapshot(debug={CC}, release={CURL})

    assert compare(before, snapshot(debug={CC, CURL})).new == (CURL,)


def test_what_a_context_does_that_was_not_run_again_is_not_gone() -> None:
    before = snapshot(debug={CC}, release={CURL})

    assert compare(before, snapshot(debug=set())) == ((), (CC,), ())


def test_a_context_never_seen_stands_beside_all_others_together() -> None:
    before = snapshot(debug={CC, CURL})

    assert compare(before, snapshot(release={CC, HOME})) == ((HOME,), (CURL,), (CC,))


@given(st.none() | related, related)
def test_a_comparison_cuts_what_was_seen_into_parts(before: Snapshot | None, now: Snapshot) -> None:
    new, gone, same = compare(before, now)
    there = {canonical(one) for sighting in now.sightings for one in sighting.seen}
    earlier = (
        {canonical(one) for sighting in before.sightings for one in sighting.seen}
        if before
        else set()
    )

    assert set(new) | set(same) == there
    assert not set(new) & set(same)
    assert set(gone) <= earlier - there
    assert set(same) <= earlier
    for part in (new, gone, same):
        assert list(part) == sorted(set(part))


@given(related)
def test_a_script_that_did_the_same_differs_in_nothing(now: Snapshot) -> None:
    new, gone, _ = compare(now, now)

    assert (new, gone) == ((), ())


olds = st.lists(related, max_size=6).map(lambda drawn: by_key(*drawn))
news = st.lists(related, max_size=4, unique_by=lambda one: (one.crate, one.version))
presents = st.frozensets(
    st.tuples(st.sampled_from(["x", "y", "z"]), snapshot_strategies.versions), max_size=6
)


@pytest.mark.slow
@given(olds, news, presents)
def test_an_update_loses_nothing_of_the_same_inputs(
    old: dict[tuple[str, str], Snapshot],
    new: list[Snapshot],
    present: frozenset[tuple[str, str]],
) -> None:
    here = present | {(one.crate, one.version) for one in new}

    after = updated(old, new, here)

    for one in new:
        joined = after[one.crate, one.version]
        runs = {sighting.context: sighting for sighting in joined.sightings}
        before = old.get((one.crate, one.version))
        kept = before if before and before.inputs == one.inputs else None
        earlier = kept.sightings if kept else ()
        assert joined.inputs == one.inputs
        assert {sighting.context for sighting in (*earlier, *one.sightings)} == set(runs)
        assert all(runs[sighting.context].seen >= sighting.seen for sighting in one.sightings)
        again = {sighting.context for sighting in one.sightings}
        if kept is None or set(kept.commands) <= set(one.commands):
            assert all(runs[sighting.context] == sighting for sighting in one.sightings)
            assert all(runs[each.context] == each for each in earlier if each.context not in again)
        else:
            assert all(runs[each.context].seen >= each.seen for each in earlier)
        assert joined.commands == {**(kept.commands if kept else {}), **one.commands}
        assert not joined.unused - (one.unused | (kept.unused if kept else frozenset()))
    untouched = set(after) - {(one.crate, one.version) for one in new}
    assert all(after[key] == old[key] for key in untouched)
    assert set(old) & here <= set(after)


@pytest.mark.slow
@given(olds, news, presents)
def test_a_version_that_is_gone_stays_just_as_long_as_it_is_needed(
    old: dict[tuple[str, str], Snapshot],
    new: list[Snapshot],
    present: frozenset[tuple[str, str]],
) -> None:
    here = present | {(one.crate, one.version) for one in new}

    after = updated(old, new, here)

    for crate in "xyz":
        unsettled = {key for key in here if key[0] == crate} - set(after)
        gone = {key for key in old if key[0] == crate} - here
        assert gone & set(after) == (gone if unsettled else set())
    assert updated(after, [], here) == after


def macro_run(consumer: str, *seen: SeenAccess, features: tuple[str, ...] = ()) -> SnapshotRun:
    role = Role(SubjectKind.MACRO, consumer)
    return SnapshotRun(Context("t", "", features, role), "portable", frozenset(seen))


def used(runs: tuple[SnapshotRun, ...]) -> Snapshot:
    return replace(snapshot(), sightings=runs)


def test_macros_that_did_nothing_are_kept_once_for_all_crates_that_use_them() -> None:
    read = SeenAccess(Kind.READ, "$WORKSPACE/.env", Outcome.DONE)
    many = [macro_run(f"crate-{number}", features=(f"f{number}",)) for number in range(100)]
    now = used((*many, macro_run("api", read)))

    kept = updated({}, [now], [("x", "1.0.0")])["x", "1.0.0"]

    assert kept.sightings == (macro_run(""), macro_run("api", read))
    assert compare(kept, now) == ((), (), (read,))


def test_what_a_macro_does_in_another_crate_than_before_is_new_and_what_it_did_is_gone() -> None:
    read = SeenAccess(Kind.READ, "$WORKSPACE/.env", Outcome.DONE)
    before = used((macro_run(""), macro_run("api", read)))

    moved = compare(before, used((macro_run("api"), macro_run("web", read))))
    stopped = compare(before, used((macro_run("api"), macro_run("web"))))

    assert (moved.new, moved.gone) == ((read,), ())
    assert (stopped.new, stopped.gone) == ((), (read,))


def test_a_macro_that_does_nothing_any_more_for_a_crate_is_forgotten_there() -> None:
    read = SeenAccess(Kind.READ, "$WORKSPACE/.env", Outcome.DONE)
    before = used((macro_run(""), macro_run("api", read)))

    after = updated(by_key(before), [used((macro_run("api"),))], [("x", "1.0.0")])

    assert after["x", "1.0.0"].sightings == (macro_run(""),)
