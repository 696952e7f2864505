"""Limits that end a run: each says which one it was, its value, and how to raise it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from buildperm.rules import limits
from buildperm.supervisor import disk_usage, out_dir
from buildperm.supervisor.resource_watch import ResourceWatch
from buildperm.tracer.recorder.run_end import TimedOut, TooManyFiles, TooMuchOutput
from tests.bench import processes_with
from tests.programs import program_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench import Bench

MIB = 1 << 20

FOREVER = "import signal\nwhile True: signal.pause()\n"
GROWS = """\
import os, time
for number in range(100_000):
    with open(os.environ["OUT_DIR"] + f"/{number}", "wb") as file: file.write(bytes(65536))
    time.sleep(0.001)
"""
SPAWNS = """\
import os, signal
for _ in range(200):
    if os.fork() == 0: signal.pause()
signal.pause()
"""
THREADS = """\
import signal, threading
threading.stack_size(65536)
for _ in range(250): threading.Thread(target=signal.pause, daemon=True).start()
signal.pause()
"""
ZOMBIES = program_text("zombies.py")
SWELLS = "import signal\nheld = b'x' * (96 << 20)\nwhile True: signal.pause()\n"
PRINTS = "import os\nwhile True: os.write(1, b'x' * 65536)\n"

ENDING = [
    ("seconds", 1, FOREVER, "it ran for too long: the limit is `seconds = 1`"),
    ("processes", 50, SPAWNS, "too many processes at once: the limit is `processes = 50`"),
    ("processes", 50, THREADS, "too many processes at once: the limit is `processes = 50`"),
    ("processes", 50, ZOMBIES, "too many processes at once: the limit is `processes = 50`"),
    ("memory_bytes", 64 * MIB, SWELLS, "the limit is `memory_bytes = 67108864 (64 MiB)`"),
    ("output_bytes", 2 * MIB, GROWS, "the limit is `output_bytes = 2097152 (2 MiB)`"),
    ("output_files", 100, GROWS, "the limit is `output_files = 100`"),
    ("stdout_bytes", MIB, PRINTS, "the limit is `stdout_bytes = 1048576 (1 MiB)`"),
]


@pytest.mark.parametrize(("name", "value", "body", "said"), ENDING, ids=[e[0] for e in ENDING])
def test_a_limit_ends_the_run_and_says_how_to_raise_it(
    own_bench: Bench, name: str, value: int, body: str, said: str
) -> None:
    mark = f"limited-{name}-{os.getpid()}"
    own_bench.environment = {"CARGO_PKG_NAME": mark}
    own_bench.limits = {name: value}

    ended = own_bench.run(own_bench.script(body))

    assert ended.status == 128 + signal.SIGKILL
    assert ended.stdout == b""
    assert said in ended.stderr.decode()
    hint = f"raise `{name}` in `[workspace.metadata.buildperm.limits.crates.crate]` of Cargo.toml"
    assert hint in ended.stderr.decode()
    assert said in ended.of("end")[0]["failure"]
    assert processes_with(mark.encode()) == []
    assert not (own_bench.unit / "buildperm/scratch").exists()


def test_what_is_within_its_limits_is_left_alone(own_bench: Bench) -> None:
    own_bench.limits = {name: max(limits.LEAST.get(name, 1), 64 * MIB) for name in limits.DEFAULTS}
    own_bench.limits |= {"seconds": 600, "processes": 3, "output_files": 3}
    body = program_text("within_limits.py")

    ended = own_bench.run(own_bench.script(body))

    assert (ended.status, ended.stdout, ended.stderr) == (0, b"cargo:rustc-cfg=a\n", b"")


def test_limits_that_are_off_end_nothing(own_bench: Bench) -> None:
    own_bench.limits = {name: 0 for name in limits.DEFAULTS if name not in limits.ALWAYS}
    body = """\
import os, resource
print(resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_NOFILE))
"""

    ended = own_bench.run(own_bench.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.stdout.startswith(b"(-1, -1)")


def test_what_is_left_behind_quickly_counts_all_the_same(own_bench: Bench) -> None:
    own_bench.limits = {"output_bytes": MIB}
    body = 'import os; open(os.environ["OUT_DIR"] + "/a", "wb").write(bytes(3 << 20))'

    ended = own_bench.run(own_bench.script(body))

    assert ended.status == 1
    assert "the limit is `output_bytes = 1048576 (1 MiB)`" in ended.stderr.decode()
    assert ended.of("end")[0]["failure"]


HIDES = program_text("hides_output.py")


def test_folders_too_deep_to_look_into_hide_nothing_beside_them(own_bench: Bench) -> None:
    own_bench.limits = {"output_bytes": 2 * MIB}

    ended = own_bench.run(own_bench.script(HIDES))

    assert ended.status == 128 + signal.SIGKILL
    assert "the limit is `output_bytes = 2097152 (2 MiB)`" in ended.stderr.decode()
    assert "too many folders inside each other" in ended.stderr.decode()


SPARSE = 'import os; os.truncate(os.open(os.environ["OUT_DIR"] + "/a", 0o101), 8 << 40)'
SWALLOWED = f"try: {SPARSE.partition('; ')[2]}\nexcept OSError: pass\n"


def test_a_huge_sparse_file_is_refused_with_the_limits_name(own_bench: Bench) -> None:
    placed = own_bench.script(SPARSE)

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert "the limit is `file_bytes = 17179869184 (16 GiB)`" in ended.stderr.decode()
    assert "too large" in ended.of("end")[0]["failure"]


def test_a_script_that_gets_over_a_refused_file_goes_on_and_is_told_of(own_bench: Bench) -> None:
    placed = own_bench.script(f"import os\n{SWALLOWED}print('cargo:rustc-cfg=a')")

    ended = own_bench.run(placed)

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-cfg=a\n")
    assert b"warning: it tried to write a file that is too large" in ended.stderr


def test_a_package_has_limits_of_its_own(own_bench: Bench) -> None:
    own_bench.limits = {"seconds": 1, "output_bytes": MIB}
    own_bench.own_limits = {"output_bytes": 8 * MIB}
    body = 'import os; open(os.environ["OUT_DIR"] + "/a", "wb").write(bytes(3 << 20))'

    assert own_bench.run(own_bench.script(body)).status == 0


def _watch(
    held: dict[str, int], folder: Path, clock: Callable[[], float]
) -> tuple[ResourceWatch, list[int]]:
    stopped: list[int] = []
    watch = ResourceWatch(held, [os.fsencode(folder)], list, lambda: stopped.append(1), clock)
    return watch, stopped


def test_time_in_which_the_supervisor_was_stopped_does_not_count(tmp_path: Path) -> None:
    now = 0.0
    watch, stopped = _watch({"seconds": 10}, tmp_path, lambda: now)
    for step in (1, 3600, 1, 1, 1):  # One second of work, Ctrl+Z for an hour, more work.
        now += step
        watch.look()
    assert not stopped

    for _ in range(4):
        now += 1
        watch.look()
    assert stopped
    assert isinstance(watch.stop_cause, TimedOut)


def test_the_first_limit_that_is_exceeded_is_the_one_that_is_told(tmp_path: Path) -> None:
    now = 0.0
    watch, stopped = _watch({"seconds": 3, "output_files": 2}, tmp_path, lambda: now)
    for name in "abc":
        (tmp_path / name).touch()
    for _ in range(9):
        now += 1
        watch.look()

    assert isinstance(watch.stop_cause, TooManyFiles)
    assert len(stopped) == 9  # Whatever is made meanwhile has to end too.


def test_a_file_with_many_names_counts_once_and_a_sparse_one_by_what_it_takes(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_bytes(bytes(MIB))
    for number in range(5):
        os.link(tmp_path / "a", tmp_path / f"b{number}")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    folder = os.fsencode(tmp_path)

    assert disk_usage.excess([folder], 3 * MIB, 0) is None
    assert isinstance(disk_usage.excess([folder], MIB // 2, 0), TooMuchOutput)
    assert isinstance(disk_usage.excess([folder], 0, 6), TooManyFiles)
    assert disk_usage.excess([folder], 0, 7) is None
    assert out_dir.scan(folder, lambda *_: "").usage.files == 7


@pytest.mark.parametrize(
    ("name", "value", "is_right"),
    [
        ("seconds", 1, True),
        ("seconds", 0, True),
        ("seconds", -1, False),
        ("open_files", 15, False),
        ("open_files", 0, True),
        ("stdout_bytes", 0, False),
        ("stdout_bytes", 1, True),
        ("file_bytes", 1 << 63, False),
    ],
)
def test_only_sensible_limits_are_taken(name: str, value: int, is_right: bool) -> None:
    assert (limits.violation(name, value) == "") is is_right
