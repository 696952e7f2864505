"""Recordings as the recorder writes them, of scripts that were never run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.presentation.traced_run import TracedRun
from buildperm.tracer.recorder.process_tree import Process
from buildperm.tracer.recorder.writer import Writer
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import End, Header, Recording
from tests.tracer.recorded_child import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.tracer.recording.event import Event, RecordedProcess

END = {"status": 256, "exit": 1, "left_running": 0, "voided": "", "failure": ""}
HOSTILE = b"\x1b]0;x\x07::error::\xe2\x80\xae"


def write_recording(path: Path, **header: object) -> Path:
    """Write what a script did that ran git twice, read files and talked to Cargo."""
    ticks = iter(range(0, 10**12, 1_000_000))
    writer = Writer(lambda: next(ticks))
    script = Process(7, writer.process(7, 0, b"/out/build", (b"/out/build",)), 1, None)
    git = Process(8, writer.process(8, 7, b"/usr/bin/git", (b"git", b"log", b"$x")), 2, None)
    other = Process(9, writer.process(9, 7, b"/usr/bin/git", (b"git", b"status")), 2, None)
    for argv in ((b"git", b"log", b"$x"), (b"git", b"status"), (b"git", b"status")):
        writer.executed(script, b"/usr/bin/git", b"/usr/bin/git", argv, 0, False)
    writer.opened(git, b"/srv/data/a.txt", "read", False, 0, False, False)
    writer.opened(other, b"/srv/data/a.txt", "read", False, 0, False, False)
    writer.opened(script, b"/out/" + HOSTILE, "read", False, 2, False, False)
    writer.opened(script, b"/root/.ssh/id", "read", False, 13, True, False)
    writer.ended(git.key, 0)
    writer.ended(other.key, 1 << 8)
    writer.directive("rustc-env", "KEY=value", "granted")
    writer.directive("rustc-link-arg", "-fuse-ld=/tmp/x", "refused")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.save(os.fsencode(path), {**HEADER, "places": {"OUT_DIR": "/out"}, **header}, dict(END))
    return path


def traced_run(path: Path, **header: object) -> TracedRun:
    """Return a run of that script."""
    return TracedRun.of(path, "3 minutes ago", reader.read(write_recording(path, **header)))


def made_run(processes: Iterable[RecordedProcess], events: Iterable[Event]) -> TracedRun:
    """Return a run with these processes and events."""
    header = Header(
        crate="gen",
        name="gen",
        crate_version="0.1.0",
        source="",
        checksum="",
        target="x86_64-unknown-linux-gnu",
        host="x86_64-unknown-linux-gnu",
        profile="debug",
        features=(),
        kernel="",
        runtime="portable",
        landlock_abi=7,
        mode="learning",
        buildperm="0",
        session="",
        places={"OUT_DIR": b"/out"},
    )
    by_key = {process.pid: process for process in processes}
    end = End(0, 0, 90_000_000, 0, 0, "", "")
    recording = Recording(header, by_key, tuple(events), end)
    return TracedRun.of(Path("recording.jsonl"), "3 minutes ago", recording)
