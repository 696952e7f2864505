"""What a crate was refused: each fact once, the worst first, and two ways on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.sought_secrets import EMPTY_HOME
from buildperm.report import refused_text
from buildperm.report.finding import Finding, Level
from buildperm.report.rule_catalogue import FAILED

HOME = "[workspace.metadata.buildperm]"
TABLE = "[workspace.metadata.buildperm.crates.pad]"
OTHER = "[workspace.metadata.buildperm.crates.other]"


def touched(kind: Kind, target: str, *, sensitive: str = "", example: str = "") -> Access:
    chain = ("build script", "sh")
    return Access(kind, target, Outcome.REFUSED, 1, 0, 0, (chain,), example, sensitive)


def refused(risk: Risk, *evidence: Access, remedy: str = "", theft: bool = False) -> Finding:
    return Finding(
        str(evidence[0].kind),
        Level.ERROR,
        "pad",
        "1.0.0",
        "pad 1.0.0 was not allowed to do it",
        (),
        ("app", "pad"),
        (TABLE, remedy) if remedy else (),
        "buildperm review --from report.json",
        1,
        "0",
        evidence,
        risk,
        roles=(Role(),),
        theft=(KEY_READ, WAY_OUT) if theft else None,
    )


KEY_READ = touched(Kind.READ, "$HOME/.ssh/id_ed25519", sensitive="ssh keys")
WAY_OUT = touched(Kind.NET, "127.0.0.1:1")
KEY = refused(Risk.CRITICAL, KEY_READ, theft=True)
HOST = refused(Risk.CRITICAL, WAY_OUT, remedy='net = ["127.0.0.1:1"]', theft=True)
TOOLS = refused(
    Risk.MEDIUM,
    touched(Kind.EXEC, "make", example="make -j2 all"),
    touched(Kind.EXEC, "ar"),
    remedy='exec = ["ar", "make"]',
)
OTHER_TOOL = refused(Risk.LOW, touched(Kind.EXEC, "sed"), remedy='exec = ["sed"]')


def test_a_theft_is_called_one_and_no_grant_is_offered() -> None:
    told = list(refused_text.lines([OTHER_TOOL, HOST, KEY]))

    assert told[:3] == [
        "  !! LOOKS LIKE THEFT: it reaches for secrets and for the network",
        "     the secret: ~/.ssh/id_ed25519, the way to the network: 127.0.0.1:1",
        "  !! read     ~/.ssh/id_ed25519  SSH key",
    ]
    risks = [line[2:4] for line in told if line[2:4].strip() in ("!!", ".")]
    assert risks == ["!!", "!!", "!!", " ."]
    assert not any(TABLE in line for line in told)
    assert any("Do not trust it?" in line and "Grant nothing" in line for line in told)
    assert any("buildperm review --from report.json" in line for line in told)


def test_a_look_into_the_empty_home_is_told_as_that() -> None:
    held = f"ssh keys and known hosts; {EMPTY_HOME}"
    key = touched(Kind.READ, "$HOME/.ssh/id_ed25519", sensitive=held)
    told = list(refused_text.lines([refused(Risk.CRITICAL, replace(key, outcome=Outcome.FAILED))]))

    assert told[0] == "  !! read     ~/.ssh/id_ed25519  SSH key (looked for; it saw an empty home)"


def test_what_is_offered_is_one_table_that_can_be_read() -> None:
    settling = (HOME, "version = 1", "", TABLE, 'exec = ["ar", "make", "sed"]')
    group = [replace(each, settling=settling) for each in (TOOLS, OTHER_TOOL)]
    tables: set[str] = set()
    told = list(refused_text.lines(group, tables))

    at = next(number for number, line in enumerate(told) if HOME in line)
    assert [line.strip() for line in told[at:-1]] == [line for line in settling if line]
    assert tables == {HOME, TABLE}
    # A table can be written once: the next crate of the report gets its own alone.
    other = [replace(each, settling=(*settling[:3], OTHER, "net = []")) for each in group]
    assert not any(HOME in line for line in refused_text.lines(other, tables))
    assert OTHER in tables
    assert not any("Do not trust it?" in line for line in told)


def test_a_chain_stands_once_where_it_is_the_same() -> None:
    told = list(refused_text.lines([TOOLS]))

    assert told[:4] == [
        "   ~ run      make",
        "                as make -j2 all",
        "   ~ run      ar",
        "                by build script > sh",
    ]


def test_command_lines_are_written_as_they_would_be_typed() -> None:
    git = touched(Kind.EXEC, "git", example="git log --pretty=format:%25an")
    grep = replace(touched(Kind.EXEC, "grep"), commands=(("grep '^%5CsM.'", 2),))

    told = list(refused_text.lines([refused(Risk.LOW, git), refused(Risk.LOW, grep)]))

    assert "                as git log --pretty=format:%an" in told
    assert r"                as grep '^\sM.'  (2 times)" in told


def test_compiling_and_macros_are_told_from_a_build_script() -> None:
    macro = replace(OTHER_TOOL, roles=(Role(SubjectKind.MACRO, "app"),))
    compiled = replace(KEY, roles=(Role(SubjectKind.COMPILE),))

    told = list(refused_text.lines([macro, compiled, TOOLS]))

    assert [line for line in told if line.endswith(":") and line.startswith("     ")][:3] == [
        "     compiling its code:",
        "     build script:",
        "     procedural macro, for crate app:",
    ]


@pytest.mark.parametrize(
    ("why", "is_told"),
    [("it tried to read $HOME/.ssh (ssh keys)", True), ("it left 2 processes running", False)],
)
def test_a_failure_that_only_repeats_refusals_is_left_out(why: str, is_told: bool) -> None:
    title = f"buildperm failed the build script of pad 1.0.0: {why}"
    failed = replace(KEY, rule=FAILED, title=title, evidence=(), risk=None)

    assert refused_text.is_told(failed, [KEY, failed]) is is_told
    assert not refused_text.is_told(failed, [failed])


def test_what_could_not_be_blocked_is_counted_and_marked() -> None:
    done = replace(TOOLS.evidence[0], outcome=Outcome.DONE)
    finding = replace(TOOLS, evidence=(done, TOOLS.evidence[1]))

    assert refused_text.tally([finding]) == (2, 1)
    assert next(iter(refused_text.lines([finding]))).endswith("make  NOT blocked")


def test_hostile_targets_stay_on_their_line() -> None:
    hostile = refused(Risk.HIGH, touched(Kind.READ, "/a\n  !! read /b\x1b[2J\u202e"))

    for line in refused_text.lines([hostile]):
        assert line.isprintable()
