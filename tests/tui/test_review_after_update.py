"""What has changed in build scripts since their review: on the screens and in plain text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildperm.policy.access import Outcome
from buildperm.policy.comparison import Comparison, SourceChange
from buildperm.policy.decision import Answer, Decision, ReviewAction
from buildperm.policy.explanation import (
    AllowedByBaseline,
    AllowedByPreset,
    AllowedByRule,
    Denied,
    HabitualAttempt,
    NeverGrantable,
    NotGranted,
    NotInForce,
    Sensitive,
)
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.presentation import comparison_facts as changes
from buildperm.presentation import explanation_text
from buildperm.presentation.agenda import Agenda
from buildperm.presentation.front_end import ReviewEnd as Ending
from buildperm.presentation.unified_diff import MOST_IN_ALL, MOST_LINES, compare, compare_files
from buildperm.tracer.notation import encode
from buildperm.tui.screens.batch import EverywhereScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.screens.script_changes import ChangesScreen
from buildperm.tui.widgets.comparison_lines import (
    balance_pieces,
    behaviour_lines,
    origin_lines,
    summary_lines,
    title_pieces,
)
from buildperm.tui.widgets.counts import count_line
from buildperm.tui.widgets.styled_line import Line
from tests.tui.proposals import SUMMARY, updated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.pilot import Pilot

    from buildperm.policy.explanation import Explanation
    from buildperm.policy.proposal import Proposal
    from tests.tui.review_bench import ReviewBench

SMALL, WIDE = (80, 24), (120, 36)
CC = SeenAccess(Kind.EXEC, "cc", Outcome.DONE)
CURL = SeenAccess(Kind.EXEC, "curl", Outcome.REFUSED)
GONE = SeenAccess(Kind.READ, "/etc/x", Outcome.FAILED)


def comparison(**others: object) -> Comparison:
    basis = Comparison("x", "1.1.0", "1.0.0", ("app", "x"), ("was 1.0.0",), (CURL,), (GONE,), (CC,))
    return dataclasses.replace(basis, **others)  # type: ignore[arg-type] # each test knows


def text(lines: Iterable[Line]) -> str:
    return "\n".join("".join(piece for piece, _ in (*line.left, *line.right)) for line in lines)


async def settle(pilot: Pilot[Ending]) -> None:
    """Wait until no thread works for the screen and its messages have arrived."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


# In words.


def test_versions_are_told_where_there_are_two() -> None:
    assert changes.versions(comparison()) == "1.0.0 -> 1.1.0"
    assert changes.versions(comparison(before="")) == "1.1.0"
    assert changes.versions(comparison(before="1.1.0")) == "1.1.0"


def test_a_crate_cannot_name_itself_like_a_way_of_two() -> None:
    assert changes.way_text(comparison(way=("app", "a > b"))) == "app > a %3E b"


def test_facts_are_told_one_a_line() -> None:
    assert list(changes.facts(comparison())) == [
        "Changed: x 1.0.0 -> 1.1.0",
        "Way into the graph: app > x",
        "Cause: was 1.0.0",
        "Beyond the baseline: + 1 new, - 1 gone, 1 same",
        "    + run curl  (refused)",
        "    - read /etc/x  (failed)",
        "Sources: the same",
    ]
    first = next(iter(changes.facts(comparison(before=""))))
    assert first == "New build script: x 1.1.0"


SOURCES = (
    SourceChange("build.rs", b"a\nb\n", b"a\nc\n"),
    SourceChange("new.rs", None, b"x\n"),
    SourceChange("old.rs", b"y\n", None),
)


def test_sources_are_told_file_by_file() -> None:
    assert list(changes.source_lines(comparison(sources=SOURCES))) == [
        "File: build.rs, +1 -1",
        "    @@ -1,2 +1,2 @@",
        "     a",
        "    -b",
        "    +c",
        "File: new.rs, new, +1 -0",
        "    @@ -0,0 +1 @@",
        "    +x",
        "File: old.rs, gone, +0 -1",
        "    @@ -1 +0,0 @@",
        "    -y",
    ]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({}, "Sources: the same"),
        ({"sources": SOURCES}, "Sources: 3 files changed"),
        ({"sources": SOURCES[:1]}, "Sources: 1 file changed"),
        ({"sources": SOURCES[:1], "before": ""}, "Sources: 1 file"),
        ({"before": ""}, "Sources: none was found"),
        ({"without_sources": "no cache"}, "Sources: not compared: no cache"),
        ({"without_sources": "\x1b[2J"}, "Sources: not compared: %1B[2J"),
    ],
)
def test_what_is_known_about_sources_is_one_line(others: dict[str, object], told: str) -> None:
    assert changes.sources_text(comparison(**others)) == told
    if "sources" not in others:
        assert list(changes.source_lines(comparison(**others))) == [told]


def test_of_much_behaviour_the_rest_is_counted() -> None:
    many = tuple(SeenAccess(Kind.ENV, f"A_{number}", Outcome.DONE) for number in range(1_700))

    told = list(changes.behaviour(comparison(new=many, gone=(), same=many[:500])))

    assert len(told) == 500 + 1 + 500
    assert told[500] == ("+", "… and 1,200 more")


def test_what_is_new_is_counted_by_kind_and_target() -> None:
    found = comparison(new=(CURL, CC))

    assert changes.new_in(found, [("exec", "cc"), ("read", "curl"), ("exec", "perl")]) == 1
    assert changes.new_in(found, []) == 0


HOSTILE = "\x1b[2J\x1b[31m\r\n\u202e[bold]x[/]\u200b"


def test_nothing_of_a_comparison_reaches_a_terminal_as_it_is() -> None:
    seen = SeenAccess(Kind.READ, HOSTILE, Outcome.DONE)
    found = Comparison(
        HOSTILE, HOSTILE, HOSTILE + "0", (HOSTILE,), (HOSTILE,), (seen,), (seen,), (seen,),
        (SourceChange(HOSTILE, HOSTILE.encode(), b"\xff\x00"),), HOSTILE,
    )  # fmt: skip

    for line in (*changes.facts(found), *changes.source_lines(found), changes.way_text(found)):
        assert line.isprintable()
    assert "[bold]x[/]" in changes.way_text(found)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_diff_of_whatever_bytes_is_printable_and_counts_its_lines(
    before: bytes, after: bytes
) -> None:
    (file,) = compare_files([SourceChange("build.rs", before, after)])

    assert all(line.isprintable() and line[0] in "@+- " for line in file.hunks.lines)
    assert file.hunks.added == sum(line[0] == "+" for line in file.hunks.lines)
    assert file.hunks.removed == sum(line[0] == "-" for line in file.hunks.lines)
    if before != after:
        assert (
            file.hunks.lines
            or file.hunks.notes
            or {before, after} == {b"", b"\n"}
            or (before.removesuffix(b"\n") == after.removesuffix(b"\n"))
        )
    else:
        assert not file.hunks.lines


# The diff of several files.


def test_what_nobody_can_read_is_told_by_its_size() -> None:
    table = bytes(range(256)) * 8
    files = list(
        compare_files(
            [
                SourceChange("table.bin", table, table[::-1]),
                SourceChange("new.bin", None, table),
                SourceChange("build.rs", b"fn main() {}\n", table),
            ]
        )
    )

    assert files[0].hunks.lines == ()
    assert files[0].hunks.notes == ("Binary, not shown: 2,048 bytes -> 2,048 bytes.",)
    assert files[1].hunks.notes == ("Binary, not shown: 2,048 bytes.",)
    assert files[2].hunks.lines  # Rust is always shown: rustc would compile it, too.


def test_two_lines_that_only_look_the_same_differ() -> None:
    (file,) = compare_files([SourceChange("build.rs", b"a\tb\n", b"a   b\n")])

    assert (file.hunks.added, file.hunks.removed) == (1, 1)


def test_other_line_endings_are_a_note_and_no_other_text() -> None:
    (file,) = compare_files([SourceChange("build.rs", b"a\nb\n", b"a\r\nb\r\n")])

    assert file.hunks.lines == ()
    assert file.hunks.notes == ("Its lines now end in CR LF.",)


def test_a_lone_carriage_return_is_shown_where_it_could_hide_something() -> None:
    (file,) = compare_files([SourceChange("build.rs", b"", b"evil();\r// harmless\n")])

    assert "+evil();%0D// harmless" in file.hunks.lines


def test_code_behind_a_thousand_blanks_is_not_out_of_sight() -> None:
    hidden = b"// harmless" + b" " * 3_000 + b"evil();\n"
    (file,) = compare_files([SourceChange("build.rs", b"// harmless\n", hidden)])

    assert any("evil();" in line for line in file.hunks.lines)


def test_too_much_is_cut_with_a_note() -> None:
    long = b"".join(b"%d\n" % number for number in range(MOST_LINES + 10))

    assert compare(b"", long).notes == (f"Cut after {MOST_LINES:,} lines: 10 more lines now.",)


def test_files_beyond_what_a_screen_needs_are_named_only() -> None:
    part = b"".join(b"%d\n" % number for number in range(MOST_LINES))
    names = [f"{number}.rs" for number in range(MOST_IN_ALL // MOST_LINES + 2)]

    files = list(compare_files(SourceChange(name, None, part) for name in names))

    assert [file.name for file in files] == names
    assert files[0].hunks.lines
    assert files[-1].hunks.lines == ()
    assert files[-1].hunks.notes[0].startswith("Not shown: ")


# On a sheet.


@settings(max_examples=40)
@given(st.integers(12, 120), st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_all_lines_about_a_comparison_fit(cells: int, chosen: str) -> None:
    seen = SeenAccess(Kind.EXEC, encode(chosen.encode()), Outcome.REFUSED)
    found = comparison(
        way=("app", chosen), causes=(chosen, "b"), new=(seen,), without_sources=chosen
    )

    for line in (
        *origin_lines(found, cells),
        *behaviour_lines(found, cells),
    ):
        assert line.cells <= cells
    if cells >= 40:
        assert all(line.cells <= cells for line in summary_lines(found, cells))


def test_nothing_beyond_the_baseline_is_said() -> None:
    quiet = comparison(new=(), gone=(), same=())

    assert "Nothing beyond the baseline" in text(behaviour_lines(quiet, 80))
    assert text([Line(balance_pieces(quiet))]) == "+ 0 new   - 0 gone   0 same"


def test_new_and_gone_are_told_without_colours() -> None:
    told = text(behaviour_lines(comparison(), 80)).splitlines()

    assert told == ["+ run curl  (refused)", "", "- read /etc/x  (failed)", "", "  run cc"]
    assert "+ new build script" in text([Line(title_pieces(comparison(before="")))])


def _after(line: str) -> list[str]:
    """Return the words behind the summary, as far as they are shown."""
    return line.partition("accesses")[2].split()


def test_the_header_says_how_much_needs_a_person_at_every_width() -> None:
    proposals, _ = updated()
    counts = Review(proposals).counts()
    told = {
        cells: text([count_line(counts, "review  shop", SUMMARY, cells)])
        for cells in range(40, 200)
    }

    for cells, line in told.items():
        assert "4 of 212 build scripts need you" in line
        assert "!1" in line
        assert ("7 accesses" in line) is (cells >= 76)
        if cells >= 50:
            assert len(line) <= cells
        facts = line.partition("!!0")[0]
        assert all(word in "5 undecided · 0 allowed · 0 denied · " for word in _after(facts))
    assert "5 undecided · 0 allowed · 0 denied" in told[199]
    assert "review  shop" in told[120]


# The inbox after an update.


async def test_the_summary_is_in_the_header(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=SMALL):
        assert "4 of 212 build scripts need you: 5 decisions about 7 accesses" in (
            after_update.pixels()
        )


async def test_crates_are_told_with_versions_and_what_is_left_to_do(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("equals_sign")
        tree = [" ".join(line.split()) for line in after_update.text("#tree").splitlines()]

    assert "▾ arrayref-helper 0.1.3 + new ! high 1" in tree
    assert "▾ atomic-shim 1.0.0 + new done ✓" in tree
    assert "▾ arrayref 0.3.9 -> 0.3.10 ~ medium 1" in tree
    assert "▾ gone-sys (gone) to look at 1" in tree
    assert "+ . is new, and stays within the baseline new" in tree
    assert "≈ . read 2 files below $WORKSPACE/proto covered" in tree
    assert "∅ ! made no use of exec `perl` unused" in tree


async def test_nobody_is_taken_for_new_here_who_has_reviewed_before(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        assert "New here?" not in after_update.text("#card")

        await pilot.press("end")

        assert "gone-sys (gone)" in after_update.text("#card")
        assert "New here?" not in after_update.text("#card")


async def test_the_card_of_a_crate_says_what_changed_in_it(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "j", "j")
        card = after_update.text("#card").splitlines()

    told = [" ".join(line.split()) for line in card]
    assert told[0] == "arrayref 0.3.9 -> 0.3.10 1 undecided"
    assert "way app > blake3 > arrayref" in told
    assert "cause was 0.3.9" in told
    assert "cc 1.0.83 -> 1.2.1" in told
    assert "seen + 1 new - 0 gone 0 same" in told
    assert "source 1 file changed" in told


@pytest.mark.slow
async def test_the_card_of_a_proposal_says_whether_it_is_new(after_update: ReviewBench) -> None:
    proposals, comparisons = updated()
    known = comparisons["shadow-rs", "1.5.0"]
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "n")
        assert "+ new since 0.3.9" in after_update.text("#card")
        assert "o shows what changed" in after_update.text("#card")

        await pilot.press("N")
        assert "new since" not in after_update.text("#card")  # Everything of it is.

    same = dataclasses.replace(known, new=(), same=known.new)
    bench = type(after_update)(proposals, comparisons={("shadow-rs", "1.5.0"): same})
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("end", "k", "l", "j")
        assert "seen in 1.5.0 already" in bench.text("#card")


async def test_undecided_ones_come_first_and_then_what_may_be_answered(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        visited = []
        for _ in range(5):
            visited.append(after_update.under_cursor())
            await pilot.press("d")
        assert visited == ["run curl, sh", *["run git"] * 3, "see the environment variable CI_JOB"]
        assert "The rest is up to you" in after_update.text("#notice")
        assert after_update.under_cursor() == "made no use of exec `perl`"
        assert after_update.review.counts().open == 0

        await pilot.press("d", "a")

        assert after_update.answers()["made no use of exec `perl`"] == "deny"
        assert after_update.answers()["is not in Cargo.lock any more"] == "allow"


@pytest.mark.parametrize(("key", "word"), [("a", "kept"), ("d", "removed"), ("s", "later")])
@pytest.mark.quick(1)
async def test_an_answer_about_an_unused_grant_is_told_as_what_it_does(
    after_update: ReviewBench, key: str, word: str
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("end", "l", "j")
        assert "Not used any more: to deny it removes the grant" in after_update.text("#card")

        await pilot.press(key)
        await pilot.press("end")

        assert word in after_update.text("#card").splitlines()[0]


async def test_what_is_covered_may_be_denied(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"is:new", "enter")
        await pilot.press("end")
        assert "already allowed by a grant" in after_update.text("#card")

        await pilot.press("d")

    (denied,) = (p for p in after_update.review.proposals if p.reason is Reason.COVERED)
    assert after_update.review.decision(denied.id).answer is Answer.DENY


@pytest.mark.parametrize("key", ["a", "d", "s"])
@pytest.mark.quick(1)
async def test_a_newcomer_takes_no_answer_and_says_why(after_update: ReviewBench, key: str) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "j", "l", "j")
        assert after_update.under_cursor() == "is new, and stays within the baseline"
        assert "A new build script that there is nothing to decide about" in after_update.text(
            "#card"
        )
        assert after_update.app.screen.check_action("answer", ("allow",)) is None

        await pilot.press(key)

        assert after_update.answers() == {}
        assert after_update.entries == []


async def test_the_same_is_decided_in_all_crates_after_a_list_in_one_step(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "n")
        assert "also asked by 2 other crates" in after_update.text("#card")
        await pilot.press("e")
        assert after_update.is_at(EverywhereScreen)
        listed = after_update.text("#batch-rows")
        assert [
            name in listed for name in ("arrayref 0.3.10, this one", "prost-build", "shadow-rs")
        ]
        assert "exec git" in listed

        await pilot.press("enter", "space", "y", "a")
        assert after_update.is_at(EverywhereScreen)
        await pilot.press("y")

        assert after_update.review.counts().allowed == 3
        assert len(after_update.entries) == 1
        assert "Allow: in 3 crates. u takes it back." in after_update.text("#notice")
        assert after_update.under_cursor() == "see the environment variable CI_JOB"

        await pilot.press("u")

        assert after_update.answers() == {}
        assert [entry.act for entry in after_update.entries] == [
            ReviewAction.DECIDE,
            ReviewAction.UNDO,
        ]


@pytest.mark.parametrize(("key", "answered"), [("d", "deny"), ("escape", "")])
@pytest.mark.slow
async def test_the_list_may_be_denied_or_left(
    after_update: ReviewBench, key: str, answered: str
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "n", "e", key, *(["y"] if answered else []))

        assert after_update.is_at(InboxScreen)
        assert after_update.answers() == ({"run git": answered} if answered else {})


@pytest.mark.slow
async def test_where_nobody_else_asks_the_key_does_nothing(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n")
        assert after_update.app.screen.check_action("everywhere", ()) is None

        await pilot.press("e")

        assert after_update.is_at(InboxScreen)


@pytest.mark.slow
async def test_what_cannot_be_allowed_is_only_offered_to_be_denied_everywhere(
    make_bench: type[ReviewBench],
) -> None:
    proposals, _ = updated()
    locked = dataclasses.replace(proposals[2], locked="by hand only")
    bench = make_bench([locked, proposals[4]])
    async with bench.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "e")
        assert "allow" not in bench.text("#batch-answers")

        await pilot.press("a")
        assert bench.is_at(EverywhereScreen)
        assert "a does nothing here." in bench.text("#batch-answers")
        await pilot.press("y")

    assert bench.review.counts().denied == 2


@pytest.mark.slow
async def test_a_batch_removes_unused_grants_only_where_nothing_has_to_be_decided(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("D")
        assert "that need no decision" in after_update.text("#batch-answers")
        assert "perl" not in after_update.text("#batch-rows")
        await pilot.press("escape", "slash", *"reason:unused", "enter", "D")
        assert "perl" in after_update.text("#batch-rows")

        await pilot.press("y")

        assert after_update.answers() == {
            "made no use of exec `perl`": "deny",
            "is not in Cargo.lock any more": "deny",
        }


# The changes screen.


async def test_the_sources_are_shown_beside_the_behaviour(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "n", "o")
        await settle(pilot)
        assert after_update.is_at(ChangesScreen)

        assert "arrayref 0.3.9 -> 0.3.10" in after_update.text("#changes-head")
        assert "+ run git" in after_update.text("#changes-behaviour")
        sources = after_update.text("#changes-sources")
        assert sources.splitlines()[0].split() == ["build.rs", "+4", "-1"]
        assert "+ use std::process::Command;" in sources
        left, right = (
            after_update.app.screen.query_one(f"#changes-{name}").region
            for name in ("behaviour", "sources")
        )
        assert left.y == right.y

        await pilot.press("o")

        assert after_update.is_at(InboxScreen)
        assert after_update.under_cursor() == "run git"
        assert after_update.answers() == {}


@pytest.mark.slow
async def test_at_80_columns_one_pane_is_above_the_other(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=SMALL) as pilot:
        await pilot.press("o")
        await settle(pilot)
        upper, lower = (
            after_update.app.screen.query_one(f"#changes-{name}").region
            for name in ("behaviour", "sources")
        )

        assert upper.bottom <= lower.y
        top = after_update.pixels()
        assert "0.1.3" in top
        assert "+ new build script" in top


@pytest.mark.slow
async def test_what_there_is_nothing_to_compare_with_is_said(after_update: ReviewBench) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("n", "n", "n", "o")
        await settle(pilot)

        assert after_update.text("#changes-sources").strip() == (
            "Not compared: those of 0.14.1 are not on this machine any more."
        )


async def test_there_is_nothing_to_show_where_nothing_is_compared(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=WIDE) as pilot:
        await pilot.press("end")
        assert after_update.app.screen.check_action("changes", ()) is None

        await pilot.press("o")

        assert after_update.is_at(InboxScreen)


async def test_each_pane_scrolls_by_itself(make_bench: type[ReviewBench]) -> None:
    proposals, comparisons = updated()
    key = "arrayref", "0.3.10"
    many = tuple(SeenAccess(Kind.ENV, f"A_{number:03}", Outcome.DONE) for number in range(200))
    long = b"".join(b"line %d\n" % number for number in range(200))
    found = dataclasses.replace(
        comparisons[key], same=many, sources=(SourceChange("build.rs", None, long),)
    )
    bench = make_bench(proposals, comparisons={key: found})
    async with bench.app.run_test(size=SMALL) as pilot:
        await pilot.press("n", "n", "o")
        await settle(pilot)
        behaviour = bench.app.screen.query_one("#changes-behaviour")
        sources = bench.app.screen.query_one("#changes-sources")

        await pilot.press("j", "j", "j", "k")
        assert (sources.scroll_offset.y, behaviour.scroll_offset.y) == (2, 0)
        await pilot.press("tab", "j")
        assert (sources.scroll_offset.y, behaviour.scroll_offset.y) == (2, 1)
        await pilot.press("end")
        assert "see the variable A_199" in bench.pixels()


async def test_hostile_sources_and_names_are_only_text(make_bench: type[ReviewBench]) -> None:
    proposals, _ = updated()
    seen = SeenAccess(Kind.READ, HOSTILE, Outcome.DONE)
    found = Comparison(
        HOSTILE, HOSTILE, "0", (HOSTILE, HOSTILE), (HOSTILE,), (seen,), (seen,), (seen,),
        (SourceChange(HOSTILE + ".rs", None, HOSTILE.encode() + b"\xff\n[@click=app.bell]y[/]"),),
        HOSTILE,
    )  # fmt: skip
    one = dataclasses.replace(proposals[2], crate=HOSTILE, version=HOSTILE)
    bench = make_bench([one], comparisons={(HOSTILE, HOSTILE): found}, summary=HOSTILE)
    async with bench.app.run_test(size=WIDE) as pilot:
        for keys in ((), ("n",), ("o",)):
            await pilot.press(*keys)
            await settle(pilot)
            pixels = bench.pixels()
            assert all(character.isprintable() or character == "\n" for character in pixels)
        assert bench.is_at(ChangesScreen)
        assert "%1B[2J%1B[31m" in bench.text("#changes-head")
        assert "[@click=app.bell]y[/]" in bench.pixels()


# Sentences.


@pytest.mark.parametrize(
    ("explanation", "told"),
    [
        (AllowedByBaseline("/usr/**", ""), "allowed: every build script may read `/usr/**`"),
        (AllowedByBaseline("", "it is one's own"),
         "allowed: every build script may read `/f`: it is one's own"),
        (AllowedByPreset("cc", Rule(Kind.READ, "/f")),
         "allowed: `x` is granted preset `cc`, which may read `/f`"),
        (AllowedByRule(Rule(Kind.READ, "/**")), "allowed: `x` is granted to read `/**`"),
        (NotInForce(Rule(Kind.READ, "/f"), "", "it is risky"),
         "refused: `x` is granted to read `/f`, but that is not in force: it is risky"),
        (NotInForce(Rule(Kind.READ, "/f"), "cc", "it is denied"),
         "refused: `x` is granted preset `cc`, which may read `/f`, but that is not in force: it "
         "is denied"),
        (Denied(Rule(Kind.READ, "/*")), "refused: `x` is denied to read `/*`"),
        (Sensitive("a key", None),
         "refused: `/f` is sensitive (a key), which only an exact grant with a "
         "reason opens"),
        (Sensitive("a key", Rule(Kind.READ, "/*")),
         "refused: `/f` is sensitive (a key), which the wildcard `/*` cannot "
         "open"),
        (NeverGrantable("it runs code"),
         "refused: nothing can allow `x` to read `/f`: it runs code"),
        (HabitualAttempt("/f"),
         "refused: programs try to read `/f` out of habit, and mostly do without"),
        (NotGranted(), "refused: neither the baseline nor a grant lets `x` read `/f`"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)  # fmt: skip
def test_each_explanation_is_one_sentence(explanation: Explanation, told: str) -> None:
    assert explanation_text.verdict_text("x", Kind.READ, "/f", explanation) == told
    hostile = explanation_text.verdict_text(HOSTILE, Kind.READ, HOSTILE, explanation)
    assert hostile.isprintable()
    assert hostile.startswith(told.split()[0].rstrip(",:"))


@pytest.mark.parametrize(
    ("subjects", "everybody"),
    [
        ((SubjectKind.SCRIPT, SubjectKind.COMPILE), "every build script"),
        ((SubjectKind.MACRO,), "every procedural macro"),
        ((SubjectKind.SCRIPT, SubjectKind.MACRO), "every build script and every procedural macro"),
        ((SubjectKind.COMPILE,), "compiling any crate"),
    ],
)
def test_the_baseline_is_told_of_what_a_crate_has(
    subjects: tuple[SubjectKind, ...], everybody: str
) -> None:
    told = explanation_text.verdict_text(
        "x", Kind.READ, "/f", AllowedByBaseline("/**", ""), subjects
    )

    assert told == f"allowed: {everybody} may read `/**`"


@pytest.mark.parametrize("kind", Kind)
def test_a_deed_follows_may(kind: Kind) -> None:
    assert explanation_text.action_text(kind, ["a", "b"]).endswith(" `a`, `b`")
    assert explanation_text.preset_text("cc") == "compile and link C and C++ (preset `cc`)"


# The agenda beneath.


def agenda() -> tuple[Agenda, list[Proposal]]:
    proposals, comparisons = updated()
    return Agenda(Review(proposals), lambda entry: None, comparisons), proposals


def test_questions_stand_above_the_rest_of_a_crate() -> None:
    desk, _ = agenda()

    (prost,) = (group for group in desk.groups if group.crate == "prost-build")
    assert [each.reason for each in prost.proposals] == [Reason.ASKED, Reason.COVERED]


def test_what_is_answered_everywhere_is_counted() -> None:
    desk, proposals = agenda()
    git = proposals[2]

    assert [each.crate for each in desk.elsewhere(git)] == ["prost-build", "shadow-rs"]
    assert desk.decide_everywhere(git, Answer.ALLOW) == 3
    assert desk.elsewhere(git) == ()
    assert desk.undo() == git
    newcomer = proposals[1]
    assert desk.decide_everywhere(newcomer, Answer.DENY) == 0
    assert desk.refusal(newcomer, Answer.DENY)


def test_an_answer_that_was_given_along_is_no_look_of_its_own() -> None:
    proposals, comparisons = updated()
    review = Review(proposals)
    desk = Agenda(review, lambda entry: None, comparisons)
    desk.decide_everywhere(proposals[2], Answer.ALLOW)

    assert review.decision(proposals[2].id) == Decision(Answer.ALLOW)
    assert review.decision(proposals[4].id) == Decision(Answer.ALLOW, elsewhere=True)
    assert proposals[4].risk is Risk.MEDIUM


# Writing where nothing had to be decided.


def nothing_asked() -> tuple[list[Proposal], dict[tuple[str, str], Comparison]]:
    proposals, comparisons = updated()
    return [each for each in proposals if each.reason is not Reason.ASKED], comparisons


@pytest.mark.parametrize("keys", [("w",), ("q", "w")], ids=["write", "leave"])
async def test_what_was_only_looked_at_can_be_kept(
    make_bench: type[ReviewBench], keys: tuple[str, ...]
) -> None:
    """Else a new build script without questions would be put to people for ever."""
    proposals, comparisons = nothing_asked()
    bench = make_bench(proposals, comparisons=comparisons, unsaved=["atomic-shim 1.0.0"])
    async with bench.app.run_test(size=SMALL) as pilot:
        await pilot.press(*keys)
        await settle(pilot)
        assert "Cargo.toml stays as it is" in bench.text("#diff-state")
        assert "notes 1 crate as reviewed (atomic-shim 1.0.0)" in bench.text("#diff-state")
        await pilot.press("w")
        assert bench.outcome() is None

        await pilot.press("y")
        await bench.ended(pilot)

    assert bench.outcome() is Ending.WRITE


@pytest.mark.slow
async def test_leaving_what_was_only_looked_at_asks_what_to_do(
    make_bench: type[ReviewBench],
) -> None:
    bench = make_bench(nothing_asked()[0], unsaved=["atomic-shim 1.0.0", "b 2.0.0"])
    async with bench.app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        assert "w writes: buildperm.lock notes 2 crates as reviewed" in bench.text("#notice")
        await pilot.press("q")
        told = " ".join(bench.text("#leave-answers").split())
        assert (
            "2 crates were looked at (atomic-shim 1.0.0, b 2.0.0), which is not written yet" in told
        )
        assert "`buildperm check` fails" in told
        assert "write buildperm.lock alone" in told
        await pilot.press("k")

    assert bench.outcome() is Ending.KEEP


async def test_nothing_is_written_where_something_waits_and_nothing_is_decided(
    after_update: ReviewBench,
) -> None:
    async with after_update.app.run_test(size=SMALL) as pilot:
        await pilot.press("w")
        await settle(pilot)
        assert "Nothing to write" in after_update.text("#diff-state")
        await pilot.press("w", "escape", "q")

    assert after_update.outcome() is Ending.KEEP
    assert after_update.verified == []
