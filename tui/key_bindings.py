"""The keys of the inbox, which are its commands in the palette too.

Enter only opens and closes, Space only marks, Esc only goes back: no key that a hand presses by
itself decides anything. Nothing that terminals or multiplexers use for themselves is bound.
"""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

INBOX: Final[list[BindingType]] = [
    Binding("a", "answer('allow')", "Allow", id="review.allow",
            tooltip="Allow the chosen rule; on a crate, all that is below high risk"),
    Binding("d", "answer('deny')", "Deny", id="review.deny",
            tooltip="Deny it and stop asking; on a crate, all that is below high risk"),
    Binding("s", "answer('later')", "Later", id="review.later",
            tooltip="Leave it for later: it stays refused and is asked again"),
    Binding("e", "everywhere", "Everywhere", id="review.everywhere", show=False,
            tooltip="The same answer in all crates that ask for the same; lists them first"),
    Binding("o", "changes", "What changed", id="review.changes", show=False,
            tooltip="Show what the crate does now and did before, and the diff of its sources"),
    Binding("delete", "answer('undecided')", "Clear", id="review.clear", show=False,
            tooltip="Clear the answer"),
    Binding("left_square_bracket", "step(-1)", "Narrower", id="review.narrow", show=False,
            tooltip="Choose the next narrower rule"),
    Binding("right_square_bracket", "step(1)", "Wider", id="review.widen",
            tooltip="Choose the next wider rule"),
    Binding("u", "undo", "Undo", id="review.undo", tooltip="Take the last step back"),
    Binding("U", "redo", "Redo", id="review.redo", show=False,
            tooltip="Take the step again that was taken back"),
    Binding("n", "next(1)", "Next undecided", id="review.next", show=False,
            tooltip="Go to the next undecided proposal"),
    Binding("N", "next(-1)", "Previous undecided", id="review.previous", show=False,
            tooltip="Go to the previous undecided proposal"),
    Binding("A", "answer_all('allow')", "Allow all shown", id="review.allow-all", show=False,
            tooltip="Allow all that are marked, else all shown, below high risk; lists them first"),
    Binding("D", "answer_all('deny')", "Deny all shown", id="review.deny-all", show=False,
            tooltip="Deny all that are marked, else all shown, below high risk; lists them first"),
    Binding("slash", "filter", "Filter", id="review.filter",
            tooltip="Show only some: kind:exec, risk:>=high, crate:*-sys, is:locked, or any words"),
    Binding("v", "diff", "Diff", id="review.diff", show=False,
            tooltip="Show what writing would change in Cargo.toml"),
    Binding("w", "write", "Write", id="review.write",
            tooltip="Write what is decided, after the diff and a verifying run"),
    Binding("enter", "open", "Open", id="review.open", show=False,
            tooltip="Open or close a crate, or the card where there is no room beside the list"),
    Binding("escape", "back", "Back", id="review.back", show=False,
            tooltip="Go back: from the card to the list, from the filter to everything"),
    Binding("question_mark,f1", "app.help", "Help", id="review.help", tooltip="List every key"),
    Binding("q", "app.leave", "Quit", id="review.leave",
            tooltip="Leave, with a choice of what to do with the decisions"),
    Binding("ctrl+c,ctrl+q", "app.leave", "Quit", id="review.interrupt", show=False),
]  # fmt: skip

FILTER: Final[list[BindingType]] = [
    Binding("enter", "submit", "Keep the filter", id="filter.keep",
            tooltip="Go back to the list, filtered"),
    Binding("escape", "screen.back", "Show all", id="filter.clear",
            tooltip="Go back to the list, unfiltered"),
]  # fmt: skip

TREE: Final[list[BindingType]] = [
    Binding("down,j", "move(1)", "Down", id="tree.down", show=False, tooltip="Next line"),
    Binding("up,k", "move(-1)", "Up", id="tree.up", show=False, tooltip="Previous line"),
    Binding("pagedown", "page(1)", "Page down", id="tree.page-down", show=False,
            tooltip="One page on"),
    Binding("pageup", "page(-1)", "Page up", id="tree.page-up", show=False,
            tooltip="One page back"),
    Binding("home,g", "go(0)", "First", id="tree.first", show=False, tooltip="First line"),
    Binding("end,G", "go(-1)", "Last", id="tree.last", show=False, tooltip="Last line"),
    Binding("right,l", "open", "Open crate", id="tree.open", show=False,
            tooltip="Open the crate, or go into it"),
    Binding("left,h", "close", "Close crate", id="tree.close", show=False,
            tooltip="Go up to the crate, or close it"),
    Binding("equals_sign", "open_all", "Open all", id="tree.open-all", show=False,
            tooltip="Open every crate"),
    Binding("minus", "close_all", "Close all", id="tree.close-all", show=False,
            tooltip="Close every crate"),
    Binding("space", "mark", "Mark", id="tree.mark", show=False,
            tooltip="Mark the proposal for a decision on several at once"),
]  # fmt: skip
