"""The published schema of `buildperm.lock`: it takes what buildperm writes and reads."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from buildperm.errors import BuildpermError
from buildperm.policy import lock_file
from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.lock_reader import FORMAT
from buildperm.policy.snapshot import Snapshot
from tests.policy import snapshot_strategies

SCHEMA: dict[str, Any] = json.loads(
    files("buildperm.policy").joinpath("lock.schema.json").read_text("utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)
SCRIPT = f"""
[[script]]
crate = "x"
version = "1.0.0"
build-dependencies = []
inputs = "{"0" * 64}"
"""
RUN = """
[[script.run]]
target = "t"
profile = "debug"
features = []
runtime = "portable"
seen = []
"""


def test_the_schema_is_one_and_knows_what_the_reader_knows() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    pattern = SCHEMA["$defs"]["run"]["properties"]["seen"]["items"]["pattern"]
    kinds = "|".join(Kind)
    others = "|".join(f":{outcome}" for outcome in Outcome if outcome is not Outcome.DONE)

    assert SCHEMA["properties"]["version"]["const"] == FORMAT
    assert pattern == f"^({kinds})({others})? "


@pytest.mark.slow
@given(snapshot_strategies.files)
def test_whatever_is_written_is_valid(snapshots: dict[tuple[str, str], Snapshot]) -> None:
    written = tomllib.loads(lock_file.text(snapshots).decode())

    assert not list(VALIDATOR.iter_errors(written))


@pytest.mark.parametrize(
    "said",
    [
        "version = 2",
        "version = '1'",
        "",
        "version = 1\nextra = 1",
        "version = 1\nscript = 1",
        "version = 1\nscript = [1]",
        "version = 1\n[[script]]\ncrate = 'x'",
        f"version = 1\n{SCRIPT}crates = 1",
        f"version = 1\n{SCRIPT}source = ''",
        f"version = 1\n{SCRIPT}unused = ['a', 'a']",
        f"version = 1\n{SCRIPT}unused = 'a'",
        f"version = 1\n{SCRIPT}unused = [1]",
        f"version = 1\n{SCRIPT}files = {{ 'build.rs' = 'abc' }}",
        f"version = 1\n{SCRIPT}commands = {{ 'check' = 'abc' }}",
        f"version = 1\n{SCRIPT}run = {{ }}",
        f"version = 1\n{SCRIPT.replace('0' * 64, '0' * 63)}",
        f"version = 1\n{SCRIPT}{RUN}extra = 1",
        f"version = 1\n{SCRIPT}{RUN.replace('seen = []', '')}",
        f"version = 1\n{SCRIPT}{RUN.replace('[]', '1')}",
        f"version = 1\n{SCRIPT}{RUN.replace('seen = []', 'seen = [1]')}",
        f"version = 1\n{SCRIPT}{RUN.replace('seen = []', 'seen = [`cc`]')}".replace("`", "'"),
        f"version = 1\n{SCRIPT}{RUN.replace('seen = []', 'seen = [`exec:done cc`]')}".replace(
            "`", "'"
        ),
    ],
)
def test_what_the_reader_refuses_by_form_the_schema_refuses_too(said: str) -> None:
    assert list(VALIDATOR.iter_errors(tomllib.loads(said)))
    with pytest.raises(BuildpermError, match=r"buildperm\.lock:(\d+:)? "):
        lock_file.parse(said.encode(), Path("buildperm.lock"))


def test_what_both_take_is_no_empty_set() -> None:
    said = f"version = 1\n{SCRIPT}{RUN}"

    assert not list(VALIDATOR.iter_errors(tomllib.loads(said)))
    assert lock_file.parse(said.encode(), Path("buildperm.lock"))
