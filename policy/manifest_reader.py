"""Reading the parsed grant table: every mistake is reported with its line and a way out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from buildperm.errors import BuildpermError
from buildperm.policy import cache_store, cooldown, expiry, presets, string_list, validation
from buildperm.policy import revision as revisions
from buildperm.policy.cache_store import CacheStore
from buildperm.policy.grants import (
    ASK_TIMEOUT_S,
    ASK_TIMEOUTS_S,
    AUTO,
    COMPILING,
    FORMAT,
    CrateGrants,
    PackageSpec,
    Policy,
    is_of_version,
    parse_key,
)
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.rule import Rule
from buildperm.policy.runtime_table import RUNTIMES, WEAKEST
from buildperm.policy.toml_statement import Layout, layout
from buildperm.policy.toml_statement import Path as Keys
from buildperm.printable import is_nameable, printable
from buildperm.rules import limits

_BARE = re.compile(r"[A-Za-z0-9_-]+")  # A key that TOML reads without quotation marks.
_TABLE_KEYS = (
    *("version", "require", "runtime", "compile", "contexts", "shared", "min-age", "young"),
    *(
        "ask",
        "ask-timeout",
        "cache",
        "root",
        "root-digest",
        "root-image",
        "import",
        "limits",
        "crates",
    ),
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CRATE_KEYS = ("reviewed", "presets", *GRANTABLE, "deny", "for", "compile", "reason", "expires")


def dotted(keys: Keys) -> str:
    """Write a path of keys as TOML does; elements of arrays are left out."""
    names = [key for key in keys if isinstance(key, str)]
    return ".".join(key if _BARE.fullmatch(key) else string_list.literal(key) for key in names)


@dataclass(slots=True)
class ManifestReader:
    """Turns the parsed table into a Policy and knows where in the file it is."""

    path: Path
    text: str
    home: tuple[str, ...]  # Where the grant table is; empty where the whole file is one.
    _layout: Layout | None = None

    def fail(self, where: Keys, what: str, hint: str) -> NoReturn:
        """Report what is wrong at `where`."""
        if self._layout is None:
            self._layout = layout(self.text)
        line = self._layout.line(where)
        keys = [key for key in where if isinstance(key, str)]
        table, key = keys[:-1], keys[-1:]
        if len(keys) <= len(self.home):
            table, key = keys, []
        place = f"[{dotted(tuple(table))}]" + (f" {dotted(tuple(key))}" if key else "")
        raise BuildpermError(f"{self.path}:{line}: {place}: {what}", hint=hint)

    def refuse_misplaced(self, document: Mapping[str, Any]) -> None:
        """Refuse grants that are not in force because the file also has a `[workspace]`."""
        if self.home[:1] == ("package",):
            return
        there: object = document
        for key in ("package", "metadata", "buildperm", "crates"):
            there = there.get(key) if isinstance(there, dict) else None
        here: object = document
        for key in self.home:
            here = here.get(key) if isinstance(here, dict) else None
        if there and here is None:
            self.fail(
                ("package", "metadata", "buildperm"),
                "not in force, because this file has a `[workspace]`",
                "Rename the tables to `[workspace.metadata.buildperm…]`.",
            )

    def policy(self, table: dict[str, Any]) -> Policy:
        """Read the whole grant table."""
        self.refuse_unknown(table, self.home, _TABLE_KEYS)
        if not table:
            return Policy(WEAKEST, MappingProxyType({}), self.path)
        self.check_version(table)
        require = self.one_of(table, "require", tuple(RUNTIMES), WEAKEST)
        crates = self.table(table.get("crates", {}), (*self.home, "crates"))
        where = (*self.home, "limits")
        limited = self.table(table.get("limits", {}), where)
        by_crate = self.table(limited.get("crates", {}), (*where, "crates"))
        granted = {key: self.crate(key, said) for key, said in crates.items()}
        store = self.cache_store(table)
        return Policy(
            require,
            MappingProxyType(granted),
            self.path,
            self.contexts(table),
            MappingProxyType(self.limits(limited, where, ("crates",))),
            MappingProxyType({key: self.crate_limits(key, said) for key, said in by_crate.items()}),
            self.one_of(table, "runtime", (AUTO, *RUNTIMES), require),
            self.shared(table),
            self.one_of(table, "compile", COMPILING, "", what="way to compile"),
            min_age=self.min_age(table),
            young=self.young(table, granted),
            ask=self.switch(table, "ask"),
            cache=bool(store) or self.switch(table, "cache") or False,
            cache_store=store,
            root=self.root(table),
            root_digest=self.digest_of(table, "root-digest"),
            root_image=self.root_image(table),
            ask_timeout_s=self.ask_timeout(table),
        )

    def switch(self, table: dict[str, Any], key: str) -> bool | None:
        """Read what is true or false; None where nothing is said."""
        value = table.get(key)
        if value is not None and not isinstance(value, bool):
            what = f"must be true or false, not {kind_of(value)}"
            self.fail((*self.home, key), what, f"Write `{key} = true`, or leave it out.")
        return value

    def root(self, table: dict[str, Any]) -> str:
        """Read where the root of build scripts lies; empty where that is said elsewhere."""
        where = (*self.home, "root")
        if "root" not in table:
            return ""
        path = self.string(table["root"], where)
        fits = path.startswith(("/", "$WORKSPACE/", "$HOME/")) and is_nameable(path)
        if not fits or ".." in path.split("/"):
            hint = 'Write a folder, such as `root = "/srv/roots/trixie"` or `"$HOME/roots/trixie"`.'
            self.fail(where, f"`{printable(path)}` is no folder that a root can be", hint)
        if "root-digest" not in table:
            hint = "Add `root-digest`: `buildperm root digest FOLDER` prints the line."
            self.fail(where, "`root-digest` is missing", hint)
        return path

    def root_image(self, table: dict[str, Any]) -> str:
        """Read which image the root is unpacked from; empty where nobody says."""
        said = self.digest_of(table, "root-image")
        if said and "root-digest" not in table:
            hint = "Add `root-digest`: `buildperm root unpack ARCHIVE FOLDER` prints both lines."
            self.fail((*self.home, "root-image"), "`root-digest` is missing", hint)
        return said

    def digest_of(self, table: dict[str, Any], key: str) -> str:
        """Read what a root, or its image, has to be; empty where it is not said."""
        if key not in table:
            return ""
        said = self.string(table[key], (*self.home, key))
        if not _DIGEST.fullmatch(said):
            what = "digest FOLDER" if key == "root-digest" else "unpack ARCHIVE FOLDER"
            hint = f"`buildperm root {what}` prints the line."
            self.fail(
                (*self.home, key),
                f"is no digest of {'a root' if key == 'root-digest' else 'an image'}",
                hint,
            )
        return said

    def cache_store(self, table: dict[str, Any]) -> CacheStore | None:
        """Read where results are shared, and whose are used; None where `cache` is a switch."""
        if not isinstance(table.get("cache"), dict):
            return None
        where = (*self.home, "cache")
        said = self.table(table["cache"], where)
        self.refuse_unknown(said, where, ("store", "keys"))
        for key, example in (("store", "https://HOST/FOLDER"), ("keys", "ed25519:…")):
            if key not in said:
                listed = f'["{example}"]' if key == "keys" else f'"{example}"'
                self.fail(where, f"`{key}` is missing", f"Add `{key} = {listed}`.")
        address = self.string(said["store"], (*where, "store"))
        try:
            cache_store.check_address(address)
        except ValueError as error:
            hint = "Write the URL alone: credentials are taken from the environment."
            self.fail((*where, "store"), str(error), hint)
        listed_keys = self.strings(said["keys"], (*where, "keys"))
        for key, place in listed_keys.items():
            try:
                cache_store.public_bytes(key)
            except ValueError as error:
                self.fail(place, str(error), "`buildperm cache keygen FILE` prints one.")
        if not 0 < len(listed_keys) <= cache_store.KEYS_MOST:
            what = f"must be 1 to {cache_store.KEYS_MOST} keys"
            self.fail((*where, "keys"), what, "`buildperm cache keygen FILE` prints one.")
        return CacheStore(address, tuple(sorted(listed_keys)))

    def ask_timeout(self, table: dict[str, Any]) -> int:
        """Read how long a person has for one question, in seconds."""
        value = table.get("ask-timeout", ASK_TIMEOUT_S)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value not in ASK_TIMEOUTS_S:
            least, most = ASK_TIMEOUTS_S[0], ASK_TIMEOUTS_S[-1]
            what = f"must be a whole number of seconds, from {least} to {most}"
            self.fail((*self.home, "ask-timeout"), what, f"Write `ask-timeout = {ASK_TIMEOUT_S}`.")
        return int(value)

    def min_age(self, table: dict[str, Any]) -> int:
        """Read how old a version has to be for its grants, in seconds."""
        where = (*self.home, "min-age")
        if "min-age" not in table:
            return 0
        try:
            return cooldown.parse(self.string(table["min-age"], where))
        except ValueError as error:
            self.fail(where, str(error), 'Write an age, such as `min-age = "7d"`.')

    def young(self, table: dict[str, Any], crates: Mapping[str, CrateGrants]) -> tuple[str, ...]:
        """Read which versions are held to their grants although they are young."""
        listed = self.strings(table.get("young", []), (*self.home, "young"))
        for key, place in listed.items():
            self.check_key(key, place)
            spec = parse_key(key)
            if spec.version.count(".") < 2:
                self.fail(
                    place,
                    f"`{printable(key)}` names no single version",
                    'Write it in full, such as `young = ["openssl-sys@0.9.118"]`.',
                )
            if not any(_gives_reason(grants, spec) for grants in crates.values()):
                self.fail(
                    place,
                    f"`{printable(key)}`: its crate gives no reason",
                    'Add `reason = "…"` to the table of the crate.',
                )
        return tuple(listed)

    def shared(self, table: dict[str, Any]) -> tuple[str, ...]:
        """Read what several crates are meant to write."""
        listed = self.strings(table.get("shared", []), (*self.home, "shared"))
        for pattern, place in listed.items():
            rule = Rule(Kind.WRITE, pattern)
            found = validation.to_sharing(rule)
            if found is not None:
                self.refuse(rule, place, found)
        return tuple(listed)

    def one_of(
        self,
        table: dict[str, Any],
        key: str,
        known: tuple[str, ...],
        default: str,
        what: str = "runtime",
        home: Keys = (),
    ) -> str:
        """Read one of the `known` words; `home` is the table's path, if not the grant table's."""
        if key not in table:
            return default
        where = (*(home or self.home), key)
        name = self.string(table[key], where)
        if name not in known:
            self.unknown(where, what, name, known)
        return name

    def check_version(self, table: dict[str, Any]) -> None:
        where = (*self.home, "version")
        if "version" not in table:
            self.fail(self.home, "`version` is missing", f"Add `version = {FORMAT}`.")
        version = table["version"]
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            self.fail(where, "must be a whole number", f"Write `version = {FORMAT}`.")
        if version > FORMAT:
            self.fail(
                where,
                f"written for a newer buildperm: format {version}, and this one reads {FORMAT}",
                "Update buildperm.",
            )

    def contexts(self, table: dict[str, Any]) -> tuple[str, ...]:
        """Read the words for Cargo under which build scripts are to be recorded."""
        where = (*self.home, "contexts")
        listed = table.get("contexts", [])
        self.strings(listed, where)
        found: dict[tuple[str, ...], str] = {}
        for index, context in enumerate(listed):
            try:
                words = _words(context, found)
            except ValueError as error:
                self.fail(
                    (*where, index),
                    f"`{printable(context)}`: {error}",
                    'Write words for Cargo, such as `contexts = ["check", "build --release"]`.',
                )
            found[words] = context
        return tuple(found.values())

    def crate_limits(self, key: str, said: object) -> dict[str, int]:
        """Read the limits of one crate's build script."""
        where = (*self.home, "limits", "crates", key)
        self.check_key(key, where)
        return self.limits(self.table(said, where), where)

    def limits(
        self, table: dict[str, Any], where: Keys, others: tuple[str, ...] = ()
    ) -> dict[str, int]:
        """Read a table of limits; `others` are the keys that are none."""
        self.refuse_unknown(table, where, (*limits.DEFAULTS, *others))
        found = {}
        for name, value in table.items():
            if name in others:
                continue
            place = (*where, name)
            example = f"Write `{name} = {limits.DEFAULTS[name] or 1 << 32}`."
            if not isinstance(value, int) or isinstance(value, bool):
                what = f"must be a whole number, not {kind_of(value)}"
                if isinstance(value, float):
                    what = "must be a whole number"
                self.fail(place, what, example)
            why = limits.violation(name, value)
            if why:
                self.fail(place, why, example)
            found[name] = int(value)
        return found

    def check_key(self, key: str, where: Keys) -> None:
        try:
            parse_key(key)
        except ValueError as error:
            self.fail(
                where,
                f"not a package: {printable(str(error))}",
                "Write `NAME`, `NAME@VERSION`, or `SOURCE#NAME` for what is not from crates.io.",
            )

    def crate(self, key: str, said: object) -> CrateGrants:
        """Read one crate's table."""
        where = (*self.home, "crates", key)
        self.check_key(key, where)
        table = self.table(said, where)
        self.refuse_unknown(table, where, _CRATE_KEYS)
        reason = self.string(table["reason"], (*where, "reason")) if "reason" in table else ""
        rules = self.rules(table, where)
        for rule, place in rules.items():
            found = validation.to_grant(rule, reason=reason)
            if found is not None:
                self.refuse(rule, place, found)
        denials = self.rules(self.denied(table, where), (*where, "deny"))
        for rule, place in denials.items():
            found = validation.to_denial(rule)
            if found is not None:
                self.refuse(rule, place, found)
        named = self.strings(table.get("presets", []), (*where, "presets"))
        for preset, place in named.items():
            if preset not in presets.NAMES:
                self.unknown(place, "preset", preset, presets.NAMES)
        reviewed = self.strings(table.get("reviewed", []), (*where, "reviewed"))
        for version, place in reviewed.items():
            self.check_reviewed(version, place, key)
        consumers = self.strings(table.get("for", []), (*where, "for"))
        for consumer, place in consumers.items():
            self.check_key(consumer, place)
        return CrateGrants(
            key,
            frozenset(reviewed),
            frozenset(named),
            frozenset(rules),
            frozenset(denials),
            reason,
            frozenset(consumers),
            self.one_of(table, "compile", COMPILING, "", "way to compile", where),
            self.expires(table, where),
        )

    def expires(self, table: dict[str, Any], where: Keys) -> date | None:
        """Read the last day on which a crate is granted anything."""
        if "expires" not in table:
            return None
        place = (*where, "expires")
        said = table["expires"]
        if isinstance(said, date):  # Of TOML's own form, which nothing else here has.
            self.fail(place, "must be a string", f'Write `expires = "{said:%Y-%m-%d}"`.')
        try:
            return expiry.parse(self.string(said, place))
        except ValueError as error:
            self.fail(place, str(error), 'Write the last day, such as `expires = "2027-01-31"`.')

    def check_reviewed(self, revision: str, place: Keys, key: str) -> None:
        version = revisions.version(revision)
        try:
            whole = parse_key(f"x@{version}").version.count(".") >= 2
        except ValueError:
            whole = False
        found = revisions.violation(revision, parse_key(key).source) if whole else None
        if found is not None:
            self.fail(place, f"`{printable(revision)}`: {found[0]}", found[1])
        if not whole:
            self.fail(
                place,
                f"`{printable(version)}` is no version of a package",
                'Write versions in full, such as `reviewed = ["0.9.104"]`.',
            )

    def denied(self, table: dict[str, Any], where: Keys) -> dict[str, Any]:
        denied = self.table(table.get("deny", {}), (*where, "deny"))
        self.refuse_unknown(denied, (*where, "deny"), GRANTABLE)
        return denied

    def rules(self, table: dict[str, Any], where: Keys) -> dict[Rule, Keys]:
        """Read the lists of every kind that `table` has, each rule with its place."""
        found: dict[Rule, Keys] = {}
        for kind in GRANTABLE:
            for pattern, place in self.strings(table.get(kind, []), (*where, str(kind))).items():
                found[Rule(kind, pattern)] = place
        return found

    def refuse(self, rule: Rule, place: Keys, found: validation.Violation) -> NoReturn:
        self.fail(
            place, f"`{printable(rule.pattern)}`: {printable(found.what)}", printable(found.hint)
        )

    def refuse_unknown(self, table: dict[str, Any], where: Keys, known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                self.unknown((*where, key), "key", key, known)

    def unknown(self, where: Keys, what: str, name: str, known: tuple[str, ...]) -> NoReturn:
        close = get_close_matches(name, known, 1)
        hint = f"Did you mean `{close[0]}`?" if close else f"Use one of: {', '.join(known)}."
        self.fail(where, f"unknown {what} {json.dumps(name)}", hint)

    def table(self, value: object, where: Keys) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(where, f"must be a table, not {kind_of(value)}", "Write it as `[table]`.")
        return value

    def string(self, value: object, where: Keys) -> str:
        if not isinstance(value, str):
            self.fail(
                where, f"must be a string, not {kind_of(value)}", "Put it in quotation marks."
            )
        return value

    def strings(self, value: object, where: Keys) -> dict[str, Keys]:
        """Read a list of strings, each with its place; what stands twice counts once."""
        if not isinstance(value, list):
            self.fail(
                where, f"must be a list of strings, not {kind_of(value)}", 'Write `["…", "…"]`.'
            )
        found: dict[str, Keys] = {}
        for index, element in enumerate(value):
            found.setdefault(self.string(element, (*where, index)), (*where, index))
        return found


def _gives_reason(grants: CrateGrants, spec: PackageSpec) -> bool:
    said = parse_key(grants.key)
    is_same = (said.name, said.source) == (spec.name, spec.source)
    return bool(grants.reason) and is_same and is_of_version(spec.version, said.version)


def _words(context: str, known: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    """Split a context as a shell does; `known` are the others.

    Raises:
        ValueError: It cannot be one; the text says why, as a clause.
    """
    if not is_nameable(context):
        raise ValueError("holds characters that cannot be shown")
    try:
        words = tuple(shlex.split(context))
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {str(error).lower()}") from error
    if not words or not words[0]:
        raise ValueError("names no command of Cargo")
    if words in known:
        raise ValueError("stands there twice")
    return words


def kind_of(value: object) -> str:
    """Say in plain words what a parsed TOML value is."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"
