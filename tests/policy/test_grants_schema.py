"""The published schema of the grant table: it takes what buildperm writes and reads."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from buildperm.policy import manifest
from buildperm.policy.editor import with_grants
from buildperm.policy.grants import AUTO, COMPILING, FORMAT, CrateGrants
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.presets import NAMES
from buildperm.policy.rule import Rule
from buildperm.policy.runtime_table import RUNTIMES
from buildperm.rules import limits

SCHEMA: dict[str, Any] = json.loads(
    files("buildperm.policy").joinpath("grants.schema.json").read_text("utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)


def table(raw: bytes) -> object:
    """Return the grant table of a workspace as plain data."""
    return manifest.parse(raw, Path("Cargo.toml"))[1]["workspace"]["metadata"]["buildperm"]


def test_the_schema_is_one_and_knows_what_the_reader_knows() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    crate = SCHEMA["$defs"]["crate"]["properties"]

    assert SCHEMA["properties"]["version"]["const"] == FORMAT
    assert SCHEMA["properties"]["require"]["enum"] == list(RUNTIMES)
    assert SCHEMA["properties"]["runtime"]["enum"] == [AUTO, *RUNTIMES]
    assert crate["presets"]["items"]["enum"] == list(NAMES)
    assert set(crate["deny"]["properties"]) == {str(kind) for kind in GRANTABLE}
    assert SCHEMA["properties"]["compile"]["enum"] == list(COMPILING)
    assert crate["compile"]["enum"] == list(COMPILING)
    assert set(crate) == {
        *("reviewed", "presets", "deny", "for", "compile", "reason", "expires"),
        *map(str, GRANTABLE),
    }


def test_the_schema_knows_the_limits_and_their_defaults() -> None:
    known = SCHEMA["$defs"]["limits"]["properties"]

    assert {name: each["default"] for name, each in known.items()} == limits.DEFAULTS
    assert set(SCHEMA["properties"]["limits"]["properties"]) == {*limits.DEFAULTS, "crates"}


@pytest.mark.parametrize("name", limits.DEFAULTS)
@given(st.integers(-5, limits.MOST + 5))
def test_reader_and_schema_agree_on_every_limit(name: str, value: int) -> None:
    raw = f"[workspace.metadata.buildperm]\nversion = 1\nlimits.{name} = {value}\n[workspace]\n"
    is_valid = not list(VALIDATOR.iter_errors(table(raw.encode())))

    assert is_valid is (limits.violation(name, value) == "")


rules = st.frozensets(
    st.builds(
        Rule,
        st.sampled_from([Kind.READ, Kind.EXEC]),
        st.integers(0, 20).map("$WORKSPACE/folder/{}".format),
    )
)
keys = st.sampled_from(
    ["x", "openssl-sys@0.9", "git+https://h/p?rev=1#x@1.0.0", "path+$WORKSPACE/a b#x", "ünïcode"]
)


@given(
    st.builds(
        CrateGrants,
        keys,
        st.frozensets(st.sampled_from(["0.1.0", "1.0.0-rc.1+x"])),
        st.frozensets(st.sampled_from(NAMES)),
        rules,
        rules,
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.frozensets(keys),
        st.sampled_from(["", *COMPILING]),
        st.none() | st.dates(),
    )
)
def test_whatever_the_editor_writes_is_valid(grants: CrateGrants) -> None:
    raw = with_grants(
        b"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n", grants.key, grants
    )

    assert not list(VALIDATOR.iter_errors(table(raw)))


@pytest.mark.parametrize(
    "said",
    [
        "version = 2",
        "require = 'portable'",
        "version = 1\nrequire = 'none'",
        "version = 1\nextra = 1",
        "version = 1\ncrates.x.exce = ['cc']",
        "version = 1\ncrates.x.exec = 'cc'",
        "version = 1\ncrates.x.exec = ['']",
        "version = 1\ncrates.x.presets = ['ccc']",
        "version = 1\ncrates.x.reviewed = ['1']",
        "version = 1\ncrates.x.deny = ['cc']",
        "version = 1\ncrates.x.deny.execs = ['cc']",
        "version = 1\ncrates.x.reason = 1",
        "version = 1\ncompile = 'held'",
        "version = 1\ncompile = true",
        "version = 1\ncrates.x.compile = 'no'",
        "version = 1\ncrates.x.for = 'y'",
        "version = 1\ncrates.x.for = ['y z']",
        "version = 1\ncrates.x.deny.for = ['y']",
        "version = 1\ncrates.'x y' = {}",
        "version = 1\ncrates.'https://a/b#c' = {}",
        "version = 1\ncrates = []",
        "version = 1\nroot = '/srv/root'",
        f"version = 1\nroot-image = 'sha256:{'0' * 64}'",
        "version = 1\nroot-digest = 'sha256:00'",
        f"version = 1\nroot-digest = 'SHA256:{'0' * 64}'",
        f"version = 1\nroot = 'root'\nroot-digest = 'sha256:{'0' * 64}'",
        f"version = 1\nroot = '$TARGET_DIR/root'\nroot-digest = 'sha256:{'0' * 64}'",
        f"version = 1\nroot = true\nroot-digest = 'sha256:{'0' * 64}'",
        "version = 1\nlimits.second = 1",
        "version = 1\nlimits.seconds = '1'",
        "version = 1\nlimits.seconds = -1",
        "version = 1\nlimits.open_files = 3",
        "version = 1\nlimits.stdout_bytes = 0",
        "version = 1\nlimits.file_bytes = 9223372036854775807",
        "version = 1\nlimits.crates.x.second = 1",
        "version = 1\nlimits.crates.'x y' = {}",
    ],
)
def test_what_the_reader_refuses_by_form_the_schema_refuses_too(said: str) -> None:
    raw = f"[workspace]\n[workspace.metadata.buildperm]\n{said}\n".encode()

    assert list(VALIDATOR.iter_errors(table(raw)))
    with pytest.raises(Exception, match=r"Cargo\.toml:\d+: "):
        manifest.read(raw, Path("Cargo.toml"))
