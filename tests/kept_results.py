"""Results as a store keeps them, JSON that is compressed, and runs of which some are kept."""

from __future__ import annotations

import json
import shutil
import time
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from buildperm.cache import blob_form
from tests.bench import Bench, Ended

_SCHEMA = json.loads((resources.files("buildperm.report") / "cache.schema.json").read_text())
_MOST = 1 << 26  # Bytes.


def told(raw: bytes) -> dict[str, Any]:
    """Return what a result says."""
    said: dict[str, Any] = json.loads(blob_form.text(raw, _MOST))
    return said


def read(path: Path) -> dict[str, Any]:
    """Return what the result in a file says."""
    return told(path.read_bytes())


def checked(text: str) -> dict[str, Any]:
    """Return what `show` or `explain` has written for programs, which follows its schema."""
    said: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(_SCHEMA).validate(said)
    return said


def run(bench: Bench, placed: Path) -> tuple[Ended, dict[str, Any]]:
    """Run a script with an empty OUT_DIR; return the run, and what came of looking for a result."""
    shutil.rmtree(bench.out_dir)
    bench.out_dir.mkdir()
    time.sleep(0.1)  # What is younger than a run is not kept.
    ended = bench.run(placed)
    assert ended.status == 0, ended.stderr
    said: dict[str, Any] = json.loads((bench.unit / "buildperm/result.json").read_bytes())
    return ended, said


def outcome(bench: Bench, placed: Path) -> tuple[str, str]:
    """Run a script; return what came of looking for a result, and what is in `made` then."""
    _, said = run(bench, placed)
    return str(said["outcome"]), (bench.out_dir / "made").read_text()


def until_restored(bench: Bench, placed: Path) -> list[tuple[str, str]]:
    """Run a script until it is restored; return each `outcome`."""
    found = [outcome(bench, placed)]
    while found[-1][0] != "restored" and len(found) < 20:
        time.sleep(1.1)  # The same has to come of it a second later, or later still.
        found.append(outcome(bench, placed))
    assert found[-1][0] == "restored"
    return found
