"""Writing a recording and reading it back, and what is said of one that cannot be read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from buildperm.tracer.recorder.process_tree import Process as Live
from buildperm.tracer.recorder.writer import Writer
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import (
    CallRefused,
    DirectivePrinted,
    EnvironmentRead,
    Event,
    Executed,
    FileOpened,
    PathChanged,
    RecordedProcess,
    SocketUsed,
)
from buildperm.tracer.recording.reader import RecordingError
from tests.tracer.recorded_child import HEADER
from tests.tracer.recorded_events import argvs, events, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tracer.recorded_child import Record

SCHEMA = json.loads((Path(reader.__file__).parent / "recording.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
END: dict[str, Any] = {"status": 0, "exit": 0, "left_running": 0, "voided": "", "failure": ""}

pids = st.integers(1, 9)


def file(writer: Writer, event: Event) -> None:
    """Give `event` to `writer` as the recorder would."""
    live = Live(0, 0, 0, None)
    if not isinstance(event, DirectivePrinted):
        live = Live(event.pid, event.pid, event.pid, None)
    match event:
        case FileOpened(_, _, path, mode, creates, errno, refused, raced):
            writer.opened(live, path, mode, creates, errno, refused, raced)
        case PathChanged(_, _, change, path, other, errno, refused, _, raced):
            writer.changed(live, change, path, other, errno, refused, raced)
        case Executed(_, _, path, requested, argv, errno, refused):
            writer.executed(live, path, requested, argv, errno, refused)
        case SocketUsed(_, _, use, family, address, errno, refused):
            writer.socket(live, use, family, address, errno, refused)
        case CallRefused(_, _, call, errno):
            writer.call(live, call, errno)
        case EnvironmentRead(_, _, name, present, withheld, _, secret):
            writer.environment(live, name, present, withheld, secret)
        case DirectivePrinted(_, key, value, verdict):
            writer.directive(key, value, verdict)


@given(st.lists(events, max_size=12, unique=True))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, written: list[Event]
) -> None:
    path = tmp_path_factory.getbasetemp() / "recording.jsonl"
    writer = Writer(lambda: 0)
    for event in written:
        file(writer, event)

    writer.save(os.fsencode(path), dict(HEADER), dict(END))

    assert list(reader.read(path).events) == written
    for line in path.read_text(encoding="utf-8").splitlines():
        VALIDATOR.validate(json.loads(line))


@given(st.lists(st.tuples(pids, names, argvs), max_size=8))
def test_processes_keep_their_order_and_get_a_number_of_their_own(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, bytes, tuple[bytes, ...]]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "recording.jsonl"
    writer = Writer(lambda: 0)
    keys = [writer.process(pid, 0, program, argv) for pid, program, argv in made]

    writer.save(os.fsencode(path), dict(HEADER), dict(END))

    assert len(set(keys)) == len(made)
    assert [key % (1 << 22) for key in keys] == [pid for pid, _, _ in made]
    assert list(reader.read(path).processes.values()) == [
        RecordedProcess(key, 0, program, argv, 0)
        for key, (_, program, argv) in zip(keys, made, strict=True)
    ]


@given(st.dictionaries(st.sampled_from(["crate", "name", "source", "kernel"]), st.text()))
def test_any_text_in_the_header_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "recording.jsonl"

    Writer().save(os.fsencode(path), {**HEADER, **texts}, dict(END))

    header = reader.read(path).header
    assert {name: getattr(header, name) for name in texts} == texts


def test_what_was_run_and_for_whom_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    consumer = {"crate": "a", "name": "b", "version": "1.0.0", "source": ""}
    Writer().save(os.fsencode(path), {**HEADER, "subject": "macro", "consumer": consumer}, END)

    for line in path.read_text().splitlines():
        VALIDATOR.validate(json.loads(line))
    header = reader.read(path).header

    assert (header.subject, header.consumer) == ("macro", reader.Consumer("a", "b", "1.0.0", ""))


def test_a_recording_that_does_not_say_what_was_run_is_of_a_script(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    Writer().save(os.fsencode(path), dict(HEADER), END)

    header = reader.read(path).header

    assert (header.subject, header.consumer) == ("script", None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"subject": "linker"}, "unknown subject 'linker'"),
        ({"subject": 1}, "`subject` is not"),
        ({"consumer": []}, "not an object"),
        ({"consumer": {"crate": "a"}}, "`name` is missing"),
    ],
)
def test_a_header_that_does_not_say_what_was_run_is_broken(
    tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    path = tmp_path / "recording.jsonl"
    Writer().save(os.fsencode(path), {**HEADER, **fields}, END)

    with pytest.raises(RecordingError, match=reason):
        reader.read(path)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_header_and_end_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    ticks = iter((1000, 4000))
    places = {"OUT_DIR": "/o%0At", "HOME": "/home/é"}
    end = {
        **END,
        "status": 256,
        "exit": 1,
        "left_running": 2,
        "tokens": 3,
        "voided": 'a "b"',
        "unseen": "c\\",
    }

    Writer(lambda: next(ticks)).save(os.fsencode(path), {**HEADER, "places": places}, end)

    read = reader.read(path)
    assert read.header.places == {"OUT_DIR": b"/o\nt", "HOME": "/home/é".encode()}
    assert read.header.features == ("default",)
    assert read.end == reader.End(256, 1, 3000, 2, 0, 'a "b"', "", "c\\", tokens=3)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["recording.jsonl"]


def test_a_real_recording_fits_the_schema(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    recorded = record(
        "/bin/sh",
        "-c",
        f"{child('reaching')}; {child('changes')} {tmp_path}; {child('environment')}; cat absent",
        refuse={"connect": 13, "mkdir": 1, "getppid": 1},
    )

    lines = recorded.path.read_text(encoding="utf-8").splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    for line in lines:
        VALIDATOR.validate(json.loads(line))
    assert kinds[0] == "header"
    assert kinds[-1] == "end"
    assert {"process", "opened", "changed", "executed", "socket", "call"} <= set(kinds)


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    """Return the lines of a small recording."""
    writer = Writer(lambda: 0)
    writer.process(7, 0, b"/script", (b"script",))
    writer.opened(Live(7, 7, 0, None), b"/file", "read", False, 0, False, False)
    writer.save(os.fsencode(tmp_path / "whole"), dict(HEADER), dict(END))
    return (tmp_path / "whole").read_text().splitlines()


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file") as caught:
        reader.read(tmp_path / "absent")

    assert str(tmp_path / "absent") in str(caught.value)
    assert "buildperm learn" in caught.value.hint


@pytest.mark.parametrize("kept", range(4))
def test_a_recording_without_an_end_was_cut_short(
    tmp_path: Path, lines: list[str], kept: int
) -> None:
    path = tmp_path / "cut"
    path.write_text("".join(line + "\n" for line in lines[:kept]))

    with pytest.raises(RecordingError, match="cut short"):
        reader.read(path)


@given(st.data())
def test_a_recording_cut_anywhere_was_cut_short(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut"
    writer = Writer(lambda: 0)
    writer.opened(Live(7, 7, 0, None), b"/file", "read", False, 0, False, False)
    writer.save(os.fsencode(path), dict(HEADER), dict(END))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 2))])

    with pytest.raises(RecordingError, match="cut short"):
        reader.read(path)


def test_a_newer_format_is_refused_before_anything_else_is_read(
    tmp_path: Path, lines: list[str]
) -> None:
    path = tmp_path / "newer"
    path.write_text('{"type":"header","version":2,"all":"different"}\n{"type":"unheard"}\n')

    with pytest.raises(RecordingError, match=r"format 2.*up to 1"):
        reader.read(path)


@pytest.mark.parametrize(
    ("at", "line", "reason"),
    [
        (0, "[]", "not an object"),
        (0, '{"type":"end"}', "not a header"),
        (0, '{"type":"header","version":"1"}', "`version` is not of type int"),
        (0, '{"type":"header","version":1}', "`crate` is missing"),
        (1, "{", "no JSON at column"),
        (1, '{"type":"process","pid":true,"parent":0,"program":"","argv":[]}', "`pid` is not"),
        (1, '{"type":"process","pid":1,"parent":0,"program":"","argv":[1]}', "`argv` holds"),
        (2, '{"type":"unheard","at":1}', "unknown type 'unheard'"),
        (2, '{"type":"opened","at":1,"pid":1,"path":"/%zz","mode":"read"}', "hexadecimal"),
        (2, '{"type":"opened","at":1,"pid":1,"path":"/","mode":"chew"}', "chew"),
        (2, '{"type":"opened","at":1,"pid":1,"path":"/","mode":"read","errno":"2"}', "`errno`"),
        (2, '{"type":"call","at":1,"pid":1}', "`call` is missing"),
        (2, "\xff", "no JSON|codec"),
    ],
)
def test_a_broken_line_is_named_with_its_number_and_reason(
    tmp_path: Path, lines: list[str], at: int, line: str, reason: str
) -> None:
    lines[at] = line
    path = tmp_path / "broken"
    path.write_text("\n".join(lines) + "\n", encoding="latin-1")

    with pytest.raises(RecordingError, match=f"line {at + 1}: .*({reason})"):
        reader.read(path)


def test_nothing_may_come_after_the_end(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "longer"
    path.write_text("\n".join([*lines, lines[2]]) + "\n")

    with pytest.raises(RecordingError, match=f"line {len(lines) + 1}: .*after the last line"):
        reader.read(path)


def test_a_chain_leads_from_the_script_to_the_process_even_in_a_broken_file(
    tmp_path: Path, lines: list[str]
) -> None:
    path = tmp_path / "chained"
    more = [
        '{"type":"process","pid":8,"parent":7,"program":"/bin/sh","argv":[]}',
        '{"type":"process","pid":9,"parent":8,"program":"/bin/cc","argv":[]}',
        '{"type":"process","pid":10,"parent":10,"program":"/loop","argv":[]}',
    ]
    path.write_text("\n".join([*lines[:2], *more, *lines[2:]]) + "\n")
    read = reader.read(path)

    assert [process.program for process in read.chain(9)] == [b"/script", b"/bin/sh", b"/bin/cc"]
    assert read.chain(4711) == ()
    assert {process.pid for process in read.chain(10)} == {10}


def test_a_save_that_fails_leaves_the_old_recording(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text("old")
    (tmp_path / "recording.jsonl.new").mkdir()

    with pytest.raises(IsADirectoryError):
        Writer().save(os.fsencode(path), dict(HEADER), dict(END))

    assert path.read_text() == "old"


def test_what_does_not_fit_is_counted_by_what_it_may_hide() -> None:
    writer = Writer(events=1, refused_events=1)
    script = Live(1, 1, 0, None)
    for path in (b"/a", b"/b"):
        writer.opened(script, path, "read", False, 0, False, False)
    assert (writer.dropped, writer.dropped_refusals, writer.dropped_writes) == (1, 0, 0)

    writer.opened(script, b"/c", "write", True, 0, False, False)
    assert (writer.dropped, writer.dropped_refusals, writer.dropped_writes) == (2, 0, 1)

    writer.environment(script, b"TOKEN", True, True)  # Has a bound of its own, as it was kept.
    writer.opened(script, b"/d", "write", True, 13, True, False)
    assert (writer.dropped, writer.dropped_refusals, writer.dropped_writes) == (3, 1, 1)
    assert list(writer.withheld_names()) == [b"TOKEN"]
