"""Shows of one workspace which scripts run on an engine, and that the same comes of it as here.

It is built twice, each time from nothing: here, which tells what each script reads, and then with
`--runtime remote`. All of OUT_DIR is compared, with kinds, permissions and links, and what Cargo
keeps of what a script printed and said.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.restoring import Made, differing_paths, unit_made
from corpus.workshop import StepError, Workshop

_PLACE = Path("target/buildperm/ci")
_APART_S = 1.5  # Nothing that is read may be younger than a run.


@dataclass(frozen=True, slots=True)
class EngineUnit:
    """What came of one run of a build script."""

    unit: str  # As Cargo names its folder.
    why: str  # Why it ran here after all; empty if it ran on the engine.
    differs: tuple[str, ...]  # What is not the same as after the run here.


def compared_runs(
    workshop: Workshop, buildperm: Sequence[str], cargo: Sequence[str], address: str
) -> list[EngineUnit]:
    """Build the workspace of `workshop`, which has its grants, here and on an engine; compare.

    Args:
        workshop: Beside its folder a cache is made. Neither may be in /tmp.
        buildperm: The command.
        cargo: Words for Cargo.
        address: The engine, as `--remote` takes it.

    Raises:
        StepError: A build failed.
    """
    cache = workshop.folder.parent / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(mode=0o700)
    environment = workshop.environment | {"XDG_CACHE_HOME": str(cache)}
    inner = Workshop(workshop.folder, environment, workshop.left)
    time.sleep(_APART_S)
    here, _ = _built(inner, [*buildperm, "ci", "--cache", "--", *cargo])
    time.sleep(_APART_S)
    words = ("--runtime", "remote", "--remote", address, "--no-cache")
    there, whys = _built(inner, [*buildperm, "ci", *words, "--", *cargo])
    return [
        EngineUnit(name, whys[name], tuple(differing_paths(here.get(name, {}), made)))
        for name, made in sorted(there.items())
    ]


def engine_table(units: Mapping[str, Sequence[EngineUnit]]) -> str:
    """Return a table in Markdown, with a line for each run, by the name of its workspace."""
    lines = ["| workspace | build script | ran | differs |", "|---|---|---|---|"]
    for group, runs in sorted(units.items()):
        for each in runs:
            where = f"here: {each.why}".replace("|", "\\|") if each.why else "on the engine"
            lines.append(f"| {group} | {each.unit} | {where} | {', '.join(each.differs) or '-'} |")
    every = [each for runs in units.values() for each in runs]
    lines += [
        "",
        f"{len(every)} runs: {sum(not each.why for each in every)} on the engine, "
        f"{sum(bool(each.differs) for each in every)} not the same.",
    ]
    return "\n".join(lines) + "\n"


def _built(workshop: Workshop, words: Sequence[str]) -> tuple[dict[str, Made], dict[str, str]]:
    """Build from nothing; return what each run has made, and why it was not on an engine.

    Raises:
        StepError: It failed.
    """
    shutil.rmtree(workshop.folder / "target", ignore_errors=True)
    step = workshop.run(words)
    if step.code:
        raise StepError(f"{' '.join(words)} ended with {step.code}: {step.err[-2000:]}")
    made, whys = dict[str, Made](), dict[str, str]()
    for path in sorted((workshop.folder / _PLACE).glob("**/build/*")):
        if (path / "output").is_file():
            made[path.name] = unit_made(path)
            with (path / "buildperm/recording.jsonl").open() as recording:
                told = json.loads(recording.readline()).get("remote")
            whys[path.name] = str(told["why"]) if told else "no engine was asked"
    return made, whys
