"""The last plain question: what becomes of the decisions, beside the edit that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.presentation.front_end import ReviewEnd
from buildperm.presentation.proposal_facts import explain
from buildperm.presentation.unified_diff import WHOLE, compare
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.front_end import Failure, Preview, Verify
    from buildperm.presentation.prompt_terminal import PromptTerminal


@dataclass(frozen=True, slots=True)
class ClosingPrompt:
    """Shows the edit, verifies it, and ends the review."""

    terminal: PromptTerminal
    agenda: Agenda
    preview: Preview
    verify: Verify
    reopen: Callable[[str], None]  # Has the proposal of an id asked about once more.

    def run(self) -> ReviewEnd | None:
        """Show the diff and ask what to do; None goes on deciding."""
        counts = self.agenda.counts()
        self.terminal.print_lines("")
        self.terminal.print_lines(
            f"Allowed {counts.allowed}, denied {counts.denied}, undecided {counts.open}."
        )
        if not (counts.allowed + counts.denied or self.agenda.is_settled):
            self.terminal.print_lines("Nothing is decided, so nothing is written.")
            return ReviewEnd.KEEP
        try:
            before, after = self.preview()
            self._show_edit(before, after)
        except BuildpermError as error:
            self.terminal.print_lines(*f"Cannot write: {error}".split("\n"))
            return ReviewEnd.KEEP
        while True:
            self.terminal.print_lines(
                "w writes after a verifying run, k keeps the decisions and writes nothing,"
            )
            self.terminal.print_lines(
                "x discards them, u takes the last one back. An empty answer is k."
            )
            match self.terminal.answer("w k x u", flushing=True):
                case "w":
                    return self._verified()
                case "k" | "q" | "":
                    return ReviewEnd.KEEP
                case "x":
                    return ReviewEnd.DISCARD
                case "u":
                    back = self.agenda.undo()
                    if back is not None:
                        self.reopen(back.id)
                    return None
                case _:
                    continue

    def _show_edit(self, before: bytes, after: bytes) -> None:
        if before == after:
            self.terminal.print_lines(
                "Cargo.toml stays as it is; w keeps in buildperm.lock what was seen."
            )
        self.terminal.print_lines(*explain(before, after))
        for line in compare(before, after, WHOLE).lines:
            self.terminal.print_lines(f"    {line}")

    def _verified(self) -> ReviewEnd | None:
        """Run the scripts concerned; write, or ask what to do about what is missing."""
        try:
            failures = self.verify(_ShownProgress(self.terminal))
        except BuildpermError as error:
            self.terminal.print_lines(*f"Cannot verify: {error}".split("\n"))
            return ReviewEnd.KEEP
        if not failures:
            self.terminal.print_lines("All that is concerned gets by with these grants.")
            return ReviewEnd.WRITE
        self._show_failures(failures)
        new = [proposal for failure in failures for proposal in failure.proposals]
        if new:
            self.agenda.add(new)
            return None
        self.terminal.print_lines(
            "w writes all the same, an empty answer keeps the decisions and writes nothing."
        )
        return (
            ReviewEnd.WRITE if self.terminal.answer("w k", flushing=True) == "w" else ReviewEnd.KEEP
        )

    def _show_failures(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            crate = f"{shown(failure.crate)} {shown(failure.version)}"
            self.terminal.print_lines(f"Missing: {crate}: {shown(failure.sentence)}")


@dataclass(slots=True)
class _ShownProgress:
    """Prints how far a verifying run has come, each step once."""

    terminal: PromptTerminal
    last: tuple[int, int, str] | None = None

    def __call__(self, done: int, total: int, crate: str, /) -> bool:
        if self.last != (done, total, crate):
            self.last = done, total, crate
            self.terminal.print_lines(f"Verifying {done} of {total}: {shown(crate)}")
        return True
