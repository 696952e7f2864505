from __future__ import annotations

import pytest

from buildperm.cargo import once_grants
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.rule import Rule
from buildperm.supervisor.session import ungranted

_RULES = frozenset(
    {
        Rule(Kind.READ, "/a b/%0A*.txt"),
        Rule(Kind.WRITE, "$WORKSPACE/made.txt"),
        Rule(Kind.EXEC, "awk"),
        Rule(Kind.NET, "example.org:443"),
        Rule(Kind.ENV, "RELEASE_CHANNEL"),
        Rule(Kind.DIRECTIVE, "rustc-link-arg=-Wl,-O1"),
    }
)


def test_what_is_written_is_read_back() -> None:
    assert {rule.kind for rule in _RULES} == set(GRANTABLE)
    assert once_grants.parsed(once_grants.written(_RULES)) == _RULES


def test_a_text_of_no_kind_is_no_rule() -> None:
    with pytest.raises(ValueError, match="reads"):
        once_grants.parsed(["reads /etc/passwd"])


@pytest.mark.parametrize("rule", sorted(_RULES), ids=lambda rule: str(rule.kind))
def test_a_package_gets_what_was_allowed_and_nothing_else(rule: Rule) -> None:
    package = ungranted()
    package["read"], package["deny"] = ["/kept"], {"exec": ["sh"]}
    package["digest"] = "of its grants"
    found = once_grants.extended(package, [rule])
    key = str(rule.kind)
    assert rule.pattern in found[key]  # type: ignore[literal-required]
    changed = {name for name in package if found[name] != package[name]}  # type: ignore[literal-required]
    assert changed == {key, "digest"}
    assert package["read"] == ["/kept"]  # As it was.
    assert "/kept" in found["read"]


def test_without_rules_nothing_changes() -> None:
    package = ungranted()
    assert once_grants.extended(package, ()) is package
