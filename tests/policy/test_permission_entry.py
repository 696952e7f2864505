"""Entries of an index: what is written is read back, and whatever else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.permission_entry import (
    Ask,
    Origin,
    PermissionEntry,
    dumped,
    parse_entry,
)
from buildperm.policy.presets import NAMES
from buildperm.policy.proposal import Risk
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule

SCHEMA = json.loads((resources.files("buildperm.policy") / "index-entry.schema.json").read_text())

TEXTS = st.text(max_size=20)
RULES = st.builds(Rule, st.sampled_from(GRANTABLE), TEXTS)
ASKS = st.builds(
    Ask,
    TEXTS,
    st.sampled_from(Risk),
    st.lists(st.sampled_from(Kind), unique=True).map(tuple),
    st.lists(st.sampled_from(NAMES), unique=True, max_size=2).map(tuple),
    st.lists(RULES, unique=True, max_size=3).map(lambda rules: tuple(sorted(rules))),
    TEXTS,
)
ENTRIES = st.builds(
    PermissionEntry,
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,9}", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-[0-9a-z.]{1,5})?", fullmatch=True),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.lists(st.sampled_from(SubjectKind), unique=True).map(tuple),
    st.lists(ASKS, max_size=3).map(tuple),
    TEXTS,
    st.none() | st.lists(TEXTS, max_size=3).map(tuple),
    st.builds(
        Origin,
        TEXTS,
        st.sampled_from(["", "2026-12-01T16:00:00Z"]),
        TEXTS,
        TEXTS,
        TEXTS,
        TEXTS,
    ),
)

PERL = Ask("run perl", Risk.HIGH, (Kind.EXEC,), (), (Rule(Kind.EXEC, "perl"),))
KNOWN = PermissionEntry(
    "runner",
    "1.0.0",
    "0" * 64,
    (SubjectKind.SCRIPT,),
    (PERL,),
    "",
    (),
    Origin("0.1.0", "2026-12-01T16:00:00Z", "1.95.0", "x", "portable", "learning"),
)


@given(ENTRIES)
def test_what_is_written_is_read_back(entry: PermissionEntry) -> None:
    raw = entry.dump()
    assert raw.isascii()
    assert parse_entry(raw) == entry
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(raw))


def _without_asks(document: dict[str, Any]) -> None:
    document["asks"] = []


def _less_risky(document: dict[str, Any]) -> None:
    document["risk"] = "low"


def _unknown_preset(document: dict[str, Any]) -> None:
    document["asks"][0]["permissions"]["presets"] = ["all"]


def _more(document: dict[str, Any]) -> None:
    document["more"] = 1


def _newer(document: dict[str, Any]) -> None:
    document["version"] = 2


def _true(document: dict[str, Any]) -> None:
    document["version"] = True


def _path(document: dict[str, Any]) -> None:
    document["name"] = "../runner"


def _long(document: dict[str, Any]) -> None:
    document["asks"][0]["title"] = "x" * 10_001


def _no_text(document: dict[str, Any]) -> None:
    document["failure"] = None


def _no_moment(document: dict[str, Any]) -> None:
    document["origin"]["recorded"] = "yesterday"


@pytest.mark.parametrize(
    "change",
    [
        *(_without_asks, _less_risky, _unknown_preset, _more, _newer, _true, _path, _long),
        *(_no_text, _no_moment),
    ],
)
def test_what_is_changed_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(KNOWN.dump())
    assert parse_entry(dumped(document)) == KNOWN
    change(document)
    with pytest.raises(BuildpermError):
        parse_entry(dumped(document))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_entry_is_refused(raw: bytes) -> None:
    with pytest.raises(BuildpermError):
        parse_entry(raw)


def test_what_is_granted_or_denied_is_settled_and_nothing_else() -> None:
    files = Ask("read files", Risk.LOW, (Kind.READ,), ("cc",), (Rule(Kind.READ, "$WORKSPACE/a/b"),))
    wide = [Rule(Kind.READ, "$WORKSPACE/a/**")]
    assert files.is_settled(["cc"], wide)
    assert not files.is_settled([], wide)
    assert not files.is_settled(["cc"], [Rule(Kind.WRITE, "$WORKSPACE/a/**")])
    assert not files.is_settled(["cc"], [Rule(Kind.READ, "$WORKSPACE/b/**")])
    assert not Ask("call", Risk.HIGH, (Kind.SYSTEM,), locked="No.").is_settled(["cc"], wide)
    broken = Ask("read", Risk.LOW, (Kind.READ,), (), (Rule(Kind.READ, "%zz*"),))
    assert not broken.is_settled([], [Rule(Kind.READ, "**x")])
