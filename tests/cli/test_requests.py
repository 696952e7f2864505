"""What a dependency asks for itself is shown beside what it did, and grants nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.importing_workspace import CHANNEL, SCRIPT
from tests.command import LEARN, buildperm, is_orderly
from tests.registry import Registry

MANIFEST = """[package]
name = "asking"
version = "1.0.0"
edition = "2021"

[package.metadata.buildperm]
exec = ["perl"]
env = ["RELEASE_CHANNEL"]
reason = "it \\u001b[2J needs it"
"""


@pytest.mark.slow
def test_a_request_grants_nothing_and_is_compared(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    more = {**registry.environment, **CHANNEL}
    greedy = SCRIPT.replace("let found", 'let _ = std::env::var("OTHER_THING"); let found')
    registry.publish("asking", "1.0.0", {"Cargo.toml": MANIFEST, "build.rs": greedy})
    root = registry.application(tmp_path / "ws", dependencies={"asking": "1"})
    more["OTHER_THING"] = "1"

    assert buildperm("ci", folder=root, extra=more).returncode == 20
    buildperm("learn", "--no-tui", folder=root, extra=more)
    pending = json.loads(buildperm("pending", "--json", folder=root, extra=more).stdout)
    (proposal,) = pending["proposals"]
    assert "Its own Cargo.toml asks for a part of this only." in proposal["reasons"]
    assert buildperm(*LEARN, folder=root, extra=more).returncode == 0

    said = buildperm("show", "asking", folder=root, extra=more)
    assert is_orderly(said.stdout)
    assert "asks for itself, which grants nothing (asking 1.0.0)" in said.stdout
    assert "run `perl` (!) not seen doing it" in said.stdout
    assert "(!) was seen, and does not ask for it: to see the variable `OTHER_THING`" in said.stdout
    shown = buildperm("show", "asking", "--format", "json", folder=root, extra=more)
    (crate,) = json.loads(shown.stdout)["crates"]
    (request,) = crate["requests"]
    assert request["not_seen"] == [{"kind": "exec", "pattern": "perl"}]
    assert [each["target"] for each in request["not_asked"]] == ["OTHER_THING"]
