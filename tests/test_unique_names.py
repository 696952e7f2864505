"""One name for one thing: modules and classes are each called something of their own."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable

from tests.product import modules


def _repeated(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, place in named:
        found[name].append(place)
    return {name: sorted(places) for name, places in found.items() if len(places) > 1}


def test_every_module_has_a_name_of_its_own() -> None:
    packages = {name.rpartition(".")[0] for name in modules()}
    alone = [name for name in modules() if name not in packages]

    assert _repeated((name.rpartition(".")[2], name) for name in alone) == {}


def test_every_class_has_a_name_of_its_own() -> None:
    assert (
        _repeated(
            (node.name.lstrip("_"), name)
            for name, tree in modules().items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        )
        == {}
    )
