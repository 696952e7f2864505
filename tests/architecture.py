"""Writes what ARCHITECTURE.md says of contracts and modules: `make architecture`.

Nothing of it is written by hand: contracts and their order come from pyproject.toml, the sentence
about a module is the first one of its docstring. `tests/test_architecture.py` compares.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "ARCHITECTURE.md"
CONTRACTS = ("<!-- contracts: made by `make architecture` -->", "<!-- end of contracts -->")
MODULES = ("<!-- modules: made by `make architecture` -->", "<!-- end of modules -->")

_INDIRECT = ", also not by way of others"


def layers() -> list[list[str]]:
    """Return the rooms from top to bottom; those side by side do not know one another."""
    (found,) = (each for each in _contracts() if each["type"] == "layers")
    return [re.findall(r"buildperm\.(\w+)", each) for each in _names(found, "layers")]


def modules() -> dict[str, list[Path]]:
    """Return every module of the product by its room, from the root of the repository on."""
    top = ROOT / "buildperm"
    found = {"buildperm": sorted(top.glob("*.py"))}
    for room in sorted(path.name for path in top.iterdir() if path.is_dir()):
        found[room] = sorted((top / room).resolve().rglob("*.py"))
    return {
        room: [path.relative_to(ROOT) for path in paths] for room, paths in found.items() if paths
    }


def sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z])", paragraph)[0]


def contracts_text() -> str:
    """Write the contracts of import-linter, one a row."""
    rows = [
        (str(each["name"]), _meaning(each)) for each in _contracts() if each["type"] != "layers"
    ]
    lines = ["| contract | what it forbids |", "|---|---|"]
    return "\n".join([*lines, *(f"| {_cell(name)} | {_cell(what)} |" for name, what in rows)])


def modules_text() -> str:
    """Write the modules, a table for each room, in the order of the layers."""
    known = modules()
    order = [room for layer in layers() for room in layer if room in known]
    return "\n\n".join(_room(room, known[room]) for room in [*order, "buildperm"])


def written(text: str) -> str:
    """Return `text`, the document, with both parts as they have to be.

    Raises:
        ValueError: A marker is missing.
    """
    for (begin, end), made in ((CONTRACTS, contracts_text()), (MODULES, modules_text())):
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{DOCUMENT.name} has no `{begin}` and `{end}`")
        text = f"{before}{begin}\n\n{made}\n\n{end}{after}"
    return text


def _contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = settings["tool"]["importlinter"]["contracts"]
    return found


def _meaning(contract: Mapping[str, object]) -> str:
    """Say what a contract forbids, to whom, and where that does not hold."""
    if contract["type"] != "forbidden":
        return f"{contract['type']}: {_listed(_names(contract, 'modules'))}"
    sources, forbidden = _names(contract, "source_modules"), _names(contract, "forbidden_modules")
    direct = contract.get("allow_indirect_imports") in (True, "True", "true")
    said = f"{_who(sources)} must not import {_listed(forbidden)}{'' if direct else _INDIRECT}"
    allowed = [each.replace("buildperm.", "") for each in _names(contract, "ignore_imports")]
    return said + "".join(f"; except `{each}`" for each in allowed)


def _who(sources: list[str]) -> str:
    """Name rooms by what they have in common, where that is shorter than to list them."""
    order = [f"buildperm.{room}" for layer in layers() for room in layer]
    others = [f"`{each.removeprefix('buildperm.')}`" for each in order if each not in sources]
    if set(sources) <= set(order) and len(others) <= 2:
        return f"Every room but {' and '.join(others)}"
    lowest = order[order.index(sources[0]) :] if sources[0] in order else []
    if set(sources) == set(lowest):
        return f"`{sources[0].removeprefix('buildperm.')}` and all below it"
    return _listed(sources)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name.removeprefix('buildperm.')}`" for name in names)


def _names(contract: Mapping[str, object], key: str) -> list[str]:
    value = contract.get(key, [])
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _room(room: str, paths: list[Path]) -> str:
    (opening,) = (path for path in paths if path.name == "__init__.py" and path.parent.name == room)
    rows = [f"| `{path}` | {_cell(sentence(path))} |" for path in paths if path != opening]
    return "\n".join(
        [f"### {room}", "", sentence(opening), "", "| module | what it is |", "|---|---|", *rows]
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{sum(map(len, modules().values()))} modules written to {DOCUMENT.name}\n")
