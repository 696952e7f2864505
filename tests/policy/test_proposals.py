"""Proposals: few questions, narrow answers first, and locks where an answer needs more."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import merging, presets, validation
from buildperm.policy.access import Access, Outcome
from buildperm.policy.choices import for_reads
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal, Risk
from buildperm.policy.proposals import propose
from buildperm.policy.risk_combinations import looks_like_theft
from buildperm.policy.rule import Rule
from buildperm.policy.sought_secrets import EMPTY_HOME
from buildperm.policy.undecided_accesses import denied, undecided
from buildperm.rules import sensitive
from buildperm.rules.pattern import matches


def _access(
    kind: Kind,
    target: str,
    outcome: Outcome = Outcome.DONE,
    *,
    held: str = "",
    example: str = "",
    resolved: str = "",
    is_free: bool = False,
) -> Access:
    chains = (("build script",),)
    return Access(kind, target, outcome, 1, 0, 0, chains, example, held, resolved, is_free)


def _reads(*targets: str) -> list[Access]:
    return [_access(Kind.READ, target) for target in targets]


def _runs(*targets: str) -> list[Access]:
    return [_access(Kind.EXEC, target) for target in targets]


def _propose(*accesses: Access, rules: tuple[Rule, ...] = ()) -> list[Proposal]:
    return propose("a", "1.0.0", accesses, rules)


def _one(*accesses: Access) -> Proposal:
    (proposal,) = _propose(*accesses)
    return proposal


def _patterns(proposal: Proposal) -> list[list[str]]:
    return [[rule.pattern for rule in choice.rules] for choice in proposal.choices]


@pytest.mark.parametrize(
    "access",
    [
        *_reads("$MANIFEST_DIR/build.rs", "/usr/include/stdio.h", "$OUT_DIR/x", "/etc/ld.so.cache"),
        *_reads(
            "/proc/self/maps",
            "/dev/tty",
            "/proc",
            "$SYSROOT/lib/librustc_driver-1.so",
            "$TARGET_DIR/debug/deps",
        ),
        *(_access(Kind.WRITE, target) for target in ("$OUT_DIR/x", "$TMP/x", "/dev/null")),
        *_runs("$SYSROOT/bin/rustc", "/lib64/ld-linux-x86-64.so.2"),
        *(_access(Kind.ENV, name) for name in ("OUT_DIR", "CC", "DEP_Z_ROOT", "OPENSSL_DIR")),
        _access(Kind.DIRECTIVE, "rustc-env=VERSION"),
        _access(Kind.DIRECTIVE, "rerun-if-changed"),
        _access(Kind.READ, "$WORKSPACE/absent", Outcome.FAILED),
        _access(Kind.EXEC, "/usr/local/bin/cc", Outcome.FAILED),
        _access(Kind.READ, "$TARGET_DIR/debug/build/z-1/out/z.h", is_free=True),
        _access(Kind.NET, "/run/nscd/socket", Outcome.REFUSED),
        _access(Kind.SYSTEM, "io_uring_setup", Outcome.REFUSED),
        _access(Kind.WRITE, "$WORKSPACE/scripts/__pycache__", Outcome.REFUSED),
        _access(Kind.WRITE, "$WORKSPACE/scripts/__pycache__/x.pyc.1234", Outcome.REFUSED),
        *_reads("$WORKSPACE/scripts/__pycache__/x.cpython-311.pyc"),
        _access(Kind.WRITE, "$WORKSPACE/.git/index.lock", Outcome.REFUSED, held="it runs later"),
    ],
    ids=lambda access: f"{access.kind}-{access.target}",
)
def test_the_baseline_and_what_is_no_news_is_never_asked_about(access: Access) -> None:
    assert _propose(access) == []


def test_a_refused_variable_of_the_baseline_is_news() -> None:
    assert _propose(_access(Kind.ENV, "CC", Outcome.REFUSED))


def test_what_is_granted_or_denied_is_not_asked_about() -> None:
    accesses = [*_reads("$WORKSPACE/proto/a.proto"), *_runs("protoc")]
    allowed = Rule(Kind.READ, "$WORKSPACE/proto/**")
    denial = Rule(Kind.EXEC, "proto?")

    assert len(propose("a", "1", accesses)) == 2
    assert [p.title for p in propose("a", "1", accesses, [allowed])] == ["run protoc"]
    assert propose("a", "1", accesses, [allowed], [denial]) == []
    assert undecided(accesses, [], [denial]) == [accesses[0]]


def test_what_was_refused_because_it_is_denied_is_told_from_the_rest() -> None:
    one = _access(Kind.EXEC, "protoc", Outcome.REFUSED)
    other = _access(Kind.EXEC, "perl", Outcome.REFUSED)
    done = _access(Kind.EXEC, "protoc")

    assert denied([one, other, done], [Rule(Kind.EXEC, "proto?")]) == [one]
    assert denied([one, other, done], []) == []


def test_a_rule_by_path_allows_a_program_that_was_asked_for_by_name() -> None:
    run = _access(Kind.EXEC, "tool", resolved="/opt/tools/tool-1.2")

    assert _propose(run, rules=(Rule(Kind.EXEC, "/opt/tools/**"),)) == []
    assert _propose(run, rules=(Rule(Kind.EXEC, "/opt/other/**"),))


def test_a_c_compiler_is_one_question() -> None:
    programs = "cc as ld ar /usr/lib/gcc/x86_64-linux-gnu/12/cc1 x86_64-linux-gnu-ranlib"
    proposal = _one(*_runs(*programs.split()))

    assert proposal.title == "compile and link C and C++"
    assert [choice.preset for choice in proposal.choices] == ["cc"]
    assert proposal.choices[0].rules == ()
    assert proposal.choices[0].widening
    assert proposal.risk is Risk.MEDIUM
    assert not proposal.locked
    assert len(proposal.evidence) == 6


def test_what_two_presets_cover_goes_to_the_narrower() -> None:
    bindings = _one(*_runs("clang", "llvm-config"))
    both = _propose(*_runs("clang", "llvm-config", "cc"))

    assert bindings.choices[0].preset == "bindgen"
    assert {p.choices[0].preset for p in both} == {"bindgen", "cc"}


def test_each_tool_chain_is_a_question_of_its_own() -> None:
    accesses = [
        *_runs("cmake", "make", "uname", "$OUT_DIR/build/cmTC_1", "cc", "as"),
        *(replace(access, causes=("make",)) for access in _runs("sh")),
        *_runs("pkg-config", "git"),
        *_reads("$WORKSPACE/.git/HEAD", "$WORKSPACE/.git/refs/heads/main"),
    ]
    proposals = _propose(*accesses)

    assert {p.choices[0].preset for p in proposals} == {"cc", "cmake", "pkg-config", "git"}
    assert max(p.risk for p in proposals) is Risk.MEDIUM


def test_a_preset_is_offered_only_where_its_anchor_ran() -> None:
    (proposal,) = _propose(*_runs("sh"))

    assert proposal.choices[0].preset == ""
    assert proposal.risk is Risk.HIGH


def test_a_granted_preset_is_not_offered_again() -> None:
    rules = tuple(presets.PRESETS["cc"].rules)

    assert _propose(*_runs("cc", "as"), rules=rules) == []


def test_a_preset_is_offered_only_where_all_that_ran_fits_its_purpose() -> None:
    asking = _access(Kind.EXEC, "git", example="git -C .. log -1")
    updating = replace(asking, commands=(("git log", 1), ("git submodule update --init", 1)))

    assert _one(asking).suggestion.preset == "git"
    assert _one(updating).suggestion.preset == ""
    assert _one(updating).title == "run git log, git submodule update"


def test_a_shell_that_the_script_runs_itself_is_no_part_of_a_preset() -> None:
    found = _propose(*_runs("make", "sh"))

    assert [each.title for each in found] == ["run sh", "run make"]
    assert not any(each.suggestion.preset for each in found)


def test_git_that_talks_to_the_network_is_high() -> None:
    proposal = _one(_access(Kind.EXEC, "git", example="git fetch origin"))

    assert proposal.risk is Risk.HIGH
    assert proposal.title == "run git fetch"


def test_reads_of_one_folder_are_one_question_with_several_choices() -> None:
    proposal = _one(
        *_reads("$WORKSPACE/proto/a.proto", "$WORKSPACE/proto/b.proto", "$WORKSPACE/proto")
    )

    assert proposal.title == "read 3 files below $WORKSPACE/proto"
    assert _patterns(proposal) == [
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
    by_name, listed = _one(*_reads(*named)), _one(*_reads(*named, "$WORKSPACE/proto"))

    assert [rule.pattern for rule in by_name.suggestion.rules] == sorted(named)
    assert [rule.pattern for rule in listed.suggestion.rules] == [
        "$WORKSPACE/proto",
        "$WORKSPACE/proto/*.proto",
        "$WORKSPACE/proto/README.md",
    ]


def test_a_folder_whose_folders_are_listed_is_granted_with_all_of_them() -> None:
    walked = ("$WORKSPACE/proto", "$WORKSPACE/proto/v1", "$WORKSPACE/proto/v1/a.proto")

    suggestion = _one(*_reads(*walked)).suggestion

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
    proposal = _one(*_reads(target))

    assert [rule.pattern for rule in proposal.suggestion.rules] == [target]
    for choice in proposal.choices:
        for rule in choice.rules:
            assert choice.locked or not matches(rule.pattern, "$HOME/.ssh/id_ed25519")
            assert choice.locked or not matches(rule.pattern, "$CARGO_HOME/credentials.toml")


def test_a_walked_folder_beside_a_single_file_is_granted_and_not_what_joins_them() -> None:
    walked = _reads("/opt/sdk/a", "/opt/sdk/a/b", "/opt/sdk/a/b/x.h", "/opt/sdk/z.toml")

    choices = for_reads(walked)

    assert [rule.pattern for rule in choices.suggestion.rules] == [
        "/opt/sdk/a/**",
        "/opt/sdk/z.toml",
    ]


def test_nothing_wide_is_suggested_where_no_choice_fits() -> None:
    walked = _reads("$WORKSPACE", "$WORKSPACE/a", "$WORKSPACE/a/x.h", "$WORKSPACE/z.toml")

    choices = for_reads(walked)

    assert choices.all[-1].locked
    assert choices.suggested == 0


def test_gits_objects_are_granted_with_all_of_its_folder() -> None:
    # The next commit has other ones, so that a grant of these would hold for this one alone.
    top = "/src/repository/.git"
    proposal = _one(*_reads(*(f"{top}/{name}" for name in ("HEAD", "index", "objects/a1/b2"))))

    assert _patterns(proposal)[0] == [f"{top}/**"]
    assert "next commit" in proposal.choices[0].widening


def test_many_files_are_granted_by_folder() -> None:
    proposal = _one(*_reads(*(f"$WORKSPACE/proto/{n}.proto" for n in range(40))))

    assert len(proposal.choices[0].rules) == 40
    assert _patterns(proposal)[1:3] == [
        ["$WORKSPACE/proto/*.proto"],
        ["$WORKSPACE/proto", "$WORKSPACE/proto/*"],
    ]
    assert proposal.suggested == 1


def test_many_files_that_no_folder_may_be_granted_for_stay_exact() -> None:
    proposal = _one(*_reads(*(f"$HOME/{n}.txt" for n in range(40))))

    assert len(proposal.suggestion.rules) == 40
    assert all(choice.locked for choice in proposal.choices[1:])


def test_many_folders_are_put_together() -> None:
    proposals = _propose(*_reads(*(f"$WORKSPACE/folder{n}/a" for n in range(30))))

    assert len(proposals) <= 3
    assert sum(len(p.evidence) for p in proposals) == 30


def test_hashes_of_cargo_are_not_written_into_rules() -> None:
    target = "$TARGET_DIR/debug/build/z-sys-0123456789abcdef/out/include/z.h"
    proposal = _one(*_reads(target))

    for patterns in _patterns(proposal):
        assert all("0123456789abcdef" not in pattern for pattern in patterns)
        assert any(matches(pattern, target) for pattern in patterns)


def test_a_write_is_granted_for_the_file_or_its_folder() -> None:
    proposal = _one(
        _access(Kind.WRITE, "$WORKSPACE/gen/a.h", Outcome.REFUSED),
        _access(Kind.WRITE, "$WORKSPACE/gen/b.h", Outcome.REFUSED),
    )

    assert proposal.title == "write 2 files below $WORKSPACE/gen"
    assert proposal.risk is Risk.HIGH
    assert not proposal.locked
    assert _patterns(proposal) == [
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
        [_access(Kind.WRITE, f"{folder}/a.fish", Outcome.REFUSED)],
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
        refused = _access(Kind.WRITE, target, Outcome.REFUSED)
        (written,) = propose("a", "1.0.0", [refused], rules)
        assert written.suggestion.rules == (Rule(Kind.WRITE, target),)


def test_a_folder_that_is_made_is_granted_with_what_is_in_it() -> None:
    accesses = [
        _access(Kind.WRITE, target, Outcome.REFUSED)
        for target in ("$WORKSPACE/x/gen", "$WORKSPACE/x/gen/a.h")
    ]
    patterns = [
        pattern for p in _propose(*accesses) for choice in _patterns(p) for pattern in choice
    ]

    assert "$WORKSPACE/x/gen/**" in patterns


def test_a_folder_that_could_not_be_made_is_granted_as_one() -> None:
    # What would be in it nobody has seen: the script could not go on.
    made = replace(_access(Kind.WRITE, "$WORKSPACE/gen", Outcome.REFUSED), is_folder=True)

    assert _patterns(_one(made))[0] == ["$WORKSPACE/gen/**"]
    beside = _access(Kind.WRITE, "$WORKSPACE/a.h", Outcome.REFUSED)
    assert _patterns(_one(made, beside))[0] == ["$WORKSPACE/a.h", "$WORKSPACE/gen/**"]


def test_what_changes_a_folder_is_granted_with_the_folder() -> None:
    moved, made = (
        replace(_access(Kind.WRITE, f"$WORKSPACE/gen/{name}", Outcome.REFUSED), is_entry=is_entry)
        for name, is_entry in (("a.rs", True), ("b.rs", False))
    )

    assert _patterns(_one(moved))[0] == ["$WORKSPACE/gen/**"]
    assert _patterns(_one(moved, made))[0] == ["$WORKSPACE/gen/**"]
    assert _patterns(_one(made))[0] == ["$WORKSPACE/gen/b.rs"]


def test_what_would_change_the_folder_of_the_manifest_is_told_and_locked() -> None:
    moved, made = (
        replace(_access(Kind.WRITE, f"$MANIFEST_DIR/{name}", Outcome.REFUSED), is_entry=is_entry)
        for name, is_entry in (("a.rs", True), ("b.rs", False))
    )
    found = {proposal.title: proposal for proposal in _propose(moved, made)}

    assert found["write $MANIFEST_DIR/a.rs"].locked.startswith("No grant can allow it: names")
    assert not found["write $MANIFEST_DIR/b.rs"].locked
    assert _patterns(found["write $MANIFEST_DIR/b.rs"])[0] == ["$MANIFEST_DIR/b.rs"]


@pytest.mark.parametrize(
    ("first", "second", "denied"),
    [
        ("/dev/shm/psm_deadbeef", "/dev/shm/psm_0badcafe", "/dev/shm/psm_*"),
        ("/dev/shm/sem.vwg9Sz", "/dev/shm/sem.mp-abcdefgh", "/dev/shm/sem.*"),
    ],
)
def test_a_name_of_one_run_is_asked_about_once_and_no_rule(
    first: str, second: str, denied: str
) -> None:
    asked, again = (
        _one(*(_access(kind, target, Outcome.REFUSED) for kind in (Kind.WRITE,)))
        for target in (first, second)
    )

    assert asked.locked.startswith("No grant can allow it: the next run gives it another name")
    assert (asked.id, asked.title) == (again.id, again.title)
    denial = merging.refused_by(asked, asked.suggestion)
    assert denial == {Rule(Kind.WRITE, denied)}
    assert not undecided(again.evidence, (), denial)


@pytest.mark.parametrize(
    ("first", "second", "folder"),
    [
        ("/tmp/app-build-22980", "/tmp/app-build-23071", "/tmp"),
        ("/tmp/tmp.MAp6GnQk9S", "/tmp/tmp.0o0167AQwl", "/tmp"),
        ("/var/tmp/job_4711/x.o", "/var/tmp/job_4712/x.o", "/var/tmp"),
        ("/tmp/**", "/tmp/app-build-4711", "/tmp"),  # As it is seen while learning.
    ],
)
def test_a_temporary_file_is_one_question_about_a_folder_of_its_own(
    first: str, second: str, folder: str
) -> None:
    done = Outcome.DONE if first.endswith("**") else Outcome.REFUSED
    asked = _one(_access(Kind.WRITE, first, done))
    again = _one(
        _access(Kind.WRITE, second, Outcome.REFUSED), _access(Kind.READ, second, Outcome.REFUSED)
    )

    assert (asked.id, asked.title) == (again.id, again.title)
    assert (asked.risk, asked.locked) == (Risk.LOW, "")
    assert _patterns(asked) == [[f"{folder}/**"]]
    granted = [Rule(Kind.WRITE, f"{folder}/**")]
    assert not propose("app", "1.0.0", (*asked.evidence, *again.evidence), granted)


def test_a_temporary_file_that_is_there_is_somebody_elses() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="theirs-") as theirs:
        proposal = _one(_access(Kind.WRITE, f"{theirs}/key", Outcome.REFUSED))

    assert _patterns(proposal)[0] == [f"{theirs}/key"]
    assert proposal.risk is Risk.HIGH
    agent = _one(_access(Kind.WRITE, "/tmp/ssh-XXXXab/agent.1", Outcome.REFUSED, held="an agent"))
    assert agent.locked


def test_a_folder_that_was_listed_is_one_without_any_file_of_it() -> None:
    (read,) = _reads("$WORKSPACE/proto")
    listed = _one(replace(read, is_folder=True))
    refused = _one(replace(read, is_folder=True, outcome=Outcome.REFUSED))
    names = ["$WORKSPACE/proto", "$WORKSPACE/proto/*"]

    assert listed.suggestion.title == "exactly this folder"
    assert [rule.pattern for rule in listed.suggestion.rules] == names[:1]
    # What is in it would have been read next.
    assert refused.choices[0].title == "exactly this folder"
    assert [rule.pattern for rule in refused.suggestion.rules] == names
    assert _one(read).suggestion.title == "exactly this file"
    file = replace(_reads("$WORKSPACE/proto/a.proto")[0], outcome=Outcome.DONE)
    both = _one(replace(read, is_folder=True), file)
    assert [rule.pattern for rule in both.suggestion.rules] == [names[0], f"{names[0]}/*.proto"]


def test_java_counts_where_it_can_and_nobody_is_asked() -> None:
    counters = "/tmp/hsperfdata_me/4711"
    tried = [_access(kind, counters, Outcome.REFUSED) for kind in (Kind.READ, Kind.WRITE)]

    assert not undecided([*tried, _access(Kind.WRITE, "/tmp/hsperfdata_me", Outcome.REFUSED)])
    assert undecided([_access(Kind.WRITE, "/tmp/hsperf/4711", Outcome.REFUSED)])
    assert undecided([_access(Kind.WRITE, counters)])  # Somebody could.


def test_a_name_that_stays_is_granted_as_ever(tmp_path: Path) -> None:
    # As where the checkout of a job lies in /tmp, or another program has made the folder.
    there = tmp_path / "job-4711"
    there.mkdir()
    target = f"{there}/build.log"
    proposal = _one(_access(Kind.WRITE, target, Outcome.REFUSED))
    assert not proposal.locked
    assert _patterns(proposal)[0] == [target]
    assert not _one(*_reads("/tmp/absent-4711/settings")).locked  # Somebody else's.
    (read,), made = _reads("/tmp/own-4711/x"), _access(Kind.WRITE, "/tmp/own-4711", Outcome.REFUSED)
    assert _patterns(_one(read, made)) == [["/tmp/**"]]


def test_a_file_beside_the_manifest_is_granted_by_its_exact_path_only() -> None:
    proposal = _one(_access(Kind.WRITE, "$MANIFEST_DIR/gen.h", Outcome.REFUSED))

    assert _patterns(proposal)[0] == ["$MANIFEST_DIR/gen.h"]
    assert all(choice.locked for choice in proposal.choices[1:])


def test_risky_programs_are_asked_about_singly_and_others_together() -> None:
    proposals = _propose(*_runs("perl", "protoc", "bison", "wget", "frobnicate"))

    assert [(p.title, p.risk) for p in proposals] == [
        ("run frobnicate", Risk.HIGH),
        ("run perl", Risk.HIGH),
        ("run wget", Risk.HIGH),
        ("run protoc, bison", Risk.MEDIUM),
    ]


def test_variables_are_asked_about_by_their_beginning() -> None:
    names = ("FOO_A", "FOO_B", "BAR_X", "BAR_Y", "LONELY", "SINGLE_ONE")
    proposals = _propose(*(_access(Kind.ENV, name) for name in names))
    by_first = {tuple(found[0]): found[1:] for found in map(_patterns, proposals)}

    assert by_first == {
        ("FOO_A", "FOO_B"): [["FOO_*"]],
        ("BAR_X", "BAR_Y"): [["BAR_*"]],
        ("LONELY", "SINGLE_ONE"): [],
    }
    assert all(p.risk is Risk.LOW for p in proposals)


def test_directives_are_asked_about_by_key() -> None:
    proposals = _propose(
        _access(Kind.DIRECTIVE, "rustc-link-arg=-a", Outcome.REFUSED),
        _access(Kind.DIRECTIVE, "rustc-link-arg=-b", Outcome.REFUSED),
        _access(Kind.DIRECTIVE, "rustc-link-search=$MANIFEST_DIR/lib", Outcome.REFUSED),
    )

    assert [(len(p.evidence), p.risk) for p in proposals] == [(2, Risk.HIGH), (1, Risk.MEDIUM)]
    assert not any(p.locked for p in proposals)


@pytest.mark.parametrize(
    "access",
    [
        _access(Kind.READ, "$HOME/.ssh/id_rsa", Outcome.REFUSED, held="ssh keys"),
        _access(Kind.READ, "$HOME/.ssh/id_rsa", Outcome.FAILED, held="ssh keys"),
        _access(Kind.WRITE, "$WORKSPACE/Cargo.toml", Outcome.REFUSED, held="grants"),
        _access(Kind.NET, "/var/run/docker.sock", Outcome.REFUSED, held="docker"),
        _access(Kind.ENV, "GITHUB_TOKEN", Outcome.REFUSED, held="a secret"),
        _access(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD", Outcome.REFUSED, held="steers"),
    ],
    ids=lambda access: f"{access.kind}-{access.outcome}",
)
def test_the_sensitive_tier_is_shown_and_locked(access: Access) -> None:
    proposal = _one(access)

    assert proposal.locked
    assert proposal.risk is Risk.CRITICAL
    assert proposal.choices
    assert proposal.notes


def test_system_calls_and_sockets_of_this_machine_are_shown_and_locked() -> None:
    proposals = _propose(
        _access(Kind.NET, "/tmp/socket", Outcome.REFUSED),
        _access(Kind.NET, "0.0.0.0:80", Outcome.REFUSED),
        _access(Kind.SYSTEM, "bpf", Outcome.REFUSED),
        _access(Kind.SYSTEM, "ptrace", Outcome.REFUSED),
    )

    assert [p.title for p in proposals] == [
        "call bpf, ptrace",
        "connect to /tmp/socket",
        "connect to 0.0.0.0:80",
    ]
    assert all(p.locked and p.risk is Risk.HIGH for p in proposals)


def test_each_host_is_a_question_of_its_own_that_no_batch_answers() -> None:
    targets = ["%5B::1%5D:80", "10.0.0.1:443", "crates.io:443"]
    proposals = _propose(*(_access(Kind.NET, target, Outcome.REFUSED) for target in targets))

    assert [p.title for p in proposals] == [f"connect to {target}" for target in targets]
    assert not any(p.locked for p in proposals)
    assert all(p.risk is Risk.HIGH for p in proposals)
    assert [[choice.rules for choice in p.choices] for p in proposals] == [
        [(Rule(Kind.NET, target),)] for target in targets
    ]
    assert all("could send out what it reads" in p.notes[0] for p in proposals)


def test_where_machines_get_their_credentials_is_for_nobody_but_by_hand() -> None:
    held = "machines of clouds get their credentials there"
    proposal = _one(_access(Kind.NET, "169.254.169.254:80", Outcome.REFUSED, held=held))

    assert proposal.locked
    assert proposal.risk is Risk.CRITICAL


def test_a_secret_and_a_way_out_are_worse_together() -> None:
    secret = _access(Kind.ENV, "GITHUB_TOKEN", Outcome.REFUSED, held="a secret")
    way_out = _access(Kind.NET, "10.0.0.1:443", Outcome.REFUSED)
    alone = _one(way_out)
    together = _propose(secret, way_out)

    assert alone.risk is Risk.HIGH
    assert [p.risk for p in together] == [Risk.CRITICAL, Risk.CRITICAL]
    assert all("steal" in p.notes[0] for p in together)


def test_no_secret_is_at_hand_that_is_not_there_and_asking_git_is_no_way_out() -> None:
    absent = _access(Kind.READ, "$HOME/.netrc", Outcome.FAILED, held="a secret")
    refused = _access(Kind.READ, "$HOME/.netrc", Outcome.REFUSED, held="a secret")
    way_out = _access(Kind.NET, "10.0.0.1:443", Outcome.REFUSED)
    asking = _access(Kind.EXEC, "git", example="git status --porcelain")
    fetching = _access(Kind.EXEC, "git", example="git fetch")
    mixed = replace(asking, commands=((asking.example, 1), (fetching.example, 1)))

    assert not looks_like_theft([absent, way_out])
    assert looks_like_theft([replace(absent, sensitive=f"a secret; {EMPTY_HOME}"), way_out])
    assert not looks_like_theft([refused, asking])
    for way in (way_out, fetching, mixed):
        assert looks_like_theft([refused, way])


def test_nobody_is_told_how_to_allow_what_an_empty_home_lacks() -> None:
    held = f"a private ssh key; {EMPTY_HOME}"
    look = _one(_access(Kind.READ, "$HOME/.ssh/id_rsa", Outcome.FAILED, held=held))

    assert look.risk is Risk.CRITICAL
    assert look.title == "read $HOME/.ssh/id_rsa (a private ssh key; it saw an empty home)"
    assert look.locked.startswith("Sensitive: nothing to allow")


def test_running_what_was_just_written_says_so() -> None:
    written = _access(Kind.WRITE, "$OUT_DIR/x")
    proposal = _one(written, *_runs("$OUT_DIR/x"))
    downloaded = _propose(written, *_runs("$OUT_DIR/x", "curl"))

    assert proposal.risk is Risk.MEDIUM
    assert any("written by the script" in reason for reason in proposal.notes)
    assert [p.risk for p in downloaded] == [Risk.CRITICAL, Risk.HIGH]


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
    proposal = _one(*_runs(*programs))
    seen = frozenset(Rule(Kind.EXEC, program) for program in programs)

    assert _patterns(proposal)[0] == rules
    assert proposal.suggestion.title == title
    assert bool(proposal.suggestion.widening) is ("below" in title)
    # To deny it is to deny what was seen, and nothing that is made besides.
    assert merging.refused_by(proposal, proposal.suggestion) == seen


def test_a_script_that_was_made_is_granted_with_its_interpreter() -> None:
    made, shell = _runs("$OUT_DIR/run.sh", "sh")
    proposal = _one(made, replace(shell, causes=("$OUT_DIR/run.sh",)))

    assert _patterns(proposal) == [["$OUT_DIR/**", "sh"]]
    assert merging.refused_by(proposal, proposal.suggestion) == {Rule(Kind.EXEC, "$OUT_DIR/run.sh")}


def test_a_library_for_the_compiler_says_what_it_would_do() -> None:
    preload = _access(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD", Outcome.REFUSED, held="steers")

    assert any("load a library" in reason for reason in _one(preload).notes)


def test_ids_are_stable_and_different() -> None:
    accesses = [*_runs("cc", "perl", "protoc"), *_reads("$WORKSPACE/a/x", "/etc/hosts")]
    first, again = propose("a", "1", accesses), propose("a", "2", reversed(accesses))
    other = propose("b", "1", accesses)

    assert {p.id for p in first} == {p.id for p in again}
    assert len({p.id for p in (*first, *other)}) == 2 * len(first)
    assert all(len(p.id) == 12 and int(p.id, 16) >= 0 for p in first)


def test_the_riskiest_comes_first() -> None:
    proposals = _propose(
        *_reads("$WORKSPACE/a/x"),
        *_runs("cc", "perl"),
        _access(Kind.READ, "$HOME/.ssh/x", Outcome.REFUSED, held="ssh keys"),
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
        _access, st.just(kind), st.sampled_from(TARGETS[kind]), st.sampled_from(list(Outcome))
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
    missing = _access(Kind.EXEC, "/usr/local/sbin/git", Outcome.FAILED)
    found = _access(Kind.EXEC, "git", Outcome.REFUSED, example="git fetch")
    token = _access(Kind.ENV, "MY_TOKEN", Outcome.REFUSED, held="its name says so")

    notes = [note for each in _propose(missing, found, token) for note in each.notes]

    assert any("it reaches for `MY_TOKEN` and for `git`." in note for note in notes)
    assert not any("/usr/local/sbin/git" in note for note in notes)


def test_what_a_program_wanted_is_asked_about_apart_from_what_the_script_wanted() -> None:
    ran, own, its, both = (
        replace(access, causes=causes)
        for access, causes in zip(
            (*_runs("perl"), *_reads("$WORKSPACE/x/a", "$WORKSPACE/x/b", "$WORKSPACE/x/c")),
            (("",), ("",), ("perl",), ("", "perl")),
            strict=True,
        )
    )
    found = {proposal.title: proposal for proposal in _propose(ran, own, its, both)}

    assert {title: each.wanted_by for title, each in found.items()} == {
        "run perl": "",
        "read 2 files below $WORKSPACE/x": "",
        "read $WORKSPACE/x/b": "perl",
    }


def test_a_program_is_one_question_with_the_parts_of_it_that_it_needs() -> None:
    """A version manager's python3 is a script, which runs a dozen programs of its own."""
    home = "$HOME/.pyenv"
    python = replace(_runs("python3")[0], resolved=f"{home}/shims/python3")
    its = [
        replace(access, causes=("python3",))
        for access in (
            *_runs("bash", "sed", f"{home}/versions/3/bin/python3", "curl"),
            *_reads(f"{home}/libexec/pyenv", f"{home}/versions/3/lib/os.py", "$WORKSPACE/x/a"),
        )
    ]
    found = {each.title: each for each in _propose(python, *its)}

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


def test_the_shell_that_a_preset_runs_belongs_to_it() -> None:
    git = replace(_runs("git")[0], commands=(("git describe", 1),))
    shell = replace(_runs("sh")[0], causes=("git",))

    proposal = _one(git, shell)

    assert proposal.suggestion.preset == "git"
    assert [str(rule) for rule in proposal.suggestion.rules] == ["exec:sh"]
    assert proposal.risk is Risk.HIGH


def test_a_shared_folder_of_the_target_directory_is_one_question_about_both() -> None:
    seen = [
        _access(Kind.WRITE, "$TARGET_DIR/cxxbridge", outcome=Outcome.REFUSED),
        _access(Kind.WRITE, "$TARGET_DIR/cxxbridge/one/src/lib.rs.h", outcome=Outcome.REFUSED),
        _access(Kind.READ, "$TARGET_DIR/cxxbridge/rust/cxx.h"),
    ]

    proposal = _one(*seen)

    assert (proposal.risk, proposal.locked) == (Risk.MEDIUM, "")
    assert "crates share it" in " ".join(proposal.notes)
    assert [(rule.kind, rule.pattern) for rule in proposal.suggestion.rules] == [
        (Kind.READ, "$TARGET_DIR/cxxbridge/**"),
        (Kind.WRITE, "$TARGET_DIR/cxxbridge/**"),
    ]


@pytest.mark.parametrize("target", ["$TARGET_DIR/app", "$TARGET_DIR/libx.so"])
def test_a_file_in_the_target_directory_itself_is_no_shared_folder(target: str) -> None:
    proposal = _one(_access(Kind.WRITE, target, outcome=Outcome.REFUSED))

    assert proposal.risk is Risk.HIGH
    assert [rule.pattern for rule in proposal.suggestion.rules] == [target]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("$TARGET_DIR/debug/app", "No grant can allow it: it is Cargo's own"),
        ("$TARGET_DIR/debug/deps/liba.rlib", "No grant can allow it: it is Cargo's own"),
        ("$TARGET_DIR/debug/libx.so", "by hand, as an exact path"),
    ],
)
def test_what_lies_beside_programs_is_by_hand_and_what_cargo_makes_is_closed(
    target: str, hint: str
) -> None:
    held = sensitive.why(target, writing=True)
    proposal = _one(_access(Kind.WRITE, target, outcome=Outcome.REFUSED, held=held))

    assert proposal.risk is Risk.CRITICAL
    assert hint in proposal.locked


@pytest.mark.parametrize(
    "target",
    [
        "$TARGET_DIR/buildperm-session",
        "$TARGET_DIR/buildperm-compile/x/y",
        "$TARGET_DIR/debug/build/a-0123456789abcdef/buildperm/context",
        "$WORKSPACE/target/buildperm/learn/debug/x",
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED])
def test_reading_our_own_files_is_nobodys_question_and_writing_them_is(
    target: str, outcome: Outcome
) -> None:
    assert _propose(_access(Kind.READ, target, outcome=outcome)) == []
    held = sensitive.why(target, writing=True)
    assert _one(_access(Kind.WRITE, target, outcome=Outcome.REFUSED, held=held)).locked


def test_a_file_of_one_run_that_was_read_and_written_is_one_question() -> None:
    names = ("/dev/shm/psm_deadbeef", "/dev/shm/psm_0badcafe")
    seen = [
        _access(kind, name, outcome=Outcome.REFUSED)
        for name in names
        for kind in (Kind.READ, Kind.WRITE)
    ]

    proposal, again = _one(*seen), _one(*reversed(seen))

    assert proposal.locked
    assert proposal.id == again.id
    assert proposal.title == "write /dev/shm/psm_*"


def _read(target: str, *, is_folder: bool = False, cause: str = "") -> Access:
    return replace(_access(Kind.READ, target), is_folder=is_folder, causes=(cause,))


BUILT = (
    _read("$WORKSPACE/target/debug/deps/liba-0123456789abcdef.rmeta"),
    _read("$WORKSPACE/target/debug/.fingerprint", is_folder=True),
    _read("$TARGET_DIR/debug/.fingerprint/a-0123456789abcdef/lib-a"),
    _read("$TARGET_DIR/debug/incremental", is_folder=True),
    _read("$TARGET_DIR/.rustc_info.json"),
)


def test_a_walk_through_the_package_asks_once_about_what_is_built_in_it() -> None:
    top = _read("$WORKSPACE/target", is_folder=True)
    proposal = _one(top, *BUILT)

    assert proposal.title == "read all that Cargo has built, as it walks through its package"
    assert proposal.risk is Risk.MEDIUM
    assert _patterns(proposal) == [
        ["$TARGET_DIR/.rustc_info.json", "$TARGET_DIR/debug/**", "$WORKSPACE/target/**"]
    ]
    later = _read("$TARGET_DIR/debug/deps/libb-fedcba9876543210.rmeta")
    assert _propose(top, *BUILT, later, rules=proposal.suggestion.rules) == []
    # What it looks for besides is a question of its own.
    other = _read("$WORKSPACE/notes.txt")
    assert len(_propose(top, *BUILT, other)) == 2


@pytest.mark.parametrize(
    "top",
    [
        _read("$WORKSPACE/data", is_folder=True),
        _read("$WORKSPACE/target"),  # A file.
        _read("$WORKSPACE/target", is_folder=True, cause="find"),
    ],
)
def test_who_does_not_walk_through_the_package_is_asked_about_each_folder(top: Access) -> None:
    for proposal in _propose(top, *BUILT):
        assert "as it walks" not in proposal.title
        assert ["$TARGET_DIR/debug/**"] not in _patterns(proposal)[:1]


def test_many_files_of_a_home_folder_are_suggested_as_they_are() -> None:
    targets = [f"$HOME/.config/tool/{n % 8}/{n}x" for n in range(40)]
    proposal = _one(*_reads(*targets))

    assert proposal.risk is Risk.HIGH
    assert sorted(rule.pattern for rule in proposal.suggestion.rules) == sorted(targets)
    assert ["$HOME/.config/tool/**"] in _patterns(proposal)  # Whoever wants it takes it.
    # Of one kind in one folder, they are that kind there and nothing below.
    alike = _one(*_reads(*(f"$HOME/sdk/include/{n}x.h" for n in range(40))))
    assert [rule.pattern for rule in alike.suggestion.rules] == ["$HOME/sdk/include/*.h"]
    # What belongs to the build is suggested as what will do.
    own = _one(*_reads(*(f"$WORKSPACE/data/{'xy'[n % 2]}{'z' * n}/{n}x" for n in range(40))))
    assert [rule.pattern for rule in own.suggestion.rules] == ["$WORKSPACE/data/**"]


def test_one_file_of_two_names_is_one_question_and_two_programs_of_one_file_are_two() -> None:
    file = "/usr/bin/python3.12"
    named = [
        _access(Kind.EXEC, name, resolved=file, example=f"{name} -c 1")
        for name in ("python3", "python3.12")
    ]
    assert _one(*named).title == "run python3, python3.12"

    busybox = [_access(Kind.EXEC, name, resolved="/bin/busybox") for name in ("sh", "wget")]
    assert len(_propose(*busybox)) == 2
