"""The footer: the next sensible keys first, and only what is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from buildperm.tui.key_bindings import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.app import ComposeResult


class HintFooter(Footer):
    """Teaches: what is likely to come next stands first and is bright, the rest follows.

    Keys that would do nothing now are left out; pressing one says why.
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)
        self._next: tuple[str, ...] = ()
        self._labels: dict[str, str] = {}

    def suggest(self, identifiers: Iterable[str], labels: Mapping[str, str]) -> None:
        """Put actions first, by their ids, and call some by what they would do now."""
        chosen, called = tuple(identifiers), dict(labels)
        if (chosen, called) != (self._next, self._labels):
            self._next, self._labels = chosen, called
            self.refresh(recompose=True)

    def compose(self) -> ComposeResult:
        """Lay out the keys."""
        keys: dict[str, FooterKey] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            identifier = binding.id or binding.action
            is_next = identifier in self._next
            if identifier in keys or not active.enabled or not (binding.show or is_next):
                continue
            keys[identifier] = FooterKey(
                binding.key,
                self.app.get_key_display(binding),
                self._labels.get(identifier, binding.description),
                binding.action,
                tooltip=binding.tooltip,
                classes="-next" if is_next else "",
            ).data_bind(compact=Footer.compact)
        for identifier in self._next:
            if identifier in keys:
                yield keys.pop(identifier)
        for identifier in sorted(keys, key=place):
            yield keys[identifier]
