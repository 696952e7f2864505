"""The environment of what is run: what passes, what is replaced, and what is kept from it.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules import variables as policy
from buildperm.rules.pattern import matches
from buildperm.rules.script_variables import (
    OURS,
    REPLACED,
    private,
    script_wrapper,
    without_secrets,
)
from buildperm.supervisor import settings
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from buildperm.supervisor.session import Session, SessionPackage


_ASIDE = b"BUILDPERM_ASIDE_"
"""Before the names of what a loader obeys, which no program of ours starts with: `aside.h`."""

_NOT_FOR_MACROS = (b"LD_LIBRARY_PATH", b"CARGO_MAKEFLAGS", b"MAKEFLAGS", b"MFLAGS")
"""The last ones name Cargo's job server, which a host of macros does not get."""


class WithheldVariables:
    """The variables from Cargo that a script, or a macro, does not get."""

    __slots__ = ("names", "secrets")

    def __init__(self) -> None:
        self.names: set[bytes] = set()  # Variables that exist outside and do not reach it.
        # By name, which secret its value holds, or that a part was left out: see secret_values.
        self.secrets: dict[bytes, str] = {}


def as_given(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the environment as Cargo gave it.

    The stub has set LD_LIBRARY_PATH aside: other build scripts may choose it, and this process is
    not confined.
    """
    given = dict(environ)
    if rustdoc := given.get(b"BUILDPERM_RUSTDOC"):
        given[b"RUSTDOC"] = rustdoc  # Ours is for Cargo.
    given.pop(b"LD_LIBRARY_PATH", None)
    if libraries := given.get(b"BUILDPERM_LIBRARIES"):
        given[b"LD_LIBRARY_PATH"] = libraries
    for name in [each for each in given if each.startswith(_ASIDE)]:
        given[name[len(_ASIDE) :]] = given.pop(name)
    return given


def for_script(
    environ: Mapping[bytes, bytes],
    session: Session,
    package: SessionPackage,
    places: Mapping[str, bytes],
    *,
    learning: bool,
    proxy_port: int = 0,
    chosen: Container[bytes] = (),
) -> tuple[dict[bytes, bytes], WithheldVariables]:
    """Return the script's environment, and what was kept from it.

    `proxy_port` is where the egress proxy listens; 0 if there is none. `chosen` are variables that
    are not of the user, but of the package: they pass unless they look secret or were denied.

    HOME and the folders in it are private ones: git, and perhaps other tools, fail where a
    configuration file exists and cannot be read.
    """
    granted, denied = package["env"], package["deny"].get("env", [])
    by_hand = package.get("secrets", ())
    passed: dict[bytes, bytes] = {}
    kept = WithheldVariables()
    for name, value in environ.items():
        if name.startswith(OURS) or name in REPLACED:
            continue
        text = encode(name)
        is_free = learning or name in chosen
        passes = policy.passes(text, learning=is_free, granted=granted, denied=denied)
        # A variable with the name of a secret passes only by a grant of exactly that name.
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
    own = private(places["TMP"] + b"/home", places["TMP"] + b"/tmp")
    if not environ.get(b"GIT_CONFIG_NOSYSTEM") and not _hides_git_settings(session):
        del own[b"GIT_CONFIG_NOSYSTEM"]
        copy = _copied_git_settings(session, package)
        if copy and b"GIT_CONFIG_SYSTEM" not in passed:
            own[b"GIT_CONFIG_SYSTEM"] = copy
    own[b"PATH"] = session["path"]
    own[b"CARGO_HOME"] = places["CARGO_HOME"]
    rustup = environ.get(b"RUSTUP_HOME") or places["HOME"] + b"/.rustup"
    if os.path.isdir(rustup):
        own[b"RUSTUP_HOME"] = rustup
    if wrapper := script_wrapper(session["rustc_wrapper"]):
        own[b"RUSTC_WRAPPER"] = wrapper
    elif session.get("standing"):  # Cargo's configuration names ours, which is of no use inside.
        own[b"RUSTC_WRAPPER"] = b""
    if proxy_port:
        own |= for_proxy(proxy_port)
    own |= _for_git(session.get("trusted", ()), proxy_port)
    # XDG_RUNTIME_DIR holds sockets and keys of the user's session, nothing of a build.
    passed.pop(b"XDG_RUNTIME_DIR", None)
    kept.names -= own.keys()
    kept.secrets = {name: why for name, why in kept.secrets.items() if name not in own}
    return passed | own, kept


def for_macros(
    environ: Mapping[bytes, bytes],
    session: Session,
    package: SessionPackage,
    places: Mapping[str, bytes],
    outside: Mapping[bytes, bytes] | None,
    *,
    learning: bool,
    proxy_port: int = 0,
) -> tuple[dict[bytes, bytes], WithheldVariables]:
    """Return the environment of a host of macros, and what was kept from it.

    It is that of a script. Besides, what Cargo itself was not given, or other than it was given,
    passes as what the build script of the consumer has chosen with `cargo::rustc-env`.

    Args:
        environ: What Cargo gave to the compiler.
        session: Of the command.
        package: The one with the macros.
        places: Folders by token.
        outside: What Cargo was given; None where that is not known.
        learning: As for a script.
        proxy_port: Likewise.
    """
    chosen: frozenset[bytes] = frozenset()
    if outside is not None:
        chosen = frozenset(name for name, value in environ.items() if outside.get(name) != value)
    given = {name: value for name, value in environ.items() if name not in _NOT_FOR_MACROS}
    variables, kept = for_script(
        given,
        session,
        package,
        places,
        learning=learning,
        proxy_port=proxy_port,
        chosen=chosen,
    )
    return variables, kept


def for_libraries(places: Mapping[str, bytes], needed: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return what lets the loader find libraries of the tool chain, if one of these is `needed`.

    Cargo also names folders that build scripts fill.
    """
    if not any(name.startswith((b"libstd-", b"librustc_driver-")) for name in needed):
        return {}
    folders = (places["SYSROOT"] + folder for folder in (b"/lib", b"/lib64"))
    return {b"LD_LIBRARY_PATH": b":".join(folders)}


def for_rerun(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what is stored of Cargo's environment for a rerun of the script: no secrets."""
    stored = {}
    for name, value in environ.items():
        if name.startswith(OURS) or policy.looks_secret(encode(name)):
            continue
        left, _ = without_secrets(name, value)
        if left is not None:
            stored[name] = left
    return stored


def for_proxy(port: int) -> dict[bytes, bytes]:
    """Return what sends tools through the proxy: libcurl, Python, Go, reqwest, Cargo, Git, npm."""
    url = b"http://127.0.0.1:%d" % port
    own: dict[bytes, bytes] = {}
    for name in (b"HTTP_PROXY", b"HTTPS_PROXY", b"ALL_PROXY"):
        own[name] = own[name.lower()] = url
    own[b"NO_PROXY"] = own[b"no_proxy"] = b""
    own[b"CARGO_HTTP_PROXY"] = url
    own |= _for_git((), port)
    own[b"npm_config_proxy"] = own[b"npm_config_https_proxy"] = url
    own[b"npm_config_noproxy"] = b""
    return own


def _hides_git_settings(session: Session) -> bool:
    """Tell whether git has to do without its settings of this machine: they are others by now."""
    now = settings.changed(session, settings.readable(session))
    return any(path.endswith(b"/gitconfig") for path in now)


def _copied_git_settings(session: Session, package: SessionPackage) -> bytes:
    """Return the copy that git reads in place of a closed file, unless that is granted.

    Where the file is closed and there is no copy, git fails at it, and its script is told so.
    """
    path, _ = session.get("git_settings", (b"", None))
    text = encode(path)
    if not path or any(matches(pattern, text) for pattern in package["read"]):
        return b""
    return settings.git_copy(session)


def _for_git(trusted: Iterable[bytes], port: int) -> dict[bytes, bytes]:
    """Return the settings of Git that a script gets: git(1), "GIT_CONFIG_COUNT"."""
    told = [(b"http.proxy", b"http://127.0.0.1:%d" % port)] if port else []
    told += [(b"safe.directory", folder) for folder in trusted]
    own: dict[bytes, bytes] = {}
    for number, (key, value) in enumerate(told):
        own[b"GIT_CONFIG_COUNT"] = b"%d" % (number + 1)
        own[b"GIT_CONFIG_KEY_%d" % number], own[b"GIT_CONFIG_VALUE_%d" % number] = key, value
    return own
