from __future__ import annotations

from dataclasses import replace

import jsonschema
import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause, Pending
from buildperm.report import json as report
from buildperm.report.build_run import BuildRun
from buildperm.report.finding import Finding, Level, Report
from tests.report.documents import CI_SCHEMA, parse_json


@pytest.fixture
def told(held: BuildRun) -> Report:
    """Return a report with something in each of its parts."""
    curl = Access(
        Kind.EXEC, "curl", Outcome.REFUSED, 2, 3, 9, (("build script", "sh"),), "curl x", "", "/b/c"
    )
    lacking = replace(held.scripts[2], everything=(curl,))
    return Report(
        run=replace(held, scripts=(*held.scripts[:2], lacking)),
        findings=(
            Finding(
                rule="exec",
                level=Level.ERROR,
                crate="openssl-sys",
                version="0.9.104",
                title="openssl-sys 0.9.104 wants to run pkg-config",
                details=("It runs a program.",),
                way=("openssl-sys",),
                remedy=("[workspace]",),
                command="buildperm review",
                line=3,
                fingerprint="00ff",
            ),
        ),
        workspace="here",
        manifest="Cargo.toml",
        exit_code=20,
        members=("app", "openssl-sys"),
        pending=(
            Pending("a", "a", "1.0.0", "", "0.9.0", ("a",), ((Cause.VERSION, "0.9.0 -> 1.0.0"),)),
        ),
        unused=(("a", "exec:perl"),),
    )


def test_the_document_follows_its_schema_and_holds_every_part(told: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(CI_SCHEMA)

    document = parse_json(told)

    assert CI_SCHEMA["properties"]["version"]["const"] == report.VERSION == document["version"]
    assert (document["exit"], document["cargo_exit"]) == (20, 101)
    assert document["workspace"] == {"name": "here", "members": ["app", "openssl-sys"]}
    assert [finding["rule"] for finding in document["findings"]] == ["exec"]
    assert document["pending"][0]["causes"] == [{"cause": "version", "sentence": "0.9.0 -> 1.0.0"}]
    assert document["unused"] == [{"crate": "a", "grant": "exec:perl"}]


def test_what_a_reader_of_version_1_knew_is_where_it_was(told: Report) -> None:
    findings = {script["crate"]: script["findings"] for script in parse_json(told)["scripts"]}

    assert findings["anyhow"] == []
    assert findings["left-padding"][0]["suggested_grants"] == []
    assert len(findings["openssl-sys"][0]["suggested_grants"]) == 2
    assert findings["openssl-sys"][0]["accesses"][0]["target"] == "pkg-config"


def test_all_of_an_access_is_kept_from_which_proposals_are_made(told: Report) -> None:
    scripts = {script["crate"]: script for script in parse_json(told)["scripts"]}

    assert scripts["openssl-sys"]["evidence"] == [
        {
            "kind": "exec",
            "target": "curl",
            "outcome": "refused",
            "count": 2,
            "first_ns": 3,
            "last_ns": 9,
            "chains": [["build script", "sh"]],
            "example": "curl x",
            "sensitive": "",
            "resolved": "/b/c",
            "is_free": False,
        }
    ]


def test_what_was_refused_is_told_even_if_it_asks_nothing(told: Report) -> None:
    """What every script is allowed is left out."""
    assert told.run is not None
    (script,) = (each for each in told.run.scripts if each.crate == "anyhow")
    chains = (("build script", "sh"),)
    everything = tuple(
        Access(kind, target, outcome, 1, 0, 0, chains)
        for kind, target, outcome in (
            (Kind.WRITE, "/dev/tty", Outcome.REFUSED),
            (Kind.SYSTEM, "socket(netlink, raw)", Outcome.REFUSED),
            (Kind.READ, "/etc", Outcome.REFUSED),
            (Kind.READ, "/usr/include/stdio.h", Outcome.DONE),
        )
    )
    told = replace(told, run=replace(told.run, scripts=(replace(script, everything=everything),)))

    (written,) = parse_json(told)["scripts"]

    assert written["findings"] == []
    assert [(each["target"], each["chains"]) for each in written["evidence"]] == [
        (target, [["build script", "sh"]])
        for target in ("/dev/tty", "socket(netlink, raw)", "/etc")
    ]


def test_a_command_that_built_nothing_has_no_run_to_tell_about(told: Report) -> None:
    document = parse_json(replace(told, run=None, exit_code=21))

    assert document["runtime"] is None
    assert document["cargo_exit"] is None
    assert document["scripts"] == []
    assert document["pending"]
