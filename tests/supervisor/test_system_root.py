from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import buildperm
from buildperm.rules import root_layout
from buildperm.sandbox.root_digest import state_of
from buildperm.supervisor import landlock, system_root
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.session import ungranted
from tests.programs import CHILDREN
from tests.small_root import OS_RELEASE, SmallRoot, skip_without_rooms

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session


@pytest.fixture
def root(tmp_path: Path) -> SmallRoot:
    skip_without_rooms()
    made = SmallRoot(tmp_path / "root")
    marker = tmp_path / "ran"
    made.add_program("evil", f'creat("{marker}", 0600);')
    return made


def _enter(root: SmallRoot, folder: Path) -> dict[str, Any]:
    """Enter it in an interpreter that is like a supervisor's."""
    path = str(Path(buildperm.__file__).absolute().parent.parent)
    code = f"import sys; sys.path.append({path!r}); exec(open(sys.argv.pop(1)).read())"
    words = [sys.executable, "-IS", "-c", code, str(CHILDREN / "in_root.py"), str(root.folder)]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_the_root_is_in_place_of_the_system_and_runs_nothing(
    root: SmallRoot, tmp_path: Path
) -> None:
    (root.folder / "usr/lib/evil.so").write_text("")
    told = _enter(root, tmp_path)
    own = {name for name in os.listdir("/") if not root_layout.is_replaced(name.encode())}
    there = set(os.listdir(root.folder))
    assert {*told["top"]} - there <= own
    assert there <= {*told["top"]}
    assert told["release"] == OS_RELEASE
    assert told["folder"] == str(tmp_path)
    assert told["user"] == [os.getuid(), os.geteuid(), os.getgid()]
    assert {"ro", "nosuid", "nodev"} <= {*told["mounts"]["/usr"]}
    assert {"ro", "nosuid", "nodev"} <= {*told["mounts"]["/etc"]}
    assert {*told["write"].values()} == {"OSError"}
    assert {*told["import"].values()} == {"ModuleNotFoundError"}
    refused = [told[name] for name in ("spawn", "exec", "shell", "load", "own lookup")]
    assert refused == ["PermissionError"] * 5
    assert re.match(r"\[b'", told["lookup"]), told["lookup"]  # By who stays outside.
    assert told["no such name"] == "OSError"
    assert not (tmp_path / "ran").exists()


def test_a_root_that_is_led_to_by_a_link_is_not_entered(root: SmallRoot, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root.folder)
    before = os.listdir("/usr")
    moved = SmallRoot(tmp_path / "other")
    moved.folder = tmp_path / "link"
    with pytest.raises(AssertionError, match="a link leads to it now"):
        _enter(moved, tmp_path)
    assert os.listdir("/usr") == before


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_root_that_another_one_replaces_is_not_entered(
    root: SmallRoot, tmp_path: Path, *, is_swapped: bool
) -> None:
    other = SmallRoot(tmp_path / "other")
    top = state_of(root.folder).top
    if is_swapped:
        root.folder.rename(tmp_path / "away")
        other.folder.rename(root.folder)
    path = str(Path(buildperm.__file__).absolute().parent.parent)
    enter = "system_root.change(os.fsencode(sys.argv[2]), bytes.fromhex(sys.argv[3]))"
    code = "import os, sys; sys.path.append(sys.argv[1])\n"
    code += f"from buildperm.supervisor import system_root\n{enter}\n"
    words = [sys.executable, "-IS", "-c", code, path, str(root.folder), top.hex()]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ("another one has been put in its place" in ended.stderr) == is_swapped
    assert (ended.returncode == 0) != is_swapped, ended.stderr


_CHANGED = """
import os, sys
sys.path.append(sys.argv[1])
from buildperm.supervisor import system_root
from buildperm.supervisor.session import ungranted
session = eval(sys.argv[2])
system_root.enter(session, ungranted(), is_doubtful=True)
if sys.argv[3] == "True":
    path = session["root"]["path"] + b"/etc/os-release"
    text = open(path, "rb").read()
    open(path, "wb").write(b"NAME=evil")
    open(path, "wb").write(text)
system_root.check_unchanged(session)
"""


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_root_that_changes_while_no_command_waits_fails_the_script(
    root: SmallRoot, tmp_path: Path, *, is_changed: bool
) -> None:
    path = str(Path(buildperm.__file__).absolute().parent.parent)
    words = [sys.executable, "-IS", "-c", _CHANGED, path, repr(_session(root)), str(is_changed)]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ("was changed while the build script ran" in ended.stderr) == is_changed, ended.stderr
    assert (ended.returncode == 0) != is_changed, ended.stderr


@pytest.mark.parametrize(
    ("written", "is_refused"),
    [
        (b"/srv/root/usr/lib", True),
        (b"/srv/root", True),
        (b"/srv", True),
        (b"/", True),
        (b"/srv/root2", False),
        (b"/srv/other", False),
    ],
)
def test_what_lets_a_script_change_the_root_is_refused(written: bytes, *, is_refused: bool) -> None:
    rights = {b"/": landlock.READ_FILE, written: landlock.MAKE_REG}
    if not is_refused:
        system_root.refuse_writes(b"/srv/root", rights)
        return
    with pytest.raises(StoppedError) as stopped:
        system_root.refuse_writes(b"/srv/root", rights)
    assert stopped.value.exit_status == 23


def _session(root: SmallRoot, **fields: object) -> Session:
    path = os.fsencode(root.folder)
    state = state_of(root.folder)
    named = {"digest": state.digest, "signature": state.signature, "top": state.top}
    told: Any = {"root": {"path": path, **named}}
    return told | {"starter": b"/starter", "room": True, "calls": {}} | fields  # type: ignore[no-any-return]


@pytest.mark.parametrize("lacking", [{"starter": b""}, {"room": False}])
def test_without_the_starter_nothing_is_entered(
    root: SmallRoot, lacking: dict[str, object]
) -> None:
    with pytest.raises(StoppedError, match="needs the starter") as stopped:
        system_root.enter(_session(root, **lacking), ungranted(), is_doubtful=False)
    assert stopped.value.exit_status == 23


def test_a_root_that_has_changed_since_an_earlier_command_is_not_entered(root: SmallRoot) -> None:
    session = _session(root)
    (root.folder / "etc/os-release").write_text("NAME=another\n")
    with pytest.raises(StoppedError, match="has been changed since") as stopped:
        system_root.enter(session, ungranted(), is_doubtful=True)
    assert stopped.value.exit_status == 23
