"""The list of real crates, what came of them, and the document that says so."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from corpus import entries, made_files, person, tables, trial, verdicts, workshop

CORPUS = entries.load()
RESULTS = Path(entries.__file__).parent / "results"
RECORDS = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
KINDS = {
    *("compiler probe", "C", "C++", "CMake", "configure, Make", "pkg-config", "bindgen", "protoc"),
    *("generator", "git", "Python", "Node.js", "Java", "assembler", "writes its source"),
    *("runs Cargo", "runs rustc", "network", "reads the workspace", "shared folder"),
    *("Windows", "WebAssembly"),
}


def test_the_list_has_enough_of_each_kind() -> None:
    assert len(CORPUS.crates) >= 80
    assert len(CORPUS.projects) >= 10
    assert {crate.kind for crate in CORPUS.crates} >= KINDS


def test_each_crate_is_locked() -> None:
    for group, crates in CORPUS.groups().items():
        locked = tomllib.loads(entries.lock_of(group).read_text("utf-8"))["package"]
        names = {package["name"] for package in locked}
        assert {each for crate in crates for each in (crate.name, crate.member)} <= names
        registry = [package for package in locked if not package["name"].startswith("uses-")]
        assert all("checksum" in package for package in registry)


def test_the_document_says_what_the_results_say() -> None:
    text = tables.DOCUMENT.read_text(encoding="utf-8")

    assert tables.document(text, CORPUS, RECORDS) == text
    assert RECORDS.keys() <= {*CORPUS.groups(), *(project.name for project in CORPUS.projects)}


def test_results_name_no_place_of_the_machine_that_made_them() -> None:
    text = "".join(path.read_text("utf-8") for path in RESULTS.glob("*.json"))

    assert re.findall(r"(?<![\w.$])/(?:root|home|work)/[^\"\\]*|https?://[^/\"\\]*", text) == []


def _content(run: Path) -> None:
    (run / "out/made.rs").write_text("other")


def _mode(run: Path) -> None:
    (run / "out/made.rs").chmod(0o755)


def _link(run: Path) -> None:
    (run / "out/link").unlink()
    (run / "out/link").symlink_to("elsewhere")


def _more(run: Path) -> None:
    (run / "out/more").write_text("")


def _directive(run: Path) -> None:
    (run / "output").write_text("cargo:rustc-cfg=b\ncargo:rerun-if-changed=x\n")


def _order(run: Path) -> None:
    (run / "output").write_text("cargo:rerun-if-changed=x\ntalk\ncargo:rustc-cfg=a\n")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_content, (["gen made.rs"], [])),
        (_mode, (["gen made.rs"], [])),
        (_link, (["gen link"], [])),
        (_more, (["gen more"], [])),
        (_directive, ([], ["gen cargo:rustc-cfg=a", "gen cargo:rustc-cfg=b"])),
        (_order, ([], [])),
    ],
)
def test_what_a_script_leaves_is_compared(
    tmp_path: Path, change: Callable[[Path], None], found: tuple[list[str], list[str]]
) -> None:
    for name in ("plain", "held"):
        run = tmp_path / name / "gen-0123456789abcdef"
        (run / "out").mkdir(parents=True)
        (run / "out/made.rs").write_text("made")
        (run / "out/link").symlink_to("made.rs")
        (run / "output").write_text("cargo:rustc-cfg=a\ncargo:rerun-if-changed=x\n")
    before = made_files.made(tmp_path / "plain")
    change(tmp_path / "held/gen-0123456789abcdef")
    after = made_files.made(tmp_path / "held")

    different = made_files.compare(before, after, ())
    assert ([*different.files], [*different.directives]) == found
    excuse = entries.Unstable("gen", re.compile(""), "dates")
    excused = made_files.compare(before, after, [excuse])
    assert (excused.files, excused.directives) == ((), ())
    assert excused.excused == (("gen dates",) if any(found) else ())


def test_a_script_that_ran_in_one_build_only_is_told(tmp_path: Path) -> None:
    (tmp_path / "held/gen-0123456789abcdef/out").mkdir(parents=True)
    (tmp_path / "held/gen-0123456789abcdef/output").write_text("")
    (tmp_path / "plain").mkdir()
    plain, held = (made_files.made(tmp_path / name) for name in ("plain", "held"))

    assert made_files.compare(plain, held, ()).files == ("gen ran in one of the builds only",)


_TOLD = {"version": "1.2.3", "events": 5, "accesses": 4, "findings": [], "failure": ""}


def _record(**changes: object) -> dict[str, object]:
    return {
        "codes": {"learn": 0, "plain": 0, "ci": 0},
        "seconds": {},
        "failed_plainly": [],
        "timed_out": [],
        "traceback": [],
        "scripts": {"ring": _TOLD},
        "grants": {},
        "lines": {},
        "asked": {},
        "by_hand": [],
        "different": {"files": [], "directives": [], "excused": []},
        **changes,
    }


def _asked(crate: str = "ring", locked: str = "", rung: str = "") -> dict[str, object]:
    kept = {"title": "run x", "risk": "high", "reasons": ["it is"], "by": ["script"]}
    return {"crate": crate, "locked": locked, "rung": rung, **kept}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({"grants": {"ring": {"exec": ["$OUT_DIR/gen"], "read": ["/usr/share/x"]}}}, "ok"),
        ({"grants": {"ring": {"read": ["/tmp/app-build-17"]}}}, "a path of one machine"),
        ({"grants": {"ring": {"read": ["/proc/17/mounts"]}}}, "a path of one machine"),
        ({"by_hand": [_asked(locked="no rule")]}, "cannot be granted"),
        ({"by_hand": [_asked(rung='read = ["/home/me/x"]')]}, "a path of one machine"),
        ({"by_hand": [_asked(locked=f"Secret: {person.BY_HAND}.")]}, "ok"),
        ({"by_hand": [_asked(crate="other", locked="no rule")]}, "ok"),
        ({"timed_out": ["by hand"]}, "ok"),
        ({"timed_out": ["by hand"], "by_hand": [_asked()]}, "timed out in by hand"),
        ({"allowed_by_hand": {"ring": 7}}, "more than 6 decisions"),
        ({"allowed_by_hand": {"ring": 7}, "by_hand": [_asked()]}, "ok"),
        ({"asked": {"ring": 7}}, "more than 6 decisions"),
        ({"lines": {"ring": 13}}, "more than 12 lines"),
        ({"traceback": ["ci"]}, "traceback in ci"),
        ({"timed_out": ["plain"]}, "timed out in plain"),
        ({"different": {"files": ["ring a.o"], "directives": []}}, "another result"),
        ({"codes": {"learn": 0, "plain": 0, "ci": 20}}, "`ci` ended with 20"),
        (
            {
                "codes": {"learn": 3, "plain": 0, "ci": 101},
                "failed_held": ["ring"],
                "different": {"files": ["ring ran in one of the builds only"], "directives": []},
            },
            "fails when held",
        ),
        (
            {"codes": {"learn": 3, "plain": 0, "ci": 101}, "failed_held": ["other"]}
            | {"scripts": {"ring": _TOLD, "other": _TOLD}},
            "ok",
        ),
        (
            {"codes": {"learn": 3, "plain": 101, "ci": 101}, "failed_plainly": ["ring"]}
            | {"failed_held": ["ring"]}
            | {"different": {"files": ["ring ran in one of the builds only"], "directives": []}},
            "not available: plain Cargo fails, too",
        ),
        (
            {"codes": {"learn": 1, "plain": 101, "ci": 1}, "failed_plainly": ["ring"]},
            "not available: plain Cargo fails, too",
        ),
    ],
)
def test_each_fault_gives_a_verdict(changes: dict[str, object], verdict: str) -> None:
    crate = entries.CorpusCrate("ring", "0.17", "C", "c")

    [row] = verdicts.rows(entries.Corpus((crate,), (), ()), {"c": _record(**changes)})
    assert row.verdict == verdict
    assert verdicts.misbehaving(row) is not (verdict == "ok" or verdict.startswith("not available"))


def test_a_command_ends_when_the_time_of_its_entry_is_up(tmp_path: Path) -> None:
    (tmp_path / "entry").mkdir()
    late = workshop.Workshop(tmp_path / "entry", os.environ, seconds=0)
    early = workshop.Workshop(tmp_path / "entry", os.environ, seconds=1000)

    assert late.run(["sleep", "1000"], log="late").code == workshop.TIMED_OUT
    assert "sleep 1000" in (tmp_path / "late.txt").read_text()
    assert early.run(["sh", "-c", "echo made; exit 3"]).code == 3
    with pytest.raises(workshop.StepError, match="false"):
        early.must(["false"])


def test_the_names_of_files_are_no_hosts_of_registries(tmp_path: Path) -> None:
    host = ".".join(("index", "crates", "io"))
    record = trial.portable(tmp_path, {"files": ["mimalloc-static.o"], "said": [f"to {host}:443"]})

    assert record == {"files": ["mimalloc-static.o"], "said": ["to a-package-registry:443"]}


def test_what_was_allowed_by_hand_is_counted() -> None:
    told = "Crate: ring 1.2\nAllowed.\nCrate: a 1\nAllowed 1, denied 0\nCrate: ring 1.2\nAllowed.\n"

    assert person.allowed(told) == {"ring": 2}


def test_a_person_writes_by_hand_what_is_locked(tmp_path: Path) -> None:
    manifest = tmp_path / "Cargo.toml"
    manifest.write_text('[workspace]\nmembers = ["a"]\n')
    locked = f"Sensitive: {person.BY_HAND}."
    person.write_locked(
        tmp_path,
        [
            {
                "crate": "ring",
                "version": "1.2",
                "locked": locked,
                "rules": [["read", "$MANIFEST_DIR/.env"]],
            },
            {
                "crate": "other",
                "version": "1",
                "locked": "No grant can.",
                "rules": [["directives", "a=b"]],
            },
            {"crate": "third", "version": "1", "locked": "", "rules": [["exec", "git"]]},
        ],
    )

    written = tomllib.loads(manifest.read_text())["workspace"]
    crates = written["metadata"]["buildperm"]["crates"]
    assert (written["members"], list(crates)) == (["a"], ["ring"])
    assert crates["ring"]["read"] == ["$MANIFEST_DIR/.env"]
    assert crates["ring"]["reviewed"] == ["1.2"]
    assert crates["ring"]["reason"]


@pytest.mark.parametrize(
    ("told", "question", "answer"),
    [
        ("", "(a d s e r dc aa da [ ] i o u U v ? q): ", "a"),
        ("Not possible: No grant can allow it.\n", "(a d s e r dc aa da [ ] i o u U v ? q): ", "s"),
        ("It is critical.\n", "(type ring to allow it, Enter to leave it): ", "ring"),
        ("", "(w k x u U 1-2): ", "w"),
        ("", "(y k): ", "y"),
        ("", "(override k): ", "override"),
        ("", "(o q, Enter goes on): ", ""),
    ],
)
def test_a_person_allows_what_can_be_allowed(told: str, question: str, answer: str) -> None:
    assert person.letter(question.encode(), told.encode()) == answer.encode()


def test_a_percentile_is_one_of_the_numbers() -> None:
    assert verdicts.spread([0, 0, 0, 0, 0, 0, 0, 1, 2, 9]) == (0, 2, 9)
    assert verdicts.spread([]) == (0, 0, 0)
