"""What is shown while Cargo builds, where no screen is: a live line, or what Cargo itself says."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from buildperm.cargo.script_progress import Progress, ScriptEnded
from buildperm.policy.proposal import Proposal, Risk
from buildperm.presentation import console
from buildperm.presentation.build_tally import BuildTally, CrateVersion, EndedScript
from buildperm.presentation.build_viewer import Appraise, Build, Result, refusal_text
from buildperm.presentation.wording import GLYPHS, plural, risk_word
from buildperm.printable import shown
from buildperm.report.text import count

_STYLE = {Risk.CRITICAL: "bold red", Risk.HIGH: "red", Risk.MEDIUM: "yellow", Risk.LOW: "green"}

_SHOWN = 3  # Running scripts that are named; the rest is counted.


class LineViewer:
    """Shows a build as a line on standard error, below what Cargo says.

    Args:
        is_linear: Nothing is ever redrawn, as a screen reader wants it: each script that has ended
            is a line of its own.
    """

    def __init__(self, *, is_linear: bool = False) -> None:
        self._is_linear = is_linear

    def watch(self, _heading: str, appraise: Appraise, build: Build[Result], /) -> Result:
        """Run `build`, and return what it returns; its errors pass through."""
        with BuildProgress(appraise, is_linear=self._is_linear) as shown_progress:
            return build(shown_progress)

    def close(self) -> None:
        """Do nothing: no terminal is taken."""


def _ended_text(ended: EndedScript) -> str:
    """Say how a script went, in one line."""
    who = f"{shown(ended.crate)} {shown(ended.version)}"
    worst = ended.worst
    if worst is None:
        return f"{who} is recorded: nothing to decide"
    decisions = plural(len(ended.proposals), "decision")
    return f"{who} is recorded: {decisions}, {risk_word(worst.risk)}: {shown(worst.title)}"


class BuildProgress:
    """A live line on standard error while Cargo builds; silent where that is no terminal.

    Cargo's own output goes above it, piece by piece.
    """

    def __init__(self, appraise: Appraise, *, is_linear: bool = False) -> None:
        self._is_linear = is_linear
        self._tally = BuildTally(self._appraised)
        self._appraise = appraise
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
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
        can_redraw = self._console.is_terminal and not self._console.is_dumb_terminal
        return can_redraw and not self._is_linear

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
        if self._is_linear:
            self._tell(self._tally.finish())
        if self.is_live:
            self._print(self._rest)
            self._live.stop()

    def on_begin(self, scripts: list[CrateVersion], interrupt: Callable[[], None]) -> None:
        """Take note of the build scripts that may run; signals interrupt it by themselves."""
        self._tally.expect(scripts)

    def on_progress(self, step: Progress) -> None:
        """Take note of a script that has started or ended."""
        ended = self._tally.on_progress(step)
        text = refusal_text(ended) if ended is not None else ""
        if text and self.is_live:
            self._console.print(Text(f"buildperm: {text}", "yellow"), soft_wrap=True)
        elif text:
            console.print_message(f"buildperm: {text}")
        elif ended is not None and self._is_linear:
            console.print_message(f"buildperm: {_ended_text(ended)}")

    def on_output(self, piece: bytes) -> None:
        """Pass on what Cargo wrote."""
        if self._is_linear:
            self._tell(self._tally.on_output(piece))
            return
        if not self.is_live:
            sys.stderr.buffer.write(piece)
            sys.stderr.buffer.flush()
            return
        self._tally.on_output(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._print(line)

    def _appraised(self, step: ScriptEnded) -> tuple[Proposal, ...]:
        """Appraise where somebody sees it: reading a recording takes time."""
        return self._appraise(step) if self.is_live or self._is_linear or step.exit_code else ()

    def _tell(self, lines: list[bytes]) -> None:
        """Print lines that can do nothing to a terminal."""
        for line in lines:
            console.print_message(line.decode("utf-8", "replace"))

    def _print(self, line: bytes) -> None:
        if line:
            # Colours survive; whatever else a terminal could be told does not.
            told = Text.from_ansi(line.decode("utf-8", "replace"))
            self._console.print(told, soft_wrap=True)

    def _render(self) -> Table:
        state = self._tally.state
        line = Text(no_wrap=True, overflow="ellipsis")
        crates = [f"{count(state.crates, 'crate')} begun"] if state.crates else []
        scripts = [f"{count(len(state.ended), 'build script')} recorded"] if state.ended else []
        # There may be no build script at all.
        line.append(", ".join(crates + scripts) or "waiting for Cargo", "bold")
        risks = state.risks()
        for risk in reversed(Risk):
            if risks[risk]:
                line.append(f"  {GLYPHS[risk]}{risks[risk]} {risk.name.lower()}", _STYLE[risk])
        for script in state.running[:_SHOWN]:
            seconds = f"{time.monotonic() - script.since_s:.0f}s"
            line.append(f"  > {script.crate} {script.version} {seconds}", "cyan")
        if len(state.running) > _SHOWN:
            line.append(f"  and {len(state.running) - _SHOWN} more")
        table = Table.grid(padding=(0, 1))
        table.add_row(Spinner("line" if self._console.encoding == "ascii" else "dots"), line)
        return table
