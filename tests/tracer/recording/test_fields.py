"""One table says which fields an event has; everything that writes or reads one agrees with it."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import os
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from buildperm.tracer import fields
from buildperm.tracer.recorder.process_tree import Process
from buildperm.tracer.recorder.writer import Writer
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import Event
from tests.tracer.recorded_child import HEADER

WRITTEN_BEFORE = Path(__file__).with_name("every_event.jsonl")
WITHOUT_TIMES = Path(__file__).with_name("every_event_without_times.jsonl")
"""From before processes had times and a status."""
WITHOUT_DIRECTORIES = Path(__file__).with_name("every_event_without_directories.jsonl")
"""From before events told that a directory was opened."""
SCHEMA = json.loads((Path(reader.__file__).parent / "recording.schema.json").read_text())
CLASSES = {cls.TYPE: cls for cls in get_args(Event)}
TYPES = {
    fields.BYTES: bytes,
    fields.BYTE_STRINGS: tuple[bytes, ...],
    fields.NAME: str,
    fields.TEXT: str,
    fields.NUMBER: int,
    fields.FLAG: bool,
}


def every_event(writer: Writer) -> None:
    """File events of every type, with each field present and absent, and hostile texts."""
    build = Process(7, 7, 1, None)
    build.key = writer.process(7, 0, b"/out/build-script", (b"build-script", b""))
    tool = Process(8, 8, 2, None)
    tool.key = writer.process(8, 7, b"/usr/bin/c\nc", (b"cc", b'"\\', b"\xff\x1b[31m"))
    writer.ended(tool.key, None)
    tool.key = writer.process(8, 8, b"/usr/bin/as", ())
    writer.ended(tool.key, 9)
    for _ in range(3):
        writer.opened(build, b"/etc/hosts", "read", False, 0, False, False)
    writer.opened(build, b"/etc/hosts", "read", False, 13, True, False)
    writer.opened(tool, "/é\u202e\n\xff*".encode(), "read-write", True, 0, False, True)
    writer.opened(tool, b"", "path", False, 2, False, False)
    writer.opened(tool, b"/etc", "read", False, 0, False, False, True)
    writer.changed(build, "renamed", b"/new", b"/old", 0, False, True)
    writer.changed(tool, "symlinked", b"/link", b'any "text"\\', 18, True, False)
    writer.changed(tool, "removed", b"/gone", b"", 0, False, False)
    writer.executed(build, b"/bin/sh", b"/tool", (b"/bin/sh", b"-c", b"echo '$x'\n"), 0, False)
    writer.executed(build, b"/none", b"/none", (), 2, False)
    writer.executed(tool, b"/bin/false", b"/bin/false", (b"",), 13, True)
    writer.socket(build, "created", "inet", "stream", 0, False)
    writer.socket(build, "connected", "inet6", "[::1]:443", 13, True)
    writer.socket(build, "connected", "unix", '@a%00\u202e"\\\n', 111, False)
    for carried in ((0, 0), (5, 0), (0, 6), (70000, 8)):
        writer.proxied(tool, f"host{sum(carried)}:443", 0, False, 10, 2, carried)
    writer.proxied(tool, "other:80", 101, True, 10**12, 1, (0, 0))
    writer.call(tool, "ptrace", 1)
    writer.call(tool, "ptrace", 1)
    writer.call(build, "clone(CLONE_UNTRACED)", 0)
    writer.environment(build, b"TARGET", True, False)
    writer.environment(build, b"TO\nKEN", False, True, 'a "token"')
    writer.environment(tool, b"CC", False, False, "")
    writer.directive("rustc-env", "A=\u2028b", "granted")
    writer.directive("rustc-link-lib", "z", "free")
    writer.directive("rustc-link-lib", "z", "free")
    writer.directive("unknown", '"', "forbidden")


def written(path: Path) -> bytes:
    """Return the lines that stand for `every_event`."""
    ticks = iter(range(1_000_000, 10**9, 1009))
    writer = Writer(lambda: next(ticks))
    every_event(writer)
    end = {"status": 0, "exit": 0, "left_running": 0, "voided": "", "failure": ""}
    writer.save(os.fsencode(path), {**HEADER, "kernel": "6.1"}, dict(end))
    return path.read_bytes()


def test_each_line_is_byte_for_byte_what_earlier_versions_wrote(tmp_path: Path) -> None:
    assert written(tmp_path / "recording.jsonl") == WRITTEN_BEFORE.read_bytes()


@pytest.mark.parametrize(
    ("before", "later"),
    [
        (WRITTEN_BEFORE, set[str]()),
        (WITHOUT_DIRECTORIES, {"directory"}),
        (WITHOUT_TIMES, {"directory"}),
    ],
)
def test_what_earlier_versions_wrote_is_of_every_type_and_is_still_read(
    before: Path, later: set[str]
) -> None:
    recording = reader.read(before)

    assert {event.TYPE for event in recording.events} == fields.EVENTS.keys()
    lines = [json.loads(line) for line in before.read_text("utf-8").splitlines()]
    for kind, its_fields in fields.EVENTS.items():
        met = set().union(*(line for line in lines if line["type"] == kind))
        known = {field.name for field in its_fields} - later
        assert known <= met, f"no `{kind}` has every field"
        assert met.isdisjoint(later)


def test_an_earlier_version_told_no_times() -> None:
    told = {
        (each.started_ns, each.ended_ns, each.status)
        for each in reader.read(WITHOUT_TIMES).processes.values()
    }

    assert told == {(None, None, None)}


def test_every_type_of_event_has_a_class() -> None:
    assert CLASSES.keys() == fields.EVENTS.keys()


@pytest.mark.parametrize("kind", fields.EVENTS)
def test_a_class_has_the_fields_of_the_table(kind: str) -> None:
    cls = CLASSES[kind]
    given = {field.name: field for field in dataclasses.fields(cls)}
    shared = {"at_ns", "count"} | ({"pid"} if kind not in fields.WITHOUT_PROCESS else set())
    hints = get_type_hints(cls)

    listed = {field.name for field in fields.EVENTS[kind]}
    assert given.keys() - shared == listed, f"{cls.__name__} and `EVENTS[{kind!r}]` differ"
    assert shared <= given.keys()
    for field in fields.EVENTS[kind]:
        hint = hints[field.name]
        if field.kind == fields.WORD:
            assert issubclass(hint, enum.StrEnum), f"{cls.__name__}.{field.name}: {hint}"
        else:
            assert hint == TYPES[field.kind], f"{cls.__name__}.{field.name}: {hint}"


@pytest.mark.parametrize("kind", fields.EVENTS)
def test_the_writer_takes_the_fields_of_the_table_in_their_order(kind: str) -> None:
    told = inspect.signature(getattr(Writer, kind)).parameters.values()
    # How many of them is no field: a recording counts.
    parameters = [each.name for each in told if each.kind is not each.KEYWORD_ONLY][1:]
    listed = [field.name for field in fields.EVENTS[kind]]
    if kind == "socket":  # The bytes come from `visited` only.
        listed = listed[:-2]
    if kind not in fields.WITHOUT_PROCESS:
        listed = ["process", *listed]

    assert parameters == listed, f"Writer.{kind} and `EVENTS[{kind!r}]` differ"


@pytest.mark.parametrize("kind", fields.EVENTS)
def test_the_schema_has_the_fields_of_the_table(kind: str) -> None:
    schema = SCHEMA["$defs"][kind]
    first = ["type", "at"] if kind in fields.WITHOUT_PROCESS else ["type", "at", "pid"]
    listed = fields.EVENTS[kind]

    assert [*first, *(field.name for field in listed), "count"] == list(schema["properties"])
    required = [field.name for field in listed if not field.is_optional]
    assert [*first, *required] == schema["required"]
    hints = get_type_hints(CLASSES[kind])
    for field in listed:
        said = resolved(schema["properties"][field.name])
        assert fits(field, said, hints), f"`{kind}`.`{field.name}`: {said}"


def resolved(said: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref` of the schema."""
    return SCHEMA["$defs"][said["$ref"].split("/")[-1]] if "$ref" in said else said


def fits(field: fields.Field, said: dict[str, Any], hints: dict[str, Any]) -> bool:
    """Tell whether the schema says of a field what the table says."""
    match field.kind:
        case fields.WORD:
            expected: dict[str, Any] = {"enum": [str(word) for word in hints[field.name]]}
        case fields.BYTES:
            expected = SCHEMA["$defs"]["notation"]
        case fields.BYTE_STRINGS:
            expected = {"type": "array", "items": {"$ref": "#/$defs/notation"}}
        case fields.NUMBER:
            expected = {"type": "integer"}
        case fields.FLAG:
            expected = {"type": "boolean"}
        case fields.TEXT if said == SCHEMA["$defs"]["address"]:
            expected = said
        case _:
            expected = {"type": "string"}
    return expected.items() <= said.items()
