"""The rooms that a starter makes: what exists in them, and what they refuse to make.

What scripts find within `full` is tried in test_bubblewrap.py, in rooms as well.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from buildperm.sandbox import machine, start_programs
from buildperm.supervisor import landlock
from buildperm.supervisor.bubblewrap import NAMESPACES
from buildperm.supervisor.launch import Launch, SandboxWrapper

BWRAP = machine.bubblewrap()
pytestmark = pytest.mark.skipif(
    not BWRAP or not machine.can_make_rooms(BWRAP), reason="no user namespaces for everybody"
)

CHILD = Path(__file__).parents[1] / "children" / "tells_room.c"
ALLOW_ALL = (0x7FFF0000 << 32 | 6).to_bytes(8, "little")


class Room:
    """A room with the folder of a program, and what else it is told to show."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.shown = top / "shown"
        self.shown.mkdir()
        self.program = self.shown / "program"
        subprocess.run(["cc", "-static", "-w", "-o", self.program, CHILD], check=True)

    def run(self, told: Sequence[bytes | Path], *asked: Path, abi: int = 7) -> tuple[str, str]:
        """Return what the program said, or why there is no room for it."""
        words = [*map(bytes, told)]
        own = [b"--ro-bind-try", bytes(self.shown), bytes(self.shown)]
        wrapper = SandboxWrapper(
            [b"/nowhere/bwrap"],
            [
                *NAMESPACES,
                b"--proc",
                b"/proc",
                *own,
                *words,
                *(b"--remount-ro", b"/", b"--chdir", b"/"),
            ],
            own_proc=True,
            is_room=True,
        )
        # A rule for a folder does not hold for what is mounted below it: only within a mount.
        shown = (self.shown, self.top / "own", self.top / "link", self.top / "link/key")
        paths = (*shown, Path("/proc/sys/user"), Path("/proc/self/mountinfo"))
        rights = landlock.file_rights(landlock.abi(abi))
        begun = Launch(
            bytes(self.program),
            [b"program", *map(bytes, asked)],
            {},
            {bytes(path): rights for path in paths},
            ALLOW_ALL,
            landlock.abi(abi),
            {},
            [],
            wrapper,
            start_programs.starter(),
        )
        reading, writing = os.pipe()
        pid = begun.fork(writing, writing)
        os.close(writing)
        begun.release()
        with open(reading, encoding="utf-8") as said:
            text = said.read()
        os.waitpid(pid, 0)
        return text, begun.failure()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(Path(os.path.realpath(tmp_path)))


def test_nothing_is_there_but_what_is_shown(room: Room) -> None:
    (room.top / "own").mkdir()
    (room.top / "hidden").touch()
    (room.shown / "file").touch()
    own = bytes(room.top / "own")

    said, failure = room.run(
        [b"--bind-try", own, own, b"--symlink", b"/nowhere", b"/etc/x/link", b"--dir", b"/var/tmp"],
        *(room.top / name for name in ("hidden", "own/made", "shown/file", "shown/made")),
    )

    assert failure == ""
    lines = said.splitlines()
    assert "pid 2 of 1, in session 1" in lines
    assert "another namespace: No space left on device" in lines  # user_namespaces(7)
    assert "changing Read-only file system" in lines
    assert {line for line in lines if line.startswith("device ")} == {"device lo up"}
    answers = dict(line[5:].split(": ") for line in lines if line[:5] == "path ")
    assert answers == {
        f"{room.top}/hidden": "No such file or directory, Read-only file system",
        f"{room.top}/own/made": "is there, can be written",
        f"{room.top}/shown/file": "is there, Read-only file system",
        f"{room.top}/shown/made": "No such file or directory, Read-only file system",
    }
    mounts = [line.split() for line in lines if line.startswith("mount ")]
    places = {mount[5]: set(mount[6].split(",")) for mount in mounts}
    assert set(places) == {"/", "/proc", str(room.shown), str(room.top / "own")} | {
        f"/proc/{name}"
        for name in ("bus", "irq", "sys", "sysrq-trigger")
        if os.path.exists(f"/proc/{name}")
    }
    assert all({"nosuid", "nodev"} <= flags for flags in places.values())
    assert all("ro" in places[place] for place in ("/", "/proc/sys", str(room.shown)))


def test_no_link_is_followed_to_what_is_shown(room: Room) -> None:
    """A script that runs at the same time may have made it since the rules were computed."""
    (room.top / "secret").mkdir()
    (room.top / "secret/key").touch()
    (room.top / "link").symlink_to("secret")
    told: list[bytes] = []
    for path in (room.top / "link", room.top / "link/key", room.top / "missing"):
        told += [b"--ro-bind-try", bytes(path), bytes(path)]

    said, failure = room.run(told, room.top / "link", room.top / "link/key")

    assert failure == ""
    answers = [line for line in said.splitlines() if line.startswith("path ")]
    assert len(answers) == 2
    assert all(": No such file or directory," in answer for answer in answers)
    assert f"{room.top}/link" not in [
        line.split()[5] for line in said.splitlines() if "mount" in line
    ]


def test_nothing_is_covered_elsewhere_by_a_link(room: Room) -> None:
    (room.shown / "target").mkdir()
    (room.shown / "link").symlink_to("target")

    said, failure = room.run([b"--tmpfs", bytes(room.shown / "link")])

    assert said == ""
    assert failure == "make a place for a mount: Too many levels of symbolic links"


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ([b"--bind-fd", b"3", b"/x"], "understand a word: Invalid argument"),
        ([b"--ro-bind", b"/nowhere/at/all", b"/x"], "find a path: No such file or directory"),
        ([b"--dir", b"/" + b"x/" * 2500], "make a folder: File name too long"),
        ([b"--symlink", b"/a", b"/proc"], "make a link: File exists"),
    ],
)
def test_what_cannot_be_made_runs_nothing(room: Room, told: list[bytes], failure: str) -> None:
    assert room.run(told) == ("", failure)


@pytest.mark.parametrize(
    "told", [(b"--tmpfs",), (b"--dir",), (b"--symlink", b"/nowhere"), (b"--ro-bind", b"/dev/null")]
)
def test_nothing_is_made_outside_by_a_link(room: Room, told: tuple[bytes, ...]) -> None:
    """Until the room is done, the machine's root is in it: a link may lead there."""
    outside = room.top / "outside"
    outside.mkdir()
    own = room.top / "own"
    own.mkdir()
    (own / "link").symlink_to(f"/before{outside}")
    shown = [b"--bind-try", bytes(own), bytes(own)]

    said, failure = room.run([*shown, *told, bytes(own / "link/made/below")])

    assert os.listdir(outside) == []
    assert said == ""
    assert failure.endswith("Too many levels of symbolic links")
