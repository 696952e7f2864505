"""Reads, changes and writes grants of a kind that was added to the table of kinds.

Arguments: a Cargo.toml and the word for the kind. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

from buildperm.policy import editor, manifest, selection
from buildperm.policy.access import Access, Outcome
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from tests.policy import kind_schemas

path, kind = Path(sys.argv[1]), Kind(sys.argv[2])
raw = path.read_bytes()
granted = CrateGrants(
    "stamp",
    rules=frozenset({Rule(kind, "/dev/ttyS0")}),
    denials=frozenset({Rule(kind, "/dev/ttyS1")}),
)
written = editor.with_grants(raw, "stamp", granted, path)
path.write_bytes(written)
table = manifest.parse(written, path)[1]["workspace"]["metadata"]["buildperm"]
seen = Access(kind, "/dev/ttyS2", Outcome.REFUSED, 1, 0, 0, ())
asked = propose("stamp", "0.1.0", [seen], granted.rules, granted.denials)
print(
    json.dumps(
        {
            "is_read_back": manifest.read(written, path).crates["stamp"] == granted,
            "old_schema": [
                error.message
                for error in Draft202012Validator(
                    kind_schemas.published("buildperm.policy", "grants.schema.json")
                ).iter_errors(table)
            ],
            "new_schema": [
                error.message
                for error in Draft202012Validator(kind_schemas.of_grants()).iter_errors(table)
            ],
            "asked": [proposal.title for proposal in asked],
            "filtered": [
                [proposal.title for proposal in asked if selection.parse(words)(proposal, "")]
                for words in (f"kind:{kind}", f"-kind:{kind}", "kind:exec")
            ],
        }
    )
)
