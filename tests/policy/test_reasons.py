"""What is told and not asked: covered by a wider grant, no longer used, new and harmless."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy import reasons, removal_proposals
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import effective
from buildperm.policy.decision import signature
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess

PROTO = Rule(Kind.READ, "$WORKSPACE/proto/**")
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def access(
    kind: Kind,
    target: str,
    outcome: Outcome = Outcome.DONE,
    *,
    held: str = "",
    resolved: str = "",
    unstable: str = "",
) -> Access:
    chains = (("build script",),)
    return Access(
        kind, target, outcome, 1, 0, 0, chains, "", held, resolved, False, unstable=unstable
    )


def reads(*targets: str) -> list[Access]:
    return [access(Kind.READ, target) for target in targets]


def runs(*targets: str) -> list[Access]:
    return [access(Kind.EXEC, target) for target in targets]


def seen(accesses: list[Access]) -> list[SeenAccess]:
    return [SeenAccess(each.kind, each.target, each.outcome) for each in accesses]


def covered(
    accesses: list[Access],
    *rules: Rule,
    denials: tuple[Rule, ...] = (),
    presets: tuple[str, ...] = (),
    new: list[SeenAccess] | None = None,
) -> list[Proposal]:
    found = seen(accesses) if new is None else new
    return reasons.covered("x", "1.1.0", found, accesses, rules, denials, presets)


def test_what_a_wide_grant_allows_already_is_listed_once() -> None:
    files = reads("$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto", "$WORKSPACE/proto/c")

    (proposal,) = covered(files, PROTO)

    assert proposal.reason is Reason.COVERED
    assert proposal.title == (
        "new, but already allowed by `$WORKSPACE/proto/**`: read 3 files below $WORKSPACE/proto"
    )
    assert [choice.rules for choice in proposal.choices] == [(PROTO,)]
    assert proposal.choices[0].widening
    assert proposal.evidence == tuple(files)
    assert (proposal.crate, proposal.version) == ("x", "1.1.0")
    assert proposal.risk is Risk.LOW
    assert any("part of your workspace" in reason for reason in proposal.notes)


def test_only_what_is_new_is_listed() -> None:
    files = reads("$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto")

    (proposal,) = covered(files, PROTO, new=seen(files[1:]))

    assert proposal.evidence == (files[1],)
    assert covered(files, PROTO, new=[]) == []


def test_what_went_otherwise_than_before_is_new_however_it_went_elsewhere() -> None:
    both = [access(Kind.READ, "$WORKSPACE/proto/a.proto", Outcome.REFUSED)]
    was_done = [SeenAccess(Kind.READ, "$WORKSPACE/proto/a.proto", Outcome.DONE)]

    assert covered(both, PROTO, new=was_done)


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (access(Kind.READ, "$WORKSPACE/a"), Rule(Kind.READ, "$WORKSPACE/a")),
        (access(Kind.EXEC, "perl"), Rule(Kind.EXEC, "perl")),
        (
            access(Kind.EXEC, "tool", resolved="/opt/tools/tool"),
            Rule(Kind.EXEC, "/opt/tools/tool"),
        ),
        (
            access(Kind.READ, "$TARGET_DIR/debug/build/z-0123456789abcdef/out/z.h"),
            Rule(Kind.READ, "$TARGET_DIR/**/build/z-*/out/z.h"),
        ),
    ],
    ids=lambda value: str(getattr(value, "target", value)),
)
def test_a_grant_of_just_that_is_no_news(one: Access, rule: Rule) -> None:
    assert propose("x", "1.1.0", [one], [rule]) == []
    assert covered([one], rule) == []


def test_what_is_denied_or_not_granted_at_all_is_not_listed() -> None:
    file = reads("$WORKSPACE/proto/a.proto")
    variable = [access(Kind.ENV, "MYLIB_DIR")]
    names = Rule(Kind.ENV, "MYLIB_*")

    assert covered(file) == []
    assert covered(file, Rule(Kind.WRITE, PROTO.pattern)) == []
    assert covered(variable, names)
    assert covered(variable, names, denials=(Rule(Kind.ENV, "MYLIB_DIR"),)) == []
    # A denial inside a tree takes the whole tree out of force: it is asked about again.
    inside = Rule(Kind.READ, "$WORKSPACE/proto/private")
    assert covered(file, PROTO, denials=(inside,)) == []


def test_what_a_preset_allows_is_listed_once_for_all_its_kinds() -> None:
    programs = runs("cc", "ld")
    everything = [*programs, *reads("$WORKSPACE/proto/a.proto")]
    expanded = PRESETS["cc"].rules

    (first, second) = covered(everything, PROTO, presets=("cc",))
    assert first.title == "new, but already allowed by preset `cc`: run cc, ld"
    assert first.choices[0].preset == "cc"
    assert first.risk is Risk.MEDIUM
    assert second.choices[0].rules == (PROTO,)
    assert covered(everything, PROTO, *expanded, presets=("cc",)) == [first, second]


def test_the_narrowest_grant_is_named_where_several_are_wider() -> None:
    wide = Rule(Kind.READ, "$WORKSPACE/**/*.proto")
    narrow = Rule(Kind.READ, "$WORKSPACE/proto/inner/*.proto")

    (proposal,) = covered(reads("$WORKSPACE/proto/inner/a.proto"), wide, narrow)

    assert proposal.choices[0].rules == (narrow,)


def test_a_program_is_covered_by_the_folder_that_its_name_leads_to() -> None:
    (proposal,) = covered(
        [access(Kind.EXEC, "tool", resolved="/opt/tools/tool")], Rule(Kind.EXEC, "/opt/tools/**")
    )

    assert proposal.risk is Risk.HIGH
    assert "run tool" in proposal.title


def test_no_wildcard_hides_the_sensitive_tier() -> None:
    secret = access(Kind.ENV, "MYLIB_TOKEN", Outcome.REFUSED, held="it looks like a secret")
    names = Rule(Kind.ENV, "MYLIB_*")

    assert covered([secret], names) == []
    (asked,) = propose("x", "1.1.0", [secret], [names])
    assert asked.locked
    assert asked.risk is Risk.CRITICAL
    assert propose("x", "1.1.0", [secret], [Rule(Kind.ENV, "MYLIB_TOKEN")]) == []
    assert propose("x", "1.1.0", [secret], [], [names]) == []


def test_a_denial_says_what_it_takes_with_it() -> None:
    (file,) = covered(reads("$WORKSPACE/proto/a.proto"), PROTO)
    (variable,) = covered([access(Kind.ENV, "MYLIB_DIR")], Rule(Kind.ENV, "MYLIB_*"))

    assert any("`$WORKSPACE/proto/**` out of force" in reason for reason in file.notes)
    assert not any("out of force" in reason for reason in variable.notes)


def test_an_id_stays_as_long_as_grant_and_accesses_do() -> None:
    files = reads("$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto")

    ids = {
        covered(some, *rules)[0].id
        for some in (files, files[::-1], files[:1])
        for rules in ((PROTO,), (PROTO, Rule(Kind.ENV, "A_*")))
    }

    assert len(ids) == 2
    assert covered(files, PROTO)[0].id != propose("x", "1.1.0", files)[0].id


def test_what_repeated_runs_do_not_agree_on_is_said() -> None:
    file = access(Kind.READ, "$WORKSPACE/proto/a.proto", unstable="in 2 of 3 runs")

    (proposal,) = covered([file], PROTO)

    assert "Seen in 2 of 3 runs only: `$WORKSPACE/proto/a.proto`." in proposal.notes


def granted(*rules: Rule, presets: str = "", key: str = "x") -> CrateGrants:
    return CrateGrants(key, presets=frozenset(presets.split()), rules=frozenset(rules))


PERL = Rule(Kind.EXEC, "perl")


@pytest.mark.parametrize(
    "one",
    [
        access(Kind.EXEC, "perl"),
        access(Kind.EXEC, "perl", Outcome.FAILED),
        access(Kind.EXEC, "perl", Outcome.REFUSED),
    ],
    ids=lambda one: str(one.outcome),
)
def test_a_rule_is_used_by_whatever_it_covers_however_it_went(one: Access) -> None:
    assert removal_proposals.unused(granted(PERL, PROTO), [one]) == {"read:$WORKSPACE/proto/**"}


def test_a_rule_is_used_by_the_file_that_a_name_led_to() -> None:
    rule = Rule(Kind.EXEC, "/opt/tools/**")

    assert removal_proposals.unused(granted(rule), runs("tool")) == {"exec:/opt/tools/**"}
    assert not removal_proposals.unused(
        granted(rule), [access(Kind.EXEC, "tool", resolved="/opt/tools/tool-1")]
    )


def test_a_rule_of_the_sensitive_tier_is_used_by_a_probe() -> None:
    token = access(Kind.ENV, "MYLIB_TOKEN", Outcome.FAILED, held="it looks like a secret")

    assert not removal_proposals.unused(granted(Rule(Kind.ENV, "MYLIB_TOKEN")), [token])


def test_a_preset_is_used_by_what_is_beyond_the_baseline_alone() -> None:
    grants = granted(presets="cc cmake")

    assert removal_proposals.unused(grants, runs("cc")) == {"preset:cmake"}
    assert removal_proposals.unused(grants, [access(Kind.EXEC, "make", Outcome.FAILED)]) == {
        "preset:cc",
        "preset:cmake",
    }


def test_what_other_contexts_were_seen_using_counts() -> None:
    grants = granted(PERL, PROTO, presets="cc")
    elsewhere = seen([*runs("perl", "cc"), *reads("$WORKSPACE/proto/a")])

    assert removal_proposals.unused(grants, [], elsewhere) == frozenset()
    assert removal_proposals.unused(grants, []) == {
        "exec:perl",
        "read:$WORKSPACE/proto/**",
        "preset:cc",
    }


def test_a_grant_by_path_is_kept_where_another_context_ran_a_name_that_may_be_it() -> None:
    grants = granted(Rule(Kind.EXEC, "/opt/tools/**"), PERL)

    assert removal_proposals.unused(grants, [], seen(runs("tool"))) == {"exec:perl"}
    assert removal_proposals.unused(grants, [], seen(runs("perl"))) == {"exec:/opt/tools/**"}
    refused = [SeenAccess(Kind.EXEC, "tool", Outcome.REFUSED)]
    assert removal_proposals.unused(grants, [], refused) == {"exec:/opt/tools/**", "exec:perl"}


def test_an_unused_grant_has_a_period_of_grace() -> None:
    now, before = {"exec:perl", "preset:cc"}, frozenset({"exec:perl", "env:A"})

    assert removal_proposals.proposed(now, before, "later") == {"exec:perl"}
    assert removal_proposals.proposed(now, frozenset(), "later") == frozenset()
    assert removal_proposals.proposed(now, frozenset(), "now") == now
    assert removal_proposals.proposed(now, before, "never") == frozenset()


def test_each_unused_grant_is_a_removal_of_its_own() -> None:
    grants = granted(PERL, PROTO, Rule(Kind.EXEC, "curl"), presets="cc git")
    unused = frozenset({"exec:curl", "exec:perl", "preset:cc"})

    removals = removal_proposals.removals("x", "1.1.0", grants, unused)

    assert [proposal.title for proposal in removals] == [
        "made no use of exec `curl`",
        "made no use of exec `perl`",
        "made no use of preset `cc`",
    ]
    assert {key for proposal in removals for key in removal_proposals.keys(proposal)} == unused
    assert {proposal.reason for proposal in removals} == {Reason.UNUSED}
    assert len({proposal.id for proposal in removals}) == 3
    assert [proposal.risk for proposal in removals] == [Risk.HIGH, Risk.HIGH, Risk.MEDIUM]
    assert all(proposal.notes and not proposal.evidence for proposal in removals)
    assert removals[0].choices[0].rules == (Rule(Kind.EXEC, "curl"),)
    assert removals[2].choices[0].preset == "cc"


def test_what_is_unused_is_found_again_by_its_removal() -> None:
    grants = granted(PERL, PROTO, presets="cc")

    unused = removal_proposals.unused(grants, [])

    found = removal_proposals.removals("x", "1.1.0", grants, unused)
    assert {key for each in found for key in signature(each.choices[0])} == unused


def test_a_risky_grant_of_another_version_is_a_question_beside_a_risky_one() -> None:
    grants = CrateGrants("x", frozenset({"1.0.0"}), rules=frozenset({PERL, PROTO}))
    risky = propose("x", "1.1.0", [access(Kind.READ, "$HOME/notes.txt", Outcome.REFUSED)])
    same = propose("x", "1.1.0", [access(Kind.EXEC, "perl", Outcome.REFUSED)])
    harmless = propose("x", "1.1.0", [access(Kind.READ, "$WORKSPACE/a", Outcome.REFUSED)])

    (found,) = reasons.dormant("x", "1.1.0", grants, risky)

    assert found.reason is Reason.DORMANT
    assert found.choices[0].rules == (PERL,)
    assert found.risk is Risk.HIGH
    assert "Reviewed with it: 1.0.0." in found.notes
    assert not reasons.dormant("x", "1.0.0", grants, risky)  # In force already.
    assert not reasons.dormant("x", "1.1.0", grants, same)  # Asked about anyway.
    assert not reasons.dormant("x", "1.1.0", grants, harmless)  # Nothing revives it.
    denied = replace(grants, denials=frozenset({PERL}))
    assert not reasons.dormant("x", "1.1.0", denied, risky)
    proposed = replace(grants, reviewed=frozenset())
    (found,) = reasons.dormant("x", "1.1.0", proposed, risky)
    assert "Nobody has reviewed any version with it." in found.notes


def test_a_crate_that_is_gone_is_one_removal_of_its_whole_table() -> None:
    grants = CrateGrants(
        "x",
        frozenset({"1.0.0"}),
        frozenset({"cc"}),
        frozenset({PERL, PROTO}),
        frozenset({Rule(Kind.EXEC, "curl")}),
        "made for us",
    )

    proposal = removal_proposals.gone(grants)

    assert (proposal.crate, proposal.version) == ("x", "")
    assert proposal.title == "is not in Cargo.lock any more"
    assert proposal.reason is Reason.UNUSED
    assert proposal.risk is Risk.HIGH
    assert proposal.choices[0].rules == (PERL, PROTO)
    assert "preset cc" in proposal.choices[0].title
    assert "Its denials would go as well." in proposal.notes
    assert "Its reason was: made for us" in proposal.notes
    assert removal_proposals.gone(CrateGrants("x", frozenset({"1.0.0"}))).risk is Risk.LOW


@pytest.mark.parametrize(
    ("key", "package", "is_absent"),
    [
        ("x", ("x", "1.0.0", CRATES_IO), False),
        ("x", ("x", "1.0.0", ""), False),
        ("x", ("y", "1.0.0", CRATES_IO), True),
        ("x", ("x", "1.0.0", "git+https://a.b/x#0123"), True),
        ("x@1", ("x", "1.9.0", CRATES_IO), False),
        ("x@1", ("x", "2.0.0", CRATES_IO), True),
        ("git+https://a.b/x#x", ("x", "1.0.0", "git+https://a.b/x#0123"), False),
        ("git+https://a.b/x#x", ("x", "1.0.0", CRATES_IO), True),
        ("path+$WORKSPACE/x#x", ("x", "1.0.0", ""), False),
        ("path+$WORKSPACE/x#x", ("x", "1.0.0", CRATES_IO), True),
    ],
)
def test_a_table_is_absent_where_its_key_means_no_package_of_the_lock_file(
    key: str, package: tuple[str, str, str], is_absent: bool
) -> None:
    policy = Policy("portable", {key: granted(PERL, key=key)}, Path("Cargo.toml"))

    found = removal_proposals.absent(policy, [package, ("other", "1.0.0", CRATES_IO)])

    assert [grants.key for grants in found] == [key] * is_absent


def test_a_table_of_denials_alone_is_a_precaution_and_stays() -> None:
    banned = CrateGrants("x", denials=frozenset({Rule(Kind.EXEC, "curl")}))

    assert removal_proposals.absent(Policy("portable", {"x": banned}, Path("Cargo.toml")), []) == []


def test_a_newcomer_says_how_it_got_in_and_that_nothing_is_to_be_decided() -> None:
    proposal = reasons.newcomer("x", "1.1.0", ["app", "middle", "x"])

    assert proposal.reason is Reason.NEWCOMER
    assert proposal.title == "is new, and stays within the baseline"
    assert proposal.notes == ("It got into the graph by app → middle → x.",)
    assert "nothing to decide" in proposal.locked
    assert proposal.choices == (Choice("nothing beyond the baseline", ()),)
    assert reasons.newcomer("x", "1.1.0", []).notes
    beyond = reasons.newcomer("x", "1.1.0", [], is_plain=False)
    assert beyond.title == "is new, and stays within what is granted or denied"
    assert beyond.choices == (Choice("nothing beyond what is granted or denied", ()),)


def test_what_is_risky_and_withheld_is_asked_again_and_never_covered() -> None:
    gen = Rule(Kind.WRITE, "$WORKSPACE/gen/**")
    grants = CrateGrants("x", frozenset({"1.0.0"}), rules=frozenset({gen, PROTO}))
    accesses = [
        access(Kind.WRITE, "$WORKSPACE/gen/a", Outcome.REFUSED),
        *reads("$WORKSPACE/proto/a"),
    ]
    in_force = effective(grants, "1.1.0").rules

    asked = propose("x", "1.1.0", accesses, in_force)
    told = reasons.covered("x", "1.1.0", seen(accesses), accesses, in_force)

    assert [proposal.evidence for proposal in asked] == [(accesses[0],)]
    assert [proposal.evidence for proposal in told] == [(accesses[1],)]
