"""The screens with much to decide: 100,000 events, 5,000 proposals.

    benchmarks/screens.py [--rounds N] [--size COLUMNSxROWS]

The program runs in a terminal of its own, over recordings of 250 crates that exist only in memory.
Measured are the first screen, from the moment the recordings are folded; every key, from the press
to the first byte of its answer; the processor time behind it until all is quiet, which says more
on a busy machine; and the memory of the process at its highest.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from measurement import describe_machine, duration, table

if TYPE_CHECKING:
    from buildperm.tracer.recording.reader import Recording

CRATES, FOLDERS, PROGRAMS, TIMES = 250, 20, 4, 5
EVENTS = CRATES * FOLDERS * PROGRAMS * TIMES  # Repetitions are one event with a count.
PROPOSALS = CRATES * FOLDERS
FIRST_CRATE = b"crate-0"
QUIET_S, TIMEOUT_S, HOLD_S = 0.1, 30.0, 0.5
KEYS = (
    *("j", "j", "n", "n", "]", "[", "a", "u", "U", "u", "d", "u", "s", "u", "N", "k", "x"),
    *(" ", " ", "A", "\x1b", "D", "y", "u", "=", "G", "g", "\x1b[6~", "\x1b[5~", "-", "\r"),
    *("/", "1", "7", "\x7f", "\x1b", "/", "r", "\r", "j", "\x1b", "b", "\x1b", "i", "2", "\x1b"),
    *("J", "K", "e", "?", "\x1b", "1", "3", "l", "h"),
)
NAMES = {" ": "Space", "\x1b": "Esc", "\r": "Enter", "\x7f": "Backspace"} | {
    "\x1b[6~": "PgDn", "\x1b[5~": "PgUp",
}  # fmt: skip


def serve(told: int) -> None:
    """Be the program: fold, say so on `told`, and show the screens."""
    from buildperm.cli.process_setup import prepare_process
    from buildperm.policy.fold import fold
    from buildperm.policy.proposals import propose
    from buildperm.policy.review_state import Review
    from buildperm.presentation.baseline_accesses import BaselineAccesses
    from buildperm.presentation.front_end import Ran, ReviewSession

    prepare_process()
    began = time.perf_counter()
    accesses = {(name, "1.0.0"): tuple(fold(each)) for name, each in recordings()}
    proposals = [proposal for crate, seen in accesses.items() for proposal in propose(*crate, seen)]
    folded = time.perf_counter() - began
    assert len(proposals) == PROPOSALS, len(proposals)
    os.write(told, struct.pack("=ddd", time.monotonic(), folded, _process_s()))

    from buildperm.tui.app import Screens
    from buildperm.tui.appearance import Appearance

    session = ReviewSession(
        Review(proposals),
        preview=lambda: (b"", b""),
        verify=lambda progress: [],
        journal=lambda entry: None,
        heading="learn  benchmark",
        summary="",
        ran=Ran(CRATES),
        baseline=BaselineAccesses(accesses),
    )
    Screens(Appearance()).conduct(session)


def _process_s() -> float:
    """Return the processor time of this process so far, by the clock that others see."""
    return int(Path("/proc/self/schedstat").read_text().split()[0]) / 1e9


def recordings() -> Iterator[tuple[str, Recording]]:
    """Yield the name and the recording of each crate: programs run out of many folders."""
    from buildperm.tracer.recording.event import Executed, RecordedProcess
    from buildperm.tracer.recording.reader import End, Header, Recording

    places = {"WORKSPACE": b"/home/ann/work", "HOME": b"/home/ann"}
    script = b"/home/ann/work/target/build/build-script-build"
    for number in range(CRATES):
        name = f"crate-{number}"
        programs = [
            b"/home/ann/tools/part%d/tool%d-%d" % (folder, number, program)
            for folder in range(FOLDERS)
            for program in range(PROGRAMS)
        ]
        events = tuple(
            Executed(1_000 * at, 1, path, path, (path, b"--all"), 0, False, TIMES)
            for at, path in enumerate(programs)
        )
        header = Header(
            name, name, "1.0.0", "", "", "x86_64", "x86_64", "debug", (), "6.1", "portable", 4,
            "learning", "0", "", places,
        )  # fmt: skip
        process = RecordedProcess(1, 0, script, (script,))
        yield name, Recording(header, {1: process}, events, End(0, 0, 1, 0, 0, "", ""))


@dataclass(slots=True)
class Answers:
    """How long it took until keys were answered."""

    wall_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)


class Program:
    """The program in its terminal."""

    def __init__(self, columns: int, rows: int) -> None:
        heard, told = os.pipe()
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.set_inheritable(told, True)
            script = str(Path(__file__).resolve())
            os.execv(sys.executable, [sys.executable, script, "--serve", str(told)])
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("=4H", rows, columns, 0, 0))
        os.close(told)
        self.began_s: float
        self.folded_s: float
        self.busy_before_s: float
        told_facts = struct.unpack("=ddd", os.read(heard, 24))
        self.began_s, self.folded_s, self.busy_before_s = told_facts
        os.close(heard)

    def first_screen_s(self) -> tuple[float, float]:
        """Wait for the first screen; return the seconds since all was folded, and of processor."""
        shown = b""
        while FIRST_CRATE not in shown:
            shown += self._read(TIMEOUT_S)
        came_s, busy_s = time.monotonic(), self._busy_s()
        self.settle(0.7)
        return came_s - self.began_s, busy_s - self.busy_before_s

    def press(self, key: str) -> tuple[float, float] | None:
        """Press a key; return the seconds until its answer, and of the processor; None for none."""
        busy_s, began_s = self._busy_s(), time.monotonic()
        os.write(self.terminal, key.encode())
        if not select.select([self.terminal], [], [], 1.5)[0]:
            return None
        answered_s = time.monotonic() - began_s
        self.settle(QUIET_S)
        return answered_s, self._busy_s() - busy_s

    def settle(self, quiet_s: float) -> None:
        """Read until nothing more comes."""
        while select.select([self.terminal], [], [], quiet_s)[0]:
            os.read(self.terminal, 1 << 16)

    def peak_mib(self) -> float:
        """Return the memory of the process at its highest."""
        status = Path(f"/proc/{self.child}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def close(self) -> None:
        """End it."""
        os.kill(self.child, signal.SIGTERM)
        with contextlib.suppress(OSError):
            while os.read(self.terminal, 1 << 16):
                pass
        os.close(self.terminal)
        os.waitpid(self.child, 0)

    def _busy_s(self) -> float:
        """Return its processor time in seconds, all threads together."""
        tasks = Path(f"/proc/{self.child}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def _read(self, timeout_s: float) -> bytes:
        if not select.select([self.terminal], [], [], timeout_s)[0]:
            raise SystemExit("the screens did not come up")
        return os.read(self.terminal, 1 << 16)


def measure(columns: int, rows: int, rounds: int) -> None:
    """Measure in one terminal, and print."""
    program = Program(columns, rows)
    try:
        first = program.first_screen_s()
        keys: dict[str, Answers] = {}
        for _ in range(rounds):
            for key in KEYS:
                time.sleep(HOLD_S if key in "adsyADwe" else 0)
                took = program.press(key)
                if took is not None:
                    answers = keys.setdefault(NAMES.get(key, key), Answers())
                    answers.wall_s.append(took[0])
                    answers.processor_s.append(took[1])
        peak = program.peak_mib()
    finally:
        program.close()
    wall = sorted(each for answers in keys.values() for each in answers.wall_s)
    busy = sorted(each for answers in keys.values() for each in answers.processor_s)
    facts = [
        ["folding the events, proposing", duration(program.folded_s), ""],
        ["first screen", duration(first[0]), duration(first[1])],
        ["a key, median", duration(statistics.median(wall)), duration(statistics.median(busy))],
        ["a key, 99th percentile", duration(_percentile(wall)), duration(_percentile(busy))],
        ["a key, worst", duration(wall[-1]), duration(busy[-1])],
        ["memory", f"{peak:.0f} MiB", ""],
    ]
    title = f"{EVENTS:,} events, {PROPOSALS:,} proposals, {columns} x {rows}, {len(wall)} keys"
    table(title, ["", "until answered", "processor time"], facts)
    slow = sorted(keys.items(), key=lambda each: -statistics.median(each[1].processor_s))[:12]
    told = [
        [
            name,
            duration(statistics.median(each.wall_s)),
            duration(statistics.median(each.processor_s)),
        ]
        for name, each in slow
    ]
    table("The slowest keys, medians", ["key", "until answered", "processor time"], told)


def _percentile(ordered: list[float]) -> float:
    return ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]


def main() -> None:
    """Measure, or be what is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="120x36")
    parser.add_argument("--serve", type=int, default=-1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve >= 0:
        serve(given.serve)
        return
    describe_machine()
    columns, rows = map(int, given.size.split("x"))
    measure(columns, rows, given.rounds)


if __name__ == "__main__":
    main()
