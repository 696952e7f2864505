"""A tool chain is one question, where its tools were run for what it is for."""

from __future__ import annotations

from dataclasses import replace

from buildperm.policy import presets
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from tests.policy.questions import all_asked, an_access, some_reads, some_runs, the_one


def test_a_c_compiler_is_one_question() -> None:
    programs = "cc as ld ar /usr/lib/gcc/x86_64-linux-gnu/12/cc1 x86_64-linux-gnu-ranlib"
    proposal = the_one(*some_runs(*programs.split()))

    assert proposal.title == "compile and link C and C++"
    assert [choice.preset for choice in proposal.choices] == ["cc"]
    assert proposal.choices[0].rules == ()
    assert proposal.choices[0].widening
    assert proposal.risk is Risk.MEDIUM
    assert not proposal.locked
    assert len(proposal.evidence) == 6


def test_what_two_presets_cover_goes_to_the_narrower() -> None:
    bindings = the_one(*some_runs("clang", "llvm-config"))
    both = all_asked(*some_runs("clang", "llvm-config", "cc"))

    assert bindings.choices[0].preset == "bindgen"
    assert {p.choices[0].preset for p in both} == {"bindgen", "cc"}


def test_each_tool_chain_is_a_question_of_its_own() -> None:
    accesses = [
        *some_runs("cmake", "make", "uname", "$OUT_DIR/build/cmTC_1", "cc", "as"),
        *(replace(access, causes=("make",)) for access in some_runs("sh")),
        *some_runs("pkg-config", "git"),
        *some_reads("$WORKSPACE/.git/HEAD", "$WORKSPACE/.git/refs/heads/main"),
    ]
    proposals = all_asked(*accesses)

    assert {p.choices[0].preset for p in proposals} == {"cc", "cmake", "pkg-config", "git"}
    assert max(p.risk for p in proposals) is Risk.MEDIUM


def test_a_preset_is_offered_only_where_its_anchor_ran() -> None:
    (proposal,) = all_asked(*some_runs("sh"))

    assert proposal.choices[0].preset == ""
    assert proposal.risk is Risk.HIGH


def test_a_granted_preset_is_not_offered_again() -> None:
    rules = tuple(presets.PRESETS["cc"].rules)

    assert all_asked(*some_runs("cc", "as"), rules=rules) == []


def test_a_preset_is_offered_only_where_all_that_ran_fits_its_purpose() -> None:
    asking = an_access(Kind.EXEC, "git", example="git -C .. log -1")
    updating = replace(asking, commands=(("git log", 1), ("git submodule update --init", 1)))

    assert the_one(asking).suggestion.preset == "git"
    assert the_one(updating).suggestion.preset == ""
    assert the_one(updating).title == "run git log, git submodule update"


def test_a_shell_that_the_script_runs_itself_is_no_part_of_a_preset() -> None:
    found = all_asked(*some_runs("make", "sh"))

    assert [each.title for each in found] == ["run sh", "run make"]
    assert not any(each.suggestion.preset for each in found)


def test_git_that_talks_to_the_network_is_high() -> None:
    proposal = the_one(an_access(Kind.EXEC, "git", example="git fetch origin"))

    assert proposal.risk is Risk.HIGH
    assert proposal.title == "run git fetch"


def test_the_shell_that_a_preset_runs_belongs_to_it() -> None:
    git = replace(some_runs("git")[0], commands=(("git describe", 1),))
    shell = replace(some_runs("sh")[0], causes=("git",))

    proposal = the_one(git, shell)

    assert proposal.suggestion.preset == "git"
    assert [str(rule) for rule in proposal.suggestion.rules] == ["exec:sh"]
    assert proposal.risk is Risk.HIGH
