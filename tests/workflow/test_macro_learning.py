"""Learning, reviewing and enforcing where macros ran and compilers were refused something."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.policy.macro_recordings import connects, reads
from tests.report.documents import CI_SCHEMA
from tests.workflow.macro_workspace import MacroWorkspace, macros

__all__ = ["macros"]


def test_learning_asks_once_for_all_packages_of_the_workspace(
    macros: MacroWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = str(macros.root / ".sqlx/query-1.json").encode()
    macros.did = {
        ("sqlx-macros", "macro", "api"): [reads(queries)],
        ("sqlx-macros", "macro", "web"): [reads(queries)],
        ("serde_derive", "macro", "api"): [reads(str(macros.root / "api/src/lib.rs").encode())],
        ("serde_derive", "macro", "elsewhere"): [],
    }

    learned = macros.learn()
    told = capsys.readouterr().err

    assert learned == 0, told
    assert "sqlx-macros 0.8.0 (procedural macro, for crates api and web)" in told
    assert "1 procedural macro stayed in the baseline." in told
    assert "serde_derive 0.8.0" not in told
    assert "1 decision is made already: nothing is left to decide." in told
    assert 'read = ["$WORKSPACE/.sqlx/query-1.json"]' in macros.manifest
    assert "serde_derive" not in macros.manifest

    assert macros.ci() == 0
    assert "2 procedural macros held" in capsys.readouterr().err
    assert macros.check() == 0
    assert "2 procedural macros, as reviewed." in capsys.readouterr().err


def test_the_lock_file_says_what_each_macro_did_for_whom(macros: MacroWorkspace) -> None:
    queries = str(macros.root / ".sqlx/query-1.json").encode()
    macros.did = {
        ("sqlx-macros", "macro", "api"): [reads(queries)],
        ("serde_derive", "macro", "api"): [],
        ("serde_derive", "macro", "web"): [],
        ("serde_derive", "macro", "elsewhere"): [],
    }

    assert macros.learn() == 0

    assert macros.lock.count("[[script]]") == 2
    assert macros.lock.count("[[script.run]]") == 2
    assert 'subject = "macro"\nconsumer = "api"\ntarget' in macros.lock
    assert 'seen = ["read $WORKSPACE/.sqlx/query-1.json"]' in macros.lock


def test_macros_that_nobody_has_reviewed_are_pending(
    macros: MacroWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert macros.check() == 21
    told = capsys.readouterr()

    assert "serde_derive 0.8.0 has a procedural macro that nobody has reviewed" in told.out
    assert "2 procedural macros to review; nothing was built." in told.out
    assert "to review" not in told.err
    assert macros.ci(require_reviewed=True) == 21
    assert "2 procedural macros to review; nothing was built." in capsys.readouterr().out


@pytest.mark.slow
def test_ci_says_who_was_refused_what_for_whom(
    macros: MacroWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    macros.did = {
        ("sqlx-macros", "macro", "api"): [connects("127.0.0.1:5432")],
        ("elsewhere", "compile", ""): [reads(b"/root/.ssh/id_ed25519", refused=True)],
    }

    assert macros.ci() == 20
    told = capsys.readouterr().out

    assert told.startswith(
        "buildperm: FAILED. 2 crates tried 2 things they were not granted; all were blocked.\n"
    )
    assert "\nsqlx-macros 0.8.0\n" in told
    assert "     procedural macro, for crate api:\n   ! connect  127.0.0.1:5432\n" in told
    assert "     compiling its code:\n  !! read     /root/.ssh/id_ed25519 " in told
    assert "1 procedural macro and 1 compilation held" in told

    assert macros.ci("json") == 20
    report = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    by = {finding["crate"]: finding["by"] for finding in report["findings"]}
    assert by == {
        "sqlx-macros": [{"subject": "macro", "consumer": "api"}],
        "elsewhere": [{"subject": "compile", "consumer": ""}],
    }


@pytest.mark.slow
def test_a_package_from_elsewhere_is_asked_about_apart_and_never_accepted_unseen(
    macros: MacroWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = str(macros.root / ".sqlx/query-1.json").encode()
    macros.did = {
        ("sqlx-macros", "macro", "api"): [reads(queries)],
        ("sqlx-macros", "macro", "elsewhere"): [reads(queries)],
    }

    assert macros.learn() == 3
    told = capsys.readouterr().err

    assert "undecided: sqlx-macros 0.8.0 (procedural macro, for crate elsewhere)" in told
    assert "for = " not in macros.manifest
    assert macros.ci() == 20
    assert 'for = ["elsewhere"]' in capsys.readouterr().out

    macros.root.joinpath("Cargo.toml").write_text(
        macros.manifest.replace("\nread = ", '\nfor = ["elsewhere"]\nread = ')
    )
    assert macros.learn(accept=None) == 0
    assert macros.ci() == 0


@pytest.mark.slow
def test_a_grant_that_no_macro_uses_any_more_is_told(
    macros: MacroWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = str(macros.root / ".sqlx/query-1.json").encode()
    macros.did = {("sqlx-macros", "macro", "api"): [reads(queries)]}
    assert macros.learn() == 0
    assert macros.ci(unused=True) == 0
    capsys.readouterr()

    (macros.root / "buildperm.lock").unlink()
    macros.did = {("sqlx-macros", "macro", "api"): []}

    assert macros.ci(unused=True) == 22
    assert "did not use it" in capsys.readouterr().out


@pytest.mark.slow
def test_macros_that_are_granted_something_for_nobody_are_told(
    macros: MacroWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = str(macros.root / ".sqlx/query-1.json").encode()
    macros.did = {
        ("sqlx-macros", "macro", "api"): [reads(queries)],
        ("serde_derive", "macro", "api"): [],
    }
    assert macros.learn() == 0
    manifest = macros.manifest.replace("\nread = ", '\nfor = ["elsewhere", "nobody"]\nread = ')
    macros.root.joinpath("Cargo.toml").write_text(manifest)
    told = "`for` of sqlx-macros names nobody: Cargo.lock has no such package"
    capsys.readouterr()

    assert macros.learn() == 0
    assert told in capsys.readouterr().err
    assert macros.check() == 0
    assert "grants something to nobody: sqlx-macros for nobody" in capsys.readouterr().err
    assert macros.ci() == 0
    assert f"warning: {told}" in capsys.readouterr().out
    assert macros.ci("json", unused=True) == 22
    report = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert report["unused"] == [{"crate": "sqlx-macros", "grant": "for:nobody"}]
    (finding,) = report["findings"]
    assert manifest.splitlines()[finding["line"] - 1].startswith('for = ["elsewhere", "nobody"]')
