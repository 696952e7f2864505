"""Real crates, learnt once: held builds make the same files as plain cargo."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import observed_both_ways, surroundings

ROOT = Path(__file__).parent.parent
CRATES = ROOT / "tests" / "crates"
MOST_DECISIONS = 6
# Names that are others in each run: of gcc, ar, CMake, the crate cc, rustc, autocfg.
_RANDOM = re.compile(
    r"(?<=/)(?:cc|st|s)\w{6}\b|(?<=/)tmp_obj_\w+|TryCompile-\w+|cmTC_\w+|(?<=\.tmp)[0-9a-f]{5}\b|"
    r"(?<=/proc/)\d+|"
    r"\d+(?=detect_compiler_family)|(?<=/)rmeta\w{6}|(?<=/)rustc\w{6}|"
    r"autocfg_[0-9a-f]{1,16}|\b[0-9a-f]{1,16}(?=-cgu\.)"  # Without leading zeros.
)
_TEMPORARY = re.compile(r"(?:CMakeFiles/CMakeScratch|/cc\w{6}|/st\w{6}|\$TMP)")
# Differs from one run to the next without buildperm too: random names, dates, logs of those.
UNSTABLE = re.compile(r"CMakeFiles/|CMakeCache|\.cmake$|\.log$|\.yaml$|^build/Makefile")

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800)]


@dataclass(frozen=True, slots=True)
class CorpusWorkspace:
    """A copy of a workspace of real crates that has been through all the steps."""

    folder: Path
    learned: subprocess.CompletedProcess[str]
    held: subprocess.CompletedProcess[str]
    plain: Path  # What plain cargo left in the folder of its build scripts.

    @property
    def grants(self) -> dict[str, Any]:
        """Return the grant table by crate."""
        written = tomllib.loads((self.folder / "Cargo.toml").read_text(encoding="utf-8"))
        tables = [written.get(key, {}) for key in ("workspace", "package")]
        for table in tables:
            if "buildperm" in table.get("metadata", {}):
                crates: dict[str, Any] = table["metadata"]["buildperm"].get("crates", {})
                return crates
        return {}

    @property
    def report(self) -> dict[str, Any]:
        """Return what `ci --format json` printed."""
        report: dict[str, Any] = json.loads(self.held.stdout)
        return report


@dataclass(frozen=True, slots=True)
class Observations:
    """What builds of one workspace have recorded: observed lightly, in full, and both ways."""

    recordings: dict[str, dict[str, list[dict[str, Any]]]]  # By way and unit.
    reports: dict[str, dict[str, Any]]  # By way.


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.xdist_group(name))
        for name in ("crates", "crates/system", "crates/native")
    ],
)
def workspace(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CorpusWorkspace]:
    """Build with plain cargo, learn, and build held, in the place where plain cargo did.

    The same place, because what compilers make holds paths.
    """
    copies = tmp_path_factory.mktemp("corpus")
    shutil.copytree(CRATES, copies / "crates", ignore=shutil.ignore_patterns("target"))
    folder = copies / request.param
    cargo = ["check", "--workspace", "--quiet"]
    place = folder / "target" / "buildperm" / "ci"
    built = _run(["cargo", *cargo, "--target-dir", str(place)], folder)
    assert built.returncode == 0, built.stderr
    plain = copies / "plain"
    (place / "debug" / "build").rename(plain)
    shutil.rmtree(place)

    buildperm = [sys.executable, "-m", "buildperm"]
    learned = _run([*buildperm, "learn", "--no-tui", "--accept", "medium", "--", *cargo], folder)
    held = _run([*buildperm, "ci", "--format", "json", "--", *cargo], folder)
    yield CorpusWorkspace(folder, learned, held, plain)
    shutil.rmtree(copies)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **surroundings.registries(), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


def test_everything_can_be_learnt_without_risk(workspace: CorpusWorkspace) -> None:
    assert workspace.learned.returncode == 0, workspace.learned.stderr


def test_a_held_build_passes_and_refuses_nothing(workspace: CorpusWorkspace) -> None:
    assert workspace.held.returncode == 0, workspace.held.stderr
    assert {script["crate"]: script["findings"] for script in workspace.report["scripts"]} == {
        script["crate"]: [] for script in workspace.report["scripts"]
    }
    assert [script["crate"] for script in workspace.report["scripts"] if script["failure"]] == []


def test_no_crate_asks_for_more_than_a_few_decisions(workspace: CorpusWorkspace) -> None:
    kinds = ("presets", "read", "write", "exec", "net", "env", "directives")
    decisions = {
        crate: sum(len(granted.get(kind, ())) for kind in kinds)
        for crate, granted in workspace.grants.items()
    }

    assert decisions
    assert {crate: number for crate, number in decisions.items() if number > MOST_DECISIONS} == {}


def test_crates_that_only_look_at_the_compiler_need_no_entry(workspace: CorpusWorkspace) -> None:
    quiet = {"anyhow", "libc", "proc-macro2", "quote", "serde", "serde_core"}
    ran = {script["crate"] for script in workspace.report["scripts"]}

    assert quiet & ran
    assert quiet.isdisjoint(workspace.grants)


def test_a_held_build_makes_the_files_that_plain_cargo_makes(workspace: CorpusWorkspace) -> None:
    plain = _outputs(workspace.plain)
    held = _outputs(workspace.folder / "target" / "buildperm" / "ci" / "debug" / "build")

    assert sorted(plain) == sorted(held)
    different = [
        f"{crate}: {name}"
        for crate, out_dir in plain.items()
        for name in _differing(out_dir, held[crate])
        if not UNSTABLE.search(name)
    ]
    assert different == []


@pytest.fixture(scope="module")
def observed(workspace: CorpusWorkspace) -> Observations:
    """Build twice more, from nothing as well: observing everything, and both ways at once."""
    place = workspace.folder / "target/buildperm/ci"
    cargo = ["--", "check", "--workspace", "--quiet"]
    ways = {
        "full": ["-m", "buildperm", "ci", "--observe", "everything", "--format", "json"],
        "both": [observed_both_ways.__file__, "ci"],
    }
    recordings, reports = {"light": _recordings(place)}, {"light": workspace.report}
    # CMake and make do less in a folder where they have been before.
    kept = place.rename(workspace.folder / "light")
    for name, words in ways.items():
        ended = _run([sys.executable, *words, *cargo], workspace.folder)
        # What is marked is granted nowhere.
        assert ended.returncode == (20 if name == "both" else 0), ended.stderr
        reports[name] = json.loads(ended.stdout) if name == "full" else {}
        recordings[name] = _recordings(place)
        shutil.rmtree(place)
    kept.rename(place)
    return Observations(recordings, reports)


def test_light_observation_leaves_out_nothing_but_what_is_read(observed: Observations) -> None:
    reports = [observed.reports["light"], observed.reports["full"]]

    found = [{each["observation"] for each in report["scripts"]} for report in reports]
    assert found == [{"light", "full"}, {"full"}]
    promised = [
        {
            (script["crate"], access["kind"], access["target"], access["outcome"])
            for script in report["scripts"]
            for access in script["evidence"]
            if (access["kind"], access["outcome"]) not in (("read", "done"), ("read", "failed"))
            and not _TEMPORARY.search(access["target"])
        }
        for report in reports
    ]
    assert promised[0] == promised[1]


def test_one_run_observed_both_ways_differs_in_what_compilers_read(observed: Observations) -> None:
    left_out = 0
    for unit, events in observed.recordings["both"].items():
        unseen, seen = observed_both_ways.divided(events)
        assert observed_both_ways.broken(unseen, seen) == [], unit
        left_out += len(unseen)

    assert left_out > 500


def test_light_observation_sees_of_a_run_what_it_promises(observed: Observations) -> None:
    light, full, both = (observed.recordings[name] for name in ("light", "full", "both"))

    assert light.keys() == full.keys() == both.keys()
    for unit, events in both.items():
        is_unseen = [observed_both_ways.is_unseen(event) for event in events]
        seen = [event for event, unseen in zip(events, is_unseen, strict=True) if not unseen]
        # What the script itself reads in these is told to be left out: `unlisted`.
        folders = tuple(f"{folder}/" for folder in light[unit][0]["unlisted"])
        listed = [_without_own_reads(each, folders) for each in (seen, light[unit])]
        assert _summary(listed[0]) ^ _summary(listed[1]) == set(), unit
        assert _summary(map(observed_both_ways.unmarked, events)) ^ _summary(full[unit]) == set(), (
            unit
        )


def _without_own_reads(
    events: Iterable[dict[str, Any]], folders: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Leave out what a script has opened itself for reading below some folders."""
    programs: dict[int, str] = {}
    kept = []
    for event in events:
        if event["type"] == "process":
            programs[event["pid"]] = event["program"]
        is_read = event["type"] == "opened" and event["mode"] == "read"
        is_own = programs.get(event.get("pid", 0)) == next(iter(programs.values()), "")
        if not (
            is_read and is_own and not event.get("errno") and event["path"].startswith(folders)
        ):
            kept.append(event)
    return kept


def _recordings(target: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of all recordings of build scripts by their units."""
    return {
        str(path.relative_to(target).parent): [
            json.loads(line) for line in path.read_bytes().split(b"\n") if line
        ]
        for path in target.glob("debug/build/**/recording.jsonl")
    }


def _summary(events: Iterable[dict[str, Any]]) -> set[tuple[str, ...]]:
    """Return what happened: by which program, without what differs from run to run."""
    programs: dict[int, str] = {}
    found: set[tuple[str, ...]] = set()
    for event in events:
        if event["type"] == "process":
            programs[event["pid"]] = event["program"]
        if event["type"] in ("header", "process", "end"):
            continue
        kept = [
            f"{name}={_RANDOM.sub('random', str(value))}"
            for name, value in sorted(event.items())
            if name not in ("at", "pid", "count", "last")
        ]
        found.add((_RANDOM.sub("random", programs.get(event.get("pid", 0), "")), *kept))
    return found


def _outputs(build: Path) -> dict[str, Path]:
    """Return every OUT_DIR below Cargo's `build` by the name and hash of its unit."""
    found = {}
    for folder in build.iterdir():
        nested = [folder / name / "out" for name in os.listdir(folder) if len(name) == 16]
        for out_dir in (folder / "out", *nested):
            if out_dir.is_dir() and not list(out_dir.glob("build_script_*")):
                found[str(out_dir.relative_to(build))] = out_dir
    return found


def _differing(plain: Path, held: Path) -> list[str]:
    """Return the files, relative to OUT_DIR, that are in one only or not the same."""
    files = [
        {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
        for top in (plain, held)
    ]
    common = sorted(files[0] & files[1])
    _, different, unreadable = filecmp.cmpfiles(plain, held, common, shallow=False)
    return sorted(files[0] ^ files[1]) + different + unreadable
