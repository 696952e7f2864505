"""What the documents, `make help` and CI say about commands is what the Makefile has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from buildperm import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for place in ("*.md", "docs/*.md", "ci/*.md", "examples/*.md", "benchmarks/*.md", "corpus/*.md")
    for path in ROOT.glob(place)
)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) - {"needs-cargo"}


@pytest.mark.parametrize(
    "name", [*(each for each in DOCUMENTS if each != "CHANGELOG.md"), ".ci/run"]
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


def called(text: str) -> list[list[str]]:
    """Return the words of each call of buildperm in a document; placeholders are left out."""
    lines: list[str] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "fence":
            lines += token.content.splitlines()
        lines += [each.content for each in token.children or () if each.type == "code_inline"]
    found = (re.match(r"\s*(?:\$ |- run: )?(buildperm [a-z].*)", line) for line in lines)
    calls = (re.sub(r"\[[^\]]*\]|…|\$\{\{.*?\}\}", "", each[1]) for each in found if each)
    return [shlex.split(call, comments=True)[1:] for call in calls]


def usage_error(words: list[str]) -> str:
    """Say what `buildperm` itself would say about these words; nothing is run."""
    name, *arguments = words
    context = click.Context(cli._group)
    command = cli._group.get_command(context, name)
    if command is None:
        return f"no command {name}"
    if all(word.isupper() or word.startswith("-") for word in arguments):  # Named, not called.
        needed = [each for each in command.params if isinstance(each, click.Argument)]
        arguments += [_some(each) for each in needed if each.required]
        valued = {name for each in command.params if not _is_flag(each) for name in each.opts}
        arguments = [word for word in arguments if word not in valued]
    try:
        command.make_context(name, arguments, parent=context, resilient_parsing=False)
    except click.exceptions.Exit:
        return ""  # `--help`.
    except click.UsageError as error:
        return error.format_message()
    return ""


def _some(argument: click.Argument) -> str:
    """Return a word that the argument takes."""
    return argument.type.choices[0] if isinstance(argument.type, click.Choice) else "x"


def _is_flag(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument) or bool(getattr(parameter, "is_flag", False))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_documents_call_is_understood(name: str) -> None:
    calls = called((ROOT / name).read_text(encoding="utf-8"))
    told = {shlex.join(words): usage_error(words) for words in calls}

    assert {words: said for words, said in told.items() if said} == {}


def test_every_command_is_explained() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")

    assert {words[0] for words in called(text)} == set(
        cli._group.list_commands(click.Context(cli._group))
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["learn", "--runs", "3"], ""),
        (["why", "openssl-sys", "exec:perl"], ""),
        (["learn", "--run", "3"], "No such option"),
        (["teach"], "no command"),
        (["learn", "--accept", "high"], "Invalid value"),
    ],
)
def test_what_is_not_understood_is_found(words: list[str], said: str) -> None:
    assert said in usage_error(words)
    assert bool(said) == bool(usage_error(words))
