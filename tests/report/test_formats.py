"""A format is one entry of a table: one that is added from outside is offered and written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from buildperm.report import answer_formats, formats, refused_text
from buildperm.report.finding import Report
from tests.command import environment, member
from tests.report.report_strategies import REPORTS

ADD = """
from buildperm.report.answer_formats import ANSWER_FORMATS
from buildperm.report.formats import FORMATS, Appendix, ReportFormat
FORMATS["tally"] = ReportFormat(
    "tally",
    lambda report: f"{len(report.findings)} findings\\n",
    is_exclusive=True,
    appendix=Appendix("TALLY", lambda report: "appended\\n"),
    help="`tally` only counts.",
)
ANSWER_FORMATS["shout"] = lambda result: "".join(f"{line}!\\n" for line in result.lines())
from buildperm.cli import main
main()
"""
READS = 'fn main() { let _ = std::fs::read("../data.txt"); }'


def run(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ADD, *words],
        cwd=folder,
        env=environment({"COLUMNS": "200", **extra}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = member(tmp_path_factory.mktemp("formats") / "ws", READS)
    (folder / "data.txt").write_text("data")
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=folder, check=True, timeout=120)
    return folder


def test_an_added_format_is_offered_and_explained(tmp_path: Path) -> None:
    told = " ".join(run(tmp_path, "ci", "--help").stdout.split())

    assert "[text|json|sarif|junit|github|tally]" in told
    assert "$GITHUB_STEP_SUMMARY. `tally` only counts." in told
    assert "[text|json|shout]" in run(tmp_path, "show", "--help").stdout


@pytest.mark.slow
def test_an_added_format_is_written_wherever_a_report_can_go(reading: Path) -> None:
    file, appended = reading.parent / "tally.txt", reading.parent / "appended.txt"

    out = run(reading, "ci", "--format", "tally", TALLY=str(appended))
    both = run(reading, "ci", f"--report=tally={file}")
    mixed = run(reading, "ci", "--report", "tally", "--report", "github")

    assert (out.returncode, out.stdout) == (20, "1 findings\n")
    assert appended.read_text() == "appended\n"
    assert file.read_text() == "1 findings\n"
    assert "Is it expected?" in both.stdout  # The text is written beside it, unasked.
    assert "standard output can hold one document, not `tally` and `github`" in mixed.stderr


def test_an_added_format_of_answers_is_written(reading: Path) -> None:
    shown = run(reading, "show", "--format", "shout")

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("No build script is granted anything.!\n")


@pytest.mark.parametrize("words", [("--format", "yaml"), ("--report", "yaml=x"), ("--report", "")])
def test_an_unknown_format_is_an_error(reading: Path, words: tuple[str, ...]) -> None:
    refused = run(reading, "ci", *words)

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "yaml" in refused.stderr or "is called ``" in refused.stderr


@pytest.mark.parametrize("table", [formats.FORMATS, answer_formats.ANSWER_FORMATS])
def test_text_is_what_is_written_unasked(table: dict[str, object]) -> None:
    assert next(iter(table)) == "text"


@given(REPORTS)
def test_each_format_is_known_by_its_beginning(report: Report) -> None:
    for each in formats.FORMATS.values():
        # What was refused is only told of a build.
        if (
            each.name != "text"
            or report.run
            or not any(map(refused_text.is_refusal, report.findings))
        ):
            written = each.document(report).encode(errors="surrogateescape")
            assert formats.is_report(written[: 1 << 16]), (each.name, written[:200])


@pytest.mark.parametrize(
    "foreign",
    [
        b"x",
        b"# buildperm: notes\n",
        b"buildperm: building\nbuildperm: 3 build scripts held (portable, Landlock ABI 7)\n",
        b"[workspace.metadata.buildperm]\nversion = 1\n",
        b'{"version": 2, "name": "buildperm"}',
        b'{"$schema": "x", "version": "2.1.0", "runs": [{"tool": {"driver": {"name": "other"}}}]}',
        b'<?xml version="1.0"?>\n<testsuites name="pytest">',
        b"::error file=x,line=1,title=other::y",
        b"fn main() {\n    println!();\n}\n",
        b"   Compiling a v1.0.0\nwarning: unused\n  note: x\n",
    ],
)
def test_what_others_have_written_is_no_report(foreign: bytes) -> None:
    assert not formats.is_report(foreign)
