"""The one table of actions: what keys do on which screen, in help, footer and palette.

An action has an id, by which the configuration file gives it other keys; its part before the dot
names the screen. To add one, write a line here with an id, keys, what it calls, a label, a group
and a sentence.

Enter only opens and closes, Space only marks, Esc only goes back: no key that a hand presses by
itself decides anything. Nothing that terminals or multiplexers use for themselves is bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from textual.binding import Binding

if TYPE_CHECKING:
    from textual.binding import BindingType


class ActionGroup(StrEnum):
    """The headings of help, in their order."""

    DECIDE = "Decide"
    LOOK = "Look closer"
    MOVE = "Move"
    SELECT = "Show and mark"
    FINISH = "Write and leave"
    LEARN = "Find out"


DECIDE, LOOK, MOVE, SELECT, FINISH, LEARN = ActionGroup


@dataclass(frozen=True, slots=True)
class Action:
    """What a key does on one screen."""

    id: str  # The screen, a dot, and a name that is its own on that screen.
    keys: str  # The default ones, as Textual names them, with commas between.
    does: str  # The method that it calls, without its prefix, with arguments.
    label: str  # A word or two, for the footer and the palette.
    group: ActionGroup
    told: str  # One sentence; empty keeps it out of help and palette, and its keys as they are.
    in_footer: bool = True

    @property
    def screen(self) -> str:
        """The screen or widget that the action belongs to."""
        return self.id.partition(".")[0]

    @property
    def binding(self) -> Binding:
        """The action as Textual knows it."""
        return Binding(
            self.keys, self.does, self.label, self.in_footer, tooltip=self.told, id=self.id
        )


ACTIONS: Final = (
    # The inbox.
    Action("review.allow", "a", "answer('allow')", "Allow", DECIDE,
           "Allow the chosen rule; on a crate, all that is below high risk"),
    Action("review.deny", "d", "answer('deny')", "Deny", DECIDE,
           "Deny it and stop asking; on a crate, all that it asks for, at any risk"),
    Action("review.later", "s", "answer('later')", "Later", DECIDE,
           "Leave it for later: it stays refused and is asked again"),
    Action("review.everywhere", "e", "everywhere", "Everywhere", DECIDE,
           "The same answer in all crates that ask for the same; lists them first", False),
    Action("review.changes", "o", "changes", "What changed", LOOK,
           "Show what the crate does now and did before, and the diff of its sources", False),
    Action("review.baseline", "b", "baseline", "Baseline", LOOK,
           "Show what the crate did that every build script may do", False),
    Action("review.evidence", "i", "evidence_screen", "Evidence", LOOK,
           "Show what lies behind it: commands, processes, events, source, Cargo.toml"),
    Action("review.clear", "delete", "answer('undecided')", "Clear", DECIDE,
           "Clear the answer", False),
    Action("review.narrow", "left_square_bracket", "step(-1)", "Narrower", DECIDE,
           "Choose the next narrower rule", False),
    Action("review.widen", "right_square_bracket", "step(1)", "Wider", DECIDE,
           "Choose the next wider rule", False),
    Action("review.undo", "u", "undo", "Undo", DECIDE, "Take the last step back"),
    Action("review.redo", "U", "redo", "Redo", DECIDE,
           "Take the step again that was taken back", False),
    Action("review.next", "n", "next(1)", "Next undecided", MOVE,
           "Go to the next undecided proposal", False),
    Action("review.previous", "N", "next(-1)", "Previous undecided", MOVE,
           "Go to the previous undecided proposal", False),
    Action("review.allow-all", "A", "answer_all('allow')", "Allow all shown", DECIDE,
           "Allow all that are marked, else all shown, below high risk; lists them first", False),
    Action("review.deny-all", "D", "answer_all('deny')", "Deny all shown", DECIDE,
           "Deny all that are marked, else all shown, at any risk; lists them first", False),
    Action("review.edit", "E", "edit", "Edit rule", DECIDE,
           "Write the rule by hand; it is judged while you type", False),
    Action("review.terms", "r", "terms", "Reason, last day", DECIDE,
           "Say why the crate is granted what it is granted, and until when", False),
    Action("review.distrust", "X", "distrust", "Distrust", DECIDE,
           "Deny everything that this crate wants, in one step; lists it first", False),
    Action("review.filter", "slash", "filter", "Filter", SELECT,
           "Show only some: kind:exec, risk:>=high, crate:*-sys, is:locked, or any words"),
    Action("review.diff", "v", "diff", "Diff", FINISH,
           "Show what writing would change in Cargo.toml", False),
    Action("review.write", "w", "write", "Write", FINISH,
           "Write what is decided, after the diff and a verifying run"),
    Action("review.open", "enter", "open", "Open", LOOK,
           "Open or close a crate; give a card the whole screen where it has little room", False),
    Action("review.back", "escape", "back", "Back", LOOK,
           "Go back: from the card to the list, from the filter to everything", False),
    Action("review.card-down", "J", "scroll_card(1)", "Card down", LOOK,
           "Scroll the card down", False),
    Action("review.card-up", "K", "scroll_card(-1)", "Card up", LOOK,
           "Scroll the card up", False),
    Action("review.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("review.leave", "q", "app.leave", "Quit", FINISH,
           "Leave, with a choice of what to do with the decisions"),
    Action("review.interrupt", "ctrl+c,ctrl+q", "app.leave", "Quit", FINISH, "", False),
    # The list in it.
    Action("tree.down", "down,j", "move(1)", "Down", MOVE, "Next line", False),
    Action("tree.up", "up,k", "move(-1)", "Up", MOVE, "Previous line", False),
    Action("tree.page-down", "pagedown", "page(1)", "Page down", MOVE, "One page on", False),
    Action("tree.page-up", "pageup", "page(-1)", "Page up", MOVE, "One page back", False),
    Action("tree.first", "home,g", "go(0)", "First", MOVE, "First line", False),
    Action("tree.last", "end,G", "go(-1)", "Last", MOVE, "Last line", False),
    Action("tree.open", "right,l", "open", "Open crate", MOVE,
           "Open the crate, or go into it", False),
    Action("tree.close", "left,h", "close", "Close crate", MOVE,
           "Go up to the crate, or close it", False),
    Action("tree.open-all", "equals_sign", "open_all", "Open all", MOVE,
           "Open every crate", False),
    Action("tree.close-all", "minus", "close_all", "Close all", MOVE,
           "Close every crate", False),
    Action("tree.mark", "space", "mark", "Mark", SELECT,
           "Mark the proposal, or all of a crate, for a decision on several at once", False),
    # The tabs of the evidence, on every screen that shows it.
    Action("tabs.commands", "1", "evidence(1)", "Commands", LOOK,
           "Evidence: every command line that was run, or that did it", False),
    Action("tabs.processes", "2", "evidence(2)", "Processes", LOOK,
           "Evidence: the process tree, with exit codes and times", False),
    Action("tabs.events", "3", "evidence(3)", "Events", LOOK,
           "Evidence: every event of the recording that it is about", False),
    Action("tabs.source", "4", "evidence(4)", "Source", LOOK,
           "Evidence: the line of build.rs that seems to ask for it (best effort)", False),
    Action("tabs.told", "5", "evidence(5)", "Output", LOOK,
           "Evidence: what the script printed for Cargo", False),
    Action("tabs.manifest", "6", "evidence(6)", "Cargo.toml", LOOK,
           "Evidence: what Cargo.toml would say for this decision alone", False),
    # What every build script may do.
    Action("baseline.back", "escape,b", "back", "Back", LOOK, "Go back to the proposals"),
    Action("baseline.down", "down,j", "scroll(1)", "Down", MOVE, "Next line", False),
    Action("baseline.up", "up,k", "scroll(-1)", "Up", MOVE, "Previous line", False),
    Action("baseline.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("baseline.leave", "q", "app.leave", "Quit", FINISH,
           "Leave, with a choice of what to do with the decisions"),
    Action("baseline.interrupt", "ctrl+c,ctrl+q", "app.leave", "Quit", FINISH, "", False),
    # The evidence on a screen of its own.
    Action("evidence.back", "escape,i", "back", "Back", LOOK, "Go back to the proposals"),
    Action("evidence.next", "tab,right,l", "next_tab(1)", "Next tab", LOOK,
           "Show the next tab; 1 to 6 choose one"),
    Action("evidence.previous", "shift+tab,left,h", "next_tab(-1)", "Previous tab", LOOK,
           "Show the previous tab", False),
    Action("evidence.down", "down,j", "scroll(1)", "Down", MOVE, "Next line", False),
    Action("evidence.up", "up,k", "scroll(-1)", "Up", MOVE, "Previous line", False),
    Action("evidence.page-down", "pagedown", "page(1)", "Page down", MOVE, "One page on", False),
    Action("evidence.page-up", "pageup", "page(-1)", "Page up", MOVE, "One page back", False),
    Action("evidence.first", "home,g", "edge(0)", "First", MOVE, "First line", False),
    Action("evidence.last", "end,G", "edge(1)", "Last", MOVE, "Last line", False),
    Action("evidence.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("evidence.leave", "q", "app.leave", "Quit", FINISH,
           "Leave, with a choice of what to do with the decisions"),
    Action("evidence.interrupt", "ctrl+c,ctrl+q", "app.leave", "Quit", FINISH, "", False),
    # The lists of a trace.
    Action("list.down", "down,j", "move(1)", "Down", MOVE, "Next line", False),
    Action("list.up", "up,k", "move(-1)", "Up", MOVE, "Previous line", False),
    Action("list.page-down", "pagedown", "page(1)", "Page down", MOVE, "One page on", False),
    Action("list.page-up", "pageup", "page(-1)", "Page up", MOVE, "One page back", False),
    Action("list.first", "home,g", "go(0)", "First", MOVE, "First line", False),
    Action("list.last", "end,G", "go(-1)", "Last", MOVE, "Last line", False),
    # A trace.
    Action("trace.pane", "tab", "other_pane", "Other pane", MOVE,
           "Go to the other list: processes or events"),
    Action("trace.filter", "slash", "filter", "Filter", SELECT,
           "Show only some events: kind:exec, is:refused, by:git, or any words; -word leaves out"),
    Action("trace.follow", "f", "follow", "Follow", SELECT,
           "Show the events of the process alone, with those of what it started, or of all"),
    Action("trace.open", "enter", "open", "Go to", LOOK,
           "From a process to its events, from an event to its process", False),
    Action("trace.parent", "p", "parent", "Parent", MOVE,
           "Go to the process that started this one", False),
    Action("trace.next", "n", "next(1)", "Next trouble", MOVE,
           "Go to the next event that was refused or failed", False),
    Action("trace.previous", "N", "next(-1)", "Previous trouble", MOVE,
           "Go to the previous event that was refused or failed", False),
    Action("trace.copy", "y", "copy", "Copy", LOOK,
           "Copy the command line or the event, by way of the terminal"),
    Action("trace.back", "escape", "back", "Back", LOOK,
           "Leave the filter, show everything again", False),
    Action("trace.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("trace.leave", "q", "app.leave", "Quit", FINISH, "Leave"),
    Action("trace.interrupt", "ctrl+c,ctrl+q", "app.leave", "Quit", FINISH, "", False),
    # The line of the filter.
    Action("filter.keep", "enter", "submit", "Keep the filter", SELECT,
           "Go back to the list, filtered"),
    Action("completion.complete", "tab", "complete", "Complete", SELECT,
           "Complete the word; the right arrow takes what is shown behind the cursor"),
    Action("filter.clear", "escape", "screen.back", "Show all", SELECT,
           "Go back to the list, unfiltered"),
    # The list of what one answer would decide.
    Action("batch.confirm", "y", "confirm", "Confirm", DECIDE, "Decide all that are listed"),
    Action("batch.allow", "a", "choose('a')", "Allow", DECIDE,
           "Choose to allow all that are listed, to be confirmed"),
    Action("batch.deny", "d", "choose('d')", "Deny", DECIDE,
           "Choose to deny all that are listed, to be confirmed"),
    Action("batch.down", "down,j", "scroll(1)", "Down", MOVE, "Next line", False),
    Action("batch.up", "up,k", "scroll(-1)", "Up", MOVE, "Previous line", False),
    Action("batch.back", "escape,n,q", "back", "Back", LOOK, "Decide nothing"),
    Action("batch.interrupt", "ctrl+c,ctrl+q", "back", "Back", LOOK, "", False),
    # The last look before writing.
    Action("diff.check", "w", "check", "Check", FINISH,
           "Run what is concerned under the new grants, which comes before writing"),
    Action("diff.write", "y", "write", "Write", FINISH,
           "Write what is shown, once the check has passed"),
    Action("diff.override", "O", "override", "Override", FINISH,
           "Write although the check failed; asks for a typed word", False),
    Action("diff.take-out", "space", "take_out", "Take out", SELECT,
           "Make the decisions behind this hunk undecided again"),
    Action("diff.undo", "u", "undo", "Undo", DECIDE, "Take the last step back"),
    Action("diff.redo", "U", "redo", "Redo", DECIDE,
           "Take the step again that was taken back", False),
    Action("diff.next", "down,j,n", "hunk(1)", "Next hunk", MOVE, "Go to the next hunk", False),
    Action("diff.previous", "up,k,N", "hunk(-1)", "Previous hunk", MOVE,
           "Go to the previous hunk", False),
    Action("diff.page-down", "pagedown", "page(1)", "Page down", MOVE, "One page on", False),
    Action("diff.page-up", "pageup", "page(-1)", "Page up", MOVE, "One page back", False),
    Action("diff.back", "escape", "back", "Back", LOOK, "Go back to the proposals"),
    Action("diff.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("diff.leave", "q", "app.leave", "Quit", FINISH,
           "Leave, with a choice of what to do with the decisions"),
    Action("diff.interrupt", "ctrl+c,ctrl+q", "app.leave", "Quit", FINISH, "", False),
    # The question before grants are written under which something fails.
    Action("override.back", "escape", "back", "Back", LOOK, "Go back; nothing is written"),
    Action("override.interrupt", "ctrl+c,ctrl+q", "back", "Back", LOOK, "", False),
    # The question before something critical is allowed.
    Action("critical.back", "escape", "back", "Back", LOOK, "Go back; nothing is allowed"),
    Action("critical.interrupt", "ctrl+c,ctrl+q", "back", "Back", LOOK, "", False),
    # A rule that is edited by hand.
    Action("edit.keep", "enter", "keep", "Keep", LOOK, "Keep the rule; it allows nothing yet"),
    Action("edit.back", "escape", "back", "Back", LOOK, "Leave the rule as it was"),
    Action("edit.interrupt", "ctrl+c,ctrl+q", "back", "Back", LOOK, "", False),
    # Why, and until when.
    Action("terms.keep", "enter", "keep", "Keep", LOOK, "Keep the reason and the last day"),
    Action("terms.next", "tab", "app.focus_next", "Other line", MOVE,
           "Go to the other line: the reason or the last day", False),
    Action("terms.back", "escape", "back", "Back", LOOK, "Leave both as they were"),
    Action("terms.interrupt", "ctrl+c,ctrl+q", "back", "Back", LOOK, "", False),
    # The question before leaving.
    Action("leave.write", "w", "answer('write')", "Write", FINISH,
           "Write what is decided to Cargo.toml, after its diff"),
    Action("leave.keep", "k,q,ctrl+c,ctrl+q", "answer('keep')", "Keep", FINISH,
           "Leave Cargo.toml alone and keep the decisions for the next time"),
    Action("leave.discard", "x", "answer('discard')", "Discard", FINISH,
           "Leave Cargo.toml alone and forget the decisions"),
    Action("leave.back", "escape", "back", "Back", LOOK, "Go back to the proposals"),
    # How a build script differs from the last reviewed one.
    Action("changes.back", "escape,o", "back", "Back", LOOK, "Go back to the proposals"),
    Action("changes.down", "down,j", "scroll(1)", "Down", MOVE, "Next line", False),
    Action("changes.up", "up,k", "scroll(-1)", "Up", MOVE, "Previous line", False),
    Action("changes.next", "tab", "app.focus_next", "Other pane", LOOK,
           "Scroll the other one: behaviour or sources"),
    Action("changes.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("changes.leave", "q", "app.leave", "Quit", FINISH,
           "Leave, with a choice of what to do with the decisions"),
    Action("changes.interrupt", "ctrl+c,ctrl+q", "app.leave", "Quit", FINISH, "", False),
    # A build while it runs.
    Action("run.scripts", "1", "tab('scripts')", "Scripts", LOOK, "Show the build scripts"),
    Action("run.log", "2", "tab('log')", "Cargo's log", LOOK, "Show what Cargo says"),
    Action("run.other", "tab", "other_tab", "Other", LOOK, "Show the other of both", False),
    Action("run.down", "down,j", "scroll(1)", "Down", MOVE, "Next line", False),
    Action("run.up", "up,k", "scroll(-1)", "Up", MOVE, "Previous line", False),
    Action("run.help", "question_mark,f1", "app.help", "Help", LEARN, "List every key"),
    Action("run.stop", "q", "app.leave", "Stop", FINISH,
           "Stop the build, after a question; nothing is written"),
    # The question whether to stop it.
    Action("stop.stop", "y", "answer('stop')", "Stop", FINISH,
           "End Cargo and everything that it has started"),
    Action("stop.interrupt", "ctrl+c,ctrl+q", "answer('stop')", "Stop", FINISH, "", False),
    Action("stop.back", "escape,n", "answer('on')", "Go on", LOOK, "Go on building"),
    # Help.
    Action("help.back", "escape,question_mark,f1,q", "back", "Back", LEARN, "Close"),
    Action("help.interrupt", "ctrl+c,ctrl+q", "back", "Back", LEARN, "", False),
    # Everywhere.
    Action("app.palette", "ctrl+p", "command_palette", "Palette", LEARN,
           "Find an action by typing a part of what it does", False),
    # Instead of Textual's own, which would leave without asking.
    Action("app.interrupt", "ctrl+c,ctrl+q", "leave", "Quit", FINISH, "", False),
)  # fmt: skip

TOGETHER: Final = (
    ("review", "tree", "tabs", "app"),
    ("evidence", "tabs", "app"),
    ("filter", "completion", "app"),
    ("trace", "list", "app"),
)
"""What has keys at the same time; any other screen is alone with `app`."""

_PLACES: Final = {action.id: number for number, action in enumerate(ACTIONS)}

_BY_ID: Final = {action.id: action for action in ACTIONS}


def action_of(identifier: str | None) -> Action | None:
    """Return the action with an id, if there is one."""
    return _BY_ID.get(identifier or "")


def place(identifier: str) -> int:
    """Return where an action stands in the table, whatever keys it has; last where it does not."""
    return _PLACES.get(identifier, len(ACTIONS))


def bindings(screen: str) -> list[BindingType]:
    """Return the default keys of a screen or widget, by the part of the ids before the dot."""
    return [action.binding for action in ACTIONS if action.screen == screen]
