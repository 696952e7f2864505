"""Reads a JSON report back, so that what was refused elsewhere can be decided here.

A report comes from a machine that nobody here controls and repeats what build scripts have chosen.
So nothing in it is trusted: sizes and types are checked, names must be in notation, and judgements
are thrown away. Whether an access is sensitive is judged anew, no access is free, and proposals are
made from this workspace's own grants. A forged report can make a person look at something; it
cannot widen what that person may allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeGuard, TypeVar

from buildperm.errors import BuildpermError
from buildperm.policy.access import COMMANDS_MOST, ITSELF, SYSTEM_REFUSALS, Access, Outcome
from buildperm.policy.combination import CHAINS_MOST, combine
from buildperm.policy.grants import parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.role import SCRIPT_ALONE, Role, SubjectKind, united
from buildperm.policy.sensitivity import STEERS, why_sensitive
from buildperm.printable import printable
from buildperm.report.json import VERSION
from buildperm.report.json_loading import MAKE_AGAIN, load
from buildperm.rules import directive, secret_values
from buildperm.rules.pattern import TOKENS
from buildperm.tracer.notation import decode, encode, renewed

_NAME_MOST = 1_000  # Characters of names and versions.
_TARGET_MOST = 3 * 4096 + 100  # Of a path in notation, PATH_MAX bytes long.
_SENTENCE_MOST = 4_000
_STEPS_MOST = 1_000  # Of a process chain, of a way through the dependency graph.
_NUMBER_MOST = 1 << 63
_ROLES_MOST = 10_000  # Of one access.
_TOKEN = re.compile(rf"\$(?:{'|'.join(TOKENS)})(?![A-Za-z0-9_])")
_BY_VALUE = frozenset(secret_values.HOLDS + kind for kind in secret_values.KINDS)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ReportedScript:
    """What a report says one crate did."""

    crate: str  # Key in the Cargo.toml of there.
    name: str
    version: str
    source: str  # Cargo's source string; empty for a path.
    accesses: tuple[Access, ...]  # Judged anew.
    failure: str  # Why buildperm failed it there; empty if it did not.
    dropped: int  # Events that did not fit into a recording there.


@dataclass(frozen=True, slots=True)
class ReportedBuild:
    """A report that has been read."""

    place: str  # Where it is, for messages.
    buildperm: str  # Version that wrote it.
    workspace: str  # Name of the workspace's folder there.
    members: tuple[str, ...]  # Names of the packages of the workspace.
    scripts: tuple[ReportedScript, ...]  # By crate and version, each once.


def read(path: Path | str) -> ReportedBuild:
    """Read the JSON report at `path`, or on standard input for `-`.

    Raises:
        BuildpermError: It cannot be read, is no such report, or was written by another version.
    """
    place, loaded = load(path)
    return _ReportReader(place).build(loaded)


def _by_value(kind: Kind, said: object) -> str:
    """Return what the report says about a variable's value, which is not here; empty if nothing."""
    return said if kind is Kind.ENV and isinstance(said, str) and said in _BY_VALUE else ""


def _by_system(said: object) -> str:
    return said if isinstance(said, str) and said in SYSTEM_REFUSALS.values() else ""


def sensitive_because(kind: Kind, target: str) -> str:
    """Say why an access is sensitive, from nothing but what it is."""
    if kind is Kind.DIRECTIVE:
        key, equals, value = target.partition("=")
        judged = directive.judge(key, value, granted=(), denied=(), places={})
        return STEERS if equals and judged == directive.FORBIDDEN else ""
    return why_sensitive(kind, target)


class _ReportReader:
    """Takes a loaded document apart; every mistake names its place."""

    def __init__(self, place: str) -> None:
        self._place = place

    def build(self, loaded: object) -> ReportedBuild:
        document = self._document(loaded)
        workspace = self._table(document, "workspace", "workspace")
        scripts: dict[tuple[str, str, str], ReportedScript] = {}
        for at, each in self._list(document, "scripts", "scripts"):
            script = self._script(each, at)
            key = script.crate, script.version, script.source
            known = scripts.get(key)
            if known is not None:
                accesses = tuple(combine([known.accesses, script.accesses]))
                script = replace(script, accesses=accesses)
            scripts[key] = script
        return ReportedBuild(
            self._place,
            self._text(document, "buildperm", "buildperm", _NAME_MOST),
            self._text(workspace, "name", "workspace.name", _NAME_MOST),
            self._texts(workspace, "members", "workspace.members", _NAME_MOST),
            tuple(scripts[key] for key in sorted(scripts)),
        )

    def _document(self, loaded: object) -> dict[str, Any]:
        if not isinstance(loaded, dict) or "version" not in loaded:
            raise BuildpermError(
                f"{self._place} is no report of `buildperm ci`: it has no `version`",
                hint=MAKE_AGAIN,
            )
        version = loaded["version"]
        if isinstance(version, str):  # SARIF has "2.1.0".
            raise BuildpermError(
                f"{self._place} is no JSON report of `buildperm ci`, but something else in JSON",
                hint=MAKE_AGAIN,
            )
        if not _is_number(version) or version < 1:
            self._fail("version", "must be a whole number")
        if version > VERSION:
            raise BuildpermError(
                f"{self._place} was written by a newer buildperm: report version "
                f"{version}, and this one reads {VERSION}",
                hint="Update buildperm.",
            )
        if version < VERSION:
            raise BuildpermError(
                f"{self._place} was written by an older buildperm: report version "
                f"{version} does not hold what decisions need",
                hint="Update the buildperm that wrote it, and make it again.",
            )
        return loaded

    def _script(self, said: object, at: str) -> ReportedScript:
        table = self._is_table(said, at)
        crate = self._text(table, "crate", f"{at}.crate", _SENTENCE_MOST)
        version = self._text(table, "version", f"{at}.version", _NAME_MOST)
        try:
            name = parse_key(crate).name
            is_whole = parse_key(f"x@{version}").version.count(".") >= 2
        except ValueError:
            is_whole = False
        if not is_whole:
            self._fail(at, "names no package with a version")
        accesses = [
            self._access(each, place)
            for place, each in self._list(table, "evidence", f"{at}.evidence")
        ]
        return ReportedScript(
            crate,
            name,
            version,
            self._text(table, "source", f"{at}.source", _SENTENCE_MOST),
            tuple(combine([accesses])),
            self._text(table, "failure", f"{at}.failure", _SENTENCE_MOST),
            self._number(table, "dropped", f"{at}.dropped"),
        )

    def _access(self, said: object, at: str) -> Access:
        table = self._is_table(said, at)
        kind = self._one_of(table, "kind", at, Kind)
        target = self._notation(table, "target", f"{at}.target")
        resolved = table.get("resolved", "")
        return Access(
            kind=kind,
            target=target,
            outcome=self._one_of(table, "outcome", at, Outcome),
            count=max(1, self._number(table, "count", f"{at}.count")),
            first_ns=self._number(table, "first_ns", f"{at}.first_ns"),
            last_ns=self._number(table, "last_ns", f"{at}.last_ns"),
            chains=tuple(
                self._strings(chain, place, _NAME_MOST)
                for place, chain in self._list(table, "chains", f"{at}.chains")[:CHAINS_MOST]
            ),
            example=self._text(table, "example", f"{at}.example", _TARGET_MOST),
            sensitive=sensitive_because(kind, target) or _by_value(kind, table.get("sensitive")),
            resolved=self._notation(table, "resolved", f"{at}.resolved") if resolved else "",
            is_folder=self._flag(table, "is_folder", at) and kind in (Kind.READ, Kind.WRITE),
            is_whole=self._flag(table, "is_whole", at) and kind is Kind.READ,
            is_entry=self._flag(table, "is_entry", at) and kind is Kind.WRITE,
            is_look=self._flag(table, "is_look", at) and kind is Kind.READ,
            roles=self._roles(table, f"{at}.by"),
            commands=tuple(self._commands(table, f"{at}.commands")),
            causes=self._causes(table, f"{at}.causes"),
            refused_by_system=_by_system(table.get("refused_by_system")),
        )

    def _commands(self, table: dict[str, Any], at: str) -> Iterator[tuple[str, int]]:
        """Read the command lines of a program; older reports have none."""
        if "commands" not in table:
            return
        for place, said in self._list(table, "commands", at)[:COMMANDS_MOST]:
            match said:
                case [line, times] if _is_number(times) and 0 < times < _NUMBER_MOST:
                    yield self._string(line, place, _TARGET_MOST), times
                case _:
                    self._fail(place, "must be a command line, and how often it was run")

    def _causes(self, table: dict[str, Any], at: str) -> tuple[str, ...]:
        """Read who wanted it; earlier reports do not say, and the script itself is not named."""
        found = self._texts(table, "causes", at, _TARGET_MOST) if "causes" in table else ()
        return tuple(sorted(set(found))) or ITSELF

    def _roles(self, table: dict[str, Any], at: str) -> tuple[Role, ...]:
        """Read who did it; older reports are of build scripts alone."""
        if "by" not in table:
            return SCRIPT_ALONE
        found = []
        for place, said in self._list(table, "by", at)[:_ROLES_MOST]:
            each = self._is_table(said, place)
            subject = self._one_of(each, "subject", place, SubjectKind)
            consumer = self._text(each, "consumer", f"{place}.consumer", _SENTENCE_MOST)
            if (subject is SubjectKind.MACRO) != bool(consumer) or not _is_key(consumer):
                self._fail(place, "does not say for whom a macro did it")
            found.append(Role(subject, consumer))
        if not found:
            self._fail(at, "names nobody")
        return united(found)

    def _one_of(self, table: dict[str, Any], key: str, at: str, known: Callable[[str], _T]) -> _T:
        said = self._text(table, key, f"{at}.{key}", _NAME_MOST)
        try:
            return known(said)
        except ValueError:
            self._fail(f"{at}.{key}", f"`{said}` is unknown to this version")

    def _notation(self, table: dict[str, Any], key: str, at: str) -> str:
        """Read what must be as `policy.fold` writes targets: exactly one thing, in one spelling."""
        said = table.get(key)
        if not isinstance(said, str) or not 0 < len(said) <= _TARGET_MOST:
            self._fail(at, "must be a string of reasonable length")
        target = renewed(said)
        try:
            fits = all(encode(decode(piece)) == piece for piece in _TOKEN.split(target))
        except (ValueError, UnicodeError):
            fits = False
        if not fits:
            self._fail(at, "is not in the notation of recordings")
        return target

    def _text(self, table: dict[str, Any], key: str, at: str, most: int) -> str:
        return self._string(table.get(key), at, most)

    def _texts(self, table: dict[str, Any], key: str, at: str, most: int) -> tuple[str, ...]:
        return self._strings(table.get(key), at, most)

    def _strings(self, said: object, at: str, most: int) -> tuple[str, ...]:
        return tuple(
            self._string(each, place, most)
            for place, each in self._elements(said, at)[:_STEPS_MOST]
        )

    def _string(self, said: object, at: str, most: int) -> str:
        """Read text that is shown and decides nothing: what no terminal should see is encoded."""
        if not isinstance(said, str):
            self._fail(at, "must be a string")
        if len(said) > most:
            self._fail(at, f"is too long: {len(said):,} characters")
        try:
            said.encode()
        except UnicodeError:
            self._fail(at, "is no Unicode")
        return printable(said)

    def _number(self, table: dict[str, Any], key: str, at: str) -> int:
        said = table.get(key)
        if not _is_number(said) or not 0 <= said < _NUMBER_MOST:
            self._fail(at, "must be a whole number that is not negative")
        return int(said)

    def _flag(self, table: dict[str, Any], key: str, at: str) -> bool:
        """Read what is left out where it does not hold, and by earlier versions."""
        said = table.get(key, False)
        if not isinstance(said, bool):
            self._fail(f"{at}.{key}", "must be true or false")
        return said

    def _table(self, table: dict[str, Any], key: str, at: str) -> dict[str, Any]:
        return self._is_table(table.get(key), at)

    def _is_table(self, said: object, at: str) -> dict[str, Any]:
        if not isinstance(said, dict):
            self._fail(at, "must be an object")
        return said

    def _list(self, table: dict[str, Any], key: str, at: str) -> list[tuple[str, object]]:
        return self._elements(table.get(key), at)

    def _elements(self, said: object, at: str) -> list[tuple[str, object]]:
        if not isinstance(said, list):
            self._fail(at, "must be a list")
        return [(f"{at}[{number}]", each) for number, each in enumerate(said)]

    def _fail(self, at: str, what: str) -> NoReturn:
        raise BuildpermError(
            f"{self._place} is no report of `buildperm ci`: `{at}` {what}", hint=MAKE_AGAIN
        )


def _is_key(consumer: str) -> bool:
    try:
        return not consumer or bool(parse_key(consumer))
    except ValueError:
        return False


def _is_number(said: object) -> TypeGuard[int]:
    return isinstance(said, int) and not isinstance(said, bool)
