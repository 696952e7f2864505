"""Which package a key means: names are cheap, sources are not."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from buildperm.policy.grants import CrateGrants, Policy, key_for, matching, parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
GIT = "git+https://github.com/evil/openssl-sys?branch=main#0123456789abcdef"


def policy(*keys: str) -> Policy:
    crates = {key: CrateGrants(key, rules=frozenset({Rule(Kind.EXEC, key)})) for key in keys}
    return Policy("portable", MappingProxyType(crates), Path("Cargo.toml"))


def meant(
    keys: tuple[str, ...],
    source: str,
    *,
    version: str = "0.9.104",
    member: bool = False,
    twin: bool = False,
    directory: str = "",
) -> str | None:
    found = matching(policy(*keys), "openssl-sys", version, source, member, twin, directory)
    return found.key if found else None


@pytest.mark.parametrize(
    ("source", "member", "twin", "is_meant"),
    [
        (CRATES_IO, False, True, True),
        (GIT, False, False, False),
        (GIT, False, True, False),
        ("registry+https://registry.example/index", False, False, False),
        ("sparse+https://registry.example/", False, False, False),
        ("", True, False, True),  # The workspace's own package.
        ("", True, True, False),  # Its own, but the name belongs to the registry's.
        ("", False, False, False),  # A path or patched package outside the workspace.
        ("", False, True, False),
    ],
)
def test_a_plain_name_means_the_registry_or_the_workspace_and_no_impostor(
    source: str, member: bool, twin: bool, is_meant: bool
) -> None:
    for key in ("openssl-sys", "openssl-sys@0.9"):
        assert meant((key,), source, member=member, twin=twin) == (key if is_meant else None)


@pytest.mark.parametrize(
    ("prefix", "version", "is_meant"),
    [
        ("0", "0.9.104", True),
        ("0.9", "0.9.104", True),
        ("0.9.104", "0.9.104", True),
        ("0.9.10", "0.9.104", False),
        ("0.1", "0.10.0", False),
        ("1", "10.0.0", False),
        ("0.9", "0.9.104-beta.1", False),
        ("0.9.104-beta.1", "0.9.104-beta.1", True),
        ("0.9.104", "0.9.104+3.0.8", True),
        ("0.9.104+3.0.8", "0.9.104+3.0.8", True),
        ("0.9.104+3.0.9", "0.9.104+3.0.8", False),
    ],
)
def test_a_version_is_a_beginning_by_whole_numbers(
    prefix: str, version: str, is_meant: bool
) -> None:
    assert (meant((f"openssl-sys@{prefix}",), CRATES_IO, version=version) is not None) is is_meant


def test_a_spelled_out_source_means_just_that_source() -> None:
    key = "git+https://github.com/evil/openssl-sys?branch=main#openssl-sys"

    assert meant((key,), GIT) == key
    assert meant((f"{key}@0.9",), GIT) == f"{key}@0.9"
    assert meant((f"{key}@0.8",), GIT) is None
    assert meant((key,), CRATES_IO) is None
    assert meant((key.replace("?branch=main", ""),), GIT) is None
    assert meant((key.replace("#openssl-sys", "#openssl"),), GIT) is None


def test_a_path_key_means_one_folder() -> None:
    key = "path+$WORKSPACE/vendor/openssl-sys#openssl-sys"

    assert meant((key,), "", directory="$WORKSPACE/vendor/openssl-sys") == key
    assert meant((key,), "", directory="$WORKSPACE/vendor/openssl-sys2") is None
    assert meant((key,), CRATES_IO, directory="$WORKSPACE/vendor/openssl-sys") is None


def test_the_closest_key_wins_and_every_denial_counts() -> None:
    keys = ("openssl-sys", "openssl-sys@0", "openssl-sys@0.9", "openssl-sys@0.8", "other")
    denial = Rule(Kind.ENV, "GITHUB_TOKEN")
    crates = dict(policy(*keys).crates)
    crates["openssl-sys"] = CrateGrants("openssl-sys", denials=frozenset({denial}))
    crates["openssl-sys@0.8"] = CrateGrants(
        "openssl-sys@0.8", denials=frozenset({Rule(Kind.EXEC, "sh")})
    )
    table = Policy("portable", crates, Path("Cargo.toml"))

    found = matching(table, "openssl-sys", "0.9.104", CRATES_IO, False, True)

    assert found is not None
    assert found.key == "openssl-sys@0.9"
    assert found.rules == {Rule(Kind.EXEC, "openssl-sys@0.9")}
    assert found.denials == {denial}


def test_the_key_for_new_grants_means_the_package_that_they_are_for() -> None:
    cases = [
        (CRATES_IO, "$CARGO_HOME/registry/src/x/openssl-sys-0.9", False, True, "openssl-sys"),
        ("", "$WORKSPACE/a", True, False, "openssl-sys"),
        ("", "$WORKSPACE/a", True, True, "path+$WORKSPACE/a#openssl-sys"),
        ("", "/srv/patched#1", False, False, "path+/srv/patched#1#openssl-sys"),
        ("", "$WORKSPACE", False, True, "path+$WORKSPACE#openssl-sys"),
        (
            GIT,
            "$CARGO_HOME/git/x",
            False,
            True,
            "git+https://github.com/evil/openssl-sys?branch=main#openssl-sys",
        ),
        (
            "sparse+https://registry.example/",
            "$CARGO_HOME/registry/src/y",
            False,
            False,
            "sparse+https://registry.example/#openssl-sys",
        ),
    ]
    for source, directory, member, twin, expected in cases:
        key = key_for(
            "openssl-sys", source, directory, is_workspace_member=member, has_registry_twin=twin
        )
        assert key == expected
        assert str(parse_key(key)) == key
        assert meant((key,), source, member=member, twin=twin, directory=directory) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "open ssl",
        "openssl/sys",
        "openssl-sys@",
        "openssl-sys@x",
        "openssl-sys@01",
        "openssl-sys@1.2.3.4",
        "openssl-sys:0.9",
        "9lives",
        "../x",
        "#openssl-sys",
        "https://github.com/a/b#b",
        "git+https://github.com/a/b",
        "git+https://github.com/a/b#",
        "git+https://github.com/a/b#b@",
        "git+file#b",
        "path+member#b",
        "path+$NOWHERE/member#b",
        "path+file:///home/me/b#b",
        "registry+https://x y#b",
    ],
)
def test_what_is_no_package_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_key(key)
