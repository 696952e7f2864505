"""Programs may start from `/`, and read there only what they may read by its whole path."""

from __future__ import annotations

from errno import EACCES
from typing import TYPE_CHECKING

import pytest

from tests.programs import program_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench, Ended

TRY = program_text("warns_of_attempts.py")
START = TRY + (
    "import sys\n"
    "START = os.open(sys.argv[1] if sys.argv[1:] else '/', os.O_RDONLY | os.O_DIRECTORY)\n"
)


def said(ended: Ended) -> dict[str, str]:
    """Return what the script said came of each attempt."""
    words = (line.removeprefix(b"cargo:warning=") for line in ended.stdout.splitlines())
    return dict(word.decode().split(" ", 1) for word in words)


def started(bench: Bench, text: str, root: str = "/") -> Ended:
    """Run a program that goes on from `root`, as a child of a script."""
    (bench.package / "program.py").write_text(START + text)
    return bench.run(
        bench.script(
            "import subprocess, sys\n"
            f"subprocess.run([sys.executable, '-I', '-S', 'program.py', {root!r}], check=True)\n"
        )
    )


@pytest.mark.parametrize("root", ["/", "///"])
def test_what_is_open_is_found_from_there(own_bench: Bench, root: str) -> None:
    inside = own_bench.package / "inside"
    inside.write_text("text")

    ended = started(
        own_bench,
        f"attempt('inside', lambda: os.read(os.open({str(inside)[1:]!r}, 0, dir_fd=START), 4))\n",
        root,
    )

    assert (ended.status, said(ended)) == (0, {"inside": "done"}), ended.stderr


def test_what_is_closed_is_closed_from_there(own_bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("text")
    name = str(outside)[1:]

    ended = started(
        own_bench,
        "attempt('list', lambda: os.listdir(START))\n"
        f"attempt('read', lambda: os.open({name!r}, os.O_RDONLY, dir_fd=START))\n"
        f"attempt('write', lambda: os.open({name!r}, os.O_WRONLY, dir_fd=START))\n"
        "attempt('make', lambda: os.open('made', os.O_WRONLY | os.O_CREAT, dir_fd=START))\n"
        "attempt('again', lambda: os.listdir('/proc/self/fd/%d' % START))\n",
    )

    found = said(ended)
    assert found["list"] == "Bad file descriptor", ended.stderr
    closed = ("read", "write", "make", "again")
    assert {name: found[name] for name in closed} == dict.fromkeys(closed, "Permission denied")
    assert outside.read_text() == "text"


def test_a_program_that_lists_it_is_told_that_it_may_not(own_bench: Bench) -> None:
    ended = started(
        own_bench,
        "attempt('list', lambda: os.listdir('/'))\n"
        "attempt('scan', lambda: os.scandir('/'))\n"
        "os.chdir('/')\n"
        "sys.path.insert(0, '')\n"
        "attempt('import', lambda: __import__('colorsys'))\n",
    )

    closed = dict.fromkeys(("list", "scan"), "Permission denied")
    assert (ended.status, said(ended)) == (0, {**closed, "import": "done"}), ended.stderr


def test_reading_it_is_recorded_as_refused(own_bench: Bench) -> None:
    ended = started(own_bench, "")

    found = [each for each in ended.of("opened") if each["path"] == "/"]
    assert [each["errno"] for each in found] == [EACCES]


@pytest.mark.parametrize("flags", ["os.O_RDONLY", "os.O_RDWR | os.O_DIRECTORY"])
def test_other_ways_to_open_it_are_as_ever(own_bench: Bench, flags: str) -> None:
    ended = started(own_bench, f"attempt('open', lambda: os.open('/', {flags}))\n")

    expected = "Permission denied" if flags == "os.O_RDONLY" else "Is a directory"
    assert said(ended) == {"open": expected}
