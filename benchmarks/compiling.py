"""What it costs to hold compiling: a whole build plain, with scripts held, and with all held.

    benchmarks/compiling.py [--rounds N] [--command COMMAND] [PROJECT ...]

Every round builds everything anew. A project is copied first; its build scripts are granted what
`learn --accept medium` writes. Build scripts are held in both variants of buildperm, so that the
difference between them is what compiling and macros cost.
"""

from __future__ import annotations

import argparse
import shutil
import tomllib
from functools import partial
from pathlib import Path

from building import BUILDPERM, run
from held import CRATES, workspace
from measurement import Variant, describe_machine, interleave, processor_ratios, ratios, table

LEARN = [*BUILDPERM, "learn", "--no-tui", "--accept", "medium", "--", "check", "--workspace"]


def setting(manifest: Path, value: str) -> None:
    """Write `compile = VALUE` into the grant table of a manifest that `learn` has written."""
    text = manifest.read_text(encoding="utf-8")
    kind = "workspace" if "workspace" in tomllib.loads(text) else "package"
    head = f"[{kind}.metadata.buildperm]"
    lines = [line for line in text.splitlines() if not line.startswith("compile = ")]
    if head not in lines:
        lines += ["", head, "version = 1"]
    lines.insert(lines.index(head) + 1, f'compile = "{value}"')
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")


def afresh(command: list[str], folder: Path, value: str = "") -> None:
    """Build after removing everything that was built, with compiling held as `value` says."""
    shutil.rmtree(folder / "target", ignore_errors=True)
    if value:
        setting(folder / "Cargo.toml", value)
    run(command, folder, 20)  # What is refused does not have to end the build.


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--command", default="build", help="the command of Cargo")
    parser.add_argument("projects", nargs="*", type=Path, default=[CRATES])
    given = parser.parse_args()
    describe_machine()
    plain = ["cargo", given.command, "--quiet"]
    held = [*BUILDPERM, "ci", "--", given.command, "--quiet"]
    wall, processors = [], []
    for project in given.projects:
        with workspace(project.resolve()) as folder:
            run(LEARN, folder, 3)
            ways = [
                Variant("cargo", partial(afresh, plain, folder)),
                Variant("scripts held", partial(afresh, held, folder, "off")),
                Variant("all held", partial(afresh, held, folder, "hold")),
            ]
            interleave(ways, given.rounds, title=project.name)
            wall.append([project.name, *ratios(ways), *ratios(ways[1:])[1:]])
            processors.append(
                [project.name, *processor_ratios(ways), *processor_ratios(ways[1:])[1:]]
            )
    head = ["project", *(way.name for way in ways), "all : scripts held"]
    rounds = f"medians of {given.rounds} rounds in turns"
    table(f"`cargo {given.command}` from nothing, {rounds}", head, wall)
    table(f"Processor time of the same; ratios of pairs, {rounds}", head, processors)


if __name__ == "__main__":
    main()
