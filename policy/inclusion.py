"""Inclusion: whether one pattern covers everything that another one does.

A pattern is a regular expression in disguise, so this walks two automata side by side: the one of
the narrower pattern state by state, the one of the wider pattern as the set of all states that it
may be in. It never says yes where that is not so; it may say no where the answer would take long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from buildperm.rules import pattern as patterns
from buildperm.rules.pattern import WILDCARDS, is_literal, matches

LONGEST = 4_096
"""Characters of a pattern; of a longer one only an equal one is known to cover it."""

_STEPS_MOST = 200_000  # Of one comparison. Ordinary patterns take a few hundred.
_SYMBOL = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)  # `?` covers either.
_OTHER = ""  # Stands for every symbol that neither pattern names.
_SLASH = "/"


def contains(wide: str, narrow: str) -> bool:
    """Tell whether `wide` covers all that `narrow` covers.

    Raises:
        ValueError: A pattern holds a `%` without two hexadecimal digits.
    """
    if wide == narrow:
        return True
    if is_literal(wide) or max(len(wide), len(narrow)) > LONGEST:
        return False
    if is_literal(narrow):
        return matches(wide, narrow)
    # What begins with a wildcard goes on in too many ways for text that is longer.
    if not patterns.parts(narrow)[0].startswith(patterns.parts(wide)[0]):
        return False
    return _walk(_automaton(wide), _automaton(narrow))


@dataclass(slots=True)
class _Automaton:
    """States are numbers from 0 to `last`, which alone accepts."""

    named: list[dict[str, int]] = field(default_factory=lambda: [{}])  # Symbol to next state.
    unnamed: list[tuple[bool, int] | None] = field(default_factory=lambda: [None])
    """Where any symbol leads; the flag says whether a slash is one of them."""
    free: list[list[int]] = field(default_factory=lambda: [[]])  # Where nothing is read.

    @property
    def last(self) -> int:
        return len(self.named) - 1

    def add(self) -> int:
        self.named.append({})
        self.unnamed.append(None)
        self.free.append([])
        return self.last

    def symbol(self, symbol: str) -> None:
        at = self.last
        self.named[at][symbol] = self.add()

    def one(self) -> None:
        at = self.last
        self.unnamed[at] = (False, self.add())

    def apart(self) -> int:
        """Add a state, and return the one before it: what follows may loop."""
        at = self.last
        self.free[at].append(self.add())
        return at

    def run(self, *, with_slash: bool) -> None:
        at = self.last
        self.unnamed[at] = (with_slash, at)
        self.free[at].append(self.add())

    def closed(self, states: Iterable[int]) -> frozenset[int]:
        """Return all states that are reached from `states` without reading anything."""
        found = set(states)
        waiting = list(found)
        while waiting:
            for state in self.free[waiting.pop()]:
                if state not in found:
                    found.add(state)
                    waiting.append(state)
        return frozenset(found)

    def step(self, states: Iterable[int], symbol: str) -> frozenset[int]:
        after = set()
        for state in states:
            named = self.named[state].get(symbol)
            if named is not None:
                after.add(named)
            unnamed = self.unnamed[state]
            if unnamed is not None and (unnamed[0] or symbol != _SLASH):
                after.add(unnamed[1])
        return self.closed(after)


def _automaton(pattern: str) -> _Automaton:
    made = _Automaton()
    for part in patterns.parts(pattern):
        if part not in WILDCARDS:
            for symbol in _SYMBOL.findall(part):
                made.symbol(symbol)
            continue
        start = made.last
        match part:
            case "?":
                made.one()
            case "*":
                made.run(with_slash=False)
            case "**":
                made.run(with_slash=True)
            case "/**":  # Nothing, or a slash and anything.
                made.symbol(_SLASH)
                made.run(with_slash=True)
                made.free[start].append(made.last)
            case "/**/":  # A slash, or anything between two.
                made.symbol(_SLASH)
                between = made.apart()
                made.run(with_slash=True)
                made.symbol(_SLASH)
                made.free[between].append(made.last)
            case _:  # `**/`: nothing, or anything and a slash.
                made.apart()
                made.run(with_slash=True)
                made.symbol(_SLASH)
                made.free[start].append(made.last)
    return made


def _walk(wide: _Automaton, narrow: _Automaton) -> bool:
    symbols = {_SLASH, _OTHER}
    symbols.update(*(each for one in (wide, narrow) for each in one.named))
    start = wide.closed([0])
    waiting = [(state, start) for state in narrow.closed([0])]
    seen = set(waiting)
    steps = 0
    while waiting:
        state, among = waiting.pop()
        if state == narrow.last and wide.last not in among:
            return False
        for symbol in symbols:
            after = narrow.step([state], symbol)
            if not after:
                continue
            steps += len(after) + len(among)
            if steps > _STEPS_MOST:
                return False
            beside = wide.step(among, symbol)
            for pair in ((each, beside) for each in after):
                if pair not in seen:
                    seen.add(pair)
                    waiting.append(pair)
    return True
