"""An entry of an index of permissions: what one version of a crate asked for when it was recorded.

Described in `index-entry.schema.json`. An entry may come from anybody: what is read is checked, and
every text in it is somebody else's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from buildperm.errors import BuildpermError
from buildperm.policy.inclusion import contains
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Proposal, Reason, Risk
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule

FORMAT = 1
"""Version of the format of entries, and of the list of an index."""

HASH = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
VERSION = re.compile(r"\d{1,19}\.\d{1,19}\.\d{1,19}(?:[-+][0-9A-Za-z.+-]{1,100})?", re.ASCII)
_TEXT_MOST = 10_000  # Characters.
_MANY = 10_000  # Items of a list.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that a person would be asked to allow."""

    title: str  # In plain words: "run the C compiler".
    risk: Risk
    kinds: tuple[Kind, ...]  # What it is about; in the order of `Kind`.
    presets: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    locked: str = ""  # Why no answer allows it: a sentence.

    @classmethod
    def of(cls, proposal: Proposal) -> Ask:
        """Keep what is suggested for a proposal."""
        choice = proposal.suggestion
        locked = proposal.locked or choice.locked
        kinds = {access.kind for access in proposal.evidence}
        return cls(
            proposal.title,
            proposal.risk,
            tuple(kind for kind in Kind if kind in kinds),
            (choice.preset,) if choice.preset and not locked else (),
            () if locked else tuple(sorted(choice.rules)),
            locked,
        )

    def is_settled(self, presets: Collection[str], rules: Iterable[Rule]) -> bool:
        """Tell whether these presets and rules are about all of it."""
        if not self.presets and not self.rules:
            return False
        known = tuple(rules)
        return all(each in presets for each in self.presets) and all(
            any(each.kind is rule.kind and _contains(each, rule) for each in known)
            for rule in self.rules
        )


def _contains(wide: Rule, narrow: Rule) -> bool:
    try:
        return contains(wide.pattern, narrow.pattern)
    except ValueError:
        return False  # What is no pattern is granted by none.


@dataclass(frozen=True, slots=True)
class Origin:
    """How it was found out; what is not known is empty."""

    buildperm: str  # Version.
    recorded: str  # UTC: `2026-12-01T16:00:00Z`.
    rustc: str  # Version.
    host: str  # Target triple.
    runtime: str  # That held it.
    mode: str  # learning or enforcing.


@dataclass(frozen=True, slots=True)
class PermissionEntry:
    """What one version of a crate asked for."""

    name: str
    version: str
    checksum: str  # SHA-256 of the package file, as in Cargo.lock.
    ran: tuple[SubjectKind, ...]  # What of it was recorded.
    asks: tuple[Ask, ...]  # The riskiest first.
    failure: str  # Why not everything was seen; empty where it was.
    features: tuple[str, ...] | None  # Those that were on; None where that is not known.
    origin: Origin

    @property
    def presets(self) -> tuple[str, ...]:
        """Return the presets that it would be granted."""
        return tuple(sorted({name for ask in self.asks for name in ask.presets}))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that it would be granted besides."""
        return tuple(sorted({rule for ask in self.asks for rule in ask.rules}))

    @property
    def risk(self) -> Risk | None:
        """Return the highest risk of what it asks; None where it asks nothing."""
        return max((ask.risk for ask in self.asks), default=None)

    def document(self) -> dict[str, Any]:
        """Write it as JSON does; described in `index-entry.schema.json`."""
        origin = self.origin
        return {
            "version": FORMAT,
            "name": self.name,
            "crate_version": self.version,
            "checksum": self.checksum,
            "ran": [str(each) for each in self.ran],
            "risk": self.risk.name.lower() if self.risk is not None else "none",
            "permissions": {"presets": list(self.presets), **_lists(self.rules)},
            "asks": [
                {
                    "title": ask.title,
                    "risk": ask.risk.name.lower(),
                    "kinds": [str(kind) for kind in ask.kinds],
                    "permissions": {"presets": list(ask.presets), **_lists(ask.rules)},
                    "locked": ask.locked,
                }
                for ask in self.asks
            ],
            "failure": self.failure,
            "features": None if self.features is None else list(self.features),
            "origin": {
                "buildperm": origin.buildperm,
                "recorded": origin.recorded,
                "rustc": origin.rustc,
                "host": origin.host,
                "runtime": origin.runtime,
                "mode": origin.mode,
            },
        }

    def dump(self) -> bytes:
        """Write it as a file of an index: the same entry is always the same bytes."""
        return dumped(self.document())


def dumped(document: Mapping[str, object]) -> bytes:
    """Write a JSON document of an index in its one form."""
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode("ascii")


def check_format(version: object) -> None:
    """Refuse a format that is not known.

    Raises:
        BuildpermError: It is another one.
    """
    if type(version) is not int or version != FORMAT:
        raise BuildpermError(
            f"the index is of format {version!r}, known is {FORMAT}", hint="Update buildperm."
        )


def parse_entry(raw: bytes) -> PermissionEntry:
    """Read an entry; `dump` writes it back unchanged.

    Raises:
        BuildpermError: It is none.
    """
    try:
        document = json.loads(raw)
        check_format(document["version"])
        entry = _entry(document)
        is_canonical = dumped(entry.document()) == dumped(document)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BuildpermError(f"an entry of the index is broken: {error}") from error
    if not is_canonical:
        raise BuildpermError("an entry of the index is broken: it says more than it asks, or less")
    return entry


def _entry(document: Mapping[str, Any]) -> PermissionEntry:
    features = document["features"]
    origin = document["origin"]
    recorded = _text(origin["recorded"])
    if recorded and not _MOMENT.fullmatch(recorded):
        raise ValueError("`recorded` is no moment")
    return PermissionEntry(
        _matching(NAME, document["name"]),
        _matching(VERSION, document["crate_version"]),
        _matching(HASH, document["checksum"]),
        tuple(SubjectKind(each) for each in _list(document["ran"])),
        tuple(_ask(each) for each in _list(document["asks"])),
        _text(document["failure"]),
        None if features is None else tuple(map(_text, _list(features))),
        Origin(
            _text(origin["buildperm"]),
            recorded,
            _text(origin["rustc"]),
            _text(origin["host"]),
            _text(origin["runtime"]),
            _text(origin["mode"]),
        ),
    )


def _ask(document: Mapping[str, Any]) -> Ask:
    permissions = document["permissions"]
    presets = tuple(map(_text, _list(permissions["presets"])))
    if not set(presets) <= PRESETS.keys():
        raise ValueError("there is no such preset")
    rules = tuple(
        sorted(
            Rule(kind, _text(pattern))
            for kind in GRANTABLE
            for pattern in _list(permissions[str(kind)])
        )
    )
    return Ask(
        _text(document["title"]),
        Risk[_text(document["risk"]).upper()],
        tuple(Kind(each) for each in _list(document["kinds"])),
        presets,
        rules,
        _text(document["locked"]),
    )


def asks_of(proposals: Iterable[Proposal]) -> tuple[Ask, ...]:
    """Return what has to be decided of proposals, the riskiest first."""
    asked = [Ask.of(each) for each in proposals if each.reason is Reason.ASKED]
    return tuple(sorted(asked, key=lambda ask: (-ask.risk, ask.title)))


def _lists(rules: Iterable[Rule]) -> dict[str, list[str]]:
    every = sorted(rules)
    return {str(kind): [each.pattern for each in every if each.kind is kind] for kind in GRANTABLE}


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _TEXT_MOST:
        raise TypeError("something is no text, or too long")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MANY:
        raise TypeError("something is no list, or too long")
    return value


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value)
    if not pattern.fullmatch(text):
        raise ValueError("a name, a version or a checksum has another form")
    return text
