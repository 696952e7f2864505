from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from buildperm.policy import merging, revision
from buildperm.policy.compilation import effective
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.policy.version import sort_key

COMMIT, OTHER = "0123456789" * 4, "0123456789" * 3 + "abcdefabcd"
GIT = "git+https://example.org/x?branch=main#"
RISKY, MILD = Rule(Kind.WRITE, "$MANIFEST_DIR/gen/**"), Rule(Kind.EXEC, "cc")


@pytest.mark.parametrize(
    ("source", "found"),
    [("", "1.0.0"), ("registry+https://x", "1.0.0"), (GIT + COMMIT, f"1.0.0#{COMMIT}")],
)
def test_only_a_git_source_has_a_commit(source: str, found: str) -> None:
    assert revision.of_package("1.0.0", source) == found
    assert revision.version(found) == "1.0.0"


@pytest.mark.parametrize("source", [GIT.rstrip("#"), GIT, GIT + OTHER])
def test_grants_of_high_risk_are_for_the_commit_that_was_reviewed(source: str) -> None:
    key = "git+https://example.org/x?branch=main#x"
    reviewed = frozenset({"1.0.0", f"1.0.0#{COMMIT}"})
    grants = CrateGrants(key, reviewed, rules=frozenset({RISKY, MILD}))
    assert effective(grants, f"1.0.0#{COMMIT}").rules == {RISKY, MILD}
    other = revision.of_package("1.0.0", source)
    assert effective(grants, other).rules == {MILD}
    assert "names no commit" in effective(grants, other).withheld[0].why
    assert merging.dormant(grants, other) == {RISKY}


@pytest.mark.parametrize(
    ("written", "is_fine"),
    [
        (f"1.0.0#{COMMIT}", True),
        (f"1.0.0-a.1+b#{COMMIT}", True),
        (f"1.0.0#{COMMIT * 2}"[:70], True),
        (f"1.0.0#{COMMIT[:12]}", False),
        (f"1.0.0#{'A' * 40}", False),
        (f"1.0.0#{COMMIT}#{COMMIT}", False),
        ("1.0.0#", False),
    ],
)
def test_a_commit_is_written_in_full_and_the_schema_knows(written: str, is_fine: bool) -> None:
    assert (revision.violation(written, GIT.rstrip("#")) is None) == is_fine
    schema = json.loads(files("buildperm.policy").joinpath("grants.schema.json").read_text())
    pattern = schema["$defs"]["crate"]["properties"]["reviewed"]["items"]["pattern"]
    assert bool(re.fullmatch(pattern, written)) == is_fine


def test_revisions_are_sorted_by_their_versions() -> None:
    sorted_ = [f"1.2.0#{OTHER}", "1.10.0", f"1.10.0#{COMMIT}", f"1.10.0#{OTHER}"]
    assert sorted(set(sorted_), key=sort_key) == sorted_
