"""The inner loop answers stops itself, and the recording is that of the Python loop."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from buildperm.tracer.recorder import inner_loop as under_test
from buildperm.tracer.recording.event import DirectivePrinted, Executed, FileOpened
from tests.programs import CHILDREN, program_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.tracer.recorded_child import Record, Recorded

STOPS = Path(under_test.__file__).with_name("stops")

_PATHS = (
    *("file", "./file", "sub/file", "sub/../file", "../home/file", "sub//file", "file/", "sub/."),
    *("none", "sub/none", "none/file", "file/none", "sub/../none", "", ".", "..", "deep/" * 120),
    *("link", "link/file", "loop", "dangling", "x" * 300, "x" * 600, "../" * 40 + "etc/hostname"),
    *("/etc/hostname", "//etc/hostname", "/etc/./hostname", "/etc/../etc/hostname", "/etc/none"),
    *("/dev/null", "/dev/./null", "/dev/none", "/dev/stdin", "/dev/fd/9", "/dev/fd/77", "dev/null"),
    *("/proc/self/status", "//proc/self/stat", "/proc/self/none", "/./proc/thread-self/stat"),
    *("/proc/self/cwd/file", "/proc/self/fd/9/file", "process", "device", "/proc/none"),
)
_READING = (
    os.O_RDONLY,
    os.O_RDONLY | os.O_CLOEXEC,
    os.O_PATH,
    os.O_RDONLY | os.O_DIRECTORY,
    os.O_RDONLY | os.O_NOFOLLOW,
)
_WRITING = (
    os.O_WRONLY,
    os.O_RDWR | os.O_CREAT,
    os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    os.O_RDONLY | os.O_TRUNC,
    os.O_RDWR | os.O_TMPFILE,
)
_WITHIN = tuple(path for path in _PATHS if not path.startswith(("/", "..")))
"""Whoever runs this may write elsewhere, too; so no working folder is above `home` either."""


def _calls(flags: tuple[int, ...], paths: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.builds(
        lambda how, number, path: [how, str(number), path],
        st.sampled_from(("open", "in-thread")),
        st.sampled_from(flags),
        st.sampled_from(paths),
    )


_NOT_PROGRAMS = (
    *("/none/cc", "/usr/none", "/usr/../none", "/etc/./none", "/etc/hostname/none", "none", ""),
    *("/proc/self/none", "/dev/fd/77", "//dev/none", "file", "./file", "/etc/passwd", "/etc"),
)

_steps = st.one_of(
    _calls(_READING, _PATHS),
    _calls(_WRITING, _WITHIN),
    st.builds(
        lambda start, flags, path: ["at", str(start), str(flags), path],
        st.sampled_from((9, 9, 8, -100, -1, 0)),
        st.sampled_from(_READING),
        st.sampled_from(_PATHS),
    ),
    st.sampled_from(("sub", "..", ".", "link", "/", "/dev", "/proc/self", "none")).map(
        lambda path: ["keep", path]
    ),
    st.sampled_from(("sub", ".", "link", "none")).map(lambda path: ["chdir", path]),
    st.builds(
        lambda text, name: ["remove", name, "link", text, name],
        st.sampled_from(("file", "none", "sub", "loop")),
        st.sampled_from(("link", "loop")),
    ),
    st.sampled_from(_NOT_PROGRAMS).map(lambda path: ["execute", path]),
    st.sampled_from((["fork"], ["run"], ["again", "2"], ["again", "3"])),
)


def found(recorded: Recorded) -> list[str]:
    """Return the events in their order, with the programs that led to each, without times."""
    ours = recorded.recording
    listed = [repr((ours.end.dropped, ours.end.voided, ours.end.unseen, ours.end.left_running))]
    for event in ours.events:
        assert not isinstance(event, DirectivePrinted)
        led = [process.argv[1:3] for process in ours.chain(event.pid)]
        listed.append(re.sub(r"\b(pid|at_ns)=\d+", "", f"{led} {event}"))
    # Processes differ from run to run, and so do the numbers of files without a name (O_TMPFILE).
    named = (re.sub(r"(?<=/proc/|/task/)\d+|(?<=/#)\d+", "N", line) for line in listed)
    return list(_as_one_file(named))


def _as_one_file(lines: Iterable[str]) -> list[str]:
    """Count files without a name together, where the first of them was told.

    Whether the next such file gets the same inode, and so the same name, is the kernel's choice.
    """
    counts: dict[str, int] = {}
    for line in lines:
        count = re.search(r"count=(\d+)", line)
        if count and "/#N" in line:
            same = line.replace(count[0], "")
            counts[same] = counts.get(same, 0) + int(count[1])
        else:
            counts[f"{len(counts)} {line}"] = 0  # Its place, whatever these files were called.
    return [f"{line} {times}" for line, times in counts.items()]


def make_home(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    (home / "sub").mkdir(parents=True)
    for name in ("file", "sub/file", "process", "device"):
        (home / name).touch()
    (home / "link").symlink_to("sub")
    (home / "dangling").symlink_to("nowhere")


@pytest.fixture(name="both")
def _both(record: Record, inner_loop: bytes, tmp_path: Path) -> Callable[..., Recorded]:
    """Return what records a command with each loop, and compares the two recordings.

    It returns the one of the inner loop.
    """

    def run(*argv: str | Path, library: bytes = inner_loop, **options: Any) -> Recorded:  # noqa: ANN401 - see `Record`
        recordings = []
        for used in (b"", library):
            make_home(tmp_path / "home")
            ran = replace(record, library=used, cwd=tmp_path / "home")(*argv, **options)
            assert ran.recording.end.exit == 0
            recordings.append(ran)
        for ours, theirs in itertools.zip_longest(*map(found, recordings)):
            assert ours == theirs
        return recordings[1]

    return run


only_once = pytest.mark.parametrize("record", ["python"], indirect=True)


@pytest.mark.slow
@only_once
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(steps=[["open", "0", path] for path in _PATHS])
@example(steps=[["keep", "/dev"], *(["at", "9", "0", path] for path in _PATHS)])
@example(steps=[["chdir", "/"], *(["open", "2", path] for path in _PATHS)])
@example(steps=[["open", str(os.O_TMPFILE | os.O_RDWR), "sub/."]])
@example(steps=[["chdir", "sub"], *(["open", str(os.O_PATH), path] for path in _PATHS)])
@example(steps=[["execute", path] for path in _NOT_PROGRAMS])
@example(steps=[["execute", "/none"], ["open", "-1", "/none"], ["open", "0", "/none"]])
@given(steps=st.lists(_steps, max_size=25))
def test_any_calls_are_recorded_as_by_the_python_loop(
    both: Callable[..., Recorded], child: Callable[..., Path], steps: list[list[str]]
) -> None:
    words = [word for step in steps for word in step]
    both(child("opens"), *words, "again", "3", "fork", "again", "5", "run", *words, "again", "2")


def _compiled(folder: Path, *words: str | Path) -> bytes:
    """Return the library, compiled with these words as well."""
    library = folder / "other.so"
    flags = ["-fvisibility=hidden", "-fPIC", "-shared", *words]
    subprocess.run(["cc", *flags, "-o", library, *STOPS.glob("*.c")], check=True)
    return library.read_bytes()


@pytest.fixture(name="late", scope="module", params=[2, 3])
def _late(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> bytes:
    """Return the library, which is told of a fork after so many calls of whoever was made."""
    words = "-Dwaitpid=late_waitpid", f"-DENTRIES={request.param}", CHILDREN / "late_reports.c"
    return _compiled(tmp_path_factory.mktemp("late"), *words)


@only_once
@pytest.mark.parametrize(
    "steps",
    [
        ["open", "0", "file", "open", "0", "none", "open", "0", "file", "open", "1", "file"],
        ["execute", "/none/cc", "execute", "/none/gcc", "open", "0", "link/file", "run"],
        ["in-thread", "0", "file", "open", "0", "new", "in-thread", "0", "file"],
        ["fork", "open", "0", "file", "fork", "open", "0", "none", "run", "open", "0", "none"],
    ],
    ids=["opens", "executes", "in-threads", "forks"],
)
@pytest.mark.parametrize(
    "collects", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["events", "asked"]
)
def test_who_was_made_is_recorded_however_late_that_is_told(
    both: Callable[..., Recorded],
    child: Callable[..., Path],
    steps: list[str],
    late: bytes,
    collects: bool,
) -> None:
    words = ["open", "0", "file", "fork", *steps, "open", "0", "/etc/hostname", "again", "2"]

    recorded = both(child("opens"), *words, library=late, collects=collects)

    plain = both(child("opens"), *words, collects=collects)
    assert recorded.asked == plain.asked


@only_once
def test_repeated_calls_do_not_reach_python(
    both: Callable[..., Recorded], child: Callable[..., Path], tmp_path: Path
) -> None:
    steps = ["open", "0", "file", "open", "0", "none", "open", "0", "sub/../file"]

    recorded = both(child("opens"), *steps, "execute", "/none/cc", "again", "500")

    opened = [e for e in recorded.recording.events if isinstance(e, FileOpened)]
    counts = {event.path: event.count for event in opened}
    home = os.fsencode(tmp_path) + b"/home/"
    assert [counts[home + name] for name in (b"file", b"none")] == [1000, 500]
    tried = [e for e in recorded.recording.events if isinstance(e, Executed) and e.errno]
    assert [(event.path, event.count) for event in tried] == [(b"/none/cc", 500)]
    assert recorded.python_stops < 50


@only_once
@pytest.mark.parametrize("caps", [{}, {"events": 60}], ids=["room", "no-room"])
def test_first_opens_do_not_reach_python_but_those_that_need_a_look(
    both: Callable[..., Recorded], child: Callable[..., Path], tmp_path: Path, caps: dict[str, int]
) -> None:
    home = tmp_path / "home"
    writing = str(os.O_WRONLY | os.O_CREAT)
    plain = [
        word
        for number in range(100)
        for call in (
            *((writing, f"made{number}"), ("0", f"made{number}"), ("0", f"none{number}")),
            *(("0", f"{home}/made{number}"), ("0", f"/none/{number}")),
        )
        for word in ("open", *call)
    ]
    others = [word for number in range(100) for word in ("open", "0", f"./sub/../none{number}")]

    first = both(child("opens"), *plain, "again", "3", caps=caps)
    looked_at = both(child("opens"), *plain, *others, "again", "1", caps=caps)

    assert first.python_stops < 100
    assert looked_at.python_stops >= 100
    assert bool(first.recording.end.dropped) == bool(caps)


@only_once
def test_a_file_that_replaces_another_is_another(
    both: Callable[..., Recorded], child: Callable[..., Path], tmp_path: Path
) -> None:
    steps = ["open", "0", "link", "remove", "link", "link", "file", "link", "open", "0", "link"]

    recorded = both(child("opens"), *steps, "again", "3")

    opened = [e for e in recorded.recording.events if isinstance(e, FileOpened)]
    at = {os.fsencode(tmp_path / "home" / name): name for name in ("sub", "file")}
    assert [(at[e.path], e.count) for e in opened if e.path in at] == [("sub", 1), ("file", 5)]


@only_once
def test_what_is_refused_is_told_from_what_fails(
    both: Callable[..., Recorded], child: Callable[..., Path], tmp_path: Path
) -> None:
    steps = ["open", "0", "file", "open", "0", "none", "open", "1", "file", "open", "0", "sub/file"]
    readable = ["/etc", "/lib", "/lib64", "/usr", "/proc", "/dev"]

    recorded = both(
        child("opens"),
        *(*steps, "again", "20"),
        readable=[*readable, child("opens"), tmp_path / "home" / "sub"],
    )

    opened = {
        (os.path.basename(e.path), e.mode, e.errno, e.refused, e.count)
        for e in recorded.recording.events
        if isinstance(e, FileOpened) and e.path.startswith(os.fsencode(tmp_path))
    }
    assert {(name, errno, refused) for name, _, errno, refused, _ in opened} == {
        (b"file", 13, True),
        (b"none", 2, False),
        (b"file", 0, False),
    }
    assert {count for *_, count in opened} == {20}


@only_once
@pytest.mark.parametrize("library", [b"no library", b"\x7fELF" + bytes(1000)], ids=["text", "elf"])
def test_without_a_library_that_can_be_loaded_python_does_it(
    both: Callable[..., Recorded], child: Callable[..., Path], library: bytes
) -> None:
    recorded = both(child("opens"), "open", "0", "file", "again", "50", library=library)

    assert recorded.python_stops >= 50


@only_once
def test_there_is_an_end_to_what_is_remembered(
    both: Callable[..., Recorded], child: Callable[..., Path], tmp_path: Path
) -> None:
    library = _compiled(tmp_path, "-DMOST_REPEATS=16")
    steps = [word for number in range(50) for word in ("open", "0", "./" * number + "file")]

    recorded = both(child("opens"), *steps, "again", "20", library=library)

    assert 34 * 20 <= recorded.python_stops < 38 * 20
    (event,) = [
        event
        for event in recorded.recording.events
        if isinstance(event, FileOpened) and event.path.endswith(b"/home/file")
    ]
    assert event.count == 50 * 20


@pytest.mark.parametrize("what", ["opening", "waiting"])
def test_a_signal_is_handled_whatever_the_loop_does(record: Record, what: str) -> None:
    """It comes only once, and may come while the inner loop handles a stop."""
    text = (
        program_text("opens_for_ever.py") if what == "opening" else "import signal; signal.pause()"
    )

    recorded = record("/usr/bin/python3", "-ISc", text, stop_after_s=1)

    assert recorded.recording.end.exit == -signal.SIGKILL
