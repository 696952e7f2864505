"""The recorder on real children: what it sees, and that they cannot tell."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer.recorder.process_tree import ProcessTree
from buildperm.tracer.recorder.writer import Writer
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import (
    CallRefused,
    Change,
    EnvironmentRead,
    Executed,
    FileOpened,
    OpenMode,
    PathChanged,
    SocketUse,
    SocketUsed,
)
from tests.bench import wait_until
from tests.programs import program_text
from tests.tracer.recorded_child import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.recording.event import Event
    from tests.tracer.recorded_child import Record, Recorded

HOSTNAME = b"/etc/hostname"
END = {"status": 0, "exit": 0, "left_running": 0, "voided": "", "failure": ""}


def opened(recorded: Recorded, path: bytes | Path) -> list[FileOpened]:
    """Return the events that opened `path`."""
    return [
        event
        for event in recorded.recording.events
        if isinstance(event, FileOpened) and event.path == os.fsencode(path)
    ]


def names_asked(recorded: Recorded) -> dict[bytes, EnvironmentRead]:
    """Return the environment reads by name."""
    events = recorded.recording.events
    return {event.name: event for event in events if isinstance(event, EnvironmentRead)}


def test_every_call_that_changes_files_is_recorded_with_its_paths(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    at = os.fsencode(home) + b"/"

    recorded = record(child("changes"), home)

    assert recorded.recording.end.exit == 0
    changes = [
        (event.change, event.path.removeprefix(at), event.other.removeprefix(at), event.errno)
        for event in recorded.recording.events
        if isinstance(event, PathChanged)
    ]
    assert changes == [
        (Change.DIRECTORY_MADE, b"by-mkdir", b"", 0),
        (Change.RENAMED, b"by-rename", b"by-open", 0),
        (Change.LINKED, b"by-link", b"by-rename", 0),
        (Change.SYMLINKED, b"by-symlink", b"any text", 0),
        (Change.NODE_MADE, b"by-mknod", b"", 0),
        (Change.MODE_CHANGED, b"by-link", b"", 0),
        (Change.OWNER_CHANGED, b"by-symlink", b"", 0),
        (Change.OWNER_CHANGED, b"by-link", b"", 0),
        (Change.TIMES_CHANGED, b"by-link", b"", 0),
        (Change.REMOVED, b"by-link", b"", 0),
        (Change.REMOVED, b"by-mkdir", b"", 0),
        (Change.DIRECTORY_MADE, b"by-mkdirat", b"", 0),
        (Change.RENAMED, b"by-mkdirat/by-renameat2", b"by-openat", 0),
        (Change.LINKED, b"by-linkat", b"by-mkdirat/by-renameat2", 0),
        (Change.SYMLINKED, b"by-symlinkat", b"by-linkat", 0),
        (Change.NODE_MADE, b"by-mknodat", b"", 0),
        (Change.TRUNCATED, b"by-linkat", b"", 0),
        (Change.MODE_CHANGED, b"by-linkat", b"", 0),
        (Change.OWNER_CHANGED, b"by-symlinkat", b"", 0),
        (Change.OWNER_CHANGED, b"by-linkat", b"", 0),
        (Change.TIMES_CHANGED, b"by-linkat", b"", 0),
        (Change.REMOVED, b"by-symlinkat", b"", 0),
        (Change.REMOVED, b"by-mknodat", b"", 0),
    ]
    opens = [
        (event.path.removeprefix(at), event.mode, event.creates)
        for event in recorded.recording.events
        if isinstance(event, FileOpened) and event.path.startswith(at)
    ]
    assert opens[:4] == [
        (b"by-open", OpenMode.WRITE, True),
        (b"by-creat", OpenMode.WRITE, True),
        (b"by-openat", OpenMode.WRITE, True),
        (b"by-openat2", OpenMode.READ_WRITE, True),
    ]
    assert opens[4][0].startswith(b"#")  # O_TMPFILE: a file without a name
    assert opens[4][2] is True
    assert opens[5:] == [
        (b"by-openat", OpenMode.PATH, False),
        (b"by-openat", OpenMode.READ_WRITE, False),  # O_TRUNC empties it all the same
        (b"by-linkat", OpenMode.READ_WRITE, False),
    ]
    times = [e for e in recorded.recording.events if isinstance(e, PathChanged)][20]
    assert times.count == 2  # by path and by descriptor


def test_what_threads_open_is_all_recorded(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()

    recorded = record(child("threads"), home)

    paths = {event.path for event in recorded.recording.events if isinstance(event, FileOpened)}
    assert {os.fsencode(path) for path in home.iterdir()} <= paths
    assert len(list(home.iterdir())) == 400
    assert len(recorded.recording.processes) == 1


def test_a_thread_that_executes_takes_its_process_along(
    record: Record, child: Callable[..., Path]
) -> None:
    """execve(2) of a thread that is not the leader, whose leader may have ended."""
    for _ in range(5):
        recorded = record(child("leader"), "/bin/sh", "-c", "cat /etc/passwd >/dev/null; exit 3")

        assert recorded.recording.end.exit == 3
        programs = [os.path.basename(p.program) for p in recorded.recording.processes.values()]
        assert len(programs) == 3
        assert programs[2] == b"cat"
        (event,) = opened(recorded, b"/etc/passwd")
        assert len(recorded.recording.chain(event.pid)) == 3


def test_vfork_and_unusual_clones_are_followed(record: Record, child: Callable[..., Path]) -> None:
    recorded = record(child("spawning"), "vfork")

    assert recorded.recording.end.exit == 0
    assert opened(recorded, HOSTNAME)
    executed = [e for e in recorded.recording.events if isinstance(e, Executed)]
    assert [(e.requested, e.errno) for e in executed[1:]] == [
        (b"/nonexistent/true", 2),
        (b"/bin/true", 0),
    ]
    assert executed[2].argv == (b"true", b"from vfork")
    assert executed[2].pid == executed[0].pid  # the script started it


def test_a_daemon_is_ended_with_the_script(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    recorded = record(child("spawning"), "daemon", tmp_path / "pids")

    assert recorded.recording.end.exit == 7
    assert recorded.recording.end.left_running == 2
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


ENDING = ("fork", "posix_spawn", "vfork", "thread", "threads", "twice", "opens", "removes", "fails")


def _ended_with(recorded: Recorded, way: str, file: Path) -> bool:
    """Tell whether what `ending WAY` has done at last is in the recording."""
    for event in recorded.recording.events:
        match event:
            case FileOpened() | PathChanged():
                if event.path == os.fsencode(file):
                    return True
            case Executed(errno=errno.ENOENT, requested=b"/nonexistent/sleep"):
                return way == "fails"
            case Executed(errno=0, argv=(b"sleep", b"1000")):
                return True
            case _:
                pass
    return False


@pytest.mark.quick(6)
@pytest.mark.parametrize("way", ENDING)
def test_what_was_done_right_before_the_script_ended_is_recorded(
    record: Record, child: Callable[..., Path], tmp_path: Path, way: str
) -> None:
    """wait(2) tells of the script's end first, whatever has stopped before."""
    file = tmp_path / "file"
    for _ in range(10):
        file.touch()

        recorded = record(
            child("ending"), way, file if way in ("opens", "removes") else "/bin/sleep"
        )

        assert recorded.recording.end.exit == 0
        # Of two, the one in between has closed its pipe, and may still be about to end.
        assert recorded.recording.end.left_running in ((1, 2) if way == "twice" else (1,))
        assert _ended_with(recorded, way, file)


def test_a_call_that_does_not_come_back_does_not_keep_the_run_from_ending(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    """fifo(7): an open waits for the other end. Nothing was opened, so nothing is said."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    recorded = record(child("ending"), "blocks", fifo)

    assert recorded.recording.end.exit == 0
    assert recorded.recording.end.left_running == 1
    assert not opened(recorded, fifo)


def test_a_storm_of_forks_is_recorded_and_nobody_is_left(
    record: Record, child: Callable[..., Path]
) -> None:
    recorded = record(child("spawning"), "storm", "300")

    assert recorded.recording.end.exit == 0
    assert recorded.recording.end.left_running == 0
    (event,) = opened(recorded, HOSTNAME)
    assert event.count == 300


def test_too_many_processes_end_the_run(record: Record, child: Callable[..., Path]) -> None:
    recorded = record(child("spawning"), "bomb", "100000", process_limit=50)

    end = recorded.recording.end
    assert end.exit == -signal.SIGKILL
    assert end.failure == "it had too many processes at once"
    assert end.left_running >= 0


def test_stop_ends_a_tree_that_would_run_for_ever(
    record: Record, child: Callable[..., Path]
) -> None:
    started = time.monotonic()

    recorded = record(child("spawning"), "bomb", "10", stop_after_s=1)

    assert recorded.recording.end.exit == -signal.SIGKILL
    assert time.monotonic() - started < 60


def test_stops_and_signals_reach_the_child_as_without_a_recorder(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    """A group-stop stays one until SIGCONT; SIGTRAP, siginfo, EINTR and SA_RESTART are kept."""
    plain = subprocess.run(
        [child("signalling"), "run", tmp_path / "plain"],
        capture_output=True,
        check=True,
        timeout=120,
    )

    recorded = record(child("signalling"), "run", tmp_path / "recorded")

    assert recorded.stdout == plain.stdout
    assert b"stopped 19\nstill 0\ncontinued 1" in recorded.stdout
    events = opened(recorded, tmp_path / "recorded")
    assert sorted((event.errno, event.mode, event.count) for event in events) == [
        (0, OpenMode.READ, 1),
        (0, OpenMode.WRITE, 1),
    ]


@pytest.mark.parametrize(
    ("how", "number"), [("killed", signal.SIGKILL), ("aborted", signal.SIGABRT)]
)
def test_a_script_that_is_killed_has_that_status(
    record: Record, child: Callable[..., Path], how: str, number: signal.Signals
) -> None:
    recorded = record(child("signalling"), how)

    assert os.WTERMSIG(recorded.recording.end.status) == number


def test_failing_opens_have_their_errno_and_are_no_refusals(
    record: Record, child: Callable[..., Path]
) -> None:
    """Pages that end, pointers to nowhere, paths beyond PATH_MAX: as the kernel answers them."""
    recorded = record(child("faulting"))

    assert recorded.stdout == b"14 14 36 0 2\n"
    assert recorded.recording.end.voided == ""
    assert {event.count for event in opened(recorded, HOSTNAME)} == {2}
    failed = [e for e in recorded.recording.events if isinstance(e, FileOpened) and e.errno]
    assert sorted(event.errno for event in failed) == [2, 14, 36]
    assert not any(event.refused for event in failed)


def test_environment_reads_are_seen_with_names_built_at_run_time(
    record: Record, child: Callable[..., Path]
) -> None:
    recorded = record(
        child("environment"), "exec", env={b"HELD": b"value"}, withheld=[b"TOKEN", b"UNASKED"]
    )

    asked = names_asked(recorded)
    threads = {b"THREAD_%d" % number for number in range(400)}
    assert asked.keys() == threads | {
        b"HELD",
        b"BUILT_1",
        b"SECURE",
        b"TOKEN",
        b"hostile\n\xff",
        b"FORK_1",
        b"VFORK",
        b"BUILT_2",
        b"AFTER_EXEC",
    }
    assert {name for name, event in asked.items() if event.present} == {b"HELD"}
    assert {name for name, event in asked.items() if event.withheld} == {b"TOKEN"}
    assert {event.count for event in asked.values()} == {1}
    assert recorded.stdout == b"value\n"
    assert recorded.recording.end.unseen == ""
    assert recorded.recording.end.exit == 0


@pytest.mark.parametrize("flags", [("-static",), ("-static-pie",), ("-no-pie",)])
def test_environment_reads_are_seen_in_every_kind_of_program(
    record: Record, child: Callable[..., Path], flags: tuple[str, ...]
) -> None:
    recorded = record(child("environment", *flags))

    asked = names_asked(recorded)
    assert {b"BUILT_1", b"FORK_1", b"VFORK", b"BUILT_2", b"SECURE"} <= asked.keys()


def test_a_static_program_without_symbols_is_noted(
    record: Record, child: Callable[..., Path]
) -> None:
    recorded = record(child("environment", "-static", "-s"))

    assert names_asked(recorded) == {}
    assert "getenv" in recorded.recording.end.unseen
    assert recorded.recording.end.exit == 0


def test_an_instruction_that_must_be_stepped_over_is(
    record: Record, child: Callable[..., Path]
) -> None:
    """A thread may pass while the trap is away for another, but none is disturbed."""
    recorded = record(child("stepping", "-static", "-Wl,-z,muldefs"))

    asked = names_asked(recorded)
    assert recorded.recording.end.exit == 0
    assert asked.keys() >= {b"STEP_%d" % number for number in range(50)}
    assert len([name for name in asked if name.startswith(b"STEP_")]) > 52


def test_raced_opens_are_recorded_as_they_happened(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    """The path is rewritten by another thread all the time; the count of each inode has to fit.

    That it is rewritten between two looks at it is up to the scheduler: where the threads share a
    processor, it may not happen in twenty thousand calls.
    """
    home = tmp_path / "home"
    home.mkdir()
    for name in "ab":
        (home / name).touch()
    raced: list[FileOpened] = []

    for _ in range(20):
        recorded = record(child("racing"), home, "20000")

        real = {}  # How often each inode was opened, by the child's own count.
        for line in recorded.stdout.splitlines():
            inode, count = map(int, line.split())
            real[inode] = count
        for name in "ab":
            events = opened(recorded, home / name)
            assert sum(event.count for event in events) == real.get((home / name).stat().st_ino, 0)
        raced += [e for e in recorded.recording.events if isinstance(e, FileOpened) and e.raced]
        if raced or len(os.sched_getaffinity(0)) == 1:
            break

    assert raced or len(os.sched_getaffinity(0)) == 1  # That some were is said, too.
    assert {event.path for event in raced} <= {os.fsencode(home / name) for name in "ab"}


def test_links_and_devices_are_not_taken_for_races(record: Record, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "chain").symlink_to(tmp_path / "link" / "file")

    recorded = record("/bin/sh", "-c", program_text("unchanged_paths.sh"))

    assert recorded.recording.end.exit == 0
    assert not any(getattr(event, "raced", False) for event in recorded.recording.events)
    assert opened(recorded, b"/proc/self/status")
    file = opened(recorded, tmp_path / "real" / "file")
    assert sum(event.count for event in file) == 6


def test_hostile_names_are_kept_byte_for_byte(record: Record, tmp_path: Path) -> None:
    names = [b"new\nline", b"\x1b[31m", b"\xff\xfe", "\u202egnp.exe".encode(), b'"\\$x*%41']
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()

    recorded = record("/bin/cat", *(name for name in names))

    for name in names:
        (event,) = opened(recorded, os.fsencode(tmp_path) + b"/" + name)
        assert event.errno == 0
    (executed,) = [e for e in recorded.recording.events if isinstance(e, Executed)]
    assert executed.argv == (b"/bin/cat", *names)


def test_a_deleted_file_is_told_from_one_that_is_named_so(record: Record, tmp_path: Path) -> None:
    (tmp_path / "x (deleted)").touch()

    recorded = record("/bin/sh", "-c", program_text("deleted_file.sh"))

    assert opened(recorded, tmp_path / "x (deleted)")
    assert [event.mode for event in opened(recorded, tmp_path / "gone")] == [
        OpenMode.READ_WRITE,
        OpenMode.READ,
    ]


def test_a_path_too_long_for_the_kernel_keeps_its_beginning(record: Record, tmp_path: Path) -> None:

    recorded = record("/usr/bin/python3", "-ISc", program_text("deep_folder.py"), cwd=tmp_path)

    assert recorded.recording.end.exit == 0
    start = os.fsencode(tmp_path) + b"/" + b"d" * 200
    deep = [
        event
        for event in recorded.recording.events
        if isinstance(event, FileOpened) and event.path.startswith(start)
    ]
    assert [event.path.split(b"/")[-2:] for event in deep] == [
        [b"...", b"deep"],
        [b"d" * 200, b"..."],
    ]
    assert not any(event.raced for event in deep)


def test_refused_sockets_fail_and_are_recorded_with_their_address(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    calls = ("connect", "bind", "sendto", "sendmsg")

    recorded = record(child("reaching"), refuse=dict.fromkeys(calls, 13))

    told = dict(line.split() for line in recorded.stdout.splitlines())
    assert set(told.values()) == {b"13"}
    uses = [
        (event.use, event.family, event.address)
        for event in recorded.recording.events
        if isinstance(event, SocketUsed) and event.refused
    ]
    assert uses == [
        (SocketUse.CONNECTED, "inet", "127.0.0.1:9"),
        (SocketUse.CONNECTED, "inet6", "[::1]:9"),
        (SocketUse.CONNECTED, "unix", f"{tmp_path}/relative%0Asocket"),
        (SocketUse.CONNECTED, "unix", "@secret%00x"),
        (SocketUse.CONNECTED, "0", ""),
        (SocketUse.BOUND, "inet", "127.0.0.1:9"),
        (SocketUse.SENT, "inet", "127.0.0.1:9"),  # by sendto and by sendmsg
    ]
    created = [e for e in recorded.recording.events if isinstance(e, SocketUsed) and not e.refused]
    assert [(e.use, e.family, e.address) for e in created] == [
        (SocketUse.CREATED, "inet", "stream"),
        (SocketUse.CREATED, "inet6", "stream"),
        (SocketUse.CREATED, "inet", "dgram"),
        (SocketUse.CREATED, "unix", "stream"),
    ]
    (refused,) = [e for e in recorded.recording.events if isinstance(e, CallRefused)]
    assert (refused.call, refused.errno) == ("sendto", 13)  # without an address


def test_a_refused_call_is_not_made(record: Record, tmp_path: Path) -> None:
    """The errno arrives, and nothing else has happened."""
    (tmp_path / "old").touch()
    refuse = {"mkdir": 1, "rename": 18, "getppid": 38}

    recorded = record("/usr/bin/python3", "-ISc", program_text("refused_calls.py"), refuse=refuse)

    assert recorded.stdout == b"1\n18\n-38\n"  # getppid(2) never fails, so libc does not look
    assert (tmp_path / "old").exists()
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "new").exists()
    refused = [
        (event.change, event.path, event.errno)
        for event in recorded.recording.events
        if isinstance(event, PathChanged) and event.refused
    ]
    at = os.fsencode(tmp_path)
    assert refused == [
        (Change.DIRECTORY_MADE, at + b"/made", 1),
        (Change.RENAMED, at + b"/new", 18),
    ]
    assert [e.call for e in recorded.recording.events if isinstance(e, CallRefused)] == ["getppid"]


def test_scripts_are_shown_as_their_interpreter_and_by_their_name(
    record: Record, tmp_path: Path
) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh -e\nexit 4\n")
    script.chmod(0o755)

    recorded = record("/bin/sh", "-c", "./tool a; exit $?")

    assert recorded.recording.end.exit == 4
    executed = [e for e in recorded.recording.events if isinstance(e, Executed)][1]
    assert executed.path == os.fsencode(os.path.realpath("/bin/sh"))
    assert executed.requested == os.fsencode(script)
    assert executed.argv == (b"/bin/sh", b"-e", b"./tool", b"a")


def test_two_programs_in_one_process_are_two_links_of_the_chain(record: Record) -> None:
    recorded = record("/bin/sh", "-c", "exec sh -c 'exec cat /etc/hostname'")

    (event,) = opened(recorded, HOSTNAME)
    chain = recorded.recording.chain(event.pid)
    assert [process.argv[0] for process in chain] == [b"/bin/sh", b"sh", b"cat"]
    assert len({process.pid % (1 << 22) for process in chain}) == 1


def test_each_process_has_its_times_and_says_how_it_ended(record: Record) -> None:
    script = "sh -c 'exit 3'; sh -c 'kill -SEGV $$'; sleep 0.05; exec true"

    recorded = record("/bin/sh", "-c", script).recording

    processes = list(recorded.processes.values())
    ends = {each.argv[-1]: each.status for each in processes}
    assert ends[b"exit 3"] == 3 << 8
    assert ends[b"kill -SEGV $$"] in (signal.SIGSEGV, signal.SIGSEGV | 0x80)  # With a core.
    assert ends[script.encode()] is None, "it became another program"
    assert ends[b"true"] == 0 == recorded.end.status
    times = {each.argv[-1]: (each.started_ns or 0, each.ended_ns or 0) for each in processes}
    slept, outer, after = times[b"0.05"], times[script.encode()], times[b"true"]
    assert slept[1] - slept[0] >= 50_000_000
    assert 0 <= outer[0] <= slept[0] < slept[1] <= outer[1] <= after[0] <= after[1]
    assert after[1] <= recorded.end.duration_ns


def test_a_fork_that_executes_nothing_does_not_end_what_made_it(record: Record) -> None:
    recorded = record("/bin/sh", "-c", "(exit 7); (exit 8); sleep 0.01; exit 5").recording

    [shell, _] = recorded.processes.values()
    assert shell.status == 5 << 8


def test_what_the_script_leaves_running_is_said_to_have_been_killed(record: Record) -> None:
    recorded = record("/bin/sh", "-c", "sleep 1000 & sleep 0.3").recording

    left = next(each for each in recorded.processes.values() if each.argv[-1] == b"1000")
    assert left.status == signal.SIGKILL


def test_without_room_for_a_process_the_end_of_others_stays_theirs(tmp_path: Path) -> None:
    writer = Writer(processes=1)
    tree = ProcessTree(writer)
    tree.add_root(70)
    tree.executed(70, 70, b"/script", (b"script",))
    tree.add_reported(71, tree.processes[70])
    tree.executed(71, 71, b"/tool", (b"tool",))

    tree.remove(71, 4 << 8)
    tree.remove(70, 6 << 8)

    writer.save(os.fsencode(tmp_path / "recording"), dict(HEADER), dict(END))
    (script,) = reader.read(tmp_path / "recording").processes.values()
    assert (script.program, script.status) == (b"/script", 6 << 8)


def test_events_beyond_the_cap_are_counted_and_refusals_are_not_crowded_out(
    record: Record, tmp_path: Path
) -> None:

    recorded = record(
        "/usr/bin/python3",
        "-ISc",
        program_text("many_opens.py"),
        refuse={"mkdir": 13},
        caps={"events": 99},
    )

    events: list[Event] = [*recorded.recording.events]
    assert len([e for e in events if not getattr(e, "refused", False)]) == 99
    assert recorded.recording.end.dropped >= 401
    assert isinstance(events[-1], PathChanged)
    assert events[-1].refused
    assert events[-1].path == os.fsencode(tmp_path / "last")


def test_repetitions_are_one_event_with_a_count(record: Record) -> None:

    recorded = record("/usr/bin/python3", "-ISc", program_text("repeated_opens.py"))

    (event,) = opened(recorded, HOSTNAME)
    assert event.count == 3000


def test_nobody_is_left_when_the_recorder_itself_is_killed(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    """ptrace(2), PTRACE_O_EXITKILL."""
    command = record.prepare(child("spawning"), "daemon", tmp_path / "pids")
    with subprocess.Popen(command, cwd=tmp_path) as recorder:
        pids: list[str] = []
        while not pids and recorder.poll() is None:
            time.sleep(0.001)
            if (tmp_path / "pids").exists():
                pids = (tmp_path / "pids").read_text().split()
        recorder.kill()
    pid = pids[0]

    def is_gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except (FileNotFoundError, ProcessLookupError):
            return True
        return state == "Z"  # nobody but init reaps it

    assert wait_until(is_gone), f"process {pid} is still there"
    assert not (tmp_path / "recorder" / "recording.jsonl").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_the_recorder_cannot_be_read_by_its_tree(record: Record) -> None:
    """It is undumpable: ptrace(2), "Ptrace access mode checking"."""
    recorded = record("/usr/bin/python3", "-ISc", program_text("reading_parent.py"))

    assert recorded.stdout.split() == [b"mem", b"environ", b"maps"]


def test_a_program_that_cannot_be_read_voids_the_recording(record: Record, tmp_path: Path) -> None:
    """ptrace(2): the kernel makes a process undumpable that runs what its user may not read."""
    program = tmp_path / "unreadable"
    shutil.copy("/bin/cat", program)
    program.chmod(0o111)

    recorded = record("/bin/sh", "-c", "./unreadable /etc/hostname")

    end = recorded.recording.end
    assert end.exit == 0
    if os.geteuid() == 0:
        assert end.voided == ""
        assert opened(recorded, HOSTNAME)
    else:
        assert "could no longer be read" in end.voided
        assert f"`{program}`" in end.voided


def test_a_process_that_cannot_be_read_voids_the_recording(
    record: Record, child: Callable[..., Path]
) -> None:
    """Root may read everything, so there it just goes on."""
    recorded = record(child("hiding"), "/etc/passwd")

    if os.geteuid() == 0:
        assert recorded.recording.end.voided == ""
        assert opened(recorded, b"/etc/passwd")
    else:
        assert "could no longer be read" in recorded.recording.end.voided
        assert recorded.recording.end.exit == 0


def test_a_folder_that_is_listed_is_told_from_a_file(record: Record, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")

    recorded = record(
        "/bin/sh", "-c", 'ls "$1"; cat "$1/file"; ls "$1/absent"', "sh", str(tmp_path)
    )

    assert {event.directory for event in opened(recorded, tmp_path)} == {True}
    assert {event.directory for event in opened(recorded, tmp_path / "file")} == {False}
