"""Looking through what was recorded, from the command line."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import sys
import termios
from pathlib import Path

import jsonschema
import pytest

from buildperm.presentation import trace_document
from buildperm.workflow.trace_lookup import FORMATS
from tests.cli.learnt_workspace import HOSTILE, LearntWorkspace
from tests.command import environment

SCHEMA = json.loads((Path(trace_document.__file__).parent / "trace.schema.json").read_text())


def test_without_a_terminal_it_is_text(learnt: LearntWorkspace) -> None:
    told = learnt.run("trace", "app")

    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].startswith("app 0.1.0: build script, debug, ")
    assert any(line.startswith("  build script  [exit 0, ") for line in lines)
    assert any("└─ " in line or "├─ " in line for line in lines)
    assert any(" read " in line and "$WORKSPACE/other.txt" in line for line in lines)
    assert HOSTILE not in told.stdout


def test_a_filter_leaves_only_what_it_names(learnt: LearntWorkspace) -> None:
    told = learnt.run("trace", "helper@1.0.0", "--filter", "kind:exec is:done")

    events = told.stdout.partition("Events (")[2].splitlines()[1:]
    assert any(" run " in line and "cc --version" in line for line in events)
    assert all(" run " in line for line in events)


def test_json_fits_its_schema_and_has_exit_codes_and_times(learnt: LearntWorkspace) -> None:
    document = learnt.document("trace", "app")

    jsonschema.validate(document, SCHEMA)
    (run,) = document["runs"]
    assert [each["status"] for each in run["processes"] if not each["parent"]] == [0]
    assert all(each["started"] <= each["ended"] <= run["duration"] for each in run["processes"])
    assert any(HOSTILE.encode().hex() not in each["command"] for each in run["processes"])


def test_a_trace_for_perfetto_goes_into_a_file(learnt: LearntWorkspace, tmp_path: Path) -> None:
    made = tmp_path / "trace.json"

    told = learnt.run("trace", "app", "--format", "perfetto", "-o", str(made))

    assert (told.returncode, told.stdout) == (0, "")
    entries = json.loads(made.read_text())["traceEvents"]
    assert {each["ph"] for each in entries} >= {"M", "X", "i", "s", "f"}
    assert all(each["dur"] > 0 for each in entries if each["ph"] == "X")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.slow
def test_only_an_earlier_trace_is_replaced(
    learnt: LearntWorkspace, tmp_path: Path, form: str
) -> None:
    made, foreign = tmp_path / "trace", tmp_path / "Cargo.toml"
    foreign.write_text("[workspace]\n")

    told = [
        learnt.run("trace", "app", "--format", form, "-o", str(path))
        for path in (made, made, foreign)
    ]

    assert [each.returncode for each in told] == [0, 0, 2]
    assert "is no trace of buildperm" in told[-1].stderr
    assert foreign.read_text() == "[workspace]\n"


def test_a_file_that_cannot_be_written_is_an_error(learnt: LearntWorkspace, tmp_path: Path) -> None:
    told = learnt.run("trace", "app", "-o", str(tmp_path / "none" / "trace.txt"))

    assert told.returncode == 2
    assert "cannot write" in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no package with a build script is called `nothing`"),
        (("helper",), "`helper` means 3 packages here"),
        (("app", "--filter", "is:red"), "filter: `is:` can be done, failed, refused"),
        (("library",), "no recording of library"),
    ],
)
@pytest.mark.quick(2)
def test_what_is_wrong_is_said(learnt: LearntWorkspace, words: tuple[str, ...], said: str) -> None:
    told = learnt.run("trace", *words)

    assert told.returncode == 2
    assert said in told.stderr
    assert "hint: " in told.stderr
    assert told.stdout == ""


def test_a_broken_recording_is_named_and_others_are_shown(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (good,) = copy.recordings("app", "0.1.0")
    bad = good.parents[2] / "app-0123456789abcdef" / "buildperm" / "recording.jsonl"
    bad.parent.mkdir(parents=True)
    bad.write_text(good.read_text().splitlines()[0] + "\n")

    told = copy.run("trace", "app")

    assert told.returncode == 0
    assert "warning: " in told.stderr
    assert "cut short" in told.stderr
    assert told.stdout.count("Processes (") == 1


def test_without_any_recording_it_says_what_to_do(learnt: LearntWorkspace, tmp_path: Path) -> None:
    told = learnt.copy(tmp_path / "ws", without=("target",)).run("trace", "app")

    assert told.returncode == 2
    assert "there is no recording of app 0.1.0 on this machine" in told.stderr
    assert "Run `buildperm learn`" in told.stderr


def on_terminal(learnt: LearntWorkspace, keys: bytes, *words: str, **extra: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; press keys once something is drawn."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(learnt.folder)
        command = [sys.executable, "-m", "buildperm", *words]
        os.execve(command[0], command, environment(learnt.registry.environment | extra))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    said = b""
    try:
        while piece := os.read(terminal, 65536):
            said += piece
            if keys and b"Processes" in said and b"build script" in said:
                os.write(terminal, keys)
                keys = b""
    except OSError:
        pass  # The other end is closed: it has ended.
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def test_on_a_terminal_it_is_a_screen(learnt: LearntWorkspace) -> None:
    code, said = on_terminal(learnt, b"q", "trace", "app", TERM="xterm-256color")

    assert code == 0, said
    assert "\x1b[?1049h" in said, "the alternate screen"


@pytest.mark.parametrize(
    ("words", "term"), [(("--format", "text"), "xterm-256color"), ((), "dumb")]
)
@pytest.mark.quick(1)
def test_on_a_dumb_terminal_or_by_its_name_it_is_text(
    learnt: LearntWorkspace, words: tuple[str, ...], term: str
) -> None:
    code, said = on_terminal(learnt, b"", "trace", "app", *words, TERM=term)

    assert code == 0, said
    assert "\x1b" not in said
    assert "Events (" in said
