"""What a build script tries, one thing after the other, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.programs import program_text

if TYPE_CHECKING:
    from tests.bench import Bench

_PRELUDE = program_text("attempted_calls.py")


def call_outcomes(bench: Bench, body: str) -> list[str]:
    """Run `body`, Python that calls `tries(NAME, FUNCTION)`; a line `NAME done|ERRNO` for each."""
    ended = bench.run(bench.script(f"{_PRELUDE}{body}os._exit(sys.stdout.flush() or 0)"))
    assert ended.status == 0, ended.stderr
    return [line.decode() for line in ended.stdout.splitlines()]
