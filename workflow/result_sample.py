"""Runs scripts again that were restored, and compares, for `buildperm cache verify`."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from buildperm.cargo.project import CI
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.errors import BuildpermError, ExitCode
from buildperm.presentation import console
from buildperm.report.text import count
from buildperm.workflow.build_outcome import run_held_build
from buildperm.workflow.workspace import open_workspace

_OUTCOME = "result.json"  # Beside a recording: `supervisor.cached_run`.


def verify(words: Sequence[str], number: int, seed: str | None) -> int:
    """Run some of the scripts again that the last build restored; return the exit code.

    Each runs where it was restored, as Cargo runs it. What comes of it is compared with what would
    have been restored, byte for byte. Where it differs, the result is removed.

    Args:
        words: For Cargo.
        number: How many scripts; all there are if these are less.
        seed: The same ones are chosen for the same text; None: by chance.

    Raises:
        BuildpermError: Nothing was restored, or a build script cannot be held.
    """
    workspace = open_workspace(words, default=CI)
    held = SupervisedBuild(
        workspace.project,
        workspace.policy,
        "enforcing",
        observation="light",
        command="ci",
        is_cached=True,
    )
    found = {
        path: said
        for path in sorted(held.target.folder.glob(f"**/build/*/buildperm/{_OUTCOME}"))
        if (said := _read(path)) is not None and said.get("outcome") in ("restored", "same")
    }
    if not found:
        raise BuildpermError(
            "the last build restored nothing that could be run again",
            hint="Build with `buildperm ci --cache` until `cache explain CRATE` says `restored`.",
        )
    chosen = sorted(random.Random(seed).sample(sorted(found), min(number, len(found))))  # noqa: S311
    held.session["cache"]["again"] = sorted({str(found[path].get("key", "")) for path in chosen})
    for path in chosen:
        path.unlink()
        (path.parent.parent / "output").unlink(missing_ok=True)  # Cargo then runs it again.
    outcome = run_held_build(held, workspace)
    if outcome.finished.interrupted:
        return ExitCode.INTERRUPTED
    counts = {"same": 0, "different": 0, "": 0}
    for path in chosen:
        said = _read(path) or {}
        outcome_now = str(said.get("outcome"))
        unit, why = path.parent.parent.name, "; ".join(map(str, said.get("why", ())))
        if outcome_now == "same":
            counts["same"] += 1
        elif outcome_now == "different":
            counts["different"] += 1
            console.print_line(f"{unit}: {why}; what was kept is removed")
        else:
            counts[""] += 1
            console.print_line(f"{unit} was not compared: {why or 'it did not run'}")
    console.print_message(
        f"{count(len(chosen), 'script')} run again: {counts['same']} as restored, "
        f"{counts['different']} different, {counts['']} not compared"
    )
    return ExitCode.OK if counts["same"] == len(chosen) else ExitCode.USAGE


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None
