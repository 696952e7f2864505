"""What a writer tells of a run that has ended, before anything is read back."""

from __future__ import annotations

from errno import EACCES, ENOENT

from buildperm.tracer.recorder.process_tree import Process
from buildperm.tracer.recorder.writer import Writer


def _opened(writer: Writer, path: bytes, mode: str, errno: int, *, refused: bool) -> None:
    process = Process(1, 1, 7, None)
    writer.opened(process, path, mode, mode == "write", errno, refused, False)


def test_what_was_refused_as_if_it_were_not_there_is_told_apart() -> None:
    writer = Writer()
    _opened(writer, b"/looked", "look", ENOENT, refused=True)
    _opened(writer, b"/covered", "look", 0, refused=True)
    _opened(writer, b"/named", "path", ENOENT, refused=True)
    _opened(writer, b"/hidden", "read", ENOENT, refused=True)
    _opened(writer, b"/listed", "read", 0, refused=True)
    _opened(writer, b"/told", "read", EACCES, refused=True)
    _opened(writer, b"/none", "read", ENOENT, refused=False)
    _opened(writer, b"/seen", "look", 0, refused=False)
    _opened(writer, b"/written", "write", ENOENT, refused=True)

    unshown = [b"/looked", b"/covered", b"/named", b"/hidden", b"/listed"]
    assert list(writer.unshown_reads()) == [(7, path) for path in unshown]


def test_who_only_looked_has_not_tried_to_write() -> None:
    writer = Writer()
    for mode in ("look", "path", "read", "write", "read-write"):
        _opened(writer, b"/" + mode.encode(), mode, EACCES, refused=True)

    assert list(writer.refused_attempts()) == [
        ("read", b"/look"),
        ("read", b"/path"),
        ("read", b"/read"),
        ("write", b"/write"),
        ("write", b"/read-write"),
    ]
