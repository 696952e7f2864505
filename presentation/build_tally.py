"""What is known of a build while it runs: scripts that wait, run, are done; the worst yet."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from buildperm.cargo.script_progress import Progress, ScriptEnded, ScriptStarted
from buildperm.policy.access import Outcome
from buildperm.policy.proposal import Proposal, Risk
from buildperm.printable import cleaned

CrateVersion = tuple[str, str]
"""Key in Cargo.toml, and version."""

_BEGINS: Final = re.compile(rb"\s*(?:Compiling|Checking|Documenting) ")
"""What Cargo says when it begins with a crate; macros run while it is compiled."""

_MOST_LINES: Final = 20_000  # Of Cargo's log; the oldest go.
_MOST_BYTES: Final = 10_000  # Of one line.


@dataclass(frozen=True, slots=True)
class RunningScript:
    """A build script that is at work."""

    crate: str
    version: str
    since_s: float  # On the clock of the tally.


@dataclass(frozen=True, slots=True)
class EndedScript:
    """A build script that has ended, and what it will be asked about."""

    crate: str
    version: str
    duration_s: float
    failed: bool
    proposals: tuple[Proposal, ...]

    @property
    def worst(self) -> Proposal | None:
        """The most alarming thing that it did, the first of them."""
        return max(self.proposals, key=lambda each: each.risk, default=None)

    @property
    def refused(self) -> tuple[Proposal, ...]:
        """What it was refused, where that may be why it failed."""
        if not self.failed:
            return ()
        return tuple(
            each
            for each in self.proposals
            if any(access.outcome is Outcome.REFUSED for access in each.evidence)
        )


@dataclass(frozen=True, slots=True)
class BuildState:
    """A moment of a build."""

    waiting: tuple[CrateVersion, ...] = ()  # Neither started nor known to be unchanged.
    running: tuple[RunningScript, ...] = ()  # The oldest first.
    ended: tuple[EndedScript, ...] = ()  # In the order in which they ended.
    crates: int = 0  # That Cargo has begun to compile.
    worst: EndedScript | None = None  # Who did the most alarming thing yet; None without any.
    is_begun: bool = False  # Whether it is known which scripts there are.

    @property
    def scripts(self) -> int:
        """How many build scripts there are, whether they run or not."""
        return len(self.waiting) + len(self.running) + len(self.ended)

    def risks(self) -> Counter[Risk]:
        """Count what will be asked, by risk."""
        return Counter(each.risk for script in self.ended for each in script.proposals)


class BuildTally:
    """Takes note of what a build says, on whatever thread that is; `state` is for any other.

    Args:
        appraise: Says what a recording will ask for.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        appraise: Callable[[ScriptEnded], tuple[Proposal, ...]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._appraise = appraise
        self._clock = clock
        self._lock = threading.Lock()
        self._state = BuildState()
        self._running: dict[int, RunningScript] = {}  # By supervisor.
        self._lines: deque[bytes] = deque(maxlen=_MOST_LINES)
        self._line_count = 0  # Those that have gone included.
        self._rest = b""

    @property
    def state(self) -> BuildState:
        """Where the build is now."""
        with self._lock:
            return self._state

    def expect(self, scripts: Sequence[CrateVersion]) -> None:
        """Take note of the build scripts that may run."""
        with self._lock:
            self._state = replace(self._state, waiting=tuple(sorted(scripts)), is_begun=True)

    def on_progress(self, step: Progress) -> EndedScript | None:
        """Take note of a script that has started or ended; return the one that has ended."""
        match step:
            case ScriptStarted():
                started = RunningScript(step.crate, step.version, self._clock())
                self._running[step.pid] = started
                with self._lock:
                    self._state = replace(
                        self._state,
                        waiting=_without(self._state.waiting, (step.crate, step.version)),
                        running=tuple(self._running.values()),
                    )
                return None
            case ScriptEnded():
                self._running.pop(step.pid, None)
                ended = EndedScript(
                    step.crate,
                    step.version,
                    step.duration_ns / 1e9,
                    step.exit_code != 0,
                    self._appraise(step),
                )
                with self._lock:
                    self._state = replace(
                        self._state,
                        running=tuple(self._running.values()),
                        ended=(*self._state.ended, ended),
                        worst=_worse(self._state.worst, ended),
                    )
                return ended

    def on_output(self, piece: bytes) -> list[bytes]:
        """Take note of what Cargo wrote; return the lines that are complete, fit for a terminal."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _MOST_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        return self._keep(lines)

    def note(self, line: str) -> None:
        """Put a line of ours into the log, wherever Cargo is in a line of its own."""
        self._keep([line.encode("utf-8", "replace")])

    def finish(self) -> list[bytes]:
        """Return the last line, where nothing ended it."""
        rest, self._rest = self._rest, b""
        return self._keep([rest] if rest else [])

    def lines(self, known: int = 0) -> tuple[int, list[bytes]]:
        """Return how many lines there have been, and those that are kept from number `known` on."""
        with self._lock:
            gone = self._line_count - len(self._lines)
            return self._line_count, list(self._lines)[max(known - gone, 0) :]

    def _keep(self, lines: Sequence[bytes]) -> list[bytes]:
        kept = [cleaned(line[:_MOST_BYTES].rpartition(b"\r")[2]) for line in lines]
        with self._lock:
            self._lines.extend(kept)
            self._line_count += len(kept)
            begun = sum(bool(_BEGINS.match(line)) for line in kept)
            if begun:
                self._state = replace(self._state, crates=self._state.crates + begun)
        return kept


def _without(waiting: tuple[CrateVersion, ...], crate: CrateVersion) -> tuple[CrateVersion, ...]:
    return tuple(each for each in waiting if each != crate)


def _worse(before: EndedScript | None, ended: EndedScript) -> EndedScript | None:
    """Return who did the more alarming thing; the earlier one where both are alike."""
    now, then = ended.worst, before.worst if before is not None else None
    if now is None or (then is not None and then.risk >= now.risk):
        return before
    return ended
