"""What a person prefers on this machine: the configuration file, read and checked.

It says how things look, which keys do them, whether plain Cargo asks, and where roots lie. Nothing
in it changes what a build may do, or what a command answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, cast

from buildperm.cargo import user_configuration
from buildperm.cargo.user_configuration import ROOTS, problem
from buildperm.errors import BuildpermError

SETTINGS: Final = {
    "theme": "colours of the screens: `high-contrast`, `textual-light`, `textual-dark`, `nord`, …",
    "ascii": "draw with ASCII only; unless given, where the locale has nothing else",
    "screens": "`false` asks in plain text, as `--no-tui` does",
    "mouse": "`false` leaves the mouse to the terminal, which can then select text",
    "ask": "`true` asks while plain Cargo waits, where a workspace does not say; see `enable`",
}
"""What can be set besides keys, and what it means."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the configuration file says."""

    theme: str = ""  # By name; empty where none was chosen.
    ascii: bool | None = None  # None leaves it to the locale.
    screens: bool = True
    mouse: bool = True
    ask: bool = False  # While plain Cargo waits, where Cargo.toml says nothing about that.
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys by the id of an action, as they were written."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """Folders by the digest of the root that lies there, as they were written."""

    def is_ascii_only(self, environment: Mapping[str, str]) -> bool:
        """Tell whether to draw with ASCII only.

        Args:
            environment: As this process got it, before Python put another locale into it.
        """
        return self.ascii if self.ascii is not None else not _has_unicode(environment)


@dataclass(frozen=True, slots=True)
class PreferencesFile:
    """The configuration file, and what it says."""

    path: Path
    exists: bool
    preferences: Preferences

    def problem(self, what: str, hint: str) -> BuildpermError:
        """Return the error for something in the file that is wrong."""
        return problem(self.path, what, hint)

    @classmethod
    def load(cls) -> PreferencesFile:
        """Read the file of the person who runs this; without one everything is as built in.

        Raises:
            BuildpermError: It cannot be read, or says something that is no preference.
        """
        try:
            path = user_configuration.path_of(os.environ)
        except BuildpermError:  # Nobody's: what needs a home says so.
            unread = Path("~", ".config", "buildperm", "config.toml")
            return cls(unread, exists=False, preferences=Preferences())
        raw = user_configuration.read(path)
        if raw is None:
            return cls(path, exists=False, preferences=Preferences())
        return cls(path, exists=True, preferences=parse(raw, path))


def parse(raw: bytes, path: Path) -> Preferences:
    """Read the text of a configuration file.

    Raises:
        BuildpermError: It is no TOML, or says something that is no preference.
    """
    table = user_configuration.parse(raw, path)
    values: dict[str, object] = {}
    for name, value in table.items():
        if name == "keys":
            values[name] = dict(_keys(value, path))
            continue
        if name == ROOTS:
            values[name] = dict(user_configuration.roots(table, path))
            continue
        if name not in SETTINGS:
            known = [*SETTINGS, "keys", ROOTS]
            near = get_close_matches(name, known, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"There is: {', '.join(known)}."
            raise problem(path, f"`{name}` is no setting", hint)
        wanted = str if name == "theme" else bool
        if not isinstance(value, wanted):
            hint = 'Write the name of a theme: `theme = "high-contrast"`.'
            if wanted is bool:
                hint = f"Write `{name} = true` or `{name} = false`."
            raise problem(path, f"`{name}` cannot be {value!r}", hint)
        values[name] = value
    return Preferences(
        theme=cast("str", values.get("theme", "")),
        ascii=cast("bool | None", values.get("ascii")),
        screens=cast("bool", values.get("screens", True)),
        mouse=cast("bool", values.get("mouse", True)),
        ask=cast("bool", values.get("ask", False)),
        keys=cast("dict[str, tuple[str, ...]]", values.get("keys", {})),
        roots=cast("dict[str, str]", values.get(ROOTS, {})),
    )


def started_environment() -> dict[str, str]:
    """Return the environment as this process was started with it.

    Python itself replaces a locale of ASCII by another one, in the environment, too (PEP 538).
    """
    try:
        raw = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environ)
    pairs = (entry.partition(b"=") for entry in raw.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _keys(value: object, path: Path, prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the keys of each action; a dot in an id may be written as a table, too."""
    if not isinstance(value, dict):
        raise problem(
            path, "`keys` must be a table", 'Write `[keys]`, and below `review.allow = "y"`.'
        )
    for name, given in value.items():
        identifier = f"{prefix}{name}"
        match given:
            case dict():
                yield from _keys(given, path, f"{identifier}.")
            case str():
                yield identifier, (given,)
            case [*names] if names and all(isinstance(each, str) for each in names):
                yield identifier, tuple(map(str, names))
            case _:
                raise problem(
                    path,
                    f"`keys.{identifier}` cannot be {given!r}",
                    f'Write a key or a list of keys: `{identifier} = "y"`.',
                )


def _has_unicode(environment: Mapping[str, str]) -> bool:
    """Tell whether the locale can write more than ASCII; without one nobody has said so."""
    named = next(
        filter(None, (environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))), ""
    )
    encoding = named.partition("@")[0].rpartition(".")[2] if "." in named else ""
    return not named or encoding.upper().replace("-", "") == "UTF8"
