"""A trace as JSON, held to its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from buildperm.presentation import trace_document
from buildperm.presentation.traced_run import traced_events
from buildperm.tracer.notation import decode
from tests.presentation.trace_recordings import HOSTILE, traced_run

SCHEMA = json.loads((Path(trace_document.__file__).parent / "trace.schema.json").read_text())


def document(tmp_path: Path) -> dict[str, Any]:
    """Return a document that was written and read."""
    runs = [traced_run(tmp_path / "one"), traced_run(tmp_path / "two", subject="script")]
    made = trace_document.trace_document("gen", "1.0", runs, list(traced_events(runs)))
    read: dict[str, Any] = json.loads(json.dumps(made))
    return read


def test_it_fits_its_schema(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document(tmp_path), SCHEMA)


def test_it_holds_what_the_recording_holds(tmp_path: Path) -> None:
    made = document(tmp_path)

    assert (made["crate"], made["crate_version"]) == ("gen", "1.0")
    first, second = made["runs"]
    assert first["events_recorded"] == len(first["events"]) == 7
    assert first["processes"][2] == {
        "pid": 9,
        "parent": 7,
        "program": "/usr/bin/git",
        "argv": ["git", "status"],
        "command": "git status",
        "started": first["processes"][2]["started"],
        "ended": first["processes"][2]["ended"],
        "status": 256,
        "ending": "exit 1",
    }
    assert second["recording"].endswith("/two")


def test_a_hostile_name_is_in_notation_and_can_be_read_back(tmp_path: Path) -> None:
    (run, _) = document(tmp_path)["runs"]

    paths = [decode(event["path"]) for event in run["events"] if event["type"] == "opened"]

    assert b"/out/" + HOSTILE in paths
