"""Runs variants of the same work in turns and compares their medians.

In turns, because a machine is never equally fast for long: what is compared has to have had the
same weather. Ratios are what counts; the seconds are those of one machine on one day.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Variant:
    """One way to do the work, with how long it took each time."""

    name: str
    run: Callable[[], object]
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)  # Of its children, all together.

    @property
    def median(self) -> float:
        """Return the median in seconds."""
        return statistics.median(self.seconds)


def interleave(
    variants: Sequence[Variant], rounds: int, *, title: str, most_s: float = math.inf
) -> int:
    """Run every variant once to warm up, then `rounds` times in turns.

    Where that would take longer than `most_s` seconds, what was to warm up counts as a round: it is
    a small part of work that takes so long. There are no more rounds then than fit.

    Returns:
        How many rounds count.
    """
    began = time.perf_counter()
    _turn(variants, f"{title}: 0/{rounds}")
    round_s = time.perf_counter() - began
    done = 0
    if round_s * (rounds + 1) > most_s:
        done, rounds = 1, max(1, min(rounds, int(most_s / round_s)))
    else:
        for variant in variants:
            variant.seconds.clear()
            variant.processor_seconds.clear()
    for number in range(done + 1, rounds + 1):
        _turn(variants, f"{title}: {number}/{rounds}")
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return rounds


def _turn(variants: Sequence[Variant], title: str) -> None:
    """Run every variant once."""
    for variant in variants:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{title} {variant.name}")
        began, busy = time.perf_counter(), _processor_seconds()
        variant.run()
        variant.seconds.append(time.perf_counter() - began)
        variant.processor_seconds.append(_processor_seconds() - busy)


def ratios(variants: Sequence[Variant]) -> list[str]:
    """Return one row: the median of the first variant, then each other one as a multiple of it."""
    base = variants[0].median
    return [
        duration(base),
        *(
            f"{variant.median / base:.2f} x ({duration(variant.median)})"
            for variant in variants[1:]
        ),
    ]


def processor_ratios(variants: Sequence[Variant]) -> list[str]:
    """Return one row: processor time of the first variant; of others the median ratio of pairs."""
    base = variants[0].processor_seconds
    row = [duration(statistics.median(base))]
    for variant in variants[1:]:
        pairs = zip(variant.processor_seconds, base, strict=True)
        found = [ours / plain for ours, plain in pairs]
        row.append(f"{statistics.median(found):.3f} x ({min(found):.3f} to {max(found):.3f})")
    return row


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def duration(seconds: float) -> str:
    """Write a duration with a unit that suits it."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table to standard output, aligned."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    print(f"\n{title}\n")
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(cells)} |")


def describe_machine() -> None:
    """Print what was measured on."""
    load = os.getloadavg()[0]
    print(
        f"Linux {platform.release()}, {platform.machine()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, load {load:.1f} at the start"
    )
