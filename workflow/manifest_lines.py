"""Where in Cargo.toml a grant stands, and how one would be written there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from buildperm.policy import manifest, manifest_reader, pasted_grant
from buildperm.policy.grants import CrateGrants
from buildperm.policy.rule import Rule
from buildperm.policy.toml_statement import Path as Keys
from buildperm.policy.toml_statement import layout


class ManifestLines:
    """The lines of one Cargo.toml that holds grants."""

    def __init__(self, raw: bytes, path: Path) -> None:
        """Find where everything stands.

        Raises:
            BuildpermError: It is not TOML.
        """
        text, self._document = manifest.parse(raw, path)
        self._raw, self._path = raw, path
        self._layout = layout(text)
        self._home = manifest.table_path(self._document)
        self.name = path.name

    def crate(self, key: str) -> int:
        """Return the line of a crate's table; 0 if it has none."""
        return self._line((*self._home, "crates", key), exactly=True)

    def rule(self, key: str, rule: Rule, *, is_denial: bool = False) -> int:
        """Return the line of a crate's rule; 0 if it has no such rule."""
        where: Keys = ("deny", str(rule.kind)) if is_denial else (str(rule.kind),)
        return self._element(key, where, rule.pattern)

    def preset(self, key: str, name: str) -> int:
        """Return the line on which a crate is granted a preset; 0 if it is not."""
        return self._element(key, ("presets",), name)

    def reviewed(self, key: str, version: str) -> int:
        """Return the line on which a version counts as reviewed; 0 if it does not."""
        return self._element(key, ("reviewed",), version)

    def consumer(self, key: str, name: str) -> int:
        """Return the line on which a crate's macros get its grants for a package; 0 if nowhere."""
        return self._element(key, ("for",), name)

    def compiling(self, key: str) -> int:
        """Return the line that says how a crate is compiled; 0 if none does."""
        return self._line((*self._home, "crates", key, "compile"), exactly=True)

    def reason(self, key: str) -> int:
        """Return the line of a crate's reason; 0 if it gives none."""
        return self._line((*self._home, "crates", key, "reason"), exactly=True)

    def expires(self, key: str) -> int:
        """Return the line of the last day of a crate's grants; 0 if they have none."""
        return self._line((*self._home, "crates", key, "expires"), exactly=True)

    def table(self, key: str) -> str:
        """Return the header of a crate's table, whether it exists or not."""
        return f"[{manifest_reader.dotted((*self._home, 'crates', key))}]"

    def pasted(self, key: str, more: CrateGrants) -> tuple[str, ...]:
        """Return lines for this file that make a crate have more; see `policy.pasted_grant`."""
        return pasted_grant.lines(self._raw, key, more, self._path)

    def at(self, line: int) -> str:
        """Say where a line is: `Cargo.toml:12`."""
        return f"{self.name}:{line}" if line else self.name

    def _element(self, key: str, where: Keys, value: str) -> int:
        table: Any = self._document
        path = (*self._home, "crates", key, *where)
        for step in path:
            table = table.get(step) if isinstance(table, dict) else None
        if not isinstance(table, Sequence) or value not in table:
            return 0
        return self._line((*path, table.index(value)))

    def _line(self, path: Keys, *, exactly: bool = False) -> int:
        if exactly and path not in self._layout.places:
            return 0
        return self._layout.line(path)
