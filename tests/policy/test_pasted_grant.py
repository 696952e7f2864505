"""What is offered to paste: however Cargo.toml is written, it can be read afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.policy import manifest
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.pasted_grant import lines
from buildperm.policy.rule import Rule

PATH = Path("Cargo.toml")
PERL = Rule(Kind.EXEC, "perl")
MORE = CrateGrants("x", reviewed=frozenset(["1.0.0"]), rules=frozenset([PERL]))

PACKAGE = '[package]\nname = "a"\nversion = "1.0.0"\n'
WORKSPACE = '[workspace]\nmembers = ["a"]\n'
HOME = "[workspace.metadata.buildperm]\nversion = 1\n"

FRESH = {
    "a package that is no workspace": PACKAGE,
    "a package that is one": PACKAGE + "[workspace]\n",
    "a workspace": WORKSPACE,
    "a file that ends within a line": WORKSPACE.removesuffix("\n"),
    "another line end": WORKSPACE.replace("\n", "\r\n"),
    "a grant table": WORKSPACE + HOME,
    "tables of others": WORKSPACE
    + HOME
    + "[workspace.metadata.buildperm.crates.y]\nexec = ['m4']\n",
    "a package's grant table": PACKAGE + "[package.metadata.buildperm]\nversion = 1\n",
    "settings of others": WORKSPACE + "[workspace.metadata]\nother = { a = 1 }\n",
}
TAKEN = {
    "a table": HOME + "[workspace.metadata.buildperm.crates.x]\npresets = ['cc']\n",
    "a quoted key": HOME + '[workspace.metadata.buildperm.crates."x"]\nexec = ["m4"]\n',
    "an inline table": HOME + "crates.x = { presets = ['cc'] }\n",
    "inline crates": HOME + "crates = { y = { presets = ['cc'] } }\n",
    "dotted keys": HOME + "crates.x.exec = ['m4']\n",
    "all inline": "[workspace.metadata]\nbuildperm = { version = 1 }\n",
    "a denial": HOME + "[workspace.metadata.buildperm.crates.x.deny]\nexec = ['m4']\n",
}


def read_after(text: str, pasted: tuple[str, ...]) -> Policy:
    return manifest.read(f"{text}\n".encode() + "\n".join(pasted).encode(), PATH)


@pytest.mark.parametrize("text", FRESH.values(), ids=FRESH.keys())
def test_what_is_pasted_grants_what_was_offered(text: str) -> None:
    pasted = lines(text.encode(), "x", MORE, PATH)

    found = read_after(text, pasted).crates["x"]
    assert (found.rules, found.reviewed) == (MORE.rules, MORE.reviewed)


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN.keys())
def test_a_table_that_is_there_is_told_and_never_written_twice(text: str) -> None:
    text = WORKSPACE + text

    pasted = lines(text.encode(), "x", MORE, PATH)

    assert read_after(text, pasted) == manifest.read(text.encode(), PATH)
    assert pasted[0].startswith("# [workspace.metadata.buildperm.crates.x] (Cargo.toml:")
    assert any('"perl"' in line for line in pasted)


def test_what_the_table_would_say_holds_what_it_says_already() -> None:
    text = f"{WORKSPACE}{HOME}\n[workspace.metadata.buildperm.crates.x]\nexec = ['m4']\n"

    assert lines(text.encode(), "x", MORE, PATH) == (
        "# [workspace.metadata.buildperm.crates.x] (Cargo.toml:6) would say:",
        '# reviewed = ["1.0.0"]',
        '# exec = ["m4", "perl"]',
    )


@pytest.mark.parametrize(
    "key", ["x@1.0", "path+$WORKSPACE/a b#x", 'git+https://h/"p"#x', "ünïcode"]
)
def test_keys_are_written_as_toml_reads_them(key: str) -> None:
    pasted = lines(PACKAGE.encode(), key, CrateGrants(key, rules=frozenset([PERL])), PATH)

    assert list(read_after(PACKAGE, pasted).crates) == [key]


def test_a_broken_file_gets_no_lines() -> None:
    assert lines(b"[workspace", "x", MORE, PATH) == ()
