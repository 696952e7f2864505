"""What ARCHITECTURE.md and HOW_IT_WORKS.md say of rooms, modules and functions is so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import DOCUMENT, ROOT

ABOUT_CODE = ("ARCHITECTURE.md", "HOW_IT_WORKS.md")
ROOMS = sorted(architecture.modules())
_PLACE = re.compile(
    rf"`((?:{'|'.join(ROOMS)}|tests|benchmarks|screenshots|ci|docs)/[\w./-]*)(?::([\w.]+))?`"
)


_C_FUNCTION = re.compile(r"^(?:[A-Za-z_]\w*[\s*]+)+(\w+)\(", re.MULTILINE)


@cache
def names(path: Path) -> frozenset[str]:
    """Return what a module defines: functions, classes, constants, and `Class.method`."""
    if path.suffix == ".c":
        return frozenset(_C_FUNCTION.findall(path.read_text(encoding="utf-8")))
    return frozenset(_defined(ast.parse(path.read_text(encoding="utf-8")).body))


def _defined(body: list[ast.stmt], within: str = "") -> set[str]:
    found = set()
    for each in body:
        match each:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.add(within + each.name)
            case ast.ClassDef():
                found.add(within + each.name)
                if not within:
                    found |= _defined(each.body, f"{each.name}.")
            case ast.Assign():
                found |= {within + one.id for one in each.targets if isinstance(one, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(within + name)
            case _:
                pass
    return found


def missing(text: str) -> list[str]:
    """Return the places that a document names and that are not there: `room/module.py:name`."""
    return [
        found[0]
        for found in _PLACE.finditer(text)
        if not (ROOT / found[1]).exists() or (found[2] and found[2] not in names(ROOT / found[1]))
    ]


@pytest.mark.parametrize("name", ABOUT_CODE)
def test_what_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    functions = [found for found in _PLACE.finditer(text) if found[2]]

    assert missing(text) == []
    assert len(functions) > 20


def test_what_is_named_wrongly_is_found() -> None:
    broker = "supervisor/compiling/broker.c"
    right = f"`rules/pattern.py`, `rules/pattern.py:matches`, `tests/children/`, `{broker}:decide`"
    wrong = ["`rules/patterns.py`", "`rules/pattern.py:matched`", "`tests/nobody/`"]
    wrong.append(f"`{broker}:decides`")

    assert missing(right) == []
    assert missing(" ".join(wrong)) == wrong


@pytest.mark.parametrize("name", ABOUT_CODE)
def test_every_function_is_named_with_its_module(name: str) -> None:
    """A name alone would not be looked for."""
    text = (ROOT / name).read_text(encoding="utf-8")

    assert re.findall(r"`[\w.]+\(\)`", text) == []


def test_modules_and_contracts_are_as_they_are_written() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert text == architecture.written(text), "run `make architecture`"


def test_every_module_says_what_it_is_in_a_sentence() -> None:
    silent = [
        str(path)
        for paths in architecture.modules().values()
        for path in paths
        if not re.search(r"\w.*[.!?]$", architecture.sentence(path))
    ]

    assert silent == []


def test_every_module_of_the_product_is_listed() -> None:
    listed = {found for paths in architecture.modules().values() for found in paths}
    top = ROOT / "buildperm"
    linked = [path.resolve() for path in top.iterdir() if path.is_symlink()]
    found = {path.resolve() for folder in (top, *linked) for path in folder.rglob("*.py")}
    there = {path.relative_to(ROOT) for path in found if "examples" not in path.parts}

    assert listed == there


def test_the_picture_shows_the_layers_of_the_contract() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    picture = text.partition("```")[2].partition("```")[0]
    lines = [re.findall(r"[a-z]+", line.partition("  #")[0]) for line in picture.splitlines()]
    shown = [sorted(words) for words in lines if words]

    assert shown == [sorted(layer) for layer in architecture.layers()]
