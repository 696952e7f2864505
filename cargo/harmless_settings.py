"""Whether a settings file of Git or Cargo holds nothing that is secret, by a look into it.

What is known to be harmless is listed, and all else is not: these files may hold tokens, addresses
with passwords, and commands that print either. A file that includes others is never harmless.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from buildperm.rules import secret_values
from buildperm.rules.variables import is_baseline, looks_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\\n]|\\.)*)"\s*)?\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*(=?)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"'}

_ALL = frozenset(["*"])


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GIT: Mapping[str, frozenset[str]] = {
    "advice": _ALL,
    "color": _ALL,
    "column": _ALL,
    "branch": _words("autosetupmerge autosetuprebase sort"),
    "commit": _words("cleanup gpgsign status verbose"),
    "core": _words(
        "abbrev attributesfile autocrlf bare bigfilethreshold checkroundtripencoding checkstat "
        "commentchar commitgraph compression createobject deltabasecachelimit editor eol "
        "excludesfile filemode filesreflocktimeout fsmonitor fsync fsyncmethod fsyncobjectfiles "
        "hookspath ignorecase ignorestat logallrefupdates loosecompression maxtreedepth "
        "multipackindex notesref packedgitlimit packedgitwindowsize packedrefstimeout pager "
        "precomposeunicode prefersymlinkrefs preloadindex protecthfs protectntfs quotepath "
        "repositoryformatversion safecrlf sharedrepository sparsecheckout sparsecheckoutcone "
        "splitindex symlinks trustctime untrackedcache usereplacerefs warnambiguousrefs whitespace"
    ),
    "credential": _words("helper usehttppath"),
    "diff": _words("algorithm colormoved context mnemonicprefix noprefix renamelimit renames"),
    "feature": _words("experimental manyfiles"),
    "fetch": _words("fsckobjects parallel prune prunetags recursesubmodules writecommitgraph"),
    "filter": _words("clean process required smudge"),
    "gc": _ALL,
    "help": _words("autocorrect format"),
    "http": _words(
        "lowspeedlimit lowspeedtime maxrequests postbuffer sslbackend sslcainfo sslcapath "
        "sslverify version"
    ),
    "index": _words("recordendofindexentries recordoffsettable sparse threads version"),
    "init": _words("defaultbranch defaultobjectformat defaultrefformat templatedir"),
    "lfs": _words("concurrenttransfers fetchexclude fetchinclude fetchrecentalways"),
    "log": _words("abbrevcommit date decorate follow mailmap showsignature"),
    "maintenance": _words("auto strategy"),
    "merge": _words("conflictstyle ff log renamelimit renames stat"),
    "pack": _words("compression deltacachesize packsizelimit threads window windowmemory"),
    "protocol": _words("allow version"),
    "pull": _words("ff rebase"),
    "push": _words("autosetupremote default followtags recursesubmodules"),
    "rebase": _words("autosquash autostash updaterefs"),
    "receive": _words("denycurrentbranch denynonfastforwards fsckobjects"),
    "rerere": _words("autoupdate enabled"),
    "safe": _words("barerepository directory"),
    "status": _words("branch short showstash showuntrackedfiles submodulesummary"),
    "submodule": _words("fetchjobs recurse"),
    "tag": _words("forcesignannotated gpgsign sort"),
    "transfer": _words("fsckobjects hiderefs unpacklimit"),
    "user": _words("email name useconfigonly"),
}
"""Keys of git-config(1) by section, in lower case."""

_GIT_COMMANDS = frozenset(
    ["core.editor", "core.fsmonitor", "core.pager", "credential.helper"],
)
"""Values that may be command lines: only the name of a program is harmless."""

_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]*")

_CARGO: Mapping[str, frozenset[str]] = {
    "alias": _ALL,
    "build": _words(
        "build-dir dep-info-basedir incremental jobs pipelining rustc rustc-workspace-wrapper "
        "rustc-wrapper rustdoc rustdocflags rustflags target target-dir warnings"
    ),
    "cache": _ALL,
    "cargo-new": _ALL,
    "doc": _words("browser"),
    "future-incompat-report": _ALL,
    "http": _words(
        "cainfo check-revoke debug low-speed-limit multiplexing proxy ssl-version timeout"
    ),
    "install": _words("root"),
    "net": _words("git-fetch-with-cli offline retry"),
    "patch": _ALL,
    "paths": _ALL,
    "profile": _ALL,
    "registry": _words("default"),
    "resolver": _ALL,
    "target": _ALL,
    "host": _ALL,
    "term": _ALL,
    "unstable": _ALL,
}
"""Keys of the Cargo book, "Configuration", by table."""

_CARGO_NAMED: Mapping[str, frozenset[str]] = {
    "registries": _words("index protocol"),
    "source": _words("branch directory git local-registry registry replace-with rev tag"),
}
"""Likewise of tables whose tables have names of their own."""

_PLAIN_VALUE = re.compile(r"(?:true|false|yes|no|on|off|full|[0-9]{1,6}(?:\.[0-9]{1,3}){0,3})?")


class UnclearError(Exception):
    """A file is not written as its tool would have it."""


def of_git(content: bytes) -> tuple[bool, str]:
    """Tell whether settings of Git are harmless; if not, which kind of secret is seen, if any.

    What stands in a comment counts as well: a file is read as a whole.
    """
    if seen := _seen_in_lines(content):
        return False, seen
    try:
        entries = list(git_entries(content.decode()))
    except (UnclearError, UnicodeDecodeError):
        return False, ""
    is_harmless = True
    for section, subsection, key, value in entries:
        seen = _seen(subsection) or _seen(value)
        if key == "extraheader":
            seen = seen or secret_values.TOKEN
        if seen:
            return False, seen
        allowed = _GIT.get(section, frozenset())
        known = allowed is _ALL or key in allowed
        is_command = f"{section}.{key}" in _GIT_COMMANDS
        if section == "filter" and subsection != "lfs":
            known = False  # A command line of anybody's.
        if is_command and not _PROGRAM.fullmatch(value):
            known = False
        is_harmless &= known and "@" not in subsection
    return is_harmless, ""


def of_cargo(content: bytes) -> tuple[bool, str]:
    """Tell whether settings of Cargo are harmless; if not, which kind of secret is seen, if any.

    What stands in a comment counts as well: a file is read as a whole.
    """
    if seen := _seen_in_lines(content):
        return False, seen
    try:
        settings = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return False, ""
    for text in _texts(settings):
        if seen := _seen(text):
            return False, seen
    for name in ("registry", "registries"):
        if _has_token(settings.get(name)):
            return False, secret_values.TOKEN
    return all(_is_harmless(name, value) for name, value in settings.items()), ""


def git_entries(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield section, subsection, key and value of each setting: git-config(1), "Syntax".

    Section and key are in lower case. A key without `=` has the value "true".

    Raises:
        UnclearError: It is not written so.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    section = subsection = ""
    at = 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
        elif char in "#;":
            at = _line_end(text, at)
        elif char == "[":
            found = _SECTION.match(text, at)
            if found is None:
                raise UnclearError
            named, dot, below = found[1].partition(".")
            section = named.lower()
            subsection = below.lower() if dot else re.sub(r"\\(.)", r"\1", found[2] or "")
            at = found.end()
        else:
            found = _KEY.match(text, at)
            if found is None or not section:
                raise UnclearError
            value, at = _value(text, found.end()) if found[2] else ("true", found.end())
            if not found[2] and text[at:].split("\n", 1)[0].strip()[:1] not in ("", "#", ";"):
                raise UnclearError
            yield section, subsection, found[1].lower(), value


def _value(text: str, at: int) -> tuple[str, int]:
    value: list[str] = []
    is_quoted = False
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\n":
            if is_quoted:
                raise UnclearError
            break
        if char in "#;" and not is_quoted:
            at = _line_end(text, at)
            break
        if char == '"':
            is_quoted = not is_quoted
        elif char != "\\":
            value.append(char)
        elif text[at : at + 1] == "\n":
            at += 1
        elif text[at : at + 1] in _ESCAPES:
            value.append(_ESCAPES[text[at]])
            at += 1
        else:
            raise UnclearError
    if is_quoted:
        raise UnclearError
    return "".join(value).strip(), at


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _seen_in_lines(content: bytes) -> str:
    return next(filter(None, map(secret_values.secret, [content, *content.splitlines()])), "")


def _seen(text: str) -> str:
    return secret_values.secret(text.encode("utf-8", "surrogateescape"))


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
    allowed = _CARGO.get(name, frozenset())
    return allowed is _ALL or (isinstance(value, dict) and value.keys() <= allowed)


def _is_harmless_variable(name: str, value: object) -> bool:
    """Tell whether a script may know of a variable that `[env]` sets, whatever it is granted."""
    if looks_secret(name):
        return False
    given = value.get("value") if isinstance(value, dict) else value
    is_path = isinstance(value, dict) and value.get("relative") is True
    return isinstance(given, str) and (
        is_path or is_baseline(name) or _PLAIN_VALUE.fullmatch(given) is not None
    )


def of_text(content: bytes) -> tuple[bool, str]:
    """Likewise of a file in which nothing but a secret by its form could be one."""
    seen = _seen_in_lines(content)
    return not seen, seen
