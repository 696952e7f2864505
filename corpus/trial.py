"""Takes one group of crates, or one project, through all the steps, and says what came of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from corpus.engine_runs import EngineUnit, compared_runs
from corpus.entries import Corpus, CorpusCrate, CorpusProject, lock_of
from corpus.made_files import Differences, compare, made
from corpus.person import allowed, answer, write_locked
from corpus.restoring import RestoredUnit, restored
from corpus.workshop import TIMED_OUT, Step, StepError, Workshop

Record = dict[str, Any]
ROOT = Path(__file__).parents[1]
BUILDPERM = [sys.executable, "-m", "buildperm"]
OF_THIS_MACHINE = "REGISTRY-HASH"  # In the place of a folder's name that is another one elsewhere.
LISTS = ("presets", "read", "write", "exec", "net", "env", "directives")
OK, UNDECIDED, REFUSED = 0, 3, 20
_PLACE = Path("target/buildperm/ci")  # The same for plain builds: what compilers make holds paths.
_ROW = re.compile(r"^(\S+) (\S+)(?: \([^)]*\))?\s+([\d,]+)\s+([\d,]+)\s+(\d+)$", re.MULTILINE)
_HEADER = re.compile(
    r"""^\[\w+\.metadata\.buildperm(?:\.crates\.(?P<crate>"[^"]*"|[\w-]+))?[\].]"""
)
_FAILED = re.compile(
    r"^error: (?:failed to run custom build command for|could not compile) `([^ `]+)", re.MULTILINE
)
_UNSETTLED = re.compile(r"^not settled: (\S+) \S+ (.*)$", re.MULTILINE)
_REGISTRY = re.compile(r"registry/(src|index|cache)/[\w.-]+-[0-9a-f]{16}")
_SCHEME = re.compile(r"https?://")  # What is left names no address of a mirror by its beginning.
_REGISTRY_HOST = re.compile(r"\b(?:registry|index|static)(?:\.[a-z][\w-]*){2,}\b")
_TRACEBACK = "Traceback (most recent call last)"


def try_crates(
    corpus: Corpus, group: str, crates: Sequence[CorpusCrate], folder: Path, seconds: float
) -> Record:
    """Try crates that are built together; `folder` is made anew."""
    workshop = made_workshop(folder, seconds)
    workshop.write_crates(crates, lock_of(group))
    return _try(corpus, workshop, ["check", "--workspace"])


def try_project(corpus: Corpus, project: CorpusProject, folder: Path, seconds: float) -> Record:
    """Try a published program; `folder` is made anew."""
    workshop = made_workshop(folder, seconds)
    workshop.write_project(project)
    return _try(corpus, workshop, ["check"])


def try_restoring(
    crates: Sequence[CorpusCrate], group: str, folder: Path, seconds: float
) -> list[RestoredUnit]:
    """Show of crates that what is restored equals what runs; `folder` is made anew.

    Raises:
        StepError: Something could not be prepared or built.
    """
    workshop = made_workshop(folder, seconds)
    workshop.write_crates(crates, lock_of(group))
    workshop.fetch()
    workshop.commit()
    try:
        return _restored(workshop, ["check", "--workspace"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copied(source: Path, folder: Path, seconds: float) -> Workshop:
    workshop = made_workshop(folder, seconds)
    ignored = shutil.ignore_patterns("target")
    shutil.copytree(source, workshop.folder, ignore=ignored, dirs_exist_ok=True)
    workshop.commit()
    return workshop


def try_restoring_workspace(source: Path, folder: Path, seconds: float) -> list[RestoredUnit]:
    """Show the same of a copy of the workspace in `source`.

    Raises:
        StepError: Something could not be prepared or built.
    """
    workshop = _copied(source, folder, seconds)
    try:
        return _restored(workshop, ["build"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def try_on_engine(source: Path, folder: Path, seconds: float, address: str) -> list[EngineUnit]:
    """Show of a copy of the workspace in `source` what runs on an engine.

    Raises:
        StepError: Something could not be prepared or built.
    """
    workshop = _copied(source, folder, seconds)
    cargo = ["check", "--workspace"]
    try:
        _learn(workshop, cargo)
        return compared_runs(workshop, BUILDPERM, cargo, address)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _restored(workshop: Workshop, cargo: list[str]) -> list[RestoredUnit]:
    _learn(workshop, cargo)
    return restored(workshop, cargo)


def _learn(workshop: Workshop, cargo: Sequence[str]) -> None:
    words = ["--no-tui", "--accept", "medium", "--", *cargo]
    learned = workshop.run([*BUILDPERM, "learn", *words])
    if learned.code not in (OK, UNDECIDED):
        raise StepError(f"learn ended with {learned.code}: {learned.err[-2000:]}")


def pin(group: str, crates: Sequence[CorpusCrate], folder: Path) -> None:
    """Resolve a group anew, and keep its lock file."""
    workshop = made_workshop(folder, 600)
    workshop.write_crates(crates, None)
    lock_of(group).write_text(workshop.pin())


def made_workshop(folder: Path, seconds: float) -> Workshop:
    """Make the folder of a workspace anew, with an environment to run commands in."""
    if folder.exists():
        shutil.rmtree(folder)
    place = folder / folder.name
    place.mkdir(parents=True)
    left_out = {"CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "RUSTC_WRAPPER", "PYTHONPATH"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"CARGO_TERM_COLOR": "never", "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    return Workshop(place, environment, seconds)


def _try(corpus: Corpus, workshop: Workshop, cargo: Sequence[str]) -> Record:
    """Learn, build with plain Cargo and build held, from the same state of the tree."""
    folder = workshop.folder
    record: Record = {"cargo": " ".join(cargo), "told": {}}
    try:
        workshop.fetch()
        workshop.commit()
        words = ["--", *cargo]
        accepting = ["--no-tui", "--accept", "medium"]
        learned = workshop.run([*BUILDPERM, "learn", *accepting, *words], log="learn")
        steps = {"learn": learned}
        record["asked"] = _asked(learned)
        record["by_hand"] = []
        if learned.code == UNDECIDED:
            pending = workshop.run([*BUILDPERM, "pending", "--format", "json", *words])
            record["by_hand"] = _by_hand(pending)
            write_locked(folder, record["by_hand"])
            steps["by hand"] = answer(workshop, [*BUILDPERM, "learn", "--no-tui", *words])
        shutil.rmtree(folder / "target", ignore_errors=True)
        workshop.commit()
        place = folder / _PLACE
        steps["plain"] = workshop.run(
            ["cargo", *cargo, "--locked", "--keep-going", "--target-dir", str(place)], log="plain"
        )
        plain = made(place / "debug/build") if (place / "debug/build").is_dir() else {}
        shutil.rmtree(place, ignore_errors=True)
        workshop.reset()
        steps["ci"] = workshop.run([*BUILDPERM, "ci", "--format", "json", *words], log="ci")
        held = made(place / "debug/build") if (place / "debug/build").is_dir() else {}
    except StepError as error:
        return record | {"error": str(error)[:2000]}
    finally:
        shutil.rmtree(folder / "target", ignore_errors=True)
    different = compare(plain, held, corpus.unstable)
    return portable(folder, record | _facts(folder, steps, different))


def _facts(folder: Path, steps: Mapping[str, Step], different: Differences) -> Record:
    manifest = (folder / "Cargo.toml").read_text(encoding="utf-8")
    scripts = _report(steps["ci"])
    return {
        "codes": {name: step.code for name, step in steps.items()},
        "seconds": {name: step.seconds for name, step in steps.items()},
        "timed_out": [name for name, step in steps.items() if step.code == TIMED_OUT],
        "traceback": [
            name for name, step in steps.items() if _TRACEBACK in step.out or _TRACEBACK in step.err
        ],
        "failed_plainly": sorted(set(_FAILED.findall(steps["plain"].err))),
        "failed_held": sorted(set(_FAILED.findall(steps["ci"].err))),
        "allowed_by_hand": allowed(steps["by hand"].out) if "by hand" in steps else {},
        "scripts": scripts,
        "said": _said(steps.get("by hand", steps["learn"]), steps["ci"]),
        "grants": _grants(manifest),
        "lines": _lines(manifest),
        "different": asdict(different),
        "told": {name: _tail(step) for name, step in steps.items() if step.code != OK},
    }


def _asked(learned: Step) -> dict[str, int]:
    """Return the number of decisions by crate, from the table that `learn` prints."""
    found: dict[str, int] = {}
    for crate, _, _, _, decisions in _ROW.findall(learned.out + learned.err):
        found[crate] = max(found.get(crate, 0), int(decisions))
    return found


def _by_hand(pending: Step) -> list[Record]:
    try:
        proposals = json.loads(pending.out)["proposals"]
    except (ValueError, KeyError):
        return []
    kept = ("crate", "version", "title", "risk", "reasons", "locked")
    found = []
    for each in proposals:
        rung = each["rungs"][each["suggested"]]
        found.append(
            {
                **{name: each[name] for name in kept},
                "by": sorted({by["subject"] for by in each["by"]}),
                "rung": rung["grant"],
                "rules": [[rule["kind"], rule["pattern"]] for rule in rung["rules"]],
            }
        )
    return found


def _report(ci: Step) -> dict[str, Record]:
    """Return what the report says of each crate."""
    try:
        scripts = json.loads(ci.out)["scripts"]
    except (ValueError, KeyError):
        return {}
    return {
        each["crate"]: {
            "version": each["version"],
            "events": each["events"],
            "accesses": each["accesses"],
            "seconds": round(each["duration_ns"] / 1e9, 1),
            "failure": each["failure"],
            "findings": [f"{finding['risk']}: {finding['title']}" for finding in each["findings"]],
            "subjects": sorted({by["subject"] for by in each["by"]}),
        }
        for each in scripts
    }


def _said(learned: Step, ci: Step) -> dict[str, list[str]]:
    """Return what was said of crates: titles of findings, and what `learn` could not settle."""
    found: dict[str, list[str]] = {}
    try:
        findings = json.loads(ci.out)["findings"]
    except (ValueError, KeyError):
        findings = []
    for each in findings:
        found.setdefault(each["crate"], []).append(each["title"])
    for crate, told in _UNSETTLED.findall(learned.out + learned.err):
        found.setdefault(crate, []).append(told)
    return found


def _grants(manifest: str) -> dict[str, dict[str, list[str]]]:
    document = tomllib.loads(manifest)
    for key in ("workspace", "package"):
        crates = document.get(key, {}).get("metadata", {}).get("buildperm", {}).get("crates", {})
        if crates:
            return {
                crate: {name: list(table[name]) for name in LISTS if table.get(name)}
                for crate, table in crates.items()
            }
    return {}


def _lines(manifest: str) -> dict[str, int]:
    """Return how many lines that are not empty each crate has."""
    found: dict[str, int] = {}
    crate = ""
    for line in manifest.splitlines():
        if line.startswith("["):
            header = _HEADER.match(line)
            crate = (header["crate"] or "").strip('"') if header else ""
        if crate and line.strip():
            found[crate] = found.get(crate, 0) + 1
    return found


def _tail(step: Step) -> str:
    """Return what a command said at last; of a report in JSON nothing."""
    out = "" if step.out.startswith("{") else step.out
    lines = [line for line in f"{out}\n{step.err}".splitlines() if line.strip()]
    noise = re.compile(r"^\s*(Compiling|Checking|Downloaded|Fresh|cargo:|\s+cargo:)")
    return "\n".join(line for line in lines if not noise.match(line))[-3000:]


def portable(folder: Path, record: Record) -> Record:
    """Leave this machine's paths, and the names of registries, out of all texts."""
    home = Path.home()
    names = [
        (str(folder), "$WORKSPACE"),
        (str(ROOT), "$BUILDPERM"),
        (os.environ.get("CARGO_HOME", str(home / ".cargo")), "$CARGO_HOME"),
        (str(home), "$HOME"),
    ]

    def without(value: object) -> object:
        match value:
            case str():
                for path, name in names:
                    value = value.replace(path, name)
                value = _REGISTRY.sub(f"registry/\\1/{OF_THIS_MACHINE}", value)
                return _REGISTRY_HOST.sub("a-package-registry", _SCHEME.sub("", value))
            case dict():
                return {without(key): without(each) for key, each in value.items()}
            case list() | tuple():
                return [without(each) for each in value]
            case _:
                return value

    return {name: without(value) for name, value in record.items()}
