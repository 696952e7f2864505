"""The index of the corpus: valid, and what its generator makes of the results."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema

from buildperm.policy.permission_entry import parse_entry
from buildperm.workflow.index_source import open_index
from corpus.permissions import INDEX, index_files, write_index
from corpus.records import records

SCHEMAS = resources.files("buildperm.policy")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_generator_makes_what_is_there(tmp_path: Path) -> None:
    made = index_files(records())
    assert _files(INDEX) == made, "run `python -m corpus --table`"

    (tmp_path / "stale.json").write_text("{}")
    write_index(records(), tmp_path)
    assert _files(tmp_path) == made


def test_every_entry_is_valid_and_found() -> None:
    schema = json.loads((SCHEMAS / "index-entry.schema.json").read_text())
    listed = json.loads((SCHEMAS / "index-list.schema.json").read_text())
    jsonschema.Draft202012Validator(listed).validate(json.loads((INDEX / "index.json").read_text()))
    index = open_index(str(INDEX))
    for path in index.entries.hashes:
        raw = (INDEX / path).read_bytes()
        jsonschema.Draft202012Validator(schema).validate(json.loads(raw))
        entry = parse_entry(raw)
        assert index.find(entry.name, entry.version, entry.checksum) == entry
    assert len(index.entries.hashes) > 20


def test_what_a_result_says_of_ring_is_there_and_what_is_of_one_machine_is_not() -> None:
    found = {
        (entry.name, entry.presets)
        for path, raw in index_files(records()).items()
        if path != "index.json"
        for entry in [parse_entry(raw)]
    }
    assert ("ring", ("cc",)) in found
    assert ("libc", ()) in found
    assert "pyo3-build-config" not in {name for name, _ in found}
