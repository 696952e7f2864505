"""What the documents, `make help` and CI say about commands is what the Makefile has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) - {"needs-cargo"}


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", ".ci/run", "benchmarks/README.md"]
)
def test_what_is_to_be_made_can_be_made(name: str) -> None:
    text = (ROOT / name).read_text()
    commands = re.findall(r"^make (.+)$|`make ([^`]+)`", text, re.MULTILINE)
    words = {
        word
        for each in commands
        for word in "".join(each).partition("#")[0].split()
        if word.isalpha()
    }

    assert words <= TARGETS


def test_help_names_each_target() -> None:
    named = re.findall(r"@echo 'make ([a-z-]+) ", MAKEFILE)

    assert set(named) == TARGETS - {"help"}
    assert len(named) == len(set(named))


def test_ci_runs_what_the_readme_says_and_then_the_rest() -> None:
    script = (ROOT / ".ci/run").read_text()
    ran = re.findall(r"^make .*$", script, re.MULTILINE)

    assert "make test " in (ROOT / "README.md").read_text()
    assert ran == ["make check", "make test", "make --assume-old=test test-all"]


def test_what_one_run_leaves_out_another_one_runs() -> None:
    chosen = re.findall(r"-m (?:'([^']+)'|([a-z]+)) \$\(PYTEST\)", MAKEFILE)
    marks = ("slow", "matrix", "corpus", "races")
    runs = [
        "".join(each) for each in chosen[:4]
    ]  # Of `make test`, and of `make test-all` after it.
    assert len(runs) == 4

    for number in range(1 << len(marks)):
        has = {mark: bool(number >> at & 1) for at, mark in enumerate(marks)}
        if not (has["corpus"] and has["races"]):
            assert sum(bool(eval(each, {}, has)) for each in runs) == 1, has
