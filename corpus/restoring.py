"""Shows of one workspace that what is restored equals what runs: byte for byte, here and elsewhere.

    here       run without results; run, run later, restored
    elsewhere  run once in a second place; then run without results, and restored, in a third one

For each run of a build script all of OUT_DIR is compared, with kinds, permissions and links, and
what Cargo keeps of what it printed and said.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.workshop import StepError, Workshop

Made = dict[str, tuple[int, bytes]]
"""Mode and content, or where a link leads, by path from the folder of a run."""

_BUILDPERM = [sys.executable, "-m", "buildperm"]
_PLACE = Path("target/buildperm/ci")
_APART_S = 1.5  # So long after a run another one can tell whether the clock matters.
_REFUSED = 20
_PRINTED = ("output", "stderr")


@dataclass(frozen=True, slots=True)
class RestoredUnit:
    """What came of one run of a build script."""

    unit: str  # As Cargo names its folder: package, and a number that is another one elsewhere.
    here: str  # `restored`, or what came of it instead.
    elsewhere: str
    differs: tuple[str, ...]  # What was restored and is not the same as what ran.
    why: str  # Why it was not restored here, or else elsewhere; empty if it was.


class _Place:
    """A copy of a workspace, and a cache that it shares with others."""

    def __init__(self, workshop: Workshop, folder: Path, cache: Path, cargo: Sequence[str]) -> None:
        environment = workshop.environment | {"XDG_CACHE_HOME": str(cache)}
        self._workshop = Workshop(folder, environment, workshop.left)
        self._cargo = cargo

    def build(self, option: str) -> dict[str, Made]:
        """Build from nothing; return what each run has made.

        Raises:
            StepError: It failed.
        """
        folder = self._workshop.folder
        shutil.rmtree(folder / "target", ignore_errors=True)
        step = self._workshop.run([*_BUILDPERM, "ci", option, "--", *self._cargo])
        if step.code not in (
            0,
            _REFUSED,
        ):  # What was refused something is not restored, and says so.
            raise StepError(f"ci {option} ended with {step.code}: {step.err[-2000:]}")
        return {
            path.name: unit_made(path)
            for path in sorted((folder / _PLACE).glob("**/build/*"))
            if (path / "output").is_file()
        }

    def outcomes(self) -> dict[str, Mapping[str, Any]]:
        """Return what came of looking for results, by the name of the run."""
        paths = (self._workshop.folder / _PLACE).glob("**/build/*/buildperm/result.json")
        return {path.parents[1].name: json.loads(path.read_bytes()) for path in paths}


def restored(workshop: Workshop, cargo: Sequence[str]) -> list[RestoredUnit]:
    """Build the workspace of `workshop`, which has its grants, seven times; compare.

    Args:
        workshop: Beside its folder, others are made.
        cargo: The command of Cargo.

    Raises:
        StepError: A build failed.
    """
    beside = workshop.folder.parent
    folders = [workshop.folder, beside / "second", beside / "other-place" / "third"]
    for folder in folders[1:]:
        shutil.rmtree(folder, ignore_errors=True)
        ignored = shutil.ignore_patterns("target")
        shutil.copytree(workshop.folder, folder, symlinks=True, ignore=ignored)
    cache = beside / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(mode=0o700)
    first, second, third = (_Place(workshop, each, cache, cargo) for each in folders)
    time.sleep(_APART_S)  # Nothing that is read may be younger than a run.
    ran = first.build("--no-cache")
    first.build("--cache")
    time.sleep(_APART_S)
    first.build("--cache")
    here = first.build("--cache")
    outcomes = first.outcomes()
    second.build("--cache")
    ran_elsewhere = third.build("--no-cache")
    elsewhere = third.build("--cache")
    outcomes_elsewhere = third.outcomes()
    by_output = {_number_free(name): name for name in outcomes_elsewhere}
    units = []
    for name, said in sorted(outcomes.items()):
        other = name if name in outcomes_elsewhere else by_output.get(_number_free(name), "")
        said_elsewhere = outcomes_elsewhere.get(other, {"outcome": "did not run", "why": []})
        differs: list[str] = []
        if said["outcome"] == "restored":
            differs += differing_paths(ran.get(name, {}), here.get(name, {}))
        if said_elsewhere["outcome"] == "restored":
            differs += differing_paths(ran_elsewhere.get(other, {}), elsewhere.get(other, {}))
        both = (said, said_elsewhere)
        ran_all = [each["why"] for each in both if each["outcome"] != "restored"]
        reasons: list[str] = ran_all[0] if ran_all else []
        units.append(
            RestoredUnit(
                name,
                str(said["outcome"]),
                str(said_elsewhere["outcome"]),
                tuple(differs),
                "; ".join(map(str, reasons)),
            )
        )
    return units


def table(units: Mapping[str, Sequence[RestoredUnit]]) -> str:
    """Return a table in Markdown, with a line for each run, by the name of its workspace."""
    lines = [
        "| workspace | build script | same place | elsewhere | differs | why it ran |",
        "|---|---|---|---|---|---|",
    ]
    for group, runs in sorted(units.items()):
        for each in runs:
            cells = (
                *(group, each.unit, each.here, each.elsewhere),
                *(", ".join(each.differs) or "-", each.why.replace("|", "\\|") or "-"),
            )
            lines.append(f"| {' | '.join(cells)} |")
    every = [each for runs in units.values() for each in runs]
    total = len(every)
    lines += [
        "",
        f"{total} runs: {sum(each.here == 'restored' for each in every)} restored in the same "
        f"place, {sum(each.elsewhere == 'restored' for each in every)} elsewhere, "
        f"{sum(bool(each.differs) for each in every)} of them not the same.",
    ]
    return "\n".join(lines) + "\n"


def _number_free(unit: str) -> str:
    return unit.rpartition("-")[0]


def unit_made(unit: Path) -> Made:
    """Return all that one run has made: its OUT_DIR, and what it printed and said."""
    found: Made = {}
    for path in sorted((unit / "out").rglob("*")):
        found[str(path.relative_to(unit))] = _entry(path)
    for name in _PRINTED:
        if (unit / name).is_file():
            found[name] = 0, (unit / name).read_bytes()
    return found


def _entry(path: Path) -> tuple[int, bytes]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return mode, os.fsencode(path.readlink())
    return mode, path.read_bytes() if stat.S_ISREG(mode) else b""


def differing_paths(ran: Made, put_back: Made) -> list[str]:
    """Name what is not the same; that nothing ran to compare with is a difference, too."""
    if not ran:
        return ["nothing ran"]
    return sorted(path for path in {*ran, *put_back} if ran.get(path) != put_back.get(path))
