"""The last plain question: what becomes of the decisions, beside the edit that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.presentation import edit_hunks
from buildperm.presentation.closing_text import OVERRIDE, noted_text, passed_text, written_files
from buildperm.presentation.edit_sentences import explain
from buildperm.presentation.front_end import ReviewEnd
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.edit_hunks import Edit, EditHunk
    from buildperm.presentation.front_end import Failure, Preview, Unsaved, Verify
    from buildperm.presentation.prompt_terminal import PromptTerminal


@dataclass(frozen=True, slots=True)
class ClosingPrompt:
    """Shows the edit, verifies it, and ends the review."""

    terminal: PromptTerminal
    agenda: Agenda
    preview: Preview
    verify: Verify
    unsaved: Unsaved
    reopen: Callable[[str], None]  # Has the proposal of an id asked about once more.
    is_tried: bool = True  # See `ReviewSession`.

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
            edit = edit_hunks.edit(before, after)
            self._show_edit(before, after, edit)
        except BuildpermError as error:
            self.terminal.print_lines(*f"Cannot write: {error}".split("\n"))
            return ReviewEnd.KEEP
        what = "checks it, then asks before it writes" if before != after else "writes that"
        self.terminal.print_lines(
            f"w {what}, k keeps the decisions and writes nothing,",
            "x forgets them, u takes the last step back, U again. An empty answer is k.",
        )
        offered = "w k x u U"
        if edit.hunks:
            self.terminal.print_lines("A number takes that hunk out: it is undecided again.")
            offered += " 1" if len(edit.hunks) == 1 else f" 1-{len(edit.hunks)}"
        while True:
            match self.terminal.answer(offered, flushing=True):
                case "w" if before == after:
                    return ReviewEnd.WRITE
                case "w":
                    return self._checked()
                case "k" | "q" | "":
                    return ReviewEnd.KEEP
                case "x":
                    return ReviewEnd.DISCARD
                case "u":
                    back = self.agenda.undo()
                    if back is not None:
                        self.reopen(back.id)
                    return None
                case "U" if self.agenda.can_redo:
                    self.agenda.redo()
                    return self.run()
                case number if number.isdecimal() and 0 < int(number) <= len(edit.hunks):
                    if self._take_out(edit.hunks[int(number) - 1]):
                        return self.run()
                case _:
                    continue

    def show(self) -> None:
        """Print what writing would change."""
        try:
            before, after = self.preview()
            self._show_edit(before, after, edit_hunks.edit(before, after))
        except BuildpermError as error:
            self.terminal.print_lines(*f"Cannot write: {error}".split("\n"))

    def _take_out(self, hunk: EditHunk) -> bool:
        """Take back what a hunk comes from; tell whether there was anything."""
        sources = self.agenda.sources(hunk)
        taken = self.agenda.take_out(hunk)
        for each in sources:
            self.terminal.print_lines(f"Undecided again: {shown(each.crate)}: {shown(each.title)}")
        if not taken:
            self.terminal.print_lines(
                "It follows from the other decisions about this crate: take those out."
            )
        return taken

    def _show_edit(self, before: bytes, after: bytes, edit: Edit) -> None:
        if before == after:
            told = noted_text(self.unsaved())
            self.terminal.print_lines(f"Cargo.toml stays as it is. w writes: {told}")
        self.terminal.print_lines(*(each.text for each in explain(before, after)))
        first = {hunk.lines[0]: number for number, hunk in enumerate(edit.hunks, 1)}
        for index, line in enumerate(edit.lines.lines):
            if index in first:
                self.terminal.print_lines(f"    Hunk {first[index]}:")
            self.terminal.print_lines(f"    {line}")

    def _checked(self) -> ReviewEnd | None:
        """Run what is concerned; write, or ask what to do about what is missing."""
        try:
            failures = self.verify(_ShownProgress(self.terminal))
        except BuildpermError as error:
            self.terminal.print_lines(*f"Cannot check: {error}".split("\n"))
            return ReviewEnd.KEEP
        if not failures:
            self.terminal.print_lines(
                passed_text(is_tried=self.is_tried),
                f"y writes {written_files(is_tried=self.is_tried)}; anything else writes nothing.",
            )
            return self._confirmed("y")
        self._show_failures(failures)
        new = [proposal for failure in failures for proposal in failure.proposals]
        if new:
            self.agenda.add(new)
            return None
        self.terminal.print_lines(
            "The check failed, so nothing is written. Written like this, `buildperm ci` fails, "
            f"too. To write all the same, type {OVERRIDE}; anything else keeps the decisions and "
            "writes nothing."
        )
        return self._confirmed(OVERRIDE)

    def _confirmed(self, word: str) -> ReviewEnd:
        is_confirmed = self.terminal.answer(f"{word} k", flushing=True) == word
        return ReviewEnd.WRITE if is_confirmed else ReviewEnd.KEEP

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
            self.terminal.print_lines(f"Checking {done} of {total}: {shown(crate)}")
        return True
