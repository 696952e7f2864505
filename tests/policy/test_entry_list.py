"""The list of an index, and where entries are."""

from __future__ import annotations

import hashlib
import json
from importlib import resources

import jsonschema
import pytest

from buildperm.errors import BuildpermError
from buildperm.policy.entry_list import EntryList, entry_path, is_entry_path, parse_list

SCHEMA = json.loads((resources.files("buildperm.policy") / "index-list.schema.json").read_text())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "1/a/1.0.0.json"),
        ("ab", "2/ab/1.0.0.json"),
        ("Foo", "3/f/foo/1.0.0.json"),
        ("abcd", "ab/cd/abcd/1.0.0.json"),
        ("a-b_c", "a-/b_/a-b_c/1.0.0.json"),
    ],
)
def test_paths_are_like_those_of_the_sparse_index(name: str, path: str) -> None:
    assert entry_path(name, "1.0.0") == path
    assert is_entry_path(path)
    entries = EntryList({path: "0" * 64}, "0.1.0")
    assert parse_list(entries.dump()) == entries
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(entries.dump()))


@pytest.mark.parametrize(
    "path",
    [
        "../x/1.0.0.json",
        "/etc/passwd",
        "ab/cd/abcd/../../1.0.0.json",
        "ab/ce/abcd/1.0.0.json",
        "ab/cd/ABCD/1.0.0.json",
        "ab/cd/abcd/1.0.json",
        "ab/cd/abcd/1.0.0.json\n",
        "1/ab/1.0.0.json",
        "index.json",
    ],
)
def test_no_entry_is_anywhere_else(path: str) -> None:
    assert not is_entry_path(path)
    with pytest.raises(BuildpermError):
        parse_list(EntryList({path: "0" * 64}).dump())


def test_another_list_than_the_one_that_is_meant_is_refused() -> None:
    raw = EntryList({"1/a/1.0.0.json": "0" * 64}).dump()
    assert parse_list(raw, hashlib.sha256(raw).hexdigest()).hashes
    with pytest.raises(BuildpermError, match="SHA-256"):
        parse_list(raw, "0" * 64)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[]", b"{}", b"\xff", b'{"version": 1, "entries": [], "buildperm": 1}'[:20]),
        b'{"version": 2, "entries": {}, "buildperm": ""}',
        b'{"version": 1, "entries": {"1/a/1.0.0.json": "short"}, "buildperm": ""}',
    ],
)
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    with pytest.raises(BuildpermError):
        parse_list(raw)
