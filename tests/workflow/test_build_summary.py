"""What `learn` and `review` say at their end."""

from __future__ import annotations

from pathlib import Path

from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.workflow.build_summary import texts_of_denied


def denying(*patterns: str) -> Policy:
    denials = frozenset(Rule(Kind.READ, pattern) for pattern in patterns)
    grants = {"a": CrateGrants("a", denials=denials)}
    return Policy("portable", grants, Path("Cargo.toml"))


def test_new_denials_are_counted_as_cargo_toml_has_them() -> None:
    """What only a denied program wanted is denied with it, and has no line of its own."""
    assert [
        text.partition(".")[0] for text in texts_of_denied(denying("/a"), denying("/a", "/b", "/c"))
    ] == ["a: 2 denials"]
    assert next(texts_of_denied(denying(), denying("/a"))).startswith("a: 1 denial. Its build")
    assert list(texts_of_denied(denying("/a"), denying("/a"))) == []
