"""The HTML report of many crates: bounded, the worst first, and it says what it leaves out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from buildperm.cargo import claim
from buildperm.workflow import html_report

_MEGABYTE = 1_000_000


def workspace(folder: Path, crates: int) -> Path:
    """Make a workspace of so many crates with a build script each."""
    members = [f"c{number:03}" for number in range(crates)]
    for name in members:
        (folder / name / "src").mkdir(parents=True)
        (folder / name / "src/lib.rs").write_text("")
        (folder / name / "build.rs").write_text("fn main() {}")
        (folder / name / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
        )
    (folder / "Cargo.toml").write_text(
        f'[workspace]\nmembers = {json.dumps(members)}\nresolver = "2"\n'
    )
    generate = ["cargo", "generate-lockfile", "--offline", "--quiet"]
    subprocess.run(generate, cwd=folder, check=True)
    claim.make(folder / "target")
    for number, name in enumerate(members):
        _record(folder, name, number)
    return folder


def _record(folder: Path, name: str, number: int, processes: int = 40, opened: int = 160) -> None:
    """Write the recording of a run that had so many processes and read so many files."""
    unit = folder / f"target/buildperm/learn/debug/build/{name}-{number:016x}"
    (unit / "buildperm").mkdir(parents=True)
    header = {
        "type": "header",
        "version": 1,
        "crate": name,
        "name": name,
        "crate_version": "0.1.0",
        "source": "",
        "checksum": "",
        "target": "x86_64-unknown-linux-gnu",
        "host": "x",
        "profile": "debug",
        "features": [],
        "kernel": "6",
        "runtime": "portable",
        "landlock_abi": 7,
        "mode": "learning",
        "buildperm": "0",
        "session": "0",
        "places": {"WORKSPACE": str(folder), "MANIFEST_DIR": str(folder / name)},
    }
    lines: list[object] = [header]
    lines += (
        {
            "type": "process",
            "pid": pid,
            "parent": pid // 2,
            "program": "/usr/bin/cc",
            "argv": ["cc", f"{pid}.c"],
            "started": pid * 1000,
            "ended": pid * 2000,
            "status": 0,
        }
        for pid in range(1, processes + 1)
    )
    # Every tenth crate reads what nobody granted it, in folders of ten files and of five.
    below = folder if number % 10 == 0 else folder / name
    lines += (
        {
            "type": "opened",
            "at": each * 100,
            "pid": 1 + each % processes,
            "mode": "read",
            "path": f"{below}/{f'd{each // 10}' if each % 20 < 10 else f'e{each // 5}'}/{each}.txt",
        }
        for each in range(opened)
    )
    lines.append(
        {
            "type": "end",
            "status": 0,
            "exit": 0,
            "duration_ns": 10**6,
            "left_running": 0,
            "dropped": 0,
            "voided": "",
            "failure": "",
        }
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (unit / "buildperm/recording.jsonl").write_text(text)


def _folder(number: int) -> str:
    return f"d{number // 10}" if number % 20 < 10 else f"e{number // 5}"


def written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    warned: list[str] = []
    path = html_report.write((), (), folder / "report.html", warned.append)
    assert warned == []
    assert path is not None
    return path.read_text()


@pytest.mark.parametrize("crates", [pytest.param(500, marks=pytest.mark.slow), 30])
def test_many_crates_make_a_page_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crates: int
) -> None:
    """The larger one is of 500 crates and 100,000 lines of recordings."""
    made = written(workspace(tmp_path / "ws", crates), monkeypatch)

    assert len(made) < 6 * _MEGABYTE
    assert made.count('<details class="crate ') == crates
    order = re.findall(r'<details class="crate (\w+)"', made)
    assert order == sorted(order, key=["critical", "high", "medium", "low", "calm"].index)
    assert order.count("low") == -(-crates // 10)
    assert f"{crates - order.count('low')} crates are not on the map" in made


def test_what_does_not_fit_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = workspace(tmp_path / "ws", 1)
    (folder / "target/buildperm/learn/debug/build").rename(tmp_path / "away")
    _record(folder, "c000", 0, processes=1000, opened=600)

    made = written(folder, monkeypatch)

    assert "700 more processes are left out" in made
    assert "130 more are left out" in made
    assert "10 files in $WORKSPACE/d0/" in made
    assert "450 more are not listed here" in made
    assert made.count('<td class="tree">') == 300


def test_a_broken_recording_is_said_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace(tmp_path / "ws", 2)
    (broken, _) = sorted(folder.glob("target/**/recording.jsonl"))
    broken.write_text(broken.read_text().splitlines(keepends=True)[0])
    monkeypatch.chdir(folder)
    warned: list[str] = []

    html_report.write((), (), folder / "report.html", warned.append)

    made = (folder / "report.html").read_text()
    assert len(warned) == 1
    assert "was cut short" in warned[0]
    assert "was cut short" in made
