from __future__ import annotations

import json
from importlib import resources

import jsonschema

from buildperm.report import json as report
from buildperm.report.run import BuildRun

SCHEMA = json.loads((resources.files("buildperm.report") / "ci.schema.json").read_text())


def test_the_document_follows_its_schema(held: BuildRun) -> None:
    document = json.loads(report.document(held, 20))

    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["exit"] == 20
    assert document["cargo_exit"] == 101
    findings = {script["crate"]: script["findings"] for script in document["scripts"]}
    assert findings["anyhow"] == []
    assert findings["left-padding"][0]["suggested_grants"] == []
    assert len(findings["openssl-sys"][0]["suggested_grants"]) == 2
