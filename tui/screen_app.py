"""What every application on the screens has: looks and keys of a person, help, the palette."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from textual import events
from textual.app import App, SystemCommand
from textual.filter import ANSIToTruecolor
from textual.widgets import Input

from buildperm.tui.appearance import HIGH_CONTRAST, Appearance
from buildperm.tui.ascii_filter import AsciiFilter
from buildperm.tui.key_bindings import DECIDE, FINISH, Action, ActionGroup, action_of, bindings
from buildperm.tui.paste_guard import PasteGuard
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.terminal_driver import OWN_DRIVER
from buildperm.tui.unobeyed_key import PASTED
from buildperm.tui.widgets.tone import TONE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.binding import Binding, BindingType
    from textual.dom import DOMNode
    from textual.driver import Driver
    from textual.filter import LineFilter
    from textual.message import Message
    from textual.screen import Screen

_ASCII: Final = AsciiFilter()
_ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows does not have the last.
"""Signals that would end the process with the terminal as the screens have left it."""

Returned = TypeVar("Returned")


def _ends_process(number: int) -> bool:
    """Tell whether a signal has its usual meaning; asyncio may have taken SIGINT to cancel us."""
    meaning = signal.getsignal(number)
    if number == signal.SIGINT:
        return meaning is not signal.SIG_IGN
    return meaning is signal.SIG_DFL


class ScreenApp(App[Returned]):
    """An application that looks and answers as a person prefers.

    Args:
        appearance: How it looks, and which keys work.
        driver: Draws on the terminal, and reads from it.
    """

    TITLE = "buildperm"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*TONE_CLASSES}

    def __init__(self, appearance: Appearance, *, driver: type[Driver] | None = OWN_DRIVER) -> None:
        super().__init__(driver_class=driver)
        self._appearance = appearance
        self._is_ascii_only = appearance.is_ascii_only
        self._signals: tuple[int, ...] = ()  # Those that are taken.
        self._is_interrupted = False
        self._pastes = PasteGuard(self._is_decisive)
        self.register_theme(HIGH_CONTRAST)
        if appearance.theme:
            self.theme = appearance.theme
        self.keys = appearance.keys
        self.set_keymap(appearance.keys)

    def present(self) -> Returned | None:
        """Run on the terminal, and give it back however it ends; return what `exit` was given.

        Raises:
            KeyboardInterrupt: A signal has ended it.
        """
        gc.freeze()  # To look for cycles in all that was read before would delay a key by much.
        try:
            returned = self.run(mouse=self._appearance.has_mouse)
        finally:
            gc.unfreeze()
        if self._is_interrupted:
            raise KeyboardInterrupt
        return returned

    def on_mount(self) -> None:
        """Take the signals that somebody may send, but for those that are ignored."""
        if threading.current_thread() is threading.main_thread():  # Else none can be taken.
            self._signals = tuple(
                number
                for number in signal.Signals
                if number.name in _ENDING and _ends_process(number)
            )
        for number in self._signals:
            asyncio.get_running_loop().add_signal_handler(number, self.interrupt)

    def on_unmount(self) -> None:
        """Give the signals their meaning back."""
        for number in self._signals:
            asyncio.get_running_loop().remove_signal_handler(number)

    def interrupt(self) -> None:
        """End: a signal came."""
        self._is_interrupted = True
        self.exit()

    def post_message(self, message: Message) -> bool:
        """Take a message; a key is noticed at once, whatever there is to do before it."""
        if isinstance(message, events.Key) and not message.is_forwarded:
            self._pastes.note(message.key, message.time, time.monotonic())
        return super().post_message(message)

    async def on_event(self, event: events.Event) -> None:
        """Obey nothing of a text that was pasted where no line to type in has the focus."""
        is_pasted = (
            isinstance(event, events.Key)
            and not event.is_forwarded
            and self._pastes.holds(event.time)
            and not isinstance(self.focused, Input)
        )
        if not is_pasted:
            await super().on_event(event)
        elif isinstance(self.screen, TellingScreen):
            self.screen.explain(PASTED)

    def _is_decisive(self, key: str) -> bool:
        """Tell whether a key would decide, write or leave anything on the screen that is shown.

        In a line to type in it is text, unless it ends the line.
        """
        if isinstance(self.focused, Input):
            return key == "enter"
        active = self.screen.active_bindings.get(key) if self.screen_stack else None
        action = action_of(active.binding.id) if active is not None else None
        return action is not None and action.group in (DECIDE, FINISH)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Draw with ASCII only, where the terminal has nothing else."""
        # Every colour here is a true one: to look for others takes a twentieth of all drawing.
        filters = [
            each for each in super().get_line_filters() if not isinstance(each, ANSIToTruecolor)
        ]
        return [*filters, _ASCII] if self._is_ascii_only else filters

    def get_key_display(self, binding: Binding) -> str:
        """Name a key as a keyboard does, where its sign cannot be drawn."""
        display = super().get_key_display(binding)
        return display if display.isascii() or not self._is_ascii_only else binding.key

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """List every action that is possible here, with its keys, and the themes."""
        keys: dict[Action, list[str]] = {}
        nodes: dict[Action, DOMNode] = {}
        for active in screen.active_bindings.values():
            action = action_of(active.binding.id)
            if action is not None and action.told and active.enabled:
                keys.setdefault(action, []).append(self.get_key_display(active.binding))
                nodes[action] = active.node
        for action, names in keys.items():
            run = partial(self.obey, action, nodes[action])
            yield SystemCommand(f"{action.label}  {' '.join(names)}", action.told, run)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)

    def trust_keys(self) -> None:
        """Take what comes next as meant, however soon it comes."""

    async def obey(self, action: Action, node: DOMNode) -> None:
        """Do what was chosen from a list of actions, which nobody does by mistake."""
        self.trust_keys()
        await self.run_action(action.does, node)

    def action_help(self) -> None:
        """List the keys of the screen that is shown, in groups; a click does what a line says."""
        keys: dict[Action, list[str]] = {}
        nodes: dict[Action, DOMNode] = {}
        for active in self.screen.active_bindings.values():
            action = action_of(active.binding.id)
            if action is not None and action.told:
                keys.setdefault(action, []).append(self.get_key_display(active.binding))
                nodes[action] = active.node
        groups = [
            (group, [(" ".join(keys[each]), each) for each in keys if each.group is group])
            for group in ActionGroup
        ]

        def take(chosen: Action | None) -> None:
            if chosen is not None:
                self.call_later(self.obey, chosen, nodes[chosen])

        from buildperm.tui.screens.help import HelpScreen  # Not before it is opened.

        self.push_screen(HelpScreen(groups), take)
