"""What is shown while Cargo builds: which script runs, and what has come up so far."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from buildperm.cargo.script_progress import Progress, ScriptEnded, ScriptStarted
from buildperm.policy.proposal import Proposal, Risk
from buildperm.presentation.wording import GLYPHS
from buildperm.report.text import count

_STYLE = {Risk.CRITICAL: "bold red", Risk.HIGH: "red", Risk.MEDIUM: "yellow", Risk.LOW: "green"}
_BEGINS = re.compile(r"\s*(?:Compiling|Checking|Documenting) ")
"""What Cargo says when it begins with a crate; macros run while it is compiled."""

_SHOWN = 3  # Running scripts that are named; the rest is counted.


class BuildProgress:
    """A live line on standard error while Cargo builds; silent where that is no terminal.

    Cargo's own output goes above it, piece by piece. `appraise` says what a recording will ask for;
    it is called on the thread that runs Cargo.
    """

    def __init__(self, appraise: Callable[[ScriptEnded], tuple[Proposal, ...]]) -> None:
        self._appraise = appraise
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._running: dict[int, tuple[str, float]] = {}
        self._done = 0
        self._begun = 0  # Crates.
        self._risks: Counter[Risk] = Counter()
        self._rest = b""
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @property
    def is_live(self) -> bool:
        """Tell whether there is a terminal to draw on."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def __enter__(self) -> Self:
        if self.is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_live:
            self._print(self._rest)
            self._live.stop()

    def on_progress(self, step: Progress) -> None:
        """Take note of a script that has started or ended."""
        match step:
            case ScriptStarted():
                self._running[step.pid] = (f"{step.crate} {step.version}", time.monotonic())
            case ScriptEnded():
                self._running.pop(step.pid, None)
                self._done += 1
                if self.is_live:
                    self._risks.update(proposal.risk for proposal in self._appraise(step))

    def on_output(self, piece: bytes) -> None:
        """Pass on what Cargo wrote."""
        if not self.is_live:
            sys.stderr.buffer.write(piece)
            sys.stderr.buffer.flush()
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._print(line)

    def _print(self, line: bytes) -> None:
        if line:
            # Colours survive; whatever else a terminal could be told does not.
            told = Text.from_ansi(line.decode("utf-8", "replace"))
            self._begun += bool(_BEGINS.match(told.plain))
            self._console.print(told, soft_wrap=True)

    def _counted(self) -> str:
        """Say how far it is: there may be no build script at all."""
        crates = [f"{count(self._begun, 'crate')} begun"] if self._begun else []
        scripts = [f"{count(self._done, 'build script')} recorded"] if self._done else []
        return ", ".join(crates + scripts) or "waiting for Cargo"

    def _render(self) -> Table:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(self._counted(), "bold")
        for risk in reversed(Risk):
            if self._risks[risk]:
                line.append(
                    f"  {GLYPHS[risk]}{self._risks[risk]} {risk.name.lower()}", _STYLE[risk]
                )
        running = sorted(self._running.values(), key=lambda entry: entry[1])
        for name, since in running[:_SHOWN]:
            line.append(f"  ▸ {name} {time.monotonic() - since:.0f}s", "cyan")
        if len(running) > _SHOWN:
            line.append(f"  and {len(running) - _SHOWN} more")
        table = Table.grid(padding=(0, 1))
        table.add_row(Spinner("dots"), line)
        return table
