"""The document of `buildperm pending`, held to its schema."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from tests.command import buildperm

PENDING_SCHEMA: dict[str, Any] = json.loads(
    (resources.files("buildperm.report") / "pending.schema.json").read_text()
)


def listed(workspace: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the document, which follows its schema."""
    told = buildperm("pending", "--format", "json", folder=workspace)
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    jsonschema.Draft202012Validator(PENDING_SCHEMA).validate(document)
    return document
