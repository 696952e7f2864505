"""What supervisors report while Cargo runs: a line at the start and at the end of each script."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from buildperm.tracer.notation import decode

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class ScriptStarted:
    """A supervisor is about to start a build script."""

    crate: str  # Key in Cargo.toml.
    version: str
    pid: int  # Of the supervisor: tells apart scripts of one crate that run at the same time.


@dataclass(frozen=True, slots=True)
class ScriptEnded:
    """A build script has ended, and its recording is complete."""

    crate: str
    version: str
    pid: int
    exit_code: int  # What Cargo was told.
    recording: Path | None  # None where there was nothing to record or no way to write it.
    duration_ns: int


Progress: TypeAlias = ScriptStarted | ScriptEnded


class ProgressFile:
    """The lines that others append to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that are new and complete."""
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return
        while piece := os.read(self._descriptor, 1 << 16):
            *complete, self._rest = (self._rest + piece).split(b"\n")
            yield from complete

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def parse(line: bytes) -> Progress | None:
    """Read one line of the progress file; those of a newer format are left out."""
    try:
        said = json.loads(line)
        crate, version, pid = str(said["crate"]), str(said["version"]), int(said["pid"])
        match said["event"]:
            case "started":
                return ScriptStarted(crate, version, pid)
            case "ended":
                recording = os.fsdecode(decode(said["recording"]))
                return ScriptEnded(
                    crate=crate,
                    version=version,
                    pid=pid,
                    exit_code=int(said["exit"]),
                    recording=Path(recording) if recording else None,
                    duration_ns=int(said["duration_ns"]),
                )
            case _:
                return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
