from __future__ import annotations

import tomllib
from dataclasses import replace

from buildperm.errors import ExitCode
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.role import Role, SubjectKind
from buildperm.report import text
from buildperm.report.build_run import BuildRun, ScriptRun
from buildperm.report.compiling import compiling_text
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.rule_catalogue import NOT_REVIEWED, WIDER_GRANT


def test_a_finding_names_crate_version_way_access_chain_and_the_rule_that_allows_it(
    held: BuildRun,
) -> None:
    told = "\n".join(text.findings(held))

    assert "openssl-sys 0.9.104" in told
    assert "gets in through app > pad > left-padding" in told
    assert "exec pkg-config: refused, 6 times" in told
    assert "by build-script > sh > curl" in told
    assert "CRITICAL: read keys" in told
    assert "cannot be allowed by a decision: It can only be granted by hand." in told
    assert "failed by buildperm: it left 2 processes running" in told
    assert "and 4 more" in told
    assert "anyhow" not in told


def test_the_suggested_lines_are_the_toml_that_they_claim_to_be(held: BuildRun) -> None:
    preset, rule = held.scripts[2].findings[0].choices
    proposal = held.scripts[2].findings[0]

    for choice, expected in (
        (preset, {"presets": ["pkg-config"]}),
        (rule, {"exec": ["pkg-config"]}),
    ):
        parsed = tomllib.loads("\n".join(text.rule_lines(proposal, choice)))

        crates = parsed["workspace"]["metadata"]["buildperm"]["crates"]
        assert crates == {"openssl-sys": expected}


def test_the_summary_aligns_its_columns(held: BuildRun) -> None:
    lines = list(text.summary(held.scripts))

    assert lines[0].split() == ["build", "script", "events", "accesses", "decisions"]
    assert len({len(line) for line in lines}) == 1
    assert lines[3].split() == ["openssl-sys", "0.9.104", "6", "1", "1"]


def test_what_did_not_fit_into_a_recording_is_told(held: BuildRun) -> None:
    full = replace(held.scripts[0], dropped=1_000)
    run = replace(held, scripts=(full, replace(held.scripts[1], dropped=1)))

    assert "  1 event did not fit into the recording" in text.findings(run)
    assert list(text.warnings([full])) == [
        "warning: anyhow 1.0.0: 1,000 events did not fit into the recording"
    ]
    assert list(text.warnings(held.scripts)) == [
        "warning: openssl-sys 0.9.104: it left 2 processes running"
    ]


def test_programs_left_behind_and_foreign_paths_for_dependents_are_noted(held: BuildRun) -> None:
    told = Access(Kind.DIRECTIVE, "metadata=root=/opt/\x1bx", Outcome.DONE, 1, 0, 0, ())
    ordinary = replace(told, target="metadata")
    script = replace(
        held.scripts[0],
        programs=tuple(f"bin/{number}" for number in range(100)),
        programs_unlisted=2000,
        everything=(told, ordinary),
    )

    programs, dependents = text.notes([script])
    (single, _) = text.notes([replace(script, programs=("a\x1b[2J",), programs_unlisted=0)])

    first = "note: anyhow 1.0.0 leaves 2,100 programs: $OUT_DIR/bin/0, "
    assert programs.startswith(first)
    assert programs.endswith(" $OUT_DIR/bin/4 and 2,095 more")
    assert dependents.endswith("what is not its own: root=/opt/%1Bx")
    assert single == "note: anyhow 1.0.0 leaves 1 program: $OUT_DIR/a%1B[2J"
    assert list(text.notes(held.scripts)) == []


def unreviewed(name: str, *causes: str) -> Finding:
    return Finding(
        NOT_REVIEWED,
        Level.ERROR,
        name,
        "1.0.0",
        "title",
        causes,
        (),
        (),
        "buildperm review",
        1,
        name,
        is_new=not causes,
        roles=(Role(SubjectKind.MACRO),),
    )


def test_many_macros_that_nobody_has_reviewed_share_a_few_lines() -> None:
    new = [unreviewed(f"new-{number:02}") for number in range(20)]
    updated = [unreviewed(f"updated-{number}", "syn 2.0.1 -> 2.0.2") for number in range(4)]

    told = list(text.finding_lines([*new, *updated, unreviewed("alone", "quote 1.0.0 -> 1.0.1")]))

    assert told[0] == "alone 1.0.0"
    assert "20 crates with procedural macros" in told
    assert any(line.endswith("new-11 1.0.0 and 8 more") for line in told)
    at = told.index("4 crates with procedural macros")
    assert told[at + 1].startswith("  ERROR: not reviewed as they are now: updated-0 1.0.0, ")
    assert told[at + 2] == "      syn 2.0.1 -> 2.0.2"
    assert len(told) < 20


def test_a_command_that_settles_several_crates_is_told_once() -> None:
    names = [f"crate-{number}" for number in range(9)]
    several = [replace(unreviewed(name), roles=(Role(SubjectKind.SCRIPT),)) for name in names]

    told = list(text.finding_lines(several))

    assert [line.strip() for line in told].count("next: buildperm review") == 1
    assert all(f"{name} 1.0.0" in told for name in names)
    assert "  next: buildperm review" in list(text.finding_lines(several[:1]))


def test_what_is_not_held_of_compiling_is_a_sentence() -> None:
    assert compiling_text("hold", "outside") == compiling_text("", "") == ""
    assert compiling_text("watch", "").startswith('compiling is not held (`compile = "watch"`)')
    assert compiling_text("watch", "", "there is no cc").startswith(
        "compiling is not held (there is no cc): "
    )
    assert compiling_text("off", "").startswith('compiling is not held (`compile = "off"`)')
    assert compiling_text("hold", "inside").startswith("macros run inside the compiler")


def test_what_ran_is_counted_in_words() -> None:
    script, macro, compiled = SubjectKind
    assert text.subject_tally([]) == "0 build scripts"
    assert text.subject_tally([(script,)]) == "1 build script"
    assert text.subject_tally([(macro,), (macro,)]) == "2 procedural macros"
    both = "2 build scripts, 1 procedural macro and 1 compilation"
    assert text.subject_tally([(script, macro), (script, compiled), (compiled,)]) == both


def test_who_needs_somebody_is_one_of_as_many_crates_as_there_are(held: BuildRun) -> None:
    script, macro = held.scripts[0], replace(held.scripts[1], roles=(Role(SubjectKind.MACRO),))
    compiled = replace(held.scripts[0], roles=(Role(SubjectKind.COMPILE),))

    assert text.crate_tally([script, script]) == "2 build scripts"
    assert text.crate_tally([macro]) == "1 procedural macro"
    assert text.crate_tally([compiled]) == "1 crate"
    assert text.crate_tally([script, macro, compiled]) == "3 crates"


def test_only_what_is_held_is_counted_as_held(held: BuildRun) -> None:
    script = held.scripts[0]
    compiled = replace(script, roles=(Role(SubjectKind.COMPILE),))
    run = replace(held, compiling="hold", scripts=(compiled,))

    assert text.held_tally(run) == "compiling"
    assert text.held_tally(replace(run, scripts=())) == "compiling"
    assert text.held_tally(replace(run, compiling="", scripts=())) == "0 build scripts"
    assert text.held_tally(replace(run, scripts=(script, compiled))) == (
        "1 build script and 1 compilation"
    )
    watched = replace(run, compiling="watch", scripts=(script, compiled))
    assert text.held_tally(watched) == "1 build script"
    assert text.held_tally(replace(watched, scripts=(compiled,))) == "nothing"


def test_what_a_compiler_was_able_to_is_not_put_down_to_the_runtime() -> None:
    read = Access(Kind.READ, "/x", Outcome.DONE, 1, 0, 0, ())
    compiled = replace(read, roles=(Role(SubjectKind.COMPILE),))

    assert text.access_text(read) == "read /x: done, this runtime could not prevent it"
    assert text.access_text(compiled) == "read /x: done, nothing prevented it"


def _not_built(*found: Finding) -> Report:
    code = ExitCode.NOT_REVIEWED
    return Report(None, found, "ws", "Cargo.toml", int(code), total="9 procedural macros")


def test_the_one_command_that_settles_it_is_named_once() -> None:
    one = unreviewed("new")
    other = replace(unreviewed("gone"), command="buildperm review --prune now")

    told = text.document(_not_built(one))
    both = text.document(_not_built(one, other))

    assert told.count("buildperm review") == 1
    assert "To decide, run `buildperm review`; then commit" in told
    # Of two, each stands where it belongs.
    assert "  next: buildperm review\n" in both
    assert "  next: buildperm review --prune now\n" in both


def test_an_exit_code_with_two_meanings_says_which() -> None:
    wider = replace(unreviewed("wide"), rule=WIDER_GRANT, command="")
    pending = Pending("new", "new", "1.0.0", "", "", ("new",), ((Cause.NEW, "It is new."),))

    def last(report: Report) -> str:
        return text.document(report).splitlines()[-1]

    assert last(_not_built(unreviewed("new"))) == "Exit code 21: not reviewed."
    assert last(_not_built(wider)) == "Exit code 21: the grants are wider."
    both = replace(_not_built(unreviewed("new"), wider), pending=(pending,))
    assert last(both) == "Exit code 21: not reviewed, and the grants are wider."


def test_what_waits_is_counted_against_all_that_there_is() -> None:
    pending = Pending("new", "new", "1.0.0", "", "", ("new",), ((Cause.NEW, "It is new."),))

    assert text.to_review([pending], "9 build scripts") == (
        "1 build script to review, of 9 build scripts"
    )
    assert text.to_review([pending], "1 build script") == "1 build script to review"


def test_what_learning_lets_through_was_not_to_be_prevented() -> None:
    read = Access(Kind.READ, "/x", Outcome.DONE, 1, 0, 0, ())

    learned = text.access_text(replace(read, is_let_through=True))

    assert learned == "read /x: let through while learning"
    assert text.access_text(read) == "read /x: done, this runtime could not prevent it"


def test_a_look_that_was_answered_is_not_told_as_reading() -> None:
    look = Access(Kind.READ, "/x", Outcome.DONE, 1, 0, 0, (), is_look=True)

    for each in (look, replace(look, is_let_through=True)):
        told = text.access_text(each)
        assert told == "read /x: only looked whether it is there; nothing of it was read"
    assert text.access_text(replace(look, outcome=Outcome.REFUSED)) == "read /x: refused"


def test_the_end_says_of_what_was_blocked_only_what_was(held: BuildRun) -> None:
    nothing = replace(held.scripts[0], everything=(), findings=())
    host = Access(Kind.NET, "example.org:443", Outcome.REFUSED, 1, 0, 0, ())
    terminal = Access(Kind.WRITE, "/dev/tty", Outcome.REFUSED, 1, 0, 0, ())
    file = Access(Kind.WRITE, "$WORKSPACE/gen/a", Outcome.REFUSED, 1, 0, 0, ())
    mixed = replace(nothing, everything=(host, terminal, file), unopened=(file,))

    def ending(*scripts: ScriptRun) -> str:
        run = replace(held, scripts=scripts, failure=None)
        told = text.document(Report(run, (), "ws", "Cargo.toml", 0)).splitlines()[0]
        return told.partition("ABI 7)")[2]

    assert ending() == "."
    assert ending(nothing) == "; nothing beyond the baseline and the grants was seen."
    assert ending(replace(nothing, everything=(replace(host, outcome=Outcome.FAILED),))) == ending(
        nothing
    )
    assert ending(replace(nothing, everything=(host,))) == (
        "; only what Cargo.toml denies was blocked."
    )
    look = Access(Kind.READ, "/x", Outcome.DONE, 1, 0, 0, (), is_look=True)
    assert ending(replace(nothing, everything=(look,))) == "; nothing was blocked."
    assert ending(replace(nothing, everything=(look, host))) == (
        "; only what Cargo.toml denies was blocked."
    )
    assert ending(nothing, replace(nothing, everything=(terminal,))) == (
        "; only what most programs do without was blocked."
    )
    assert ending(mixed) == (
        "; only what Cargo.toml denies and what a grant names but cannot open (see above) "
        "and what most programs do without was blocked."
    )
