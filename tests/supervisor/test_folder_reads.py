"""What a script opens in folders that it may read as a whole does not stop: nothing is hidden."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox import machine, seccomp, stub
from buildperm.tracer.recorder import folder_reads
from tests import observed_both_ways
from tests.bench import compile_c
from tests.programs import CHILDREN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench, Ended

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64" or not folder_reads.is_possible(),
    reason="other processors observe everything",
)

MANY = 300


@pytest.fixture(params=["portable", "full"])
def reading(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench with many files in its package, in each runtime."""
    if request.param == "full":
        bwrap = machine.bubblewrap()
        if not bwrap or machine.probe_wrapper(bwrap):
            pytest.skip("bubblewrap is unusable here")
        bench.wrapper, bench.mounts = [os.fsencode(bwrap)], True
    bench.light = True
    data = bench.package / "data"
    data.mkdir()
    for number in range(MANY):
        (data / str(number)).write_text("many")
    return bench


def secret_of(bench: Bench) -> Path:
    """Make a file that the script may not read."""
    secret = bench.home / "hidden.txt"
    secret.write_text("hidden")
    return secret


def honest(bench: Bench) -> Path:
    """Install the script that opens files in many ways."""
    secret = secret_of(bench)
    data = bench.package / "data"
    (data / "leads-out").symlink_to(secret)
    (data / "leads-within").symlink_to("9")
    upwards = os.path.relpath(secret, data)
    text = (CHILDREN / "opens_in_folders.c").read_text()
    flags = [f'-DSECRET_UPWARDS="{upwards}"', "-pthread"]
    if bench.mounts:
        text = text.replace("EACCES", "ENOENT")
    return bench.install(compile_c(text, bench.top / "opens", *flags))


def read(ended: Ended) -> set[str]:
    return {event["path"] for event in ended.of("opened") if not event.get("errno")}


def test_what_lies_in_the_package_does_not_stop_and_reads_as_ever(reading: Bench) -> None:
    placed = honest(reading)

    light = reading.run(placed)

    assert light.status == 0, light.stderr
    folders = [str(reading.package), str(reading.out_dir)]
    assert light.of("header")[0]["unlisted"] == folders
    listed = {path for path in read(light) if path.startswith(f"{reading.package}/data/")}
    # As they are written, these lead through no folder that is known: they stop.
    assert {os.path.basename(path) for path in listed} <= {"1", "2", "3", "4", "7"}
    shutil.rmtree(reading.out_dir)
    reading.out_dir.mkdir()
    reading.light = False
    full = reading.run(placed)
    assert full.status == 0, full.stderr
    assert not full.of("header")[0]["unlisted"]
    assert len({path for path in read(full) if "/data/" in path}) >= MANY
    for ended in (light, full):
        assert str(reading.home / "hidden.txt") in ended.refused("opened")
        missed = [event["path"] for event in ended.of("opened") if event.get("errno") == 2]
        assert f"{reading.package}/data/missing" in missed
        assert f"{reading.out_dir}/data/8" in missed


def test_one_run_observed_both_ways_differs_in_what_lies_there_alone(
    reading: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub, "SUPERVISOR", observed_both_ways.__file__)
    monkeypatch.setattr(seccomp, "LIGHT", observed_both_ways.stopping())

    ended = reading.run(honest(reading))

    assert ended.status == 0, ended.stderr
    unseen, seen = observed_both_ways.divided(ended.events)
    # The recorder itself opens the folders; what fails is tried again, and seen.
    done = [path for _, path, outcome in unseen if outcome == "read done"]
    failed = {path for _, path, outcome in unseen if not outcome.endswith(" done")}
    assert len(done) >= MANY
    assert {outcome for _, _, outcome in unseen if "done" in outcome} <= {"read done", "path done"}
    for path in done:
        assert path.startswith((f"{reading.package}/", f"{reading.out_dir}/")), path
    assert failed
    assert failed <= {path for _, path, _ in seen}


ATTACKS = {
    "EXDEV": ("up", "absolute", "link", "relative link", "folder behind a link", "magic link"),
    "done": ("another folder", "inside", "unchanged", "close"),
    "EPERM": (
        *("unmap", "unmap from 0", "unmap from below", "protect", "protect with key"),
        *("protect from below", "map", "map from 0", "map growing", "move away", "move there"),
        *("forget", "forget from 0", "not for forks", "zeros for forks", "order pages"),
        *("move program", "shared memory", "write to a process", "raise limit", "keep"),
        *("keep by device", "child asks for the page", "child maps the page"),
    ),
    "EFAULT": ("read into", "child opens by folder"),
    "EACCES": ("memory",),
    "REFUSED": ("own how", "child opens by own how"),
    "EBADF": (
        *("in its place", "in its place, for now", "closed"),
        *("child has a folder", "child makes a folder"),
    ),
    "EINVAL": ("in its place by number",),
    "below": ("furthest",),
}
"""What the kernel answers, of what was tried."""


def test_a_script_that_attacks_folders_reads_nothing_and_hides_nothing(reading: Bench) -> None:
    secret = secret_of(reading)
    (reading.package / "in.txt").write_text("inside")
    (reading.package / "out.txt").symlink_to(secret)
    upwards = os.path.relpath(secret, reading.package)
    (reading.package / "up.txt").symlink_to(upwards)
    (reading.package / "home").symlink_to(reading.home)
    flags = [f'-DSECRET="{secret}"', f'-DUPWARDS="{upwards}"']
    text = (CHILDREN / "attacks_folders.c").read_text()

    ended = reading.run(reading.install(compile_c(text, reading.top / "attacks", *flags)))

    assert ended.status == 0, ended.stderr
    said = dict(line.split(": ") for line in ended.stderr.decode().splitlines())
    refused = "ENOENT" if reading.mounts else "EACCES"
    expected = {
        name: refused if answer == "REFUSED" else answer
        for answer, names in ATTACKS.items()
        for name in names
    }
    assert said == expected
    # What could have been read if it were allowed is listed: by the script, and by its child.
    tried = [event for event in ended.of("opened") if event["path"] == str(secret)]
    assert len(tried) == 2
    assert all(event["refused"] for event in tried)
    assert "/proc/self/mem" in ended.refused("opened")
    assert "mmap" in ended.refused("call")
    assert not any(call.isdecimal() for call in ended.refused("call"))


def test_a_package_that_is_closed_in_part_has_folders_for_the_rest(reading: Bench) -> None:
    closed = reading.package / "private"
    closed.mkdir()
    (closed / "file.txt").write_text("closed")
    reading.deny = {"read": ["$MANIFEST_DIR/private/**"]}
    body = "open('data/7').close()\nopen('data/8').close()\n"
    body += "try: open('private/file.txt')\nexcept OSError: pass\n"
    body += "import os; print(sorted(os.listdir('data'))[:1])"
    text = """
    #include <fcntl.h>
    int main(void) {
        return open("data/7", O_RDONLY) < 0 || open("data/../private/file.txt", O_RDONLY) >= 0 ||
               open("private/file.txt", O_RDONLY) >= 0;
    }"""

    ended = reading.run(reading.install(compile_c(text, reading.top / "partly")))

    assert ended.status == 0, ended.stderr
    assert f"{reading.package}/data" in ended.of("header")[0]["unlisted"]
    assert str(reading.package) not in ended.of("header")[0]["unlisted"]
    assert f"{reading.package}/data/7" not in read(ended)
    assert str(closed / "file.txt") in ended.refused("opened")


def test_a_script_that_was_told_how_many_files_it_may_open_is_observed(reading: Bench) -> None:
    reading.limits = {"open_files": 5_000}
    text = """
    #include <fcntl.h>
    #include <sys/resource.h>
    int main(void) {
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        return limit.rlim_max != 5000 || open("data/7", O_RDONLY) < 0;
    }"""

    ended = reading.run(reading.install(compile_c(text, reading.top / "many")))

    assert ended.status == 0, ended.stderr
    assert not ended.of("header")[0]["unlisted"]
    assert f"{reading.package}/data/7" in read(ended)
