from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy import compilation, manifest
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import WithheldRule
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.rule import Rule
from buildperm.report import findings, text
from buildperm.report.build_run import BuildRun, ScriptRun
from buildperm.report.finding import Finding, Level, Report, worst_first
from buildperm.report.manifest_place import GrantLines
from buildperm.report.rule_catalogue import CATALOGUE
from tests.report.reports import CARGO_TOML, access

LINES = GrantLines(CARGO_TOML, Path("Cargo.toml"))


def only(found: list[Finding], rule: str) -> Finding:
    (finding,) = (finding for finding in found if finding.rule == rule)
    return finding


def with_evidence(held: BuildRun, *evidence: Access) -> BuildRun:
    """Return a run of one script with one proposal about `evidence`."""
    script = held.scripts[2]
    proposal = replace(script.findings[0], evidence=evidence)
    return replace(held, scripts=(replace(script, findings=(proposal,), failure=""),))


def test_a_refusal_names_crate_deed_reason_chain_remedy_and_the_next_command(
    held: BuildRun,
) -> None:
    found = only(findings.from_build(held, LINES), "exec")

    assert found.title == "openssl-sys 0.9.104 was not allowed to run pkg-config"
    assert found.details == (
        "It runs a program that is found through PATH.",
        "exec pkg-config: refused, 6 times, by build-script > sh > curl",
        "as curl x",
    )
    assert found.remedy == (
        "# [workspace.metadata.buildperm.crates.openssl-sys] (Cargo.toml:10) would say:",
        '# presets = ["cc", "pkg-config"]',
    )
    assert found.command == "buildperm review"
    assert found.level is Level.ERROR
    assert len(found.fingerprint) == 32


def test_a_remedy_of_high_risk_names_the_version_that_it_is_in_force_for(held: BuildRun) -> None:
    script = next(each for each in held.scripts if each.crate == "openssl-sys")
    choice = Choice("exactly", (Rule(Kind.EXEC, "perl"),))
    wanted = replace(script.findings[0], choices=(choice,), suggested=0)
    run = replace(held, scripts=(replace(script, findings=(wanted,)),))

    fresh = GrantLines(b"[workspace]", Path("Cargo.toml"))
    remedy = only(findings.from_build(run, fresh), "exec").remedy
    policy = manifest.read("\n".join(["[workspace]", *remedy]).encode(), Path("Cargo.toml"))

    grants = policy.crates["openssl-sys"]
    assert grants.reviewed == {script.version}
    assert not compilation.effective(grants, script.version).withheld


def test_all_refusals_of_a_crate_are_settled_by_lines_that_go_together(held: BuildRun) -> None:
    script = next(each for each in held.scripts if each.crate == "openssl-sys")
    choice = Choice("exactly", (Rule(Kind.EXEC, "m4"),))
    other = replace(script.findings[0], id="0", choices=(choice,), suggested=0)
    run = replace(held, scripts=(replace(script, findings=(script.findings[0], other)),))

    found = findings.from_build(run, GrantLines(b"[package]", Path("Cargo.toml")))

    (settling,) = {each.settling for each in found if each.rule == "exec"}
    assert settling == (
        "[package.metadata.buildperm]",
        "version = 1",
        "",
        "[package.metadata.buildperm.crates.openssl-sys]",
        'presets = ["pkg-config"]',
        'exec = ["m4"]',
    )


def test_what_no_decision_can_allow_has_no_remedy_and_says_why(held: BuildRun) -> None:
    found = only(findings.from_build(held, LINES), "read")

    assert found.remedy == ()
    assert "It can only be granted by hand." in found.details


def test_a_run_that_buildperm_failed_and_a_full_recording_are_findings(held: BuildRun) -> None:
    full = replace(held.scripts[0], dropped=1_000)
    found = findings.from_build(replace(held, scripts=(full, *held.scripts[1:])), LINES)

    failed = only(found, "failed")
    assert failed.title == (
        "buildperm failed the build script of openssl-sys 0.9.104: it left 2 processes running"
    )
    assert failed.level is Level.ERROR
    incomplete = only(found, "incomplete")
    assert incomplete.title == "1,000 events did not fit into the recording of anyhow 1.0.0"
    assert incomplete.level is Level.WARNING


def test_a_run_that_failed_under_a_denial_tells_it_and_the_ways_on(held: BuildRun) -> None:
    denied = (access(Kind.EXEC, "perl"), access(Kind.READ, "$WORKSPACE/proto/a.proto"))
    script = replace(held.scripts[0], failed=True, denied=denied)
    run = replace(held, scripts=(script,))

    found = only(findings.from_build(run, LINES), "failed")

    assert found.title == (
        "anyhow 1.0.0 failed, and Cargo.toml denies it exec perl and 1 more access"
    )
    assert any("take it out of `deny`" in each for each in found.details)
    assert any("do without the crate" in each for each in found.details)
    report = Report(run, (found,), "ws", "Cargo.toml", 101)
    told = text.document(report)
    assert "anyhow 1.0.0 failed, and Cargo.toml denies it exec perl" in told
    assert "read $WORKSPACE/proto/a.proto: refused" in told


def test_a_habit_is_blamed_for_a_failure_only_where_nothing_else_was_refused(
    held: BuildRun,
) -> None:
    habit = access(Kind.NET, "/run/nscd/socket")
    alone = replace(held.scripts[0], failed=True, habitual=(habit,))
    asked = with_evidence(held, access(Kind.NET, "example.org:443")).scripts[0]
    seen = with_evidence(held, access(Kind.NET, "example.org:443", Outcome.DONE)).scripts[0]

    def blamed(script: ScriptRun) -> Finding:
        found = findings.from_build(replace(held, scripts=(script,)), LINES)
        return next(each for each in found if "/run/nscd/socket" in each.title)

    for script in (alone, replace(seen, failed=True, habitual=(habit,))):
        assert "failed, and was refused net /run/nscd/socket" in blamed(script).title
        assert blamed(script).level is Level.WARNING
    for script in (
        replace(asked, failed=True, habitual=(habit,)),
        replace(alone, denied=(access(Kind.EXEC, "perl"),)),
        replace(alone, failure="it left 2 processes running"),
    ):
        assert "was also refused net /run/nscd/socket" in blamed(script).title
        assert blamed(script).level is Level.NOTE
        assert not any("that is why" in each for each in blamed(script).details)


def test_who_left_a_link_is_told_a_way_on_and_who_left_more_is_not_trusted(held: BuildRun) -> None:
    link = "it left in its output folder $OUT_DIR/x: a link to /x, which is gone when the script"

    def way_on(failure: str) -> str:
        script = replace(held.scripts[0], failure=failure)
        return only(findings.from_build(replace(held, scripts=(script,)), LINES), "failed").details[
            -1
        ]

    assert "copy the file" in way_on(link)
    for failure in (f"{link}; it left 2 processes running", "it left 2 processes running"):
        assert way_on(failure) == "Find out why it does that before you build it again."


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ((Outcome.REFUSED, Outcome.DONE), "was not allowed to run"),
        ((Outcome.DONE, Outcome.FAILED), "was able to run"),
        ((Outcome.FAILED,), "tried to run"),
    ],
)
def test_the_title_does_not_claim_more_than_happened(
    held: BuildRun, outcomes: tuple[Outcome, ...], told: str
) -> None:
    run = with_evidence(held, *(access(Kind.EXEC, "x", outcome) for outcome in outcomes))

    (found,) = findings.from_build(run, LINES)

    assert told in found.title


@pytest.mark.parametrize("reason", [Reason.COVERED, Reason.UNUSED, Reason.NEWCOMER])
def test_what_does_not_have_to_be_decided_was_not_refused(held: BuildRun, reason: Reason) -> None:
    script = held.scripts[1]
    proposal: Proposal = replace(script.findings[0], reason=reason)
    run = replace(held, scripts=(replace(script, findings=(proposal,)),))

    assert findings.from_build(run, LINES) == []


def test_a_tool_chain_is_told_as_the_program_that_it_runs(held: BuildRun) -> None:
    run = with_evidence(held, access(Kind.READ, "/opt/x"), access(Kind.EXEC, "cc"))

    (found,) = findings.from_build(run, LINES)

    assert found.rule == "exec"


def test_long_evidence_is_counted_instead_of_listed(held: BuildRun) -> None:
    run = with_evidence(held, *(access(Kind.READ, f"/opt/{number}") for number in range(1_500)))

    (found,) = findings.from_build(run, LINES)

    assert found.details[-1] == "and 1,490 more"
    assert len(found.evidence) == 1_500


def test_levels_are_what_the_command_says(held: BuildRun) -> None:
    found = findings.from_build(held, LINES, level=Level.WARNING)

    assert {finding.level for finding in found} == {Level.WARNING}


def test_a_new_build_script_is_told_otherwise_than_a_changed_one(every_rule: Report) -> None:
    new, changed = (one for one in every_rule.findings if one.rule == "not-reviewed")

    assert new.title == "fresh 1.0.0 has a build script that nobody has reviewed"
    assert changed.title == "the build script of openssl-sys 0.9.118 was not reviewed as it is now"
    assert changed.details == (
        "The version changed: 0.9.104 -> 0.9.118.",
        "Built with cc 1.2.4 instead of cc 1.2.3.",
    )


def test_each_unused_grant_is_a_finding_at_its_own_line(every_rule: Report) -> None:
    unused = [one for one in every_rule.findings if one.rule == "unused-grant"]

    assert [(one.title, one.line) for one in unused] == [
        ("openssl-sys 0.9.104 is granted exec perl and did not use it", 15),
        ("openssl-sys 0.9.104 is granted preset cc and did not use it", 12),
        ("ring is granted env RING_* and did not use it", 19),
    ]


def test_every_rule_that_findings_have_is_in_the_catalogue(every_rule: Report) -> None:
    assert {finding.rule for finding in every_rule.findings} == {text.rule for text in CATALOGUE}


def test_a_fingerprint_depends_on_rule_crate_and_targets_alone(held: BuildRun) -> None:
    before = findings.from_build(held, LINES)
    newer = tuple(
        replace(script, version="9.9.9", events=1, duration_ns=1) for script in held.scripts
    )
    after = findings.from_build(replace(held, scripts=newer), GrantLines(b"", Path("Cargo.toml")))

    assert [one.fingerprint for one in before] == [one.fingerprint for one in after]
    assert [one.line for one in before] != [one.line for one in after]


def test_no_two_findings_of_one_run_share_a_fingerprint(held: BuildRun) -> None:
    older = tuple(replace(script, version="0.1.0") for script in held.scripts)
    found = findings.from_build(replace(held, scripts=(*older, *held.scripts)), LINES)
    again = findings.from_build(replace(held, scripts=(*older, *held.scripts)), LINES)

    marks = [one.fingerprint for one in found]
    assert len(set(marks)) == len(marks) == 6
    assert marks == [one.fingerprint for one in again]


def test_two_young_versions_of_a_crate_are_two_findings() -> None:
    told = [("a", version, f"a {version} is young; wait") for version in ("1.0.0", "2.0.0")]

    found = findings.from_young(told, LINES)

    assert [one.version for one in found] == ["1.0.0", "2.0.0"]
    assert len({one.fingerprint for one in found}) == 2
    (alone,) = findings.from_young(told[:1], LINES)
    assert alone.fingerprint == found[0].fingerprint


def test_what_is_hostile_stays_on_its_line(held: BuildRun) -> None:
    script = replace(held.scripts[0], failure="x\n::error::forged\x1b[31m\u202e")
    pending = Pending("a", "a", "1", "", "", (), ((Cause.SOURCE, "line\u2028feed"),))

    (failed,) = findings.from_build(replace(held, scripts=(script,)), LINES)
    (changed,) = findings.from_pending([pending], LINES)

    assert failed.title.endswith("x%0A::error::forged%1B[31m%E2%80%AE")
    assert changed.details == ("line%E2%80%A8feed",)


def test_the_gravest_findings_come_first(every_rule: Report) -> None:
    ordered = worst_first(reversed(every_rule.findings))

    assert ordered == worst_first(every_rule.findings)
    assert {one.rule for one in ordered[:2]} == {"failed", "read"}
    levels = [one.level for one in ordered]
    assert levels == sorted(levels, key=list(Level).index)


def test_what_only_lacks_a_review_is_told_as_that(held: BuildRun) -> None:
    script = next(each for each in held.scripts if each.crate == "openssl-sys")
    run_perl = access(Kind.EXEC, "perl")
    proposal = replace(
        script.findings[0],
        evidence=(run_perl,),
        choices=(Choice("exactly", (Rule(Kind.EXEC, "perl"),)),),
        suggested=0,
        risk=Risk.HIGH,
    )
    why = "high risk, and version 0.9.104 has not been reviewed"
    withheld = (WithheldRule(Rule(Kind.EXEC, "perl"), why),)
    granted = replace(script, findings=(proposal,), withheld=withheld, failure="")
    manifest_ = b"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n"
    manifest_ += b"[workspace.metadata.buildperm.crates.openssl-sys]\nexec = ['perl']\n"
    lines = GrantLines(manifest_, Path("Cargo.toml"))

    (found,) = findings.from_build(replace(held, scripts=(granted,)), lines)
    (other,) = findings.from_build(replace(held, scripts=(replace(granted, withheld=()),)), lines)

    assert found.lacks_review
    assert found.title.endswith("which is granted: version 0.9.104 is not in `reviewed`")
    assert found.remedy[1:] == ('# reviewed = ["0.9.104"]',)
    assert not other.lacks_review
    denied = WithheldRule(Rule(Kind.EXEC, "perl"), "it is denied")
    (kept,) = findings.from_build(
        replace(held, scripts=(replace(granted, withheld=(denied,)),)), lines
    )
    assert not kept.lacks_review
