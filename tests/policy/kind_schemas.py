"""The published schemas, with what they say of kinds made anew from the table of kinds."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from buildperm.policy.access import Outcome
from buildperm.policy.kinds import GRANTABLE, Kind


def published(package: str, name: str) -> dict[str, Any]:
    """Return a schema as it is shipped."""
    schema: dict[str, Any] = json.loads(files(package).joinpath(name).read_text("utf-8"))
    return schema


def of_grants() -> dict[str, Any]:
    """Return the schema of the grant table."""
    schema = published("buildperm.policy", "grants.schema.json")
    crate = schema["$defs"]["crate"]["properties"]
    patterns = {"$ref": "#/$defs/patterns"}
    described = {kind: {"description": kind.traits.description, **patterns} for kind in GRANTABLE}
    crate["deny"]["properties"] = {str(kind): patterns for kind in GRANTABLE}
    schema["$defs"]["crate"]["properties"] = {
        **{key: crate[key] for key in ("reviewed", "presets")},
        **{str(kind): said for kind, said in described.items()},
        **{key: crate[key] for key in ("deny", "for", "compile", "reason", "expires")},
    }
    return schema


def of_report() -> dict[str, Any]:
    """Return the schema of the JSON report."""
    schema = published("buildperm.report", "ci.schema.json")
    known = schema["$defs"]["finding"]["properties"]["rule"]["enum"]
    others = known[known.index("failed") :]
    schema["$defs"]["finding"]["properties"]["rule"]["enum"] = [*map(str, Kind), *others]
    schema["$defs"]["access"]["properties"]["kind"]["enum"] = [str(kind) for kind in Kind]
    return schema


def of_lock_file() -> dict[str, Any]:
    """Return the schema of buildperm.lock."""
    schema = published("buildperm.policy", "lock.schema.json")
    others = "|".join(f":{outcome}" for outcome in Outcome if outcome is not Outcome.DONE)
    seen = schema["$defs"]["run"]["properties"]["seen"]["items"]
    seen["pattern"] = f"^({'|'.join(Kind)})({others})? "
    return schema
