"""The environment of a build script: what passes, what is replaced, what is withheld.

Part of the supervisor: os only.
"""

from __future__ import annotations

import os

from buildperm.rules import makeflags, secret_values
from buildperm.rules import variables as policy
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.session import Session, SessionPackage

_OURS = b"BUILDPERM_"
_REPLACED = (
    *(b"RUSTC_WRAPPER", b"CARGO_HOME", b"RUSTUP_HOME", b"PATH"),
    # Of a held build's own target directory, which Cargo keeps locked: a script that runs Cargo
    # would wait for it for ever.
    *(b"CARGO_TARGET_DIR", b"CARGO_BUILD_BUILD_DIR"),
)

# What Cargo takes from the package and from where things lie (Cargo book, "Environment variables
# Cargo sets for build scripts"): whatever that looks like, a crate has chosen it, or it is a path.
_OF_PACKAGE_TEXT = b"""
    CARGO_MANIFEST_DIR CARGO_MANIFEST_LINKS CARGO_MANIFEST_PATH OUT_DIR
    CARGO_PKG_AUTHORS CARGO_PKG_DESCRIPTION CARGO_PKG_HOMEPAGE CARGO_PKG_LICENSE
    CARGO_PKG_LICENSE_FILE CARGO_PKG_NAME CARGO_PKG_README CARGO_PKG_REPOSITORY
    CARGO_PKG_RUST_VERSION CARGO_PKG_VERSION CARGO_PKG_VERSION_MAJOR CARGO_PKG_VERSION_MINOR
    CARGO_PKG_VERSION_PATCH CARGO_PKG_VERSION_PRE
    """
_OF_PACKAGE = frozenset(_OF_PACKAGE_TEXT.split())


class Kept:
    """What is kept from a script of the variables that Cargo has given."""

    __slots__ = ("names", "secrets")

    def __init__(self) -> None:
        self.names: set[bytes] = set()  # That exist outside, and do not reach it.
        # By name, what of its value is why: `values.KINDS`, or that a part was left out.
        self.secrets: dict[bytes, str] = {}


def as_given(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the environment that Cargo has given: the stub keeps from us where to find libraries.

    Other build scripts have a say in that, and this process is not confined.
    """
    given = dict(environ)
    given.pop(b"LD_LIBRARY_PATH", None)
    if libraries := given.get(b"BUILDPERM_LIBRARIES"):
        given[b"LD_LIBRARY_PATH"] = libraries
    return given


def of_script(
    environ: Mapping[bytes, bytes],
    session: Session,
    package: SessionPackage,
    places: Mapping[str, bytes],
    *,
    learning: bool,
    proxy_port: int = 0,
) -> tuple[dict[bytes, bytes], Kept]:
    """Return the script's environment, and what was kept from it.

    `proxy_port` is where the egress proxy listens; 0 if there is none.

    HOME and what lies in it by convention is private: git fails hard on a configuration file that
    exists and cannot be read, and so may others.
    """
    granted, denied = package["env"], package["deny"].get("env", [])
    by_hand = package.get("secrets", ())
    passed: dict[bytes, bytes] = {}
    kept = Kept()
    for name, value in environ.items():
        if name.startswith(_OURS) or name in _REPLACED:
            continue
        text = encode(name)
        passes = policy.passes(text, learning=learning, granted=granted, denied=denied)
        # A name that looks like a secret's passes by a grant for just that.
        if text in by_hand or policy.looks_secret(text):
            left: bytes | None = value
            why = ""
        else:
            left, why = without_secrets(name, value)
        if passes and left is not None:
            passed[name] = left
        else:
            kept.names.add(name)
        if why and (passes or left is None):
            kept.secrets[name] = why
    own = _private(places["TMP"] + b"/home", places["TMP"] + b"/tmp")
    own[b"PATH"] = session["path"]
    own[b"CARGO_HOME"] = places["CARGO_HOME"]
    rustup = environ.get(b"RUSTUP_HOME") or places["HOME"] + b"/.rustup"
    if os.path.isdir(rustup):
        own[b"RUSTUP_HOME"] = rustup
    if session["rustc_wrapper"]:
        own[b"RUSTC_WRAPPER"] = session["rustc_wrapper"]
    if proxy_port:
        own |= of_proxy(proxy_port)
    # What XDG_RUNTIME_DIR holds is sockets and keys of the user's session, never a build's.
    passed.pop(b"XDG_RUNTIME_DIR", None)
    kept.names -= own.keys()
    kept.secrets = {name: why for name, why in kept.secrets.items() if name not in own}
    return passed | own, kept


def without_secrets(name: bytes, value: bytes) -> tuple[bytes | None, str]:
    """Return what of a value may be known, None for nothing of it; and what has been left out."""
    if name in _OF_PACKAGE or name in _PRIVATE:
        return value, ""
    left, why = makeflags.left(name, value), ""
    if left is not value and left.split() != value.split():
        why = makeflags.DEFINITIONS
    kind = secret_values.secret(left)
    return (None, secret_values.HOLDS + kind) if kind else (left, why)


def is_replaced(name: bytes) -> bool:
    """Tell whether the value that a script sees is never the one that Cargo was started with."""
    return name.startswith(_OURS) or name in _REPLACED or name in _PRIVATE


def of_context(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what is kept of Cargo's environment to run the same script again: no secrets."""
    stored = {}
    for name, value in environ.items():
        if name.startswith(_OURS) or policy.looks_secret(encode(name)):
            continue
        left, _ = without_secrets(name, value)
        if left is not None:
            stored[name] = left
    return stored


def is_secret(name: bytes, value: bytes) -> bool:
    """Tell whether a variable is not kept to run a script again: by its name or its value."""
    return policy.looks_secret(encode(name)) or without_secrets(name, value)[0] is None


def of_proxy(port: int) -> dict[bytes, bytes]:
    """Return what sends tools through the proxy: libcurl, Python, Go, reqwest, Cargo, Git, npm."""
    url = b"http://127.0.0.1:%d" % port
    own: dict[bytes, bytes] = {}
    for name in (b"HTTP_PROXY", b"HTTPS_PROXY", b"ALL_PROXY"):
        own[name] = own[name.lower()] = url
    own[b"NO_PROXY"] = own[b"no_proxy"] = b""
    own[b"CARGO_HTTP_PROXY"] = url
    own[b"GIT_CONFIG_COUNT"], own[b"GIT_CONFIG_KEY_0"] = b"1", b"http.proxy"
    own[b"GIT_CONFIG_VALUE_0"] = url
    own[b"npm_config_proxy"] = own[b"npm_config_https_proxy"] = url
    own[b"npm_config_noproxy"] = b""
    return own


def _private(home: bytes, temporary: bytes) -> dict[bytes, bytes]:
    """XDG Base Directory Specification, git(1) "GIT_CONFIG_GLOBAL"; no colours from anybody."""
    return {
        b"HOME": home,
        b"TMPDIR": temporary,
        b"XDG_CACHE_HOME": home + b"/.cache",
        b"XDG_CONFIG_HOME": home + b"/.config",
        b"XDG_DATA_HOME": home + b"/.local/share",
        b"XDG_STATE_HOME": home + b"/.local/state",
        b"GIT_CONFIG_GLOBAL": b"/dev/null",
        b"GIT_CONFIG_NOSYSTEM": b"1",
        b"GIT_OPTIONAL_LOCKS": b"0",
        # In `full` each granted folder is a mount of its own, and git would not look above it.
        b"GIT_DISCOVERY_ACROSS_FILESYSTEM": b"1",
        b"TERM": b"dumb",
    }


_PRIVATE = frozenset(_private(b"", b""))
