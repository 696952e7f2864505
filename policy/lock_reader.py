"""Reading `buildperm.lock` strictly: it is generated, so whatever is unusual in it is a mistake.

A merge may have mixed two versions of it, somebody may have edited it, and a pull request may bring
one made by a stranger: nothing is guessed, every mistake names its line and a way out.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from buildperm.errors import BuildpermError
from buildperm.policy.access import Outcome
from buildperm.policy.grants import parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.manifest import BOM
from buildperm.policy.manifest_reader import dotted, kind_of
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.snapshot import Context, Inputs, SeenAccess, Snapshot, SnapshotRun
from buildperm.policy.toml_statement import Path as Keys
from buildperm.policy.toml_statement import layout
from buildperm.printable import is_storable, printable
from buildperm.tracer.notation import renewed

FORMAT = 1
"""Version of the format that this version of buildperm reads and writes."""

_HEADS = {
    str(kind) if outcome is Outcome.DONE else f"{kind}:{outcome}": (kind, outcome)
    for kind in Kind
    for outcome in Outcome
}
_DIGEST = re.compile(r"[0-9a-f]{64}")
# What becomes a part of paths further on.
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_CONFLICT = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?:[ \r]|$)", re.MULTILINE)
_LINE = re.compile(r"\(at line (\d+), column \d+\)$")

_TABLE = frozenset({"version", "script"})
_SCRIPT_NEEDED = ("crate", "version", "build-dependencies", "inputs")
_SCRIPT = frozenset(
    {
        *_SCRIPT_NEEDED,
        *("source", "checksum", "macro-dependencies", "unused", "files", "commands", "run"),
    }
)
_RUN_NEEDED = ("features", "runtime", "seen")
_RUN_PLACE = ("target", "profile")  # What a compilation is for may not be known.
_RUN = frozenset((*_RUN_NEEDED, *_RUN_PLACE, "subject", "consumer"))


def short(seen: SeenAccess) -> str:
    """Write what was seen as the file does: `exec cc`, `exec:refused curl`."""
    outcome = "" if seen.outcome is Outcome.DONE else f":{seen.outcome}"
    return f"{seen.kind}{outcome} {seen.target}"


def is_digest(text: str) -> bool:
    """Tell whether the text is a SHA-256 in hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def parse(raw: bytes, path: Path) -> dict[tuple[str, str], Snapshot]:
    """Read all snapshots, by crate and version.

    Args:
        raw: The whole file; lines may end as on Windows.
        path: Where it is; only used in messages.

    Raises:
        BuildpermError: It is not what buildperm writes; the message names the line.
    """
    reader = _LockReader(path)
    try:
        reader.text = raw.decode().removeprefix(BOM)
    except UnicodeDecodeError as error:
        reader.fail_at(
            raw.count(b"\n", 0, error.start) + 1, f"not UTF-8 (byte {raw[error.start]:#04x})"
        )
    try:
        document = _document(reader.text)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers beyond measure.
        reader.broken(error)
    return reader.snapshots(document)


@dataclass(slots=True)
class _LockReader:
    """Turns the parsed file into snapshots and knows where in the file everything is."""

    path: Path
    text: str = ""
    known: dict[str, SeenAccess] = field(default_factory=dict)  # Scripts have much in common.

    def fail(self, where: Keys, what: str) -> NoReturn:
        """Report what is wrong at `where`."""
        name = dotted(where)
        self.fail_at(_line(self.text, where), f"{name}: {what}" if name else what)

    def fail_at(self, line: int, what: str, hint: str = "") -> NoReturn:
        """Report what is wrong on a line; 0 where no line is to blame."""
        name = shlex.quote(printable(str(self.path)))
        place = f"{self.path}:{line}" if line else f"{self.path}"
        raise BuildpermError(
            f"{place}: {printable(what)}",
            hint=hint
            or f"Get the committed one back with `git checkout {name}`, "
            "or delete it and run `buildperm review`.",
        )

    def broken(self, error: Exception) -> NoReturn:
        """Report a file that is no TOML: most likely a merge was not finished."""
        conflict = _CONFLICT.search(self.text)
        if conflict:
            name = shlex.quote(printable(str(self.path)))
            self.fail_at(
                self.text.count("\n", 0, conflict.start()) + 1,
                "an unfinished merge: there are conflict markers",
                f"Take one side with `git checkout --ours {name}`, then run `buildperm review`.",
            )
        place = _LINE.search(str(error))
        line = int(place[1]) if place else self.text.rstrip().count("\n") + 1
        what = str(error)[: place.start()].strip() if place else str(error)
        self.fail_at(0 if isinstance(error, RecursionError) else line, f"broken TOML: {what}")

    def snapshots(self, document: dict[str, Any]) -> dict[tuple[str, str], Snapshot]:
        self.check_version(document)
        self.check_keys(document, (), ("version",), _TABLE)
        found: dict[tuple[str, str], Snapshot] = {}
        for where, table in self.tables(document, (), "script"):
            snapshot = self.snapshot(table, where)
            key = snapshot.crate, snapshot.version
            if key in found:
                self.fail(where, f"{' '.join(key)} is there twice")
            found[key] = snapshot
        return found

    def check_version(self, document: dict[str, Any]) -> None:
        version = document.get("version")
        if version is None:
            self.fail((), "`version` is missing: the file is empty, or not written by buildperm")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            self.fail(("version",), "must be a whole number from 1 on")
        if version > FORMAT:
            self.fail_at(
                _line(self.text, ("version",)),
                f"written by a newer buildperm: format {version}, and this one reads {FORMAT}",
                "Update buildperm.",
            )

    def snapshot(self, table: dict[str, Any], where: Keys) -> Snapshot:
        """Read one `[[script]]`."""
        self.check_keys(table, where, _SCRIPT_NEEDED, _SCRIPT)
        files = self.table(table, where, "files")
        inputs = Inputs(
            checksum=self.string(table, where, "checksum", ""),
            files={renewed(name): self.digest(files, (*where, "files"), name) for name in files},
            build_dependencies=self.strings(table, where, "build-dependencies"),
            digest=self.digest(table, where, "inputs"),
            macro_dependencies=self.strings(table, where, "macro-dependencies")
            if "macro-dependencies" in table
            else (),
        )
        commands = self.table(table, where, "commands")
        sightings: dict[Context, SnapshotRun] = {}
        for place, run in self.tables(table, where, "run"):
            sighting = self.sighting(run, place)
            if sighting.context in sightings:
                self.fail(place, "a run of the same subject in the same context is there twice")
            sightings[sighting.context] = sighting
        return Snapshot(
            crate=self.key(table, where),
            version=self.version(table, where),
            source=self.source(table, where),
            inputs=inputs,
            commands={
                words: self.strings(commands, (*where, "commands"), words) for words in commands
            },
            sightings=tuple(sightings[context] for context in sorted(sightings)),
            unused=frozenset(self.strings(table, where, "unused") if "unused" in table else ()),
        )

    def sighting(self, table: dict[str, Any], where: Keys) -> SnapshotRun:
        """Read one `[[script.run]]`."""
        role = self.role(table, where)
        is_script = role.subject is SubjectKind.SCRIPT
        self.check_keys(table, where, (*(_RUN_PLACE if is_script else ()), *_RUN_NEEDED), _RUN)
        context = Context(
            self.string(table, where, "target", None if is_script else ""),
            self.string(table, where, "profile", None if is_script else ""),
            self.strings(table, where, "features"),
            role,
        )
        written = self.strings(table, where, "seen")
        return SnapshotRun(
            context,
            self.string(table, where, "runtime"),
            frozenset(
                self.known.get(text) or self.seen(text, table["seen"], where) for text in written
            ),
        )

    def role(self, table: dict[str, Any], where: Keys) -> Role:
        """Return what of the crate a run is of, and for whom: a build script if nothing is said."""
        said = self.string(table, where, "subject", str(SubjectKind.SCRIPT))
        if said not in tuple(map(str, SubjectKind)):
            self.fail((*where, "subject"), f"`{said}` is none of {', '.join(SubjectKind)}")
        subject = SubjectKind(said)
        if "consumer" not in table:
            return Role(subject)
        if subject is not SubjectKind.MACRO:
            self.fail((*where, "consumer"), "only macros have a consumer")
        return Role(subject, self.key(table, where, "consumer"))

    def seen(self, text: str, among: list[str], where: Keys) -> SeenAccess:
        """Read one access, and remember it."""
        head, space, target = text.partition(" ")
        if head not in _HEADS or not space:
            place = (*where, "seen", among.index(text))
            self.fail(place, f"`{text}` is no access, such as `exec cc` or `net:refused HOST:PORT`")
        kind, outcome = _HEADS[head]
        seen = self.known[text] = SeenAccess(kind, renewed(target), outcome)
        return seen

    def check_keys(
        self, table: dict[str, Any], where: Keys, needed: Iterable[str], known: frozenset[str]
    ) -> None:
        for key in table:
            if key not in known:
                self.fail((*where, key), "unknown key")
        for key in needed:
            if key not in table:
                self.fail(where, f"`{key}` is missing")

    def tables(
        self, table: dict[str, Any], where: Keys, key: str
    ) -> Iterable[tuple[Keys, dict[str, Any]]]:
        """Return the tables of an array, each with its place."""
        array = table.get(key, [])
        place = (*where, key)
        if not isinstance(array, list):
            self.fail(place, f"must be an array of tables, not {kind_of(array)}")
        for index, element in enumerate(array):
            if not isinstance(element, dict):
                self.fail((*place, index), f"must be a table, not {kind_of(element)}")
        return [((*place, index), element) for index, element in enumerate(array)]

    def table(self, table: dict[str, Any], where: Keys, key: str) -> dict[str, Any]:
        """Return a table of whatever keys, or an empty one."""
        found = table.get(key, {})
        if not isinstance(found, dict):
            self.fail((*where, key), f"must be a table, not {kind_of(found)}")
        for name in found:
            if not is_storable(name):
                self.fail((*where, key), f"`{name}` holds what cannot be shown")
        return found

    def string(
        self, table: dict[str, Any], where: Keys, key: str, default: str | None = None
    ) -> str:
        """Return a string that says something; `default` where it is left out."""
        if default is not None and key not in table:
            return default
        value = table[key]
        place = (*where, key)
        if not isinstance(value, str):
            self.fail(place, f"must be a string, not {kind_of(value)}")
        if not value:
            self.fail(place, "must not be empty")
        if not is_storable(value):
            self.fail(place, f"`{value}` holds what cannot be shown")
        return value

    def key(self, table: dict[str, Any], where: Keys, name: str = "crate") -> str:
        """Return a crate, as a key of the grant table."""
        value = self.string(table, where, name)
        try:
            parse_key(value)
        except ValueError as error:
            self.fail((*where, name), f"`{value}`: {error}")
        return value

    def version(self, table: dict[str, Any], where: Keys) -> str:
        """Return the version of a package."""
        value = self.string(table, where, "version")
        if not _VERSION.fullmatch(value):
            self.fail((*where, "version"), f"`{value}` is no version, such as `1.0.0`")
        return value

    def source(self, table: dict[str, Any], where: Keys) -> str:
        """Return Cargo's source string; empty for a path."""
        value = self.string(table, where, "source", "")
        _, hash_sign, commit = value.rpartition("#")
        if hash_sign and not _COMMIT.fullmatch(commit):
            self.fail((*where, "source"), f"`{commit}` is no commit in hexadecimal digits")
        return value

    def digest(self, table: dict[str, Any], where: Keys, key: str) -> str:
        """Return a SHA-256 in hexadecimal digits."""
        value = self.string(table, where, key)
        if not is_digest(value):
            self.fail((*where, key), f"`{value}` is no SHA-256 in hexadecimal digits")
        return value

    def strings(self, table: dict[str, Any], where: Keys, key: str) -> tuple[str, ...]:
        """Return a list of strings, sorted: a merge may have left them in another order."""
        values = table[key]
        place = (*where, key)
        if not isinstance(values, list):
            self.fail(place, f"must be a list of strings, not {kind_of(values)}")
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.fail((*place, index), f"must be a string, not {kind_of(value)}")
        if not is_storable("".join(values)):
            index = next(index for index, value in enumerate(values) if not is_storable(value))
            self.fail((*place, index), f"`{values[index]}` holds what cannot be shown")
        ordered = sorted(values)
        for one, other in pairwise(ordered):
            if one == other:
                index = values.index(one, values.index(one) + 1)
                self.fail((*place, index), f"`{one}` is there twice")
        return tuple(ordered)


def _document(text: str) -> dict[str, Any]:
    """Parse the file; this is a third faster where every string can be read as a literal one."""
    if "'" not in text and "\\" not in text:
        with suppress(ValueError):  # The message would be about another text.
            return tomllib.loads(text.replace('"', "'"))
    return tomllib.loads(text)


def _line(text: str, where: Keys) -> int:
    """Return the line, from 1, of what stands at `where`; 0 if that is the whole file.

    Tables of an array all have the same path, so each is cut out before looking inside it.
    """
    above = 0
    table: tuple[str, ...] = ()
    while len(where) > len(table) + 1 and isinstance(where[len(table) + 1], int):
        name, index = where[len(table)], where[len(table) + 1]
        assert isinstance(name, str)
        assert isinstance(index, int)
        starts = [
            found.start
            for found in layout(text).statements
            if found.is_header and found.path == (*table, name)
        ]
        if index >= len(starts):  # Written as a list of inline tables.
            break
        end = starts[index + 1] if index + 1 < len(starts) else len(text)
        above += text.count("\n", 0, starts[index])
        text = text[starts[index] : end]
        table = (*table, name)
        where = (*table, *where[len(table) + 1 :])
    line = layout(text).line(where)
    return line + above if line else 0
