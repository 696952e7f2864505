"""Folding: from events, as the recorder writes them, to accesses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from errno import EACCES, EEXIST, ELOOP, ENOENT, ENOSPC, EROFS
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import COMMANDS_MOST, Access, Outcome
from buildperm.policy.access_builder import CHAINS_MOST
from buildperm.policy.fold import attributed, fold
from buildperm.policy.kinds import Kind
from buildperm.policy.role import OF_SCRIPT
from buildperm.policy.undecided_accesses import is_settled
from buildperm.tracer.recording.event import (
    CallRefused,
    Change,
    DirectivePrinted,
    EnvironmentRead,
    Event,
    Executed,
    FileOpened,
    OpenMode,
    PathChanged,
    RecordedProcess,
    SocketUse,
    SocketUsed,
    Verdict,
)
from buildperm.tracer.recording.reader import End, Header, Recording
from buildperm.tracer.recording_format import REUSED
from tests.tracer.recorded_events import events

SCRIPT = str(OF_SCRIPT)
PLACES = {
    "OUT_DIR": b"/t/debug/build/a-1/out",
    "TMP": b"/t/debug/build/a-1/buildperm/scratch",
    "MANIFEST_DIR": b"/ws/a",
    "WORKSPACE": b"/ws",
    "TARGET_DIR": b"/t",
    "CARGO_HOME": b"/home/u/.cargo",
    "SYSROOT": b"/home/u/.rustup/toolchains/t",
    "HOME": b"/home/u",
}
PROGRAM = b"/t/debug/build/a-1/buildperm/program"
TREE = (
    RecordedProcess(10, 0, PROGRAM, (PROGRAM,)),
    RecordedProcess(11, 10, b"/usr/bin/gcc-12", (b"cc", b"-c")),
    RecordedProcess(12, 11, b"", ()),
    RecordedProcess(13, 12, b"/usr/lib/gcc/cc1", (b"cc1",)),
)


def _recording(
    events: Sequence[Event],
    processes: Sequence[RecordedProcess] = TREE,
    *,
    path: bytes = b"/usr/bin:/bin",
    tools: tuple[bytes, ...] = (),
    handed_over: tuple[bytes, ...] = (),
    foreign: tuple[bytes, ...] = (),
) -> Recording:
    header = Header(
        crate="a",
        name="a",
        crate_version="1.0.0",
        source="",
        checksum="",
        target="",
        host="",
        profile="debug",
        features=(),
        kernel="",
        runtime="portable",
        landlock_abi=7,
        mode="learning",
        buildperm="0",
        session="",
        places=PLACES,
        path=path,
        tools=tools,
        handed_over=handed_over,
        foreign=foreign,
    )
    end = End(0, 0, 0, 0, 0, "", "")
    return Recording(header, {process.pid: process for process in processes}, tuple(events), end)


def _fold(*events: Event, **more: object) -> dict[tuple[Kind, str], Access]:
    found = fold(_recording(events, **more))  # type: ignore[arg-type]  # passed on as it is
    return {(access.kind, access.target): access for access in found}


def _opened(
    path: bytes,
    mode: OpenMode = OpenMode.READ,
    *,
    at: int = 1,
    pid: int = 10,
    creates: bool = False,
    errno: int = 0,
    refused: bool = False,
    count: int = 1,
) -> FileOpened:
    return FileOpened(at, pid, path, mode, creates, errno, refused, False, count)


def _executed(path: bytes, requested: bytes = b"", *argv: bytes, **more: int) -> Executed:
    errno = more.get("errno", 0)
    refused = bool(more.get("refused"))
    return Executed(1, more.get("pid", 11), path, requested or path, argv, errno, refused)


def test_the_same_target_is_one_access_with_everybody_who_touched_it() -> None:
    found = _fold(
        _opened(b"/ws/x", at=5, count=3),
        _opened(b"/ws/x", at=2, pid=13),
        _opened(b"/ws/x", at=9, pid=11),
    )

    assert list(found) == [(Kind.READ, "$WORKSPACE/x")]
    access = found[Kind.READ, "$WORKSPACE/x"]
    assert (access.count, access.first_ns, access.last_ns) == (5, 2, 9)
    assert access.chains == ((SCRIPT,), (SCRIPT, "gcc-12", "cc1"), (SCRIPT, "gcc-12"))
    assert access.example == "/ws/x"


def test_no_more_chains_are_kept_than_can_be_read() -> None:
    tree = [TREE[0], *(RecordedProcess(n, 10, b"/bin/p%d" % n, ()) for n in range(20, 40))]
    found = _fold(*(_opened(b"/ws/x", pid=n) for n in range(20, 40)), processes=tree)

    assert len(found[Kind.READ, "$WORKSPACE/x"].chains) == CHAINS_MOST
    assert found[Kind.READ, "$WORKSPACE/x"].count == 20


@pytest.mark.parametrize(
    ("mode", "creates", "kinds"),
    [
        (OpenMode.READ, False, {Kind.READ}),
        (OpenMode.READ, True, {Kind.READ, Kind.WRITE}),
        (OpenMode.WRITE, True, {Kind.WRITE}),
        (OpenMode.WRITE, False, {Kind.WRITE}),
        (OpenMode.READ_WRITE, False, {Kind.READ, Kind.WRITE}),
        (OpenMode.PATH, False, set()),
    ],
)
def test_how_a_file_is_opened_says_what_is_done_with_it(
    mode: OpenMode, creates: bool, kinds: set[Kind]
) -> None:
    assert {kind for kind, _ in _fold(_opened(b"/ws/x", mode, creates=creates))} == kinds


def test_the_gravest_outcome_is_kept() -> None:
    absent = _opened(b"/ws/x", errno=2)
    done = _opened(b"/ws/x")
    refused = _opened(b"/ws/x", errno=13, refused=True)
    key = Kind.READ, "$WORKSPACE/x"

    assert _fold(absent)[key].outcome is Outcome.FAILED
    assert _fold(absent, done)[key].outcome is Outcome.DONE
    assert _fold(done, absent)[key].outcome is Outcome.DONE
    assert _fold(refused, done, absent)[key].outcome is Outcome.REFUSED


_EMPTY = b"/t/debug/build/a-1/buildperm/scratch/home/"


@pytest.mark.parametrize(("mode", "is_open"), [("learning", True), ("enforcing", False)])
def test_what_learning_lets_through_is_marked_and_nothing_else(mode: str, is_open: bool) -> None:
    recording = _recording(
        [
            _opened(b"/opt/x"),
            _executed(b"/usr/bin/gcc-12"),
            _opened(b"/opt/refused", refused=True),
            _opened(b"/opt/absent", errno=ENOENT),
            _opened(b"/opt/written", OpenMode.WRITE),
            _opened(b"/home/u/.ssh/id_rsa"),
        ]
    )
    found = fold(replace(recording, header=replace(recording.header, mode=mode)))

    marked = {(each.kind, each.target) for each in found if each.is_let_through}
    assert marked == ({(Kind.READ, "/opt/x"), (Kind.EXEC, "gcc-12")} if is_open else set())


def test_a_secret_looked_for_in_the_empty_home_is_named_as_the_one_it_was_for() -> None:
    look = _opened(_EMPTY + b".ssh/id_ed25519", errno=ENOENT)
    ((key, access),) = _fold(look).items()

    assert key == (Kind.READ, "$HOME/.ssh/id_ed25519")
    assert access.outcome is Outcome.FAILED
    assert access.saw_empty_home
    assert access.sensitive == "ssh keys and known hosts; it saw an empty home"
    assert not is_settled(access)
    assert look in attributed(_recording([look]))[key]


@pytest.mark.parametrize(
    "event",
    [
        _opened(_EMPTY + b".netrc", errno=ENOENT),
        _opened(_EMPTY + b".ssh/id_ed25519"),  # The script has made it.
        _opened(_EMPTY + b".ssh/id_ed25519", errno=ELOOP),
        _opened(_EMPTY + b".ssh/id_ed25519", OpenMode.WRITE, errno=ENOENT),
        _opened(_EMPTY + b".ssh/id_ed25519", OpenMode.READ_WRITE, errno=ENOENT, creates=True),
        _opened(_EMPTY + b".ssh/id_ed25519", OpenMode.PATH, errno=ENOENT),
        _opened(_EMPTY + b".ssh/id_ed25519", errno=ENOENT, pid=11),
        _opened(_EMPTY + b".ssh/id_ed25519", errno=ENOENT, pid=12),  # Forked by that.
    ],
)
def test_other_looks_into_the_empty_home_are_settled(event: FileOpened) -> None:
    tree = (TREE[0], RecordedProcess(11, 10, b"/usr/bin/ssh", (b"ssh",)), TREE[2])

    assert all(map(is_settled, _fold(event, processes=tree).values()))


@pytest.mark.parametrize(
    ("number", "refused", "said"),
    [
        (EACCES, False, "by its permissions, or a read-only disk"),
        (EROFS, False, "by its permissions, or a read-only disk"),
        (ENOSPC, False, "no space left on the disk"),
        (EROFS, True, ""),  # By the sandbox, which answers the same.
        (ENOENT, False, ""),
        (0, False, ""),
    ],
)
def test_what_the_system_refuses_itself_is_told_from_what_buildperm_refuses(
    number: int, refused: bool, said: str
) -> None:
    opened = FileOpened(1, 10, b"/srv/x", OpenMode.WRITE, True, number, refused, False)

    (access,) = _fold(opened).values()

    assert access.refused_by_system == said


def test_what_the_system_refused_once_and_then_did_not_is_no_matter_of_its() -> None:
    refused = FileOpened(1, 10, b"/srv/x", OpenMode.WRITE, True, EACCES, False, False)
    opened = FileOpened(2, 10, b"/srv/x", OpenMode.WRITE, True, 0, False, False)

    (access,) = _fold(refused, opened).values()

    assert access.refused_by_system == ""


def test_a_small_disk_of_its_own_is_not_the_systems() -> None:
    path = PLACES["TMP"] + b"/x"
    opened = FileOpened(1, 10, path, OpenMode.WRITE, True, ENOSPC, False, False)

    (access,) = _fold(opened).values()

    assert access.refused_by_system == ""


def test_a_secret_that_was_refused_as_well_was_refused() -> None:
    look = _opened(_EMPTY + b".ssh/id_rsa", errno=ENOENT)
    refused = _opened(b"/home/u/.ssh/id_rsa", errno=EACCES, refused=True)

    for seen in ((look, refused), (refused, look)):
        (access,) = _fold(*seen).values()
        assert access.outcome is Outcome.REFUSED
        assert access.sensitive == "ssh keys and known hosts"


@pytest.mark.parametrize(("source", "is_asked"), [(b"/ws/a/gen.in", False), (b"/ws/old", True)])
def test_a_refused_hard_link_asks_for_no_reading_that_was_allowed(
    source: bytes, is_asked: bool
) -> None:
    """No grant of reading would make it work, where the file can be read already."""
    found = _fold(PathChanged(1, 10, Change.LINKED, b"/out/x", source, 18, True))

    assert any(kind is Kind.READ for kind, _ in found) is is_asked


def test_what_has_no_path_is_no_access() -> None:
    assert not _fold(_opened(b"pipe:[12]"), _opened(b"anon_inode:[eventfd]"))


@pytest.mark.parametrize(
    ("change", "other", "written"),
    [
        (Change.REMOVED, b"", {"$WORKSPACE/x"}),
        (Change.RENAMED, b"/ws/old", {"$WORKSPACE/x", "$WORKSPACE/old"}),
        (Change.LINKED, b"/ws/old", {"$WORKSPACE/x"}),
        (Change.SYMLINKED, b"/etc/shadow", {"$WORKSPACE/x"}),
        (Change.DIRECTORY_MADE, b"", {"$WORKSPACE/x"}),
        (Change.NODE_MADE, b"", {"$WORKSPACE/x"}),
        (Change.TRUNCATED, b"", {"$WORKSPACE/x"}),
        (Change.MODE_CHANGED, b"", {"$WORKSPACE/x"}),
        (Change.OWNER_CHANGED, b"", {"$WORKSPACE/x"}),
        (Change.TIMES_CHANGED, b"", {"$WORKSPACE/x"}),
        (Change.ATTRIBUTE_CHANGED, b"", {"$WORKSPACE/x"}),
    ],
)
def test_every_change_is_a_write(change: Change, other: bytes, written: set[str]) -> None:
    found = _fold(PathChanged(1, 10, change, b"/ws/x", other, 0, False))

    assert {target for kind, target in found if kind is Kind.WRITE} == written
    assert ((Kind.READ, "$WORKSPACE/old") in found) is (change is Change.LINKED)
    assert all(access.outcome is Outcome.DONE for access in found.values())


def test_asking_for_a_folder_that_is_there_changes_nothing() -> None:
    """`mkdir -p`, and CMake all the time, do so for every folder above the one they need."""
    made = Change.DIRECTORY_MADE

    assert _fold(PathChanged(1, 10, made, b"/t/debug", b"", EEXIST, False)) == {}
    assert _fold(PathChanged(1, 10, made, b"/t/debug", b"", EACCES, True)) != {}


@pytest.mark.parametrize(
    ("errno", "refused", "is_folder"),
    [(0, False, True), (EACCES, True, True), (ENOENT, False, False)],
)
def test_a_folder_that_is_read_is_told_as_one(
    errno: int, *, refused: bool, is_folder: bool
) -> None:
    path = b"/ws/proto"
    asked = FileOpened(1, 10, path, OpenMode.READ, False, errno, refused, False, directory=True)
    file = FileOpened(1, 10, path, OpenMode.READ, False, errno, refused, False)

    ((access,), (other,)) = (_fold(each).values() for each in (asked, file))

    assert (access.kind, access.is_folder, other.is_folder) == (Kind.READ, is_folder, False)


@pytest.mark.parametrize(
    ("change", "errno", "path", "is_entry"),
    [
        (Change.REMOVED, 0, b"/ws/gen/x", True),
        (Change.RENAMED, EACCES, b"/ws/gen/x", True),
        (Change.SYMLINKED, 0, b"/ws/x", True),
        (Change.NODE_MADE, 0, b"/ws/gen/x", True),
        # What is written now will be there to be removed the next time.
        (Change.REMOVED, ENOENT, b"/ws/gen/x", True),
        (Change.REMOVED, ENOENT, b"/ws/x", False),
        (Change.DIRECTORY_MADE, 0, b"/ws/gen/x", False),
        (Change.TRUNCATED, 0, b"/ws/gen/x", False),
        (Change.TIMES_CHANGED, 0, b"/ws/gen/x", False),
    ],
)
def test_a_name_is_changed_in_its_folder(
    change: Change, errno: int, path: bytes, *, is_entry: bool
) -> None:
    changed = PathChanged(1, 10, change, path, b"", errno, errno == EACCES)
    written = FileOpened(2, 10, path, OpenMode.WRITE, True, 0, False, False)

    (found,) = _fold(changed, written).values()

    assert found.is_entry is is_entry
    assert not _fold(written)[found.kind, found.target].is_entry


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "tool-1").write_text("#!/bin/sh\n")
    (tmp_path / "tool-1").chmod(0o755)
    (tmp_path / "tool").symlink_to("tool-1")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "hidden" / "tool").chmod(0o755)
    return tmp_path


def test_a_program_goes_by_its_name_where_path_leads_to_it(programs: Path) -> None:
    real, asked = os.fsencode(programs / "tool-1"), os.fsencode(programs / "tool")
    found = _fold(_executed(real, asked, b"tool", b"--version"), path=os.fsencode(programs))
    access = found[Kind.EXEC, "tool"]

    assert access.example == "tool --version"
    assert access.resolved == os.fsdecode(real)
    assert access.chains == ((SCRIPT, "gcc-12", "tool"),)


def test_a_program_that_path_does_not_lead_to_goes_by_its_path(programs: Path) -> None:
    other = os.fsencode(programs / "hidden" / "tool")
    found = _fold(_executed(other, other, b"tool"), path=os.fsencode(programs))

    assert list(found) == [(Kind.EXEC, os.fsdecode(other))]


def test_a_script_needs_its_interpreter_as_well(programs: Path) -> None:
    shell = os.path.realpath(b"/bin/sh")
    script = os.fsencode(programs / "tool-1")
    path = os.fsencode(programs) + b":" + os.path.dirname(shell)
    found = _fold(_executed(shell, script, b"tool-1"), path=path)

    assert set(found) == {(Kind.EXEC, "tool-1"), (Kind.EXEC, "sh")}


def test_a_refused_interpreter_is_named_itself(programs: Path) -> None:
    shell = os.path.realpath(b"/bin/sh")
    script = os.fsencode(programs / "tool-1")
    events = (
        _executed(script, script, b"tool-1", errno=13, refused=1),
        _executed(shell, script, b"tool-1", errno=13, refused=1),
    )
    found = _fold(*events, path=os.fsencode(programs) + b":" + os.path.dirname(shell))

    assert set(found) == {(Kind.EXEC, "tool-1"), (Kind.EXEC, "sh")}
    assert {access.outcome for access in found.values()} == {Outcome.REFUSED}


def test_an_interpreter_goes_by_its_file_if_the_script_names_another_one_by_now(
    programs: Path,
) -> None:
    shell = os.path.realpath(b"/bin/sh")
    (programs / "tool-1").write_text("#!/usr/bin/another\n")
    script = os.fsencode(programs / "tool-1")
    path = os.fsencode(programs) + b":" + os.path.dirname(shell)
    found = _fold(_executed(shell, script, b"tool-1"), path=path)

    assert set(found) == {(Kind.EXEC, "tool-1"), (Kind.EXEC, os.path.basename(shell).decode())}


def test_whatever_lies_where_a_script_was_it_keeps_nobody_waiting(programs: Path) -> None:
    shell = os.path.realpath(b"/bin/sh")
    (programs / "tool-1").unlink()
    os.mkfifo(programs / "tool-1")
    script = os.fsencode(programs / "tool-1")

    found = _fold(_executed(shell, script, b"tool-1"), path=os.path.dirname(shell))

    assert (Kind.EXEC, os.path.basename(shell).decode()) in found


def test_what_a_program_does_and_runs_is_wanted_by_it_as_the_script_called_it(
    programs: Path,
) -> None:
    shell = os.path.realpath(b"/bin/sh")
    asked = os.fsencode(programs / "tool")
    processes = (
        RecordedProcess(10, 0, PROGRAM, (PROGRAM,)),
        RecordedProcess(11, 10, shell, (b"tool",)),
        RecordedProcess(12, 11, b"/usr/bin/true", (b"true",)),
    )
    found = _fold(
        Executed(1, 10, shell, asked, (b"tool",), 0, False),
        Executed(2, 11, b"/usr/bin/true", b"/usr/bin/true", (b"true",), 0, False),
        _opened(b"/srv/a", pid=12),
        _opened(b"/srv/b", pid=12),
        _opened(b"/srv/b"),
        path=os.fsencode(programs) + b":/usr/bin",
        processes=processes,
    )

    assert {target: access.causes for (_, target), access in found.items()} == {
        "tool": ("",),
        "sh": ("tool",),
        "true": ("tool",),
        "/srv/a": ("tool",),
        "/srv/b": ("", "tool"),
    }
    assert found[Kind.READ, "/srv/a"].chains == ((SCRIPT, "tool", "true"),)
    assert found[Kind.READ, "/srv/a"].wanted_by == "tool"
    assert found[Kind.READ, "/srv/b"].wanted_by == ""


@pytest.mark.parametrize(
    ("event", "target"),
    [
        (_opened(b"/ws/x/__pycache__/a.cpython-311.pyc"), "$WORKSPACE/x/a.py"),
        (
            _opened(b"/ws/x/__pycache__/a.b.pypy39-73.pyc"),
            "$WORKSPACE/x/__pycache__/a.b.pypy39-73.pyc",
        ),
        (_opened(b"/ws/x/__pycache__/a.cpython-311.opt-1.pyc"), "$WORKSPACE/x/a.py"),
        (_opened(b"/ws/x/__pycache__/key"), "$WORKSPACE/x/__pycache__/key"),
        (
            _opened(b"/ws/x/__pycache__/a.cpython-311.pyc", errno=EACCES, refused=True),
            "$WORKSPACE/x/__pycache__/a.cpython-311.pyc",
        ),
    ],
)
def test_what_python_has_compiled_stands_for_its_source(event: FileOpened, target: str) -> None:
    """Which of the two is read depends on the machine; a grant has to hold for either."""
    assert list(_fold(event)) == [(Kind.READ, target)]


def test_the_script_itself_is_no_access() -> None:
    assert not _fold(_executed(PROGRAM, PROGRAM, pid=10), _executed(PROGRAM, PROGRAM, pid=11))


def test_a_script_that_reads_itself_is_no_news_but_changing_itself_is() -> None:
    assert not _fold(_opened(PROGRAM))
    assert _fold(_opened(PROGRAM, OpenMode.WRITE))


def test_the_toolchain_goes_by_its_path_even_if_it_is_on_path() -> None:
    rustc = b"/home/u/.rustup/toolchains/t/bin/rustc"

    assert list(_fold(_executed(rustc))) == [(Kind.EXEC, "$SYSROOT/bin/rustc")]


def test_cargos_own_tools_and_what_other_scripts_hand_over_are_free() -> None:
    found = _fold(
        _executed(b"/opt/rust/bin/rustc"),
        _executed(b"/opt/rust/bin/other"),
        _opened(b"/t/debug/build/z-1/out/include/z.h"),
        _opened(b"/t/debug/build/z-1/output"),
        tools=(b"/opt/rust/bin/rustc",),
        handed_over=(b"/t/debug/build/z-1/out",),
    )

    assert {target for (_, target), access in found.items() if access.is_free} == {
        "/opt/rust/bin/rustc",
        "$TARGET_DIR/debug/build/z-1/out/include/z.h",
    }


@pytest.fixture
def namesakes(tmp_path: Path) -> tuple[bytes, list[bytes]]:
    """Make a PATH of three folders, each with a program called `tool`; return it and these."""
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
        (folder / "tool").write_bytes(b"")
        (folder / "tool").chmod(0o755)
    return os.fsencode(":".join(map(str, folders))), [
        os.fsencode(each / "tool") for each in folders
    ]


def test_a_refused_search_along_path_is_one_attempt(namesakes: tuple[bytes, list[bytes]]) -> None:
    path, programs = namesakes
    refused = {"errno": EACCES, "refused": 1}
    found = _fold(
        *(_executed(each, each, b"tool", b"x", **refused) for each in programs), path=path
    )

    assert {key: access.count for key, access in found.items()} == {(Kind.EXEC, "tool"): 1}


def test_a_refused_program_that_is_meant_itself_is_told(
    namesakes: tuple[bytes, list[bytes]], tmp_path: Path
) -> None:
    path, (first, second, third) = namesakes
    elsewhere = os.fsencode(tmp_path / "tool")
    refused = {"errno": EACCES, "refused": 1}
    found = _fold(
        _executed(second, second, b"tool", pid=11, **refused),  # Nothing was searched for before.
        _executed(first, first, b"tool", pid=12, **refused),
        _executed(third, third, third, pid=12, **refused),  # By its path.
        _executed(elsewhere, elsewhere, b"tool", pid=12, **refused),  # PATH does not lead there.
        path=path,
    )

    named = ["tool", *(os.fsdecode(each) for each in (second, third, elsewhere))]
    assert set(found) == {(Kind.EXEC, name) for name in named}


def test_what_a_search_comes_to_is_told(namesakes: tuple[bytes, list[bytes]]) -> None:
    path, (first, second, _) = namesakes
    found = _fold(
        _executed(first, first, b"tool", errno=EACCES, refused=1),
        _executed(second, second, b"tool"),
        path=path,
    )

    outcomes = {access.target: access.outcome for access in found.values()}
    assert outcomes == {"tool": Outcome.REFUSED, os.fsdecode(second): Outcome.DONE}


def test_the_example_of_git_is_the_command_that_reaches_out() -> None:
    git = b"/opt/git"
    found = _fold(
        _executed(git, git, b"git", b"describe"),
        _executed(git, git, b"git", b"fetch"),
        _executed(git, git, b"git", b"log"),
    )

    assert found[Kind.EXEC, "/opt/git"].example == "git fetch"


@pytest.mark.parametrize(
    ("family", "address", "target", "is_sensitive"),
    [
        ("inet", "10.0.0.1:53", "10.0.0.1:53", False),
        ("inet", "169.254.169.254:80", "169.254.169.254:80", True),
        ("host", "example.org:443", "example.org:443", False),
        ("inet6", "[::1]:80", "%5B::1%5D:80", False),
        ("unix", "/var/run/docker.sock", "/var/run/docker.sock", True),
        ("unix", "/tmp/ssh-x/agent.1", "/tmp/ssh-x/agent.1", True),
        ("unix", "@/tmp/.X11-unix/X0", "@/tmp/.X11-unix/X0", True),
        ("unix", "/ws/socket", "$WORKSPACE/socket", False),
        ("unix", "/a%0Ab", "/a%0Ab", False),
    ],
)
def test_a_connection_goes_by_its_address(
    family: str, address: str, target: str, is_sensitive: bool
) -> None:
    found = _fold(SocketUsed(1, 10, SocketUse.CONNECTED, family, address, 13, True))
    access = found[Kind.NET, target]

    assert access.outcome is Outcome.REFUSED
    assert access.example == f"connect({target})"
    assert bool(access.sensitive) is is_sensitive


def test_a_connection_through_the_door_says_how_much_it_carried() -> None:
    address = "example.org:443"
    one = SocketUsed(1, 10, SocketUse.CONNECTED, "host", address, 0, False, 2, 1000, 50_000)
    other = SocketUsed(2, 11, SocketUse.CONNECTED, "host", address, 0, False, 1, 234, 6_789)
    access = _fold(one, other)[Kind.NET, "example.org:443"]

    assert (access.outcome, access.count) == (Outcome.DONE, 3)
    assert access.example == "sent 1,234 bytes, received 56,789"


def test_listening_is_a_system_call_that_no_grant_opens() -> None:
    bound = SocketUsed(1, 10, SocketUse.BOUND, "inet", "0.0.0.0:80", 13, True)

    assert list(_fold(bound)) == [(Kind.SYSTEM, "bind(0.0.0.0:80)")]


def test_a_socket_that_is_only_made_is_news_if_it_was_refused() -> None:
    made = SocketUsed(1, 10, SocketUse.CREATED, "inet", "stream", 0, False)
    refused = SocketUsed(1, 10, SocketUse.CREATED, "inet", "dgram", 1, True)
    netlink = SocketUsed(1, 10, SocketUse.CREATED, "netlink", "raw", 1, True)

    assert list(_fold(made, refused, netlink)) == [
        (Kind.SYSTEM, "socket(inet, dgram)"),
        (Kind.SYSTEM, "socket(netlink, raw)"),
    ]


def test_environment_reads_of_absent_names_are_no_access() -> None:
    found = _fold(
        EnvironmentRead(1, 10, b"ABSENT", False, False),
        EnvironmentRead(1, 10, b"SETTING", True, False),
        EnvironmentRead(1, 10, b"GITHUB_TOKEN", False, True),
        EnvironmentRead(1, 10, b"PLAIN", False, True),
    )

    assert {target: access.outcome for (_, target), access in found.items()} == {
        "SETTING": Outcome.DONE,
        "GITHUB_TOKEN": Outcome.REFUSED,
        "PLAIN": Outcome.REFUSED,
    }
    assert found[Kind.ENV, "GITHUB_TOKEN"].sensitive
    assert not found[Kind.ENV, "PLAIN"].sensitive


def test_directives_are_folded_by_what_a_rule_would_name() -> None:
    found = _fold(
        DirectivePrinted(1, "rerun-if-changed", "a", Verdict.FREE),
        DirectivePrinted(2, "rerun-if-changed", "b", Verdict.FREE),
        DirectivePrinted(3, "rustc-env", "VERSION=1", Verdict.FREE),
        DirectivePrinted(4, "rustc-link-arg", "-T/ws/a/x.ld", Verdict.REFUSED),
        DirectivePrinted(5, "rustc-link-arg", "-s", Verdict.GRANTED),
        DirectivePrinted(6, "rustc-env", "LD_PRELOAD=/ws/x.so", Verdict.FORBIDDEN),
    )

    assert {target: access.outcome for (_, target), access in found.items()} == {
        "rerun-if-changed": Outcome.DONE,
        "rustc-env=VERSION": Outcome.DONE,
        "rustc-link-arg=-T$MANIFEST_DIR/x.ld": Outcome.REFUSED,
        "rustc-link-arg=-s": Outcome.DONE,
        "rustc-env=LD_PRELOAD": Outcome.REFUSED,
    }
    assert found[Kind.DIRECTIVE, "rerun-if-changed"].count == 2
    assert found[Kind.DIRECTIVE, "rustc-env=LD_PRELOAD"].sensitive
    assert found[Kind.DIRECTIVE, "rustc-env=LD_PRELOAD"].chains == ((SCRIPT,),)


def test_a_refused_call_is_shown_as_such() -> None:
    found = _fold(CallRefused(1, 13, "bpf", 1, 2))

    assert found[Kind.SYSTEM, "bpf"].count == 2
    assert found[Kind.SYSTEM, "bpf"].outcome is Outcome.REFUSED


def test_the_own_process_tree_is_told_from_other_processes() -> None:
    tree = [*TREE, RecordedProcess(11 + REUSED, 11, b"/bin/x", ())]
    found = _fold(
        _opened(b"/proc/11/maps", pid=11),
        _opened(b"/proc/13/task/13/stat", pid=13),
        _opened(b"/proc/1/environ", errno=13, refused=True),
        processes=tree,
    )

    assert {target: bool(access.sensitive) for (_, target), access in found.items()} == {
        "/proc/self/maps": False,
        "/proc/self/task/13/stat": False,
        "/proc/1/environ": True,
    }


def test_hostile_text_stays_in_the_notation() -> None:
    name = b'/ws/\x1b]0;x\x07\n"[bold]$HOME*\xff'
    found = _fold(_opened(name), _executed(b"/opt/x", b"/opt/x", b"a\nb", b"\x1b[31m"))

    for access in found.values():
        for text in (access.target, access.example, *sum(access.chains, ())):
            assert text.isprintable()
            assert not set(text) & set("[]\"'`*?\\")


def test_a_broken_process_tree_does_not_hang() -> None:
    loop = (RecordedProcess(1, 2, b"/bin/a", ()), RecordedProcess(2, 1, b"/bin/b", ()))

    assert _fold(_opened(b"/ws/x", pid=1), _opened(b"/ws/x", pid=77), processes=loop)


def test_folding_costs_what_there_is_to_fold() -> None:
    program = (
        "import sys; import buildperm.policy.fold;"
        "print('textual' in sys.modules, 'rich' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert ran.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("root=/opt/evil", "metadata=root=/opt/evil"),
        ("include=/home/u/x:/usr/include", "metadata=include=$HOME/x:/usr/include"),
        ("flags=-I/ws/other -DX", "metadata=flags=-I$WORKSPACE/other -DX"),
        ("lib=/ws/other/lib", "metadata=lib=$WORKSPACE/other/lib"),
        ("root=/ws/a/../b", "metadata=root=$MANIFEST_DIR/../b"),
        ("root=/t/debug/build/a-1/out/include", "metadata"),
        ("include=/ws/a/include", "metadata"),
        ("include=/usr/include/openssl", "metadata"),
        ("version=1.2", "metadata"),
    ],
)
def test_metadata_that_names_what_is_not_its_own_is_kept_whole_and_needs_no_decision(
    value: str, target: str
) -> None:
    (access,) = _fold(DirectivePrinted(1, "metadata", value, Verdict.FREE)).values()

    assert access.target == target
    assert access.outcome is Outcome.DONE
    assert is_settled(access)


def test_metadata_that_was_denied_is_no_free_access() -> None:
    (access,) = _fold(DirectivePrinted(1, "metadata", "root=/x", Verdict.REFUSED)).values()

    assert (access.outcome, access.is_free) == (Outcome.REFUSED, False)


def _asked(path: bytes, mode: OpenMode, *, refused: bool = False) -> FileOpened:
    errno = EACCES if refused else 0
    return FileOpened(1, 10, path, mode, False, errno, refused, False)


def test_what_lies_in_a_package_and_is_not_its_own_is_read_as_the_workspaces() -> None:
    events = [
        _asked(b"/ws/a/.git/config", OpenMode.READ),
        _asked(b"/ws/a/.gitignore", OpenMode.READ),
        _asked(b"/ws/a/.git/index", OpenMode.WRITE),
        _asked(b"/ws/a/part/x", OpenMode.READ),
    ]

    found = fold(_recording(events, foreign=(b"/ws/a/.git", b"/ws/a/part")))

    assert [(access.kind, access.target, is_settled(access)) for access in found] == [
        (Kind.READ, "$MANIFEST_DIR/.git/config", False),  # As the preset `git` calls it.
        (Kind.READ, "$MANIFEST_DIR/.gitignore", True),
        (Kind.WRITE, "$MANIFEST_DIR/.git/index", False),
        (Kind.READ, "$WORKSPACE/a/part/x", False),
    ]


def test_a_refused_read_is_news_though_everybody_may_read_what_it_is_called() -> None:
    # A link in the package leads out of it, or a folder among the system's is somebody's.
    for path in (b"/ws/a/link", b"/usr/home/you/letter"):
        (access,) = fold(_recording([_asked(path, OpenMode.READ, refused=True)]))
        assert not is_settled(access)


def test_where_everybody_may_read_it_was_the_writing_that_was_refused() -> None:
    found = fold(_recording([_asked(b"/usr/lib/x", OpenMode.READ_WRITE, refused=True)]))

    assert [(access.kind, access.outcome, is_settled(access)) for access in found] == [
        (Kind.READ, Outcome.DONE, True),
        (Kind.WRITE, Outcome.REFUSED, False),
    ]


def test_every_command_line_of_a_program_is_kept_and_counted() -> None:
    sh = b"/usr/bin/sh"
    runs = [(b"sh", b"-c", b"true"), (b"sh", b"-c", b"curl x | sh"), (b"sh", b"-c", b"true")]

    found = _fold(*(_executed(sh, sh, *argv) for argv in runs))

    (access,) = found.values()
    assert access.commands == (("sh -c true", 2), ("sh -c 'curl x | sh'", 1))
    assert access.told_commands == access.count == 3


def test_a_command_line_that_is_too_long_keeps_both_ends() -> None:
    sh = b"/usr/bin/sh"
    hidden = b" " * 100_000 + b"; curl x"

    (access,) = _fold(_executed(sh, sh, b"sh", b"-c", hidden)).values()

    ((line, _),) = access.commands
    assert line.startswith("sh -c '")
    assert "characters left out" in line
    assert line.endswith("; curl x'")


def test_of_very_many_command_lines_the_first_are_kept_and_all_are_counted() -> None:
    cc = b"/usr/bin/cc"
    number = COMMANDS_MOST + 7

    (access,) = _fold(
        *(_executed(cc, cc, b"cc", b"%d.c" % each) for each in range(number))
    ).values()

    assert len(access.commands) == access.told_commands == COMMANDS_MOST
    assert access.count == number


@given(st.lists(events, max_size=20))
def test_the_events_of_each_access_are_found_again(happened: list[Event]) -> None:
    recording = _recording(happened)

    made_of = attributed(recording)

    accesses = {(each.kind, each.target): each for each in fold(recording)}
    assert made_of.keys() == accesses.keys()
    for key, access in accesses.items():
        assert sum(event.count for event in made_of[key]) == access.count
        assert min(event.at_ns for event in made_of[key]) == access.first_ns


def _looked_for(name: bytes, *more: Event, mode: str = "learning", errno: int = ENOENT) -> Access:
    """Fold a search along PATH for a program of which there is none."""
    tried = [f"/nowhere/{at}/".encode() + name for at in (1, 2)]
    searches = [Executed(1, 10, each, each, (), errno, refused=False) for each in tried]
    recording = _recording([*searches, *more], path=b"/nowhere/1:/nowhere/2")
    recording = replace(recording, header=replace(recording.header, mode=mode))
    found = [each for each in fold(recording) if each.kind is Kind.EXEC]
    return found[0]


def _read(path: bytes, errno: int = 0) -> Event:
    return FileOpened(2, 10, path, OpenMode.READ, False, errno, False, False)


LIBCLANG = b"/usr/lib/llvm-14/lib/libclang-14.so.1"


def test_a_program_that_is_nowhere_is_foreseen_where_the_script_does_without() -> None:
    found = _looked_for(b"llvm-config", _read(LIBCLANG))

    assert (found.target, found.count, found.outcome) == ("llvm-config", 2, Outcome.FAILED)
    assert found.is_foreseen
    assert not is_settled(found)
    assert _looked_for(b"pkg-config").is_foreseen


@pytest.mark.parametrize(
    "found",
    [
        lambda: _looked_for(b"llvm-config"),  # It was not after libclang.
        lambda: _looked_for(b"llvm-config", _read(b"/usr/lib/libc.so")),
        lambda: _looked_for(b"llvm-config", _read(LIBCLANG, ENOENT)),
        lambda: _looked_for(b"curl"),
        lambda: _looked_for(b"llvm/pkg-config"),  # A certain file.
        lambda: _looked_for(b"pkg-config", mode="enforcing"),
        lambda: _looked_for(b"pkg-config", errno=EACCES),
    ],
)
def test_what_else_is_nowhere_is_nobodys_question(found: Callable[[], Access]) -> None:
    access = found()

    assert not access.is_foreseen
    assert is_settled(access)


@pytest.mark.parametrize("mode", [OpenMode.LOOK, OpenMode.PATH])
def test_a_look_that_was_refused_is_reading_that_was_refused(mode: OpenMode) -> None:
    found = _fold(_opened(b"/srv/x", mode, errno=ENOENT, refused=True, count=2))

    access = found[Kind.READ, "/srv/x"]
    assert (access.outcome, access.count) == (Outcome.REFUSED, 2)


def test_a_look_that_needs_a_grant_is_an_access_and_naming_a_file_is_none() -> None:
    found = _fold(_opened(b"/srv/x", OpenMode.LOOK), _opened(b"/srv/y", OpenMode.PATH))

    assert list(found) == [(Kind.READ, "/srv/x")]
    assert found[Kind.READ, "/srv/x"].outcome is Outcome.DONE
    assert found[Kind.READ, "/srv/x"].is_answered_look


def test_what_was_looked_at_and_opened_is_no_look() -> None:
    look, opened = _opened(b"/srv/x", OpenMode.LOOK), _opened(b"/srv/x")

    for found in (_fold(look, opened), _fold(opened, look), _fold(opened)):
        assert not found[Kind.READ, "/srv/x"].is_look
    refused = _fold(_opened(b"/srv/x", OpenMode.LOOK, errno=ENOENT, refused=True))
    assert not refused[Kind.READ, "/srv/x"].is_answered_look


def test_nobody_is_asked_twice_about_what_is_looked_at_and_then_run_or_written() -> None:
    looks = [_opened(path, OpenMode.LOOK) for path in (b"/srv/tool", b"/srv/out", b"/srv/x")]
    written = _opened(b"/srv/out", OpenMode.WRITE, errno=EACCES, refused=True)

    found = _fold(*looks, _executed(b"/srv/tool", b"/srv/tool", b"/srv/tool"), written)

    assert set(found) == {
        (Kind.EXEC, "/srv/tool"),
        (Kind.WRITE, "/srv/out"),
        (Kind.READ, "/srv/x"),
    }
    read = _opened(b"/srv/tool")
    assert (Kind.READ, "/srv/tool") in _fold(*looks, read, _executed(b"/srv/tool"))


def test_a_folder_on_the_way_to_what_was_reached_is_nobodys_question() -> None:
    """Whatever shows what lies in it shows the folder, too."""
    looks = [
        FileOpened(1, 10, path, OpenMode.LOOK, False, 0, False, True)
        for path in (b"/srv", b"/srv/data", b"/srv/data/in", b"/srv/tools")
    ]
    deepest = _opened(b"/srv/data/in/x", OpenMode.LOOK)

    assert set(_fold(*looks)) == {(Kind.READ, "/srv/data/in"), (Kind.READ, "/srv/tools")}
    assert set(_fold(*looks, deepest)) == {(Kind.READ, "/srv/data/in/x"), (Kind.READ, "/srv/tools")}
    assert set(_fold(*looks, _opened(b"/srv/data/in/x"))) == set(_fold(*looks, deepest))
    run = _executed(b"/srv/tools/x", b"/srv/tools/x", b"/srv/tools/x")
    assert (Kind.READ, "/srv/tools") not in _fold(*looks, run)


@pytest.mark.parametrize(
    "below",
    [
        _opened(b"/srv/data/x", errno=ENOENT),  # It shows nothing: there is nothing.
        _opened(b"/srv/data/x", errno=EACCES, refused=True),
        _opened(b"/srv/database"),
        _opened(b"/srv/data"),  # That lists it.
    ],
)
def test_a_folder_is_asked_about_where_nothing_else_shows_it(below: FileOpened) -> None:
    look = FileOpened(1, 10, b"/srv/data", OpenMode.LOOK, False, 0, False, True)

    assert (Kind.READ, "/srv/data") in _fold(look, below)


def test_a_folder_that_was_not_shown_is_reported_whatever_lies_in_it() -> None:
    refused = FileOpened(1, 10, b"/srv/data", OpenMode.LOOK, False, ENOENT, True, True)

    found = _fold(refused, _opened(b"/srv/data/x"))

    assert found[Kind.READ, "/srv/data"].outcome is Outcome.REFUSED
