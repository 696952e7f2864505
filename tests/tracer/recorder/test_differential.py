"""The recorder against strace, which shares no code with it: the same calls, paths and results."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer import syscall_table
from buildperm.tracer.recording.event import Executed, FileOpened, PathChanged
from buildperm.tracer.syscall_table import (
    ChangeLayout,
    ExecutionLayout,
    OpenLayout,
    SocketLayout,
)
from tests.programs import program_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tracer.recorded_child import Record, Recorded

_LINE = re.compile(r"(\w+)\((.*)\) += -?\d+(?:<(.*)>)?(?: (E[A-Z0-9]+) .*| \(.*)?$")
_TEXT = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"')
_HERE = re.compile(r"AT_FDCWD<([^>]*)>")
_OPENED = re.compile(r"\d+<([^>]*)>")
_RANDOM = re.compile(
    r"(?<=/tmp/)cc\w{6}|(?<=/)tmp_obj_\w{6}|(?<=/)s?t\w{6}$|(?<=/proc/)(?:\d+|self)"
)

DATES = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
WORKLOADS = ("shell", "compiler", "git", "python")


def expected(listings: list[Path], home: Path) -> set[tuple[str, str, int]]:
    """Read what strace has seen: operation, path and errno of each call."""
    seen = set()
    for listing in listings:
        cwd = str(home)
        for line in listing.read_text(errors="surrogateescape").splitlines():
            found = _LINE.match(line)
            if found is None:
                assert line.startswith(("---", "+++")), line
                continue
            name, arguments, descriptor, error = found.groups()
            number = getattr(errno, error) if error else 0
            layout = syscall_table.CALLS.get(name)
            if isinstance(layout, SocketLayout):
                continue
            for here in _HERE.findall(arguments):
                cwd = plain(here)
            paths = [
                posixpath.join(plain(start) or cwd, plain(text))
                for start, text in _TEXT.findall(arguments)
            ]
            if name == "chdir":
                cwd = cwd if number else os.path.realpath(paths[0])
            elif name == "fchdir":
                cwd = described(arguments)
            elif isinstance(layout, OpenLayout):
                path = plain(descriptor) if descriptor else tidy(paths[0])
                seen.add(("open", path, number))
            elif isinstance(layout, ExecutionLayout):
                seen.add(("exec", tidy(paths[0]), number))
            else:
                assert isinstance(layout, ChangeLayout), line
                change = layout.change
                if not paths or layout.path[1] < 0:  # by descriptor
                    path = described(arguments)
                else:
                    path = paths[1] if change in ("renamed", "linked", "symlinked") else paths[0]
                    path = os.path.realpath(path) if layout.follows else tidy(path)
                seen.add((change, path, number))
    return {(kind, _RANDOM.sub("?", path), number) for kind, path, number in seen}


def described(arguments: str) -> str:
    """Return the path of the descriptor that `arguments` begin with."""
    found = _OPENED.match(arguments)
    assert found is not None, arguments
    return plain(found[1])


def plain(text: str) -> str:
    """Undo strace's -xx."""
    return re.sub(r"\\x(..)", lambda match: chr(int(match[1], 16)), text)


def tidy(path: str) -> str:
    """Return `path` without `.` and `..`, as the kernel walks it."""
    head, name = posixpath.split(path)
    if ".." in path.split("/"):
        head = os.path.realpath(head)
    return posixpath.normpath(posixpath.join(head, name)).replace("//", "/")


def recorded_set(recorded: Recorded) -> set[tuple[str, str, int]]:
    """Return the same of a recording."""
    seen = set()
    for event in recorded.recording.events:
        match event:
            case FileOpened(path=path, errno=number):
                seen.add(("open", os.fsdecode(path), number))
            case PathChanged(change=change, path=path, errno=number):
                seen.add((str(change), os.fsdecode(path), number))
            case Executed(requested=path, errno=number):
                seen.add(("exec", os.fsdecode(path), number))
            case _:
                pass
    return {(kind, _RANDOM.sub("?", path), number) for kind, path, number in seen}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.quick(4)
def test_strace_sees_the_same(record: Record, tmp_path: Path, workload: str) -> None:
    home, listings = tmp_path / "home", tmp_path / "strace"
    listings.mkdir()
    home.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C", **DATES}
    command = ["/bin/sh", "-c", program_text(f"workload_{workload}.sh")]
    wanted = ",".join(f"?{name}" for name in (*syscall_table.recorded(), "chdir", "fchdir"))
    listing = ["-o", str(listings / "of"), "-e", f"trace={wanted}"]
    ran = subprocess.run(
        ["strace", "-ff", "-y", "-xx", "-s4096", *listing, *command],
        cwd=home,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    oracle = expected(list(listings.iterdir()), home)
    shutil.rmtree(home)
    home.mkdir()

    recorded = record(
        *command, env={os.fsencode(k): os.fsencode(v) for k, v in environment.items()}, cwd=home
    )

    assert recorded.recording.end.exit == ran.returncode == 0
    ours = recorded_set(recorded)
    assert (sorted(oracle - ours), sorted(ours - oracle)) == ([], [])
    assert len(ours) > 20
