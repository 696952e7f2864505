"""The figures of the report and of the draft: counted rightly, and what stands in the documents."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from corpus import figures, report
from corpus.entries import Corpus, CorpusCrate, CorpusProject, Unstable

ROOT = Path(__file__).parents[1]
MEASURED = "\n\n".join(f"{head}x |\n| 1 |" for head in figures._COPIED.values())
CRATES = (CorpusCrate("ring", "0.17", "C", "g"), CorpusCrate("gone", "1", "C", "h"))
CORPUS = Corpus(CRATES, (CorpusProject("bat", "1"),), ())


@pytest.mark.parametrize("path", report.DOCUMENTS, ids=lambda path: path.name)
def test_the_document_says_what_the_results_say(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert report.with_figures(text, report.current()) == text, "run `make report`"
    assert "made by `make report`" in text


def test_every_block_stands_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in report.DOCUMENTS)

    assert {f"<!-- {name}: made by" for name in report.current()} == set(
        re.findall(r"<!-- [a-z-]+: made by", text)
    )


def test_the_command_prints_every_block() -> None:
    command = [sys.executable, "-m", "corpus.report"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert all(f"## {name}\n\n{block}\n" in printed for name, block in report.current().items())


def test_blocks_are_replaced_and_nothing_else_is() -> None:
    text = "a\n<!-- x: made by `make report` -->\nold\n<!-- end of x -->\nb | c\n"

    made = report.with_figures(text, {"x": "new", "y": "other"})
    assert made == text.replace("old", "\nnew\n")
    assert report.with_figures(made, {"x": "new"}) == made


@pytest.mark.parametrize(
    "text",
    [
        "<!-- z: made by `make report` -->\n<!-- end of z -->",
        "<!-- x: made by `make report` -->\nno end",
        "<!-- x: made by `make report` -->\n<!-- end of y -->",
        "<!-- x: made by `make report` -->\n<!-- y: made by `make report` -->\n<!-- end of x -->",
    ],
)
def test_a_block_that_nobody_makes_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="blocks"):
        report.with_figures(text, {"x": "new", "y": "other"})


def _record(scripts: dict[str, str], **changes: object) -> dict[str, object]:
    told = {"version": "1", "events": 5, "accesses": 4, "findings": [], "failure": ""}
    return {
        "codes": {"learn": 0, "plain": 0, "ci": 0},
        "seconds": {},
        **{name: [] for name in ("failed_plainly", "timed_out", "traceback", "by_hand")},
        "scripts": {crate: {**told, "subjects": role.split()} for crate, role in scripts.items()},
        **{name: {} for name in ("grants", "lines", "asked")},
        "different": {"files": [], "directives": [], "excused": []},
        **changes,
    }


def _rows(block: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in row[1:-1].split(" | ")] for row in block.splitlines()]
    return {row[0]: row[1:] for row in cells}


def test_a_package_counts_once_by_all_that_it_was_granted_anywhere() -> None:
    question = {"crate": "ring", "title": "run x", "risk": "high", "reasons": ["it is"]}
    asked = {**question, "locked": "", "rung": "", "rules": [["exec", "x"]]}
    records = {
        "g": _record(
            {"ring": "script", "libc": "script", "serde_derive": "macro"},
            grants={"ring": {"presets": ["cc"]}},
            lines={"ring": 3},
            asked={"ring": 1},
            by_hand=[asked],
        ),
        "bat": _record(
            {"ring": "script", "libc": "script macro"},
            grants={"ring": {"exec": ["x"], "net": ["a:1"]}},
            lines={"ring": 5},
            asked={"ring": 2},
            by_hand=[asked],
        ),
    }

    made = figures.figures(CORPUS, records, MEASURED)
    needs = _rows(made["needs"])
    assert needs["needs"] == ["of 2 build scripts", "share", "of 2 macro crates"]
    assert needs["nothing: the baseline is enough"] == ["1", "50 %", "2"]
    assert needs["to run programs, of any kind"] == ["1", "50 %", "0"]
    assert needs["the network"] == ["1", "50 %", "0"]
    assert needs["to read elsewhere"] == ["0", "0 %", "0"]
    assert "| all build scripts | lines | 2 | 2.5 | 5 | 5 |" in made["effort"]
    assert "| build scripts that need something | decisions | 1 | 2 | 2 | 2 |" in made["effort"]
    assert "| entries that were not tried | 1: gone |" in made["population"]
    assert _rows(made["by-hand"])["all"] == ["1", "1"]
    assert made["presets"] == "Packages by preset: `cc` 1."


def test_what_does_not_behave_is_named_and_excuses_are_counted() -> None:
    different = {
        "files": ["ring a.o"],
        "directives": [],
        "excused": ["cmake dates", "other dates", "cmake names"],
    }
    made = figures.figures(
        CORPUS, {"g": _record({"ring": "script"}, different=different)}, MEASURED
    )

    assert _rows(made["outcome"])["another result"] == ["1", "ring"]
    assert made["different"] == "2 packages: dates (2); names (1)."

    since = Unstable("ring", re.compile(r"\.o$"), "dates"), Unstable("ring", re.compile("b"), "no")
    listed = Corpus(CORPUS.crates, CORPUS.projects, since)
    made = figures.figures(
        listed, {"g": _record({"ring": "script"}, different=different)}, MEASURED
    )
    assert _rows(made["outcome"])["another result"] == ["1", "ring (since then excused: dates)"]


@pytest.mark.parametrize("text", ["", f"{MEASURED}\n\n{MEASURED}"])
def test_a_table_that_is_not_there_once_is_an_error(text: str) -> None:
    assert figures.copied(MEASURED, figures._COPIED["builds"]).endswith("x |\n| 1 |")
    with pytest.raises(ValueError, match="tables begin with"):
        figures.copied(text, figures._COPIED["builds"])


def test_what_was_measured_stands_where_the_report_says() -> None:
    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]+\|[^|]+\|([^|]*)\| \[\w+\]\((\S+)\) \|$", text, re.MULTILINE)

    assert sum(bool(measured.strip()) for measured, _ in rows) >= 6
    for measured, link in rows:
        if measured.strip():
            said = " ".join((ROOT / "docs" / link).read_text(encoding="utf-8").split())
            assert measured.strip() in said


def test_what_is_left_of_the_cost_was_measured() -> None:
    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    measured = figures.MEASUREMENTS.read_text(encoding="utf-8")

    for number in ("2.6 s", "1.0 to 1.5 s", "0.6 s"):
        assert number in text
        assert number in measured


def _fences(language: str) -> list[str]:
    text = (ROOT / "docs/rfc.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_manifests_in_the_draft_have_the_keys_that_it_lists() -> None:
    text = (ROOT / "docs/rfc.md").read_text(encoding="utf-8")
    table = text.partition("### The table")[2].partition("Patterns know")[0]
    listed = set(re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.M))))
    used: set[str] = set()
    for document in map(tomllib.loads, _fences("toml")):
        root = document.get("build-permissions", {})
        tables = [root, *root.get("package", {}).values()]
        tables.append(document.get("package", {}).get("build-permissions", {}))
        used |= {key for each in tables for key in each} - {"package"}

    assert {"require", "presets", "read", "reviewed"} <= used <= listed


def test_messages_in_the_draft_are_json_of_one_version() -> None:
    [fence] = _fences("javascript")
    text = re.sub(r"^//.*$", "", fence, flags=re.MULTILINE).strip()
    messages = []
    while text:
        message, end = json.JSONDecoder().raw_decode(text)
        messages.append(message)
        text = text[end:].lstrip()

    hello, request, *answers = messages
    assert hello["v"] == [request["v"]]
    assert {each["id"] for each in answers} == {request["id"]}
    assert [next(key for key in each if key != "id") for each in answers] == ["Ok", "Err", "Err"]
