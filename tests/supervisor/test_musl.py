"""Programs with another C library than glibc, musl: everything is observed, held, and nothing lost.

The same source with both libraries has to leave the same recording, in every profile: as a build
script, and as what a script starts.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildperm.policy.presets import PRESETS
from buildperm.tracer import syscall_table
from tests.programs import CHILDREN

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from tests.bench import Bench, Ended

pytestmark = pytest.mark.skipif(
    shutil.which("musl-gcc") is None, reason="musl-gcc is not installed"
)

LINKED = {"glibc": ["cc"], "musl": ["musl-gcc"], "musl, static": ["musl-gcc", "-static"]}
WAYS = ["open", "fopen", "syscall", "openat2", "sixth-zero", "sixth-guess", "thread", "made-code"]
WAYS += ["vfork", "spawned"]

_PID = re.compile(r"(?<=/proc/)\d+")
_COMPILE = """
import os, subprocess
subprocess.run(["cc", "-E", "-x", "c", "-o", os.environ["OUT_DIR"] + "/x", "/dev/null"], check=True)
"""  # So that there is somebody who has the key.


def compiled(words: list[str], name: str, to: Path, *flags: str) -> Path:
    """Compile a program of tests/children with one of the C libraries."""
    source = CHILDREN / name
    command = [*words, "-O1", "-pthread", *flags, "-o", str(to), str(source)]
    subprocess.run(command, check=True)
    return to


def prepared(bench: Bench) -> Bench:
    """Put what `uses_libc.c` uses in place."""
    bench.grants = {"exec": ["true"]}
    bench.environment["ASKED_AND_SET"] = "x"
    bench.grants["env"] = ["ASKED_AND_SET"]
    for name in ("open", "fopen", "openat", "thread", "fork", "shell"):
        (bench.package / name).write_text(name)
    (bench.package / "folder").mkdir()
    (bench.home / "refused").write_text("refused")
    return bench


def summary(bench: Bench, ended: Ended) -> set[tuple[object, ...]]:
    """Return what was recorded, without what a loader opens and what differs from run to run."""
    own = (str(bench.top), "/proc/")
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    found: set[tuple[object, ...]] = set()
    for event in ended.events:
        if event["type"] in ("header", "process", "end"):
            continue
        if event["type"] == "opened" and not event["path"].startswith(own):
            continue
        kept = [
            (name, _PID.sub("PID", str(value)))
            for name, value in sorted(event.items())
            if name not in ("at", "pid", "count", "last")
        ]
        found.add((programs.get(event.get("pid"), ""), *kept))
    return found


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
def test_a_script_is_recorded_alike_whatever_its_library(
    bench: Bench, profile: Literal["learning", "enforcing"]
) -> None:
    prepared(bench)
    bench.light = True
    bench.limits = {"open_files": 5_000}  # No folders: only glibc knows how to use them.

    found = {}
    for name, words in LINKED.items():
        program = bench.top / "program"
        placed = bench.install(compiled(words, "uses_libc.c", program))
        ended = bench.run(placed, profile)
        assert (ended.status, ended.stderr) == (0, b""), name
        assert ended.of("end")[0]["unseen"] == ""
        found[name] = summary(bench, ended)
        shutil.rmtree(bench.out_dir)
        bench.out_dir.mkdir()

    assert found["musl"] == found["glibc"]
    assert found["musl, static"] == found["glibc"]
    assert len(found["glibc"]) > 20


@pytest.mark.parametrize("linked", ["musl", "musl, static"])
def test_what_a_script_starts_is_seen_reading_in_every_way(bench: Bench, linked: str) -> None:
    bench.light = True
    bench.grants = {"exec": [rule.pattern for rule in PRESETS["cc"].rules] + ["$MANIFEST_DIR/**"]}
    for name in WAYS:
        (bench.package / name).write_text(name)
    key = f"-DKEY={syscall_table.LIGHT_KEY}ull"
    helper = compiled(LINKED[linked], "reads_in_many_ways.c", bench.package / "helper", key)
    body = _COMPILE + f"subprocess.run([{str(helper)!r}, {str(bench.package)!r}], check=True)"

    ended = bench.run(bench.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    assert set(WAYS) <= {
        event["path"].rpartition("/")[2]
        for event in ended.of("opened")
        if programs[event["pid"]] == str(helper)
    }
