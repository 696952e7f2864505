"""The processes of a recording as an outline: each program below what started it.

Pure: a recording in, lines out. Screens, text and HTML draw the same nodes.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.report.shell_line import shell_line
from buildperm.tracer.notation import encode
from buildperm.tracer.recording_format import REUSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildperm.tracer.recording.event import RecordedProcess


@dataclass(frozen=True, slots=True)
class ProcessNode:
    """One program in one process, and where it stands in the outline."""

    process: RecordedProcess
    guides: tuple[bool, ...]  # For each level from the top: whether a sibling follows below.
    earlier: tuple[RecordedProcess, ...] = ()  # What the same process was before, oldest first.
    successor: bytes = b""  # The program that it became; empty if it ended as what it was.
    is_top: bool = False  # It is what was run: the build script, the host of macros, a compiler.

    @property
    def keys(self) -> tuple[int, ...]:
        """The keys of all programs that it stands for."""
        return (*(each.pid for each in self.earlier), self.process.pid)

    @property
    def pid(self) -> int:
        """Its ID as the kernel had it."""
        return self.process.pid % REUSED

    @property
    def command(self) -> str:
        """Its command line, quoted as for a shell; the program alone where it has none."""
        return shell_line(self.process.argv or (self.process.program,))

    @property
    def program(self) -> str:
        """The name of its program, in notation."""
        return encode(os.path.basename(self.process.program))

    @property
    def duration_ns(self) -> int | None:
        """How long it ran, in nanoseconds; None where the recording does not tell."""
        first = self.earlier[0] if self.earlier else self.process
        started, ended = first.started_ns, self.process.ended_ns
        if started is None or ended is None or ended <= started:
            return None
        return ended - started

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an exit code other than 0, or was killed."""
        return bool(self.process.status)

    @property
    def ending(self) -> str:
        """How it ended: `exit 1`, `killed by SIGSEGV`, `became cc`; empty if nobody knows."""
        status = self.process.status
        if status is not None:
            return status_text(status)
        return f"became {encode(os.path.basename(self.successor))}" if self.successor else ""

    @property
    def branch(self) -> str:
        """The lines that lead to it from what started it: `│  └─ `."""
        if not self.guides:
            return ""
        above = "".join("│  " if follows else "   " for follows in self.guides[:-1])
        return above + ("├─ " if self.guides[-1] else "└─ ")


def outline(processes: Iterable[RecordedProcess]) -> tuple[ProcessNode, ...]:
    """Put the processes of a recording in order: what was started stands below what started it.

    What became another program before it started anything stands for both: a script that begins
    with `#!/usr/bin/env bash` is one process. Each comes once, whatever a broken file says of
    their parents.
    """
    by_key = {process.pid: process for process in processes}
    children: dict[int, list[RecordedProcess]] = {}
    for process in by_key.values():
        children.setdefault(process.parent, []).append(process)
    tops = [each for each in by_key.values() if each.parent not in by_key]
    nodes: list[ProcessNode] = []
    left = dict(by_key)
    while left:
        # Where all that is left stands below one another, any of it has to be the first.
        waiting: list[tuple[RecordedProcess, tuple[bool, ...]]]
        waiting = [(each, ()) for each in reversed(tops or [next(iter(left.values()))])]
        tops = []
        while waiting:
            process, guides = waiting.pop()
            if left.pop(process.pid, None) is None:
                continue
            is_top = process.parent == 0
            earlier: list[RecordedProcess] = []
            below = children.get(process.pid, [])
            successor = _successor(process, below)
            while successor is not None and len(below) == 1 and successor.pid in left:
                earlier.append(process)
                process = left.pop(successor.pid)
                below = children.get(process.pid, [])
                successor = _successor(process, below)
            became = successor.program if successor is not None else b""
            nodes.append(ProcessNode(process, guides, tuple(earlier), became, is_top))
            last = len(below) - 1
            waiting += [
                (child, (*guides, number < last)) for number, child in reversed([*enumerate(below)])
            ]
    return tuple(nodes)


def lineage(processes: Mapping[int, RecordedProcess], keys: Iterable[int]) -> set[int]:
    """Return `keys` and those of all processes that led to them."""
    found: set[int] = set()
    for key in keys:
        at = key
        while at in processes and at not in found:
            found.add(at)
            at = processes[at].parent
    return found


def status_text(status: int) -> str:
    """Say how a process ended, given its wait status: wait(2)."""
    number = status & 0x7F
    if not number:
        return f"exit {status >> 8 & 0xFF}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"killed by {name}"


def duration_text(duration_ns: int) -> str:
    """Write a length of time in three digits: `0.4 ms`, `12 ms`, `1.25 s`, `2 min 3 s`."""
    if duration_ns < 10_000_000:
        return f"{duration_ns / 1e6:.1f} ms"
    if duration_ns < 1_000_000_000:
        return f"{duration_ns / 1e6:.0f} ms"
    if duration_ns < 60_000_000_000:
        return f"{duration_ns / 1e9:.2f} s"
    minutes, seconds = divmod(round(duration_ns / 1e9), 60)
    return f"{minutes} min {seconds} s"


def _successor(
    process: RecordedProcess, below: Iterable[RecordedProcess]
) -> RecordedProcess | None:
    """Return what the same process was next; None if it ended as what it was."""
    if process.status is not None:
        return None
    same = (each for each in below if each.pid % REUSED == process.pid % REUSED)
    return next(same, None)
