"""The table of kinds: what follows from it, and that a kind is added by an entry in it alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.policy.compilation import SessionLists
from buildperm.policy.kinds import GRANTABLE, LISTED, WORDS, Kind, Syntax
from tests.command import EXAMPLES, environment, examples
from tests.policy import kind_schemas

__all__ = ["examples"]

ROOT = Path(__file__).parents[2]
CHILD = ROOT / "tests/children/another_kind.py"
LAST = "    SYSTEM = (\n"
ENTRY = """
    DEVICE = (
        "devices",
        Traits(
            syntax=Syntax.PATH,
            verb="control",
            past="controlled",
            gerund="controlling",
            noun="device",
            plural="devices",
            finding=FindingText("UngrantedDevice", "controls a device", "It talked to hardware."),
            description="Devices it may control.",
            default_risk="hardware does what it is told",
        ),
    )
"""


def test_the_schemas_say_what_the_table_says() -> None:
    for package, name, made in (
        ("buildperm.policy", "grants.schema.json", kind_schemas.of_grants()),
        ("buildperm.policy", "lock.schema.json", kind_schemas.of_lock_file()),
        ("buildperm.report", "ci.schema.json", kind_schemas.of_report()),
    ):
        assert json.dumps(kind_schemas.published(package, name)) == json.dumps(made)


def test_the_order_in_files_and_lists_is_what_people_know() -> None:
    assert [*GRANTABLE] == ["exec", "read", "write", "net", "env", "directives"]
    assert [*LISTED] == ["exec", "read", "write", "env", "directives", "net", "system"]
    assert {*WORDS} == {*Kind, "directive"}


def test_a_supervisor_is_told_of_every_kind_that_can_be_granted() -> None:
    assert {*SessionLists.__annotations__} == {*GRANTABLE, "deny"}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_what_messages_and_schemas_need(kind: Kind) -> None:
    traits = kind.traits

    assert all((traits.verb, traits.past, traits.gerund, traits.noun, traits.plural))
    assert traits.finding.text.endswith(".")
    assert bool(traits.description) is (traits.syntax is not Syntax.CALL)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Copy the product, with one entry more in the table."""
    copy = tmp_path / "product"
    shutil.copytree(
        ROOT / "buildperm", copy / "buildperm", ignore=shutil.ignore_patterns("__pycache__")
    )
    table = copy / "buildperm/policy/kinds.py"
    before, last, after = table.read_text().partition(LAST)
    table.write_text(f"{before}{ENTRY.lstrip(chr(10))}{last}{after}")
    return copy


@pytest.mark.slow
def test_a_kind_is_added_by_one_entry(product: Path, examples: Path) -> None:
    def run(*words: str) -> str:
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=examples,
            env=environment({"PYTHONPATH": os.pathsep.join((str(product), str(ROOT)))}),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.stdout

    shutil.copy(EXAMPLES / "Cargo.lock", examples)
    manifest = examples / "Cargo.toml"
    told = json.loads(run(str(CHILD), str(manifest), "devices"))
    shown = run("-m", "buildperm", "show", "stamp")
    answers = [
        run("-m", "buildperm", "why", "stamp", f"devices:/dev/ttyS{number}") for number in range(3)
    ]

    assert 'devices = ["/dev/ttyS0"]' in manifest.read_text()
    assert told["is_read_back"]
    assert told["old_schema"]
    assert told["new_schema"] == []
    assert told["asked"] == ["control /dev/ttyS2"]
    assert told["filtered"] == [told["asked"], [], []]
    assert "may control `/dev/ttyS0`" in shown
    assert "high risk: hardware does what it is told" in shown
    assert "may not control `/dev/ttyS1`" in shown
    assert "granted to control `/dev/ttyS0`, but that is not in force" in answers[0]
    assert answers[1].startswith("refused: `stamp` is denied to control `/dev/ttyS1`")
    assert '# devices = ["/dev/' in answers[2]
    assert '"/dev/ttyS2"' in answers[2]
