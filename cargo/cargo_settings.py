"""Whether settings of Cargo hold nothing that is secret, by a look into them.

What is known to be harmless is listed, and all else is not, as with those of Git.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from buildperm.cargo.settings_secrets import (
    ALL_KEYS,
    may_log_in,
    names_user,
    secret_in,
    secret_in_lines,
    words,
)
from buildperm.rules import secret_values
from buildperm.rules.variables import holds_credential, is_baseline, looks_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BUILD = words(
    "build-dir dep-info-basedir incremental jobs pipelining rustc rustc-workspace-wrapper "
    "rustc-wrapper rustdoc rustdocflags rustflags target target-dir warnings"
)
_CARGO: Mapping[str, frozenset[str]] = {
    "alias": ALL_KEYS,
    "build": _BUILD,
    "cache": words("auto-clean-frequency"),
    "cargo-new": words("email name vcs"),
    "doc": words("browser"),
    "future-incompat-report": words("frequency"),
    "http": words(
        "cainfo check-revoke debug low-speed-limit multiplexing proxy ssl-version timeout"
    ),
    "install": words("root"),
    "net": words("git-fetch-with-cli offline retry"),
    "patch": ALL_KEYS,
    "paths": ALL_KEYS,
    "registry": words("default"),
    "resolver": words("feature-unification incompatible-rust-versions lockfile-path"),
    "term": words("color hyperlinks progress quiet unicode verbose"),
    "unstable": ALL_KEYS,
}
"""Keys of the Cargo book, "Configuration", by table."""

_CARGO_NAMED: Mapping[str, frozenset[str]] = {
    "registries": words("index protocol"),
    "source": words("branch directory git local-registry registry replace-with rev tag"),
}
"""Likewise of tables whose tables have names of their own."""

_PROFILE = words(
    "build-override codegen-backend codegen-units debug debug-assertions frame-pointers "
    "hint-mostly-unused incremental inherits lto opt-level overflow-checks package panic rpath "
    "rustflags split-debuginfo strip trim-paths"
)
_TARGET = words("ar linker runner rustdocflags rustflags")
_OVERRIDDEN = words(
    "rustc-cdylib-link-arg rustc-cfg rustc-check-cfg rustc-flags rustc-link-arg rustc-link-lib "
    "rustc-link-search"
)
"""What is said in the place of a build script: `[target.TRIPLE.LINKS]`."""

_PLAIN_VALUE = re.compile(r"(?:true|false|yes|no|on|off|full|[0-9]{1,6}(?:\.[0-9]{1,3}){0,3})?")


def of_cargo(content: bytes) -> tuple[bool, str]:
    """Tell whether settings of Cargo are harmless; if not, which kind of secret is seen, if any.

    What stands in a comment counts as well: a file is read as a whole.
    """
    if seen := secret_in_lines(content):
        return False, seen
    try:
        return _of_cargo(content)
    except (ValueError, RecursionError):  # Dotted keys nest tables as deep as somebody likes.
        return False, ""


def _of_cargo(content: bytes) -> tuple[bool, str]:
    settings = tomllib.loads(content.decode())
    is_harmless = not names_user(content)
    for text in _texts(settings):
        if seen := secret_in(text):
            return False, seen
        is_harmless &= not names_user(text.encode()) and not may_log_in(text)
    for name in ("registry", "registries"):
        if _has_token(settings.get(name)):
            return False, secret_values.TOKEN
    if not is_harmless or _names_secret(settings):
        return False, ""
    return all(_is_harmless(name, value) for name, value in settings.items()), ""


def _names_secret(value: object) -> bool:
    """Tell whether any key says that a secret is behind it."""
    match value:
        case dict():
            return any(holds_credential(_variable(n)) or _names_secret(v) for n, v in value.items())
        case list():
            return any(map(_names_secret, value))
        case _:
            return False


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, inner in value.items():
                yield str(name)
                if isinstance(inner, str):
                    yield f"{name}={inner}"  # `password = "…"`: the name says what it is.
                yield from _texts(inner)
        case list():
            yield " ".join(each for each in value if isinstance(each, str))  # A command line.
            for inner in value:
                yield from _texts(inner)
        case _:
            pass  # A number or a date.


def _has_token(table: object) -> bool:
    if not isinstance(table, dict):
        return False
    return any(
        name in ("token", "secret-key") or _has_token(inner) for name, inner in table.items()
    )


def _is_harmless(name: str, value: object) -> bool:
    if name == "env":
        return isinstance(value, dict) and all(
            _is_harmless_variable(each, given) for each, given in value.items()
        )
    if name in _CARGO_NAMED:
        return isinstance(value, dict) and all(
            isinstance(each, dict) and each.keys() <= _CARGO_NAMED[name] for each in value.values()
        )
    if name == "profile":
        return isinstance(value, dict) and all(map(_is_profile, value.values()))
    if name in ("target", "host"):
        return isinstance(value, dict) and all(
            _is_target(each) if isinstance(each, dict) else name == "host" and key in _TARGET
            for key, each in value.items()
        )
    if name == "http" and isinstance(value, dict) and "@" in str(value.get("proxy", "")):
        return False  # curl takes `user:password@host` without a scheme as well.
    allowed = _CARGO.get(name, frozenset())
    return allowed is ALL_KEYS or (isinstance(value, dict) and value.keys() <= allowed)


def _is_profile(table: object) -> bool:
    """Tell whether a table is a profile, with others in it for packages and build scripts."""
    if not isinstance(table, dict) or not table.keys() <= _PROFILE:
        return False
    packages = table.get("package", {})
    inner = [*packages.values()] if isinstance(packages, dict) else [packages]
    if "build-override" in table:
        inner.append(table["build-override"])
    return all(map(_is_profile, inner))


def _is_target(table: Mapping[str, object]) -> bool:
    """Tell whether nothing but what Cargo knows is said of a target and of its libraries."""
    for key, value in table.items():
        if not isinstance(value, dict):
            if key not in _TARGET:
                return False
            continue
        variables = value.get("rustc-env", {})
        if not value.keys() - {"rustc-env"} <= _OVERRIDDEN or not isinstance(variables, dict):
            return False
        if not all(_is_harmless_variable(each, given) for each, given in variables.items()):
            return False
    return True


def _is_harmless_variable(name: str, value: object) -> bool:
    """Tell whether a script may know of a variable that `[env]` sets, whatever it is granted."""
    if looks_secret(name):
        return False
    given = value.get("value") if isinstance(value, dict) else value
    is_path = isinstance(value, dict) and value.get("relative") is True
    return isinstance(given, str) and (
        is_path or is_baseline(name) or _PLAIN_VALUE.fullmatch(given) is not None
    )
