"""Files by folder, variables by library, programs by risk: narrow answers first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from buildperm.policy import merging
from buildperm.policy.access import Outcome
from buildperm.policy.choices import for_reads
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import matches
from tests.policy.questions import all_asked, an_access, patterns_of, some_reads, some_runs, the_one


def test_reads_of_one_folder_are_one_question_with_several_choices() -> None:
    proposal = the_one(
        *some_reads("$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto", "$WORKSPACE/proto")
    )

    assert proposal.title == "read 3 files below $WORKSPACE/proto"
    assert patterns_of(proposal) == [
        ["$WORKSPACE/proto", "$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto"],
        ["$WORKSPACE/proto", "$WORKSPACE/proto/*.proto"],
        ["$WORKSPACE/proto", "$WORKSPACE/proto/*"],
        ["$WORKSPACE/proto/**"],
        ["$WORKSPACE/**"],
    ]
    assert [bool(choice.locked) for choice in proposal.choices] == [*[False] * 4, True]
    assert proposal.choices[0].widening == ""
    assert proposal.choices[1].widening
    assert proposal.risk is Risk.LOW


def test_files_read_by_name_stay_exact_and_those_of_a_listed_folder_go_by_extension() -> None:
    named = ("$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto", "$WORKSPACE/proto/README.md")
    by_name, listed = the_one(*some_reads(*named)), the_one(*some_reads(*named, "$WORKSPACE/proto"))

    assert [rule.pattern for rule in by_name.suggestion.rules] == sorted(named)
    assert [rule.pattern for rule in listed.suggestion.rules] == [
        "$WORKSPACE/proto",
        "$WORKSPACE/proto/*.proto",
        "$WORKSPACE/proto/README.md",
    ]


def test_a_folder_whose_folders_are_listed_is_granted_with_all_of_them() -> None:
    walked = ("$WORKSPACE/proto", "$WORKSPACE/proto/v1", "$WORKSPACE/proto/v1/a.proto")

    suggestion = the_one(*some_reads(*walked)).suggestion

    assert [rule.pattern for rule in suggestion.rules] == ["$WORKSPACE/proto/**"]


@pytest.mark.parametrize(
    "target",
    [
        "$WORKSPACE/version.txt",
        "$HOME/notes.txt",
        "/etc/hosts",
        "/tmp/x",
        "/file",
        "$CARGO_HOME/config.toml",
        "$WORKSPACE",
        "$TARGET_DIR/debug/app",
    ],
)
def test_what_lies_in_a_root_stays_exact_and_its_keys_stay_closed(target: str) -> None:
    proposal = the_one(*some_reads(target))

    assert [rule.pattern for rule in proposal.suggestion.rules] == [target]
    for choice in proposal.choices:
        for rule in choice.rules:
            assert choice.locked or not matches(rule.pattern, "$HOME/.ssh/id_ed25519")
            assert choice.locked or not matches(rule.pattern, "$CARGO_HOME/credentials.toml")


def test_a_walked_folder_beside_a_single_file_is_granted_and_not_what_joins_them() -> None:
    walked = some_reads("/opt/sdk/a", "/opt/sdk/a/b", "/opt/sdk/a/b/x.h", "/opt/sdk/z.toml")

    choices = for_reads(walked)

    assert [rule.pattern for rule in choices.suggestion.rules] == [
        "/opt/sdk/a/**",
        "/opt/sdk/z.toml",
    ]


def test_nothing_wide_is_suggested_where_no_choice_fits() -> None:
    walked = some_reads("$WORKSPACE", "$WORKSPACE/a", "$WORKSPACE/a/x.h", "$WORKSPACE/z.toml")

    choices = for_reads(walked)

    assert choices.all[-1].locked
    assert choices.suggested == 0


def test_gits_objects_are_granted_with_all_of_its_folder() -> None:
    # The next commit has other ones, so that a grant of these would hold for this one alone.
    top = "/src/repository/.git"
    proposal = the_one(
        *some_reads(*(f"{top}/{name}" for name in ("HEAD", "index", "objects/a1/b2")))
    )

    assert patterns_of(proposal)[0] == [f"{top}/**"]
    assert "next commit" in proposal.choices[0].widening


def test_many_files_are_granted_by_folder() -> None:
    proposal = the_one(*some_reads(*(f"$WORKSPACE/proto/{n}.proto" for n in range(40))))

    assert len(proposal.choices[0].rules) == 40
    assert patterns_of(proposal)[1:3] == [
        ["$WORKSPACE/proto/*.proto"],
        ["$WORKSPACE/proto", "$WORKSPACE/proto/*"],
    ]
    assert proposal.suggested == 1


def test_many_files_that_no_folder_may_be_granted_for_stay_exact() -> None:
    proposal = the_one(*some_reads(*(f"$HOME/{n}.txt" for n in range(40))))

    assert len(proposal.suggestion.rules) == 40
    assert all(choice.locked for choice in proposal.choices[1:])


def test_many_folders_are_put_together() -> None:
    proposals = all_asked(*some_reads(*(f"$WORKSPACE/folder{n}/a" for n in range(30))))

    assert len(proposals) <= 3
    assert sum(len(p.evidence) for p in proposals) == 30


def test_hashes_of_cargo_are_not_written_into_rules() -> None:
    target = "$TARGET_DIR/debug/build/z-sys-0123456789abcdef/out/include/z.h"
    proposal = the_one(*some_reads(target))

    for patterns in patterns_of(proposal):
        assert all("0123456789abcdef" not in pattern for pattern in patterns)
        assert any(matches(pattern, target) for pattern in patterns)


def test_a_write_is_granted_for_the_file_or_its_folder() -> None:
    proposal = the_one(
        an_access(Kind.WRITE, "$WORKSPACE/gen/a.h", Outcome.REFUSED),
        an_access(Kind.WRITE, "$WORKSPACE/gen/b.h", Outcome.REFUSED),
    )

    assert proposal.title == "write 2 files below $WORKSPACE/gen"
    assert proposal.risk is Risk.HIGH
    assert not proposal.locked
    assert patterns_of(proposal) == [
        ["$WORKSPACE/gen/a.h", "$WORKSPACE/gen/b.h"],
        ["$WORKSPACE/gen/**"],
        ["$WORKSPACE/**"],
    ]
    assert [bool(choice.locked) for choice in proposal.choices] == [False, False, True]


def test_the_next_file_of_a_folder_is_the_last_question_about_it() -> None:
    # A script stops at the first file that it may not write: there may be more of them.
    folder = "$MANIFEST_DIR/contrib/completions"
    (written,) = propose(
        "a",
        "1.0.0",
        [an_access(Kind.WRITE, f"{folder}/a.fish", Outcome.REFUSED)],
        [Rule(Kind.WRITE, f"{folder}/a.bash"), Rule(Kind.READ, "$WORKSPACE/other/a")],
    )

    assert written.suggestion.rules == (Rule(Kind.WRITE, f"{folder}/**"),)
    assert written.suggestion.widening == "Allows making, changing and removing any file there."
    assert written.risk is Risk.HIGH
    assert written.choices[0].rules == (Rule(Kind.WRITE, f"{folder}/a.fish"),)


@pytest.mark.parametrize("granted", [(), ("$MANIFEST_DIR/src/x/a",), ("$MANIFEST_DIR/a.rs",)])
def test_the_first_file_that_is_written_in_a_folder_is_allowed_alone(
    granted: tuple[str, ...],
) -> None:
    rules = [Rule(Kind.WRITE, each) for each in granted]
    for target in (
        "$MANIFEST_DIR/src/a.rs",
        "$MANIFEST_DIR/README.md",
    ):  # The package is no folder.
        refused = an_access(Kind.WRITE, target, Outcome.REFUSED)
        (written,) = propose("a", "1.0.0", [refused], rules)
        assert written.suggestion.rules == (Rule(Kind.WRITE, target),)


def test_a_folder_that_is_made_is_granted_with_what_is_in_it() -> None:
    accesses = [
        an_access(Kind.WRITE, target, Outcome.REFUSED)
        for target in ("$WORKSPACE/x/gen", "$WORKSPACE/x/gen/a.h")
    ]
    patterns = [
        pattern for p in all_asked(*accesses) for choice in patterns_of(p) for pattern in choice
    ]

    assert "$WORKSPACE/x/gen/**" in patterns


def test_a_folder_that_could_not_be_made_is_granted_as_one() -> None:
    # What would be in it nobody has seen: the script could not go on.
    made = replace(an_access(Kind.WRITE, "$WORKSPACE/gen", Outcome.REFUSED), is_folder=True)

    assert patterns_of(the_one(made))[0] == ["$WORKSPACE/gen/**"]
    beside = an_access(Kind.WRITE, "$WORKSPACE/a.h", Outcome.REFUSED)
    assert patterns_of(the_one(made, beside))[0] == ["$WORKSPACE/a.h", "$WORKSPACE/gen/**"]


def test_what_changes_a_folder_is_granted_with_the_folder() -> None:
    moved, made = (
        replace(an_access(Kind.WRITE, f"$WORKSPACE/gen/{name}", Outcome.REFUSED), is_entry=is_entry)
        for name, is_entry in (("a.rs", True), ("b.rs", False))
    )

    assert patterns_of(the_one(moved))[0] == ["$WORKSPACE/gen/**"]
    assert patterns_of(the_one(moved, made))[0] == ["$WORKSPACE/gen/**"]
    assert patterns_of(the_one(made))[0] == ["$WORKSPACE/gen/b.rs"]


def test_what_would_change_the_folder_of_the_manifest_is_told_and_locked() -> None:
    moved, made = (
        replace(an_access(Kind.WRITE, f"$MANIFEST_DIR/{name}", Outcome.REFUSED), is_entry=is_entry)
        for name, is_entry in (("a.rs", True), ("b.rs", False))
    )
    found = {proposal.title: proposal for proposal in all_asked(moved, made)}

    assert found["write $MANIFEST_DIR/a.rs"].locked.startswith("No grant can allow it: names")
    assert not found["write $MANIFEST_DIR/b.rs"].locked
    assert patterns_of(found["write $MANIFEST_DIR/b.rs"])[0] == ["$MANIFEST_DIR/b.rs"]


def test_a_folder_that_was_listed_is_one_without_any_file_of_it() -> None:
    (read,) = some_reads("$WORKSPACE/proto")
    listed = the_one(replace(read, is_folder=True))
    refused = the_one(replace(read, is_folder=True, outcome=Outcome.REFUSED))
    names = ["$WORKSPACE/proto", "$WORKSPACE/proto/*"]

    assert listed.suggestion.title == "exactly this folder"
    assert [rule.pattern for rule in listed.suggestion.rules] == names[:1]
    # What is in it would have been read next.
    assert refused.choices[0].title == "exactly this folder"
    assert [rule.pattern for rule in refused.suggestion.rules] == names
    assert the_one(read).suggestion.title == "exactly this file"
    file = replace(some_reads("$WORKSPACE/proto/a.proto")[0], outcome=Outcome.DONE)
    both = the_one(replace(read, is_folder=True), file)
    assert [rule.pattern for rule in both.suggestion.rules] == [names[0], f"{names[0]}/*.proto"]


def test_a_file_beside_the_manifest_is_granted_by_its_exact_path_only() -> None:
    proposal = the_one(an_access(Kind.WRITE, "$MANIFEST_DIR/gen.h", Outcome.REFUSED))

    assert patterns_of(proposal)[0] == ["$MANIFEST_DIR/gen.h"]
    assert all(choice.locked for choice in proposal.choices[1:])


def test_risky_programs_are_asked_about_singly_and_others_together() -> None:
    proposals = all_asked(*some_runs("perl", "protoc", "bison", "wget", "frobnicate"))

    assert [(p.title, p.risk) for p in proposals] == [
        ("run frobnicate", Risk.HIGH),
        ("run perl", Risk.HIGH),
        ("run wget", Risk.HIGH),
        ("run protoc, bison", Risk.MEDIUM),
    ]


def test_variables_are_asked_about_by_their_beginning() -> None:
    names = ("FOO_A", "FOO_B", "BAR_X", "BAR_Y", "LONELY", "SINGLE_ONE")
    proposals = all_asked(*(an_access(Kind.ENV, name) for name in names))
    by_first = {tuple(found[0]): found[1:] for found in map(patterns_of, proposals)}

    assert by_first == {
        ("FOO_A", "FOO_B"): [["FOO_*"]],
        ("BAR_X", "BAR_Y"): [["BAR_*"]],
        ("LONELY", "SINGLE_ONE"): [],
    }
    assert all(p.risk is Risk.LOW for p in proposals)


def test_directives_are_asked_about_by_key() -> None:
    proposals = all_asked(
        an_access(Kind.DIRECTIVE, "rustc-link-arg=-a", Outcome.REFUSED),
        an_access(Kind.DIRECTIVE, "rustc-link-arg=-b", Outcome.REFUSED),
        an_access(Kind.DIRECTIVE, "rustc-link-search=$MANIFEST_DIR/lib", Outcome.REFUSED),
    )

    assert [(len(p.evidence), p.risk) for p in proposals] == [(2, Risk.HIGH), (1, Risk.MEDIUM)]
    assert not any(p.locked for p in proposals)


def test_each_host_is_a_question_of_its_own_that_no_batch_answers() -> None:
    targets = ["%5B::1%5D:80", "10.0.0.1:443", "crates.io:443"]
    proposals = all_asked(*(an_access(Kind.NET, target, Outcome.REFUSED) for target in targets))

    assert [p.title for p in proposals] == [f"connect to {target}" for target in targets]
    assert not any(p.locked for p in proposals)
    assert all(p.risk is Risk.HIGH for p in proposals)
    assert [[choice.rules for choice in p.choices] for p in proposals] == [
        [(Rule(Kind.NET, target),)] for target in targets
    ]
    assert all("could send out what it reads" in p.notes[0] for p in proposals)


@pytest.mark.parametrize(
    ("programs", "rules", "title"),
    [
        (["$OUT_DIR/gen"], ["$OUT_DIR/**"], "any program below $OUT_DIR"),
        (["$OUT_DIR/bin/x/gen", "$OUT_DIR/copied"], ["$OUT_DIR/**"], "any program below $OUT_DIR"),
        (["$TMP/conftest"], ["$TMP/**"], "any program below $TMP"),
        (
            ["$OUT_DIR/a", "$TMP/b"],
            ["$OUT_DIR/**", "$TMP/**"],
            "any program below $OUT_DIR and $TMP",
        ),
        (
            ["$OUT_DIR/gen", "protoc"],
            ["$OUT_DIR/**", "protoc"],
            "exactly this program and any program below $OUT_DIR",
        ),
        # What is there before the script starts stays exact.
        (["$MANIFEST_DIR/gen"], ["$MANIFEST_DIR/gen"], "exactly this program"),
        (["protoc", "bison"], ["bison", "protoc"], "exactly these 2 programs"),
    ],
)
def test_a_program_that_the_script_makes_is_granted_as_it_will_be_made_again(
    programs: list[str], rules: list[str], title: str
) -> None:
    proposal = the_one(*some_runs(*programs))
    seen = frozenset(Rule(Kind.EXEC, program) for program in programs)

    assert patterns_of(proposal)[0] == rules
    assert proposal.suggestion.title == title
    assert bool(proposal.suggestion.widening) is ("below" in title)
    # To deny it is to deny what was seen, and nothing that is made besides.
    assert merging.refused_by(proposal, proposal.suggestion) == seen


def test_a_script_that_was_made_is_granted_with_its_interpreter() -> None:
    made, shell = some_runs("$OUT_DIR/run.sh", "sh")
    proposal = the_one(made, replace(shell, causes=("$OUT_DIR/run.sh",)))

    assert patterns_of(proposal) == [["$OUT_DIR/**", "sh"]]
    assert merging.refused_by(proposal, proposal.suggestion) == {Rule(Kind.EXEC, "$OUT_DIR/run.sh")}


def test_a_library_for_the_compiler_says_what_it_would_do() -> None:
    preload = an_access(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD", Outcome.REFUSED, held="steers")

    assert any("load a library" in reason for reason in the_one(preload).notes)


def test_many_files_of_a_home_folder_are_suggested_as_they_are() -> None:
    targets = [f"$HOME/.config/tool/{n % 8}/{n}x" for n in range(40)]
    proposal = the_one(*some_reads(*targets))

    assert proposal.risk is Risk.HIGH
    assert sorted(rule.pattern for rule in proposal.suggestion.rules) == sorted(targets)
    assert ["$HOME/.config/tool/**"] in patterns_of(proposal)  # Whoever wants it takes it.
    # Of one kind in one folder, they are that kind there and nothing below.
    alike = the_one(*some_reads(*(f"$HOME/sdk/include/{n}x.h" for n in range(40))))
    assert [rule.pattern for rule in alike.suggestion.rules] == ["$HOME/sdk/include/*.h"]
    # What belongs to the build is suggested as what will do.
    own = the_one(*some_reads(*(f"$WORKSPACE/data/{'xy'[n % 2]}{'z' * n}/{n}x" for n in range(40))))
    assert [rule.pattern for rule in own.suggestion.rules] == ["$WORKSPACE/data/**"]


def test_one_file_of_two_names_is_one_question_and_two_programs_of_one_file_are_two() -> None:
    file = "/usr/bin/python3.12"
    named = [
        an_access(Kind.EXEC, name, resolved=file, example=f"{name} -c 1")
        for name in ("python3", "python3.12")
    ]
    assert the_one(*named).title == "run python3, python3.12"

    busybox = [an_access(Kind.EXEC, name, resolved="/bin/busybox") for name in ("sh", "wget")]
    assert len(all_asked(*busybox)) == 2
