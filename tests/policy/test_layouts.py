"""Every preset finds its tool chain where each distribution puts it, and nothing beside it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from buildperm.policy import presets
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.rules.pattern import resolve_exec
from buildperm.tracer.notation import encode

LAYOUTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("layouts.toml").read_text())
HASH = "0c2i5vqk8w7m3a1xdfghjklnpqrsvwyz"
TOLD = [
    (layout, preset) for layout, told in LAYOUTS.items() for preset in PRESETS if preset in told
]


class Tree:
    """The programs of one distribution, made below a folder."""

    def __init__(self, root: Path, layout: dict[str, Any]) -> None:
        self._root = os.fsencode(root)
        for name in (*PRESETS, "others"):
            for file in layout.get(name, ()):
                made = Path(os.fsdecode(self.path(file)))
                made.parent.mkdir(parents=True, exist_ok=True)
                made.write_text("")
                made.chmod(0o755)
        for link, target in layout["links"].items():
            made = Path(os.fsdecode(self.path(link)))
            made.parent.mkdir(parents=True, exist_ok=True)
            made.symlink_to(os.fsdecode(self.path(target)))
        self._search = b":".join(map(self.path, layout["path"]))

    def path(self, file: str) -> bytes:
        """Return where a file of the distribution lies."""
        return self._root + file.replace("HASH", HASH).encode()

    def opened(self, *names: str) -> set[bytes]:
        """Return the programs that presets lead to in this tree."""
        found: set[bytes] = set()
        for rule in presets.expand(names):
            if rule.kind is Kind.EXEC:
                at_root = rule.pattern.startswith("/")
                pattern = encode(self._root) + rule.pattern if at_root else rule.pattern
                found.update(path for path, _ in resolve_exec(pattern, self._search, {}))
        return found


@pytest.mark.parametrize(("name", "preset"), TOLD)
def test_a_preset_finds_its_programs_where_a_distribution_puts_them(
    name: str, preset: str, tmp_path: Path
) -> None:
    tree = Tree(tmp_path.resolve(), LAYOUTS[name])
    found = tree.opened(preset)

    for file in LAYOUTS[name][preset]:
        path = tree.path(file)
        assert any(path == each or path.startswith(each + b"/") for each in found), file


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_preset_opens_what_lies_beside_its_programs(name: str, tmp_path: Path) -> None:
    tree = Tree(tmp_path.resolve(), LAYOUTS[name])
    found = tree.opened(*PRESETS)

    for file in LAYOUTS[name]["others"]:
        path = tree.path(file)
        assert not any(path == each or path.startswith(each + b"/") for each in found), file


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_tells_where_the_tools_of_every_day_are(name: str) -> None:
    assert {"cc", "git", "cmake", "python"} <= set(LAYOUTS[name])


def test_a_store_with_more_packages_than_may_be_looked_at_is_no_obstacle(tmp_path: Path) -> None:
    tree = Tree(tmp_path.resolve(), LAYOUTS["nix"])
    store = Path(os.fsdecode(tree.path("/nix/store")))
    for number in range(20_001):
        (store / f"{HASH}-a{number}").touch()

    assert tree.path(LAYOUTS["nix"]["git"][1]) in tree.opened("git")
