"""Recordings of macros and compilations, written as supervisors write them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.process_tree import Process
from buildperm.tracer.recorder.writer import Writer
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import Recording

PLACES = {
    "MANIFEST_DIR": b"/ws/api",
    "WORKSPACE": b"/ws",
    "TARGET_DIR": b"/ws/target/buildperm/learn",
    "CARGO_HOME": b"/home/u/.cargo",
    "HOME": b"/home/u",
}
HOST = b"/home/u/.cache/buildperm/programs/host"
END = {
    "status": 0,
    "exit": 0,
    "duration_ns": 1,
    "left_running": 0,
    "dropped": 0,
    "voided": "",
    "failure": "",
}

Act = Callable[[Writer, Process], object]


def record(
    path: Path,
    *acts: Act,
    subject: str = "macro",
    consumer: str = "api",
    crate: str = "sqlx-macros",
    **more: object,
) -> Recording:
    """Write what `acts` file to `path`, and read it back."""
    texts = str.split("source checksum target host profile kernel runtime mode buildperm session")
    about = {"crate": consumer, "name": consumer, "version": "1.0.0", "source": ""}
    header: dict[str, object] = {
        **dict.fromkeys(texts, ""),
        "crate": crate,
        "name": crate,
        "crate_version": "0.8.0",
        "features": [],
        "landlock_abi": 7,
        "places": {token: encode(place) for token, place in PLACES.items()},
        "path": "/usr/bin:/bin",
        "subject": subject,
        **({"consumer": about} if subject == "macro" else {}),
        **more,
    }
    writer = Writer()
    process = Process(10, writer.process(10, 0, HOST, (HOST,)), 0, None)
    for act in acts:
        act(writer, process)
    writer.save(os.fsencode(path), header, dict(END))
    return reader.read(path)


def reads(path: bytes, *, refused: bool = False) -> Act:
    """Open a file for reading."""
    errno = 13 if refused else 0
    return lambda writer, process: writer.opened(
        process, path, "read", False, errno, refused, False
    )


def writes(path: bytes, *, refused: bool = True) -> Act:
    """Open a file for writing."""
    errno = 13 if refused else 0
    return lambda writer, process: writer.opened(
        process, path, "write", True, errno, refused, False
    )


def connects(address: str) -> Act:
    """Connect in vain."""
    return lambda writer, process: writer.socket(process, "connected", "inet", address, 13, True)
