"""The reports of a real `buildperm ci`, and what `buildperm review --from` makes of one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest

from buildperm.policy import manifest
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.report import formats
from buildperm.report.patch import is_patch
from tests.command import buildperm, is_orderly, member
from tests.report.documents import (
    CI_SCHEMA,
    JUNIT_SCHEMA,
    SARIF_VALIDATOR,
    outcomes,
    parse_commands,
)
from tests.report.rendered_markdown import code, escaped

READS_AND_WRITES = """
fn main() {
    let _ = std::fs::read("../data.txt");
    let _ = std::fs::write("../planted.txt", "here");
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/ran", "").unwrap();
}
"""
GRANTS = """
[workspace.metadata.buildperm]
version = 1

[workspace.metadata.buildperm.crates.sample]
reviewed = ["0.1.0"]
exec = ["perl"]
read = ["$WORKSPACE/data.txt"]
write = ["$WORKSPACE/planted.txt"]
"""


@dataclass(frozen=True, slots=True)
class RefusedBuild:
    """One run of `buildperm ci` that was refused something, with everything it has written."""

    workspace: Path  # In the folder `rust` of a Git repository; what it has built is still there.
    ended: subprocess.CompletedProcess[str]
    json: Path
    sarif: Path
    junit: Path
    patch: Path
    summary: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> RefusedBuild:
    folder = tmp_path_factory.mktemp("reports")
    workspace = make(folder / "repository/rust")
    subprocess.run(["git", "init", "--quiet", workspace.parent], check=True, timeout=120)
    named = {form: folder / f"report.{form}" for form in ("json", "sarif", "junit", "patch")}
    summary = folder / "summary.md"
    summary.write_text("# An earlier step\n")
    words = [f"--report={form}={path}" for form, path in named.items() if form != "patch"]
    ended = buildperm(
        *("ci", "--report=github", *words, f"--emit-patch={named['patch']}"),
        folder=workspace,
        extra={"GITHUB_STEP_SUMMARY": str(summary)},
    )
    return RefusedBuild(workspace, ended, summary=summary, **named)


def make(folder: Path) -> Path:
    """Make a workspace whose one build script reads and writes outside of its folders."""
    member(folder, READS_AND_WRITES)
    (folder / "data.txt").write_text("data")
    return folder


def copied(told: RefusedBuild, to: Path) -> Path:
    """Copy the workspace without what was built."""
    shutil.copytree(told.workspace, to, ignore=shutil.ignore_patterns("target"))
    return to


def has_built(workspace: Path) -> bool:
    return bool(list(workspace.glob("target/**/ran")))


def loaded(told: RefusedBuild) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(told.json.read_text())
    return report


def test_the_command_fails_and_says_to_people_what_was_refused(told: RefusedBuild) -> None:
    assert told.ended.returncode == 20, told.ended.stderr
    assert is_orderly(told.ended.stdout + told.ended.stderr)
    assert " read     $WORKSPACE/data.txt" in told.ended.stdout
    assert " write    $WORKSPACE/planted.txt" in told.ended.stdout
    assert not (told.workspace / "planted.txt").exists()


def test_the_json_report_follows_its_schema(told: RefusedBuild) -> None:
    report = loaded(told)

    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert (report["exit"], report["cargo_exit"]) == (20, 0)
    assert report["workspace"] == {"name": "rust", "members": ["sample"]}
    assert {finding["rule"] for finding in report["findings"]} == {"read", "write"}
    assert {each["target"] for each in report["scripts"][0]["evidence"]} >= {
        "$WORKSPACE/data.txt",
        "$WORKSPACE/planted.txt",
    }


def test_the_sarif_report_follows_its_schema_and_names_the_file_from_its_repository(
    told: RefusedBuild,
) -> None:
    log = json.loads(told.sarif.read_text())

    SARIF_VALIDATOR.validate(log)
    results = log["runs"][0]["results"]
    assert {result["ruleId"] for result in results} == {"buildperm/read", "buildperm/write"}
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert {place["artifactLocation"]["uri"] for place in places} == {"rust/Cargo.toml"}
    assert (told.workspace.parent / "rust/Cargo.toml").is_file()


def test_each_report_is_known_again_as_one_of_buildperm(told: RefusedBuild) -> None:
    for path in (told.json, told.sarif, told.junit):
        assert formats.is_report(path.read_bytes())
    assert formats.is_report(told.ended.stdout.encode())
    assert is_patch(told.patch.read_bytes())


def test_the_junit_report_follows_its_schema(told: RefusedBuild) -> None:
    document = told.junit.read_text()

    JUNIT_SCHEMA.validate(document)
    (suite,) = fromstring(document)
    assert outcomes(suite) == {"sample 0.1.0": "failure"}


def test_github_gets_annotations_and_its_summary_keeps_what_was_there(told: RefusedBuild) -> None:
    found = parse_commands(told.ended.stdout)

    assert [name for name, *_ in found] == ["error", "error"]
    assert all(properties["file"] == "rust/Cargo.toml" for _, properties, _ in found)
    summary = told.summary.read_text()
    assert summary.startswith("# An earlier step\n## buildperm: `rust`\n")
    assert not escaped(summary)
    assert any(" read     $WORKSPACE/data.txt" in text for text in code(summary))


def test_git_takes_the_patch_which_grants_what_is_harmless_and_tells_the_rest(
    told: RefusedBuild, tmp_path: Path
) -> None:
    root = tmp_path / "repository"
    shutil.copytree(told.workspace.parent, root, ignore=shutil.ignore_patterns("target"))

    for words in (["--check"], []):
        subprocess.run(["git", "apply", *words, told.patch], cwd=root, check=True, timeout=120)

    file = root / "rust/Cargo.toml"
    grants = manifest.read(file.read_bytes(), file).crates["sample"]
    assert Rule(Kind.READ, "$WORKSPACE/data.txt") in grants.rules
    assert not grants.reviewed
    assert "sample 0.1.0 tried to write $WORKSPACE/planted.txt" in file.read_text()


def test_a_report_is_the_same_where_cargo_has_nothing_left_to_build(
    told: RefusedBuild, tmp_path: Path
) -> None:
    again = tmp_path / "again.sarif"

    ended = buildperm("ci", "--report", f"sarif={again}", folder=told.workspace)

    assert ended.returncode == 20
    # But for where the JSON report is kept, which the first one was told.
    named = b"review --from target/buildperm/ci/buildperm-report.json"
    first = told.sarif.read_bytes().replace(b"review --from " + os.fsencode(told.json), named)
    assert again.read_bytes() == first


def test_with_warn_the_exit_code_is_cargos_and_nothing_is_an_error(told: RefusedBuild) -> None:
    ended = buildperm("ci", "--warn", "--format", "sarif", folder=told.workspace)

    assert ended.returncode == 0, ended.stderr
    log = json.loads(ended.stdout)
    SARIF_VALIDATOR.validate(log)
    assert [result["level"] for result in log["runs"][0]["results"]] == ["warning", "warning"]
    assert not (told.workspace / "planted.txt").exists()


@pytest.fixture(scope="module")
def granted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace that is granted what its script does, and one thing more."""
    workspace = make(tmp_path_factory.mktemp("granted") / "ws")
    (workspace / "planted.txt").write_text("")
    with (workspace / "Cargo.toml").open("a") as file:
        file.write(GRANTS)
    return workspace


@pytest.mark.slow
def test_a_grant_that_nothing_uses_fails_only_where_that_is_asked_for(granted: Path) -> None:
    plain = buildperm("ci", "--format", "json", folder=granted)
    asked = buildperm("ci", "--deny-unused", "--format", "json", folder=granted)
    warned = buildperm("ci", "--deny-unused", "--warn", "--format", "json", folder=granted)

    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert json.loads(plain.stdout)["findings"] == []
    assert asked.returncode == 22, asked.stderr
    report = json.loads(asked.stdout)
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert report["unused"] == [{"crate": "sample", "grant": "exec:perl"}]
    (finding,) = report["findings"]
    line = (granted / "Cargo.toml").read_text().splitlines()[finding["line"] - 1]
    assert (finding["rule"], line) == ("unused-grant", 'exec = ["perl"]')
    assert warned.returncode == 0
    assert [each["level"] for each in json.loads(warned.stdout)["findings"]] == ["warning"]


def test_what_nobody_has_reviewed_is_not_even_built(tmp_path: Path) -> None:
    workspace = make(tmp_path / "ws")
    named = {form: tmp_path / form for form in ("json", "sarif", "junit")}
    words = [f"--report={form}={path}" for form, path in named.items()]

    ended = buildperm("ci", "--require-reviewed", *words, folder=workspace)

    assert ended.returncode == 21, ended.stderr
    assert not has_built(workspace)
    assert "nothing was built" in ended.stdout
    report = json.loads(named["json"].read_text())
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert (report["exit"], report["runtime"], report["scripts"]) == (21, None, [])
    assert [each["crate"] for each in report["pending"]] == ["sample"]
    log = json.loads(named["sarif"].read_text())
    SARIF_VALIDATOR.validate(log)
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["buildperm/not-reviewed"]
    JUNIT_SCHEMA.validate(named["junit"].read_text())


@pytest.mark.slow
def test_what_was_reviewed_is_built(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}\n")

    learned = buildperm("learn", "--no-tui", folder=workspace)
    ended = buildperm("ci", "--require-reviewed", folder=workspace)

    assert learned.returncode == 0, learned.stderr
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--report", "json=none/report.json"), "cannot write the report none/report.json"),
        (("--report", "sarif=sample"), "cannot write the report sample: Is a directory"),
        (("--report", "junit=Cargo.toml"), "cannot replace"),
        (("--report", "json=sample/../Cargo.lock"), "cannot replace"),
        (("--report", "json=buildperm.lock"), "cannot replace"),
        (("--emit-patch", "Cargo.toml"), "cannot replace"),
        (("--report", "json=data.txt"), "data.txt is there, and is no report of buildperm"),
        (("--report", "text=sample/build.rs"), "is no report of buildperm"),
        (("--emit-patch", "sample/Cargo.toml"), "is no report of buildperm"),
        (("--emit-patch", "none/x.patch"), "cannot write the report none/x.patch"),
        (("--report", "json="), "the path is missing"),
        (("--report", "xml=x"), "no report is called `xml`"),
        (("--report", ""), "no report is called"),
        (("--report", "json=a\x1bb/c"), "cannot write the report"),
        (("--report", "json=x", "--report", "sarif=./x"), "would both go to"),
        (("--report", "json", "--report", "sarif"), "one document, not `json` and `sarif`"),
        (("--format", "json", "--report", "junit=-"), "one document, not `json` and `junit`"),
        (("--format", "json", "--emit-patch", "-"), "one document, not `json` and `patch`"),
        (("--format", "text", "--report", "sarif"), "one document, not `text` and `sarif`"),
        (("--report", "github", "--report", "sarif"), "one document, not `github` and `sarif`"),
    ],
)
@pytest.mark.quick(2)
def test_reports_that_cannot_be_written_stop_the_command_before_it_builds(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    workspace = make(tmp_path / "ws")
    before = {path.name: path.read_bytes() for path in workspace.iterdir() if path.is_file()}

    ended = buildperm("ci", *words, folder=workspace)

    assert ended.returncode == 2, ended.stderr
    assert is_orderly(ended.stderr)
    assert said in ended.stderr
    assert "hint: " in ended.stderr
    assert ended.stdout == ""
    assert not has_built(workspace)
    after = {path.name: path.read_bytes() for path in workspace.iterdir() if path.is_file()}
    after.pop("Cargo.lock", None)  # Cargo has written it before anybody can say where it lies.
    assert after == before


def test_a_step_summary_that_cannot_be_written_stops_the_command_too(tmp_path: Path) -> None:
    workspace = make(tmp_path / "ws")
    extra = {"GITHUB_STEP_SUMMARY": str(tmp_path / "none/summary.md")}

    ended = buildperm("ci", "--report", "github", folder=workspace, extra=extra)

    assert ended.returncode == 2
    assert "cannot write the report" in ended.stderr
    assert not has_built(workspace)


@pytest.mark.slow
def test_a_report_that_is_there_is_replaced_whole_and_keeps_its_permissions(
    told: RefusedBuild,
) -> None:
    target = told.workspace.parent / "old.json"
    target.write_bytes(told.sarif.read_bytes() + b" " * 100_000)  # In whatever format.
    target.chmod(0o640)
    link = told.workspace.parent / "link.json"
    link.symlink_to(target)

    ended = buildperm("ci", "--report", f"json={link}", folder=told.workspace)

    assert ended.returncode == 20
    assert json.loads(target.read_text())["exit"] == 20
    assert target.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert not [name for name in os.listdir(target.parent) if name.startswith(".old.json")]


def test_a_report_is_decided_about_without_building(told: RefusedBuild, tmp_path: Path) -> None:
    workspace = copied(told, tmp_path / "rust")
    before = (workspace / "Cargo.toml").read_bytes()

    ended = buildperm("review", "--no-tui", "--from", str(told.json), folder=workspace)

    assert ended.returncode == 3, ended.stderr
    assert is_orderly(ended.stdout + ended.stderr)
    assert "undecided: sample 0.1.0: read $WORKSPACE/data.txt" in ended.stderr
    assert "undecided: sample 0.1.0: write $WORKSPACE/planted.txt" in ended.stderr
    assert not has_built(workspace)
    assert (workspace / "Cargo.toml").read_bytes() == before


def test_what_is_accepted_from_a_report_is_granted_and_held_to(
    told: RefusedBuild, tmp_path: Path
) -> None:
    workspace = copied(told, tmp_path / "rust")
    words = ("review", "--no-tui", "--accept", "medium", "--from", str(told.json))

    ended = buildperm(*words, folder=workspace)
    held = buildperm("ci", "--format", "json", folder=workspace)

    assert ended.returncode == 3, ended.stderr  # A write is of high risk: never accepted unseen.
    assert "undecided: sample 0.1.0: write $WORKSPACE/planted.txt" in ended.stderr
    assert 'read = ["$WORKSPACE/data.txt"]' in (workspace / "Cargo.toml").read_text()
    assert not (workspace / "buildperm.lock").exists()  # Nothing was seen on this machine.
    assert held.returncode == 20
    assert [finding["rule"] for finding in json.loads(held.stdout)["findings"]] == ["write"]


@pytest.mark.slow
def test_a_dry_run_prints_what_a_report_would_change_and_changes_nothing(
    told: RefusedBuild, tmp_path: Path
) -> None:
    workspace = copied(told, tmp_path / "rust")
    before = (workspace / "Cargo.toml").read_bytes()
    words = ("review", "--no-tui", "--accept", "medium", "--dry-run", "--from", str(told.json))

    ended = buildperm(*words, folder=workspace)

    assert ended.returncode == 3
    assert '+read = ["$WORKSPACE/data.txt"]\n' in ended.stdout
    assert (workspace / "Cargo.toml").read_bytes() == before


def _newer(report: bytes) -> bytes:
    return json.dumps({**json.loads(report), "version": 99}).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda report: report[: len(report) // 2], "is no complete report"),
        (lambda report: report[:-3], "is no complete report"),
        (_newer, "was written by a newer buildperm: report version 99"),
        (lambda report: b"", "is empty"),
        (lambda report: b"<testsuites/>", "is no"),
        (lambda report: report.replace(b'"sample"', b'"another"'), "about another workspace"),
    ],
    ids=["cut in half", "without its end", "newer", "empty", "XML", "another workspace"],
)
@pytest.mark.quick(1)
def test_a_report_that_cannot_be_used_is_one_clear_error(
    told: RefusedBuild, tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    workspace = copied(told, tmp_path / "rust")
    before = (workspace / "Cargo.toml").read_bytes()
    broken = tmp_path / "broken.json"
    broken.write_bytes(change(told.json.read_bytes()))

    words = ("review", "--no-tui", "--accept", "medium", "--from", str(broken))
    ended = buildperm(*words, folder=workspace)

    assert ended.returncode == 2, ended.stderr
    assert is_orderly(ended.stderr)
    assert said in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("buildperm: ")]
    assert len(errors) == ended.stderr.count("hint: ") == 1
    assert ended.stdout == ""
    assert (workspace / "Cargo.toml").read_bytes() == before
