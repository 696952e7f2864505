"""What a person prefers, as the answer of a command, and a file that can be filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from buildperm.presentation.preferences import SETTINGS, PreferencesFile
from buildperm.printable import printable

VERSION = 1
"""Of the document; it changes when something is removed or means something else."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """The keys of one action."""

    id: str
    heading: str
    default: tuple[str, ...]
    told: str  # What it does, in a sentence.


@dataclass(frozen=True, slots=True)
class PreferencesResult:
    """The configuration file as the answer of a command."""

    file: PreferencesFile
    rows: Sequence[KeyRow]
    is_ascii_only: bool  # As it is in force on this terminal.

    def lines(self) -> Iterable[str]:
        """Return where the file is, and what is in force."""
        return self._lines()

    def document(self) -> Mapping[str, object]:
        """Return everything that is in force, changed or not: see `config.schema.json`."""
        preferences = self.file.preferences
        return {
            "version": VERSION,
            "path": str(self.file.path),
            "exists": self.file.exists,
            "theme": preferences.theme or None,
            "ascii": self.is_ascii_only,
            "screens": preferences.screens,
            "mouse": preferences.mouse,
            "ask": preferences.ask,
            "roots": {**preferences.roots},
            "keys": {row.id: [*preferences.keys.get(row.id, row.default)] for row in self.rows},
        }

    def _lines(self) -> Iterator[str]:
        file, preferences = self.file, self.file.preferences
        state = "read" if file.exists else "not there: everything is as built in"
        yield f"{file.path}: {state}"
        yield ""
        yield f"theme    {preferences.theme or 'as built in'}"
        source = "" if preferences.ascii is not None else ", as the locale says"
        yield f"ascii    {_yes(self.is_ascii_only)}{source}"
        yield f"screens  {_yes(preferences.screens)}"
        yield f"mouse    {_yes(preferences.mouse)}"
        yield f"ask      {_yes(preferences.ask)}"
        for digest, folder in preferences.roots.items():
            yield f"roots    {digest} = {printable(folder)}"
        for row in self.rows:
            if row.id in preferences.keys:
                keys = " ".join(preferences.keys[row.id])
                yield f"keys     {row.id} = {keys}  (was {' '.join(row.default)})"
        yield ""
        yield "`buildperm config --example` prints a file with every setting and every key."


def example(rows: Iterable[KeyRow]) -> str:
    """Return a configuration file with everything that can be set, commented out."""
    lines = ["# Remove the # in front of what you change.", ""]
    values = {"theme": '"high-contrast"', "ascii": "true", "screens": "false"}
    values |= {"mouse": "false", "ask": "true"}
    for name, meaning in SETTINGS.items():
        lines += [f"# {meaning.replace('`', '')}", f"#{name} = {values[name]}"]
    lines += [
        "",
        "# Where the root lies here that a Cargo.toml names by `root-digest`.",
        "[roots]",
        f'#"sha256:{"0" * 64}" = "$HOME/roots/trixie"',
        "",
        "# A key, or a list of keys: a letter, or a name such as f2, ctrl+k, home.",
        "[keys]",
    ]
    heading = ""
    for row in rows:
        if row.heading != heading:
            heading = row.heading
            lines.append(f"# {heading}")
        keys = ", ".join(f'"{key}"' for key in row.default)
        value = keys if len(row.default) == 1 else f"[{keys}]"
        lines.append(f"#{row.id} = {value}  # {row.told}")
    return "\n".join(map(printable, lines)) + "\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
