"""Whether a settings file of Git or Cargo holds nothing that is secret, by a look into it.

What is known to be harmless is listed, and all else is not: these files may hold tokens, addresses
with passwords, and commands that print either. A file that includes others is never harmless.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from buildperm.rules import secret_values
from buildperm.rules.variables import holds_credential, is_baseline, looks_secret

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
    "format": _words("pretty"),
    "gc": _ALL,
    "help": _words("autocorrect format"),
    "http": _words(
        "lowspeedlimit lowspeedtime maxrequests postbuffer sslbackend sslcainfo sslcapath "
        "sslverify version"
    ),
    "i18n": _words("commitencoding logoutputencoding"),
    "index": _words("recordendofindexentries recordoffsettable sparse threads version"),
    "init": _words("defaultbranch defaultobjectformat defaultrefformat templatedir"),
    "lfs": _words("concurrenttransfers fetchexclude fetchinclude fetchrecentalways"),
    "log": _words("abbrevcommit date decorate follow mailmap showsignature"),
    "maintenance": _words("auto strategy"),
    "merge": _words("conflictstyle ff log renamelimit renames stat"),
    "pack": _words("compression deltacachesize packsizelimit threads window windowmemory"),
    "pretty": _ALL,
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
    "versionsort": _words("prereleasesuffix suffix"),
}
"""Keys of git-config(1) by section, in lower case."""

_GIT_COMMANDS = frozenset(
    ["core.editor", "core.fsmonitor", "core.pager", "credential.helper"],
)
"""Values that may be command lines: only the name of a program is harmless."""

_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]*")
_LARGE_FILES = re.compile(r"git[- ]lfs [a-z-]+(?: --skip)?(?: -- %f| %f)?|true|false")
"""What `git lfs install` writes for `filter.lfs`; anything else is a command line of somebody's."""

_USER = re.compile(r"//([^/\s\"'`<>?#]*)@")
_NO_SECRETS = frozenset(("", "git"))
"""Users that addresses of repositories name. Any other may be a token: RFC 3986, 3.2.1."""

_ATTRIBUTES = re.compile(r"(?:#.*|(?:\S+|\"[^\"]*\")(?:\s+[-!]?[A-Za-z0-9_.-]+(?:=\S+)?)+)?")
"""A line of gitattributes(5)."""

_BUILD = _words(
    "build-dir dep-info-basedir incremental jobs pipelining rustc rustc-workspace-wrapper "
    "rustc-wrapper rustdoc rustdocflags rustflags target target-dir warnings"
)
_CARGO: Mapping[str, frozenset[str]] = {
    "alias": _ALL,
    "build": _BUILD,
    "cache": _words("auto-clean-frequency"),
    "cargo-new": _words("email name vcs"),
    "doc": _words("browser"),
    "future-incompat-report": _words("frequency"),
    "http": _words(
        "cainfo check-revoke debug low-speed-limit multiplexing proxy ssl-version timeout"
    ),
    "install": _words("root"),
    "net": _words("git-fetch-with-cli offline retry"),
    "patch": _ALL,
    "paths": _ALL,
    "registry": _words("default"),
    "resolver": _words("feature-unification incompatible-rust-versions lockfile-path"),
    "term": _words("color hyperlinks progress quiet unicode verbose"),
    "unstable": _ALL,
}
"""Keys of the Cargo book, "Configuration", by table."""

_CARGO_NAMED: Mapping[str, frozenset[str]] = {
    "registries": _words("index protocol"),
    "source": _words("branch directory git local-registry registry replace-with rev tag"),
}
"""Likewise of tables whose tables have names of their own."""

_PROFILE = _words(
    "build-override codegen-backend codegen-units debug debug-assertions frame-pointers "
    "hint-mostly-unused incremental inherits lto opt-level overflow-checks package panic rpath "
    "rustflags split-debuginfo strip trim-paths"
)
_TARGET = _words("ar linker runner rustdocflags rustflags")
_OVERRIDDEN = _words(
    "rustc-cdylib-link-arg rustc-cfg rustc-check-cfg rustc-flags rustc-link-arg rustc-link-lib "
    "rustc-link-search"
)
"""What is said in the place of a build script: `[target.TRIPLE.LINKS]`."""

_ASSIGNED_TOKEN = re.compile(r"\b(?:token|secret-key)[\"']?\s*=|\bsshpass\b")
_LOGIN_OPTIONS = re.compile(r"(?:^|\s)(?:-u|-U|--user|--proxy-user|--basic)[\s=]*[^\s:=]+:[^\s]")
_RANDOM_PART = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}")

_PLAIN_VALUE = re.compile(r"(?:true|false|yes|no|on|off|full|[0-9]{1,6}(?:\.[0-9]{1,3}){0,3})?")


class UnclearError(Exception):
    """A file is not written as its tool would have it."""


def of_git(content: bytes) -> tuple[bool, str]:
    """Tell whether settings of Git are harmless; if not, which kind of secret is seen, if any.

    What stands in a comment counts as well, and a section without keys: a file is read as a whole.
    """
    if seen := _seen_in_lines(content):
        return False, seen
    try:
        entries = list(_git_entries(content.decode()))
    except (UnclearError, UnicodeDecodeError):
        return False, ""
    is_harmless = not _names_user(content)
    for entry in entries:
        known, seen = judge_git(*entry)
        if seen:
            return False, seen
        is_harmless &= known
    return is_harmless, ""


def judge_git(section: str, subsection: str, key: str, value: str) -> tuple[bool, str]:
    """Tell whether one setting of Git is harmless, and which kind of secret is seen, if any."""
    seen = _seen(subsection) or _seen(value) or _seen(f"{key} = {value}")
    if key == "extraheader":
        seen = seen or secret_values.TOKEN
    if seen:
        return False, seen
    allowed = _GIT.get(section, frozenset())
    known = allowed is _ALL or key in allowed or (not key and bool(allowed))
    is_command = f"{section}.{key}" in _GIT_COMMANDS
    if section == "filter" and (subsection != "lfs" or not _LARGE_FILES.fullmatch(value or "true")):
        known = False  # A command line of anybody's.
    if is_command and not _PROGRAM.fullmatch(value):
        known = False
    return known and "@" not in subsection, ""


def of_cargo(content: bytes) -> tuple[bool, str]:
    """Tell whether settings of Cargo are harmless; if not, which kind of secret is seen, if any.

    What stands in a comment counts as well: a file is read as a whole.
    """
    if seen := _seen_in_lines(content):
        return False, seen
    try:
        return _of_cargo(content)
    except (ValueError, RecursionError):  # Dotted keys nest tables as deep as somebody likes.
        return False, ""


def _of_cargo(content: bytes) -> tuple[bool, str]:
    settings = tomllib.loads(content.decode())
    is_harmless = not _names_user(content)
    for text in _texts(settings):
        if seen := _seen(text):
            return False, seen
        is_harmless &= not _names_user(text.encode()) and not _may_log_in(text)
    for name in ("registry", "registries"):
        if _has_token(settings.get(name)):
            return False, secret_values.TOKEN
    if not is_harmless or _names_secret(settings):
        return False, ""
    return all(_is_harmless(name, value) for name, value in settings.items()), ""


def git_entries(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield section, subsection, key and value of each setting: git-config(1), "Syntax".

    Section and key are in lower case. A key without `=` has the value "true".

    Raises:
        UnclearError: It is not written so.
    """
    return (entry for entry in _git_entries(text) if entry[2])


def _git_entries(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield the same, and each header of a section with an empty key."""
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
            yield section, subsection, "", ""
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
    end = 0  # Behind the last character that is no blank at the end of the line.
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
            continue
        if char == "\\" and text[at : at + 1] == "\n":
            at += 1
            continue
        if char.isspace() and not is_quoted:
            if end:
                value.append(char)
            continue
        if char == "\\":
            char = _ESCAPES.get(text[at : at + 1], "")
            if not char:
                raise UnclearError
            at += 1
        value.append(char)
        end = len(value)
    if is_quoted:
        raise UnclearError
    return "".join(value[:end]), at


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _seen_in_lines(content: bytes) -> str:
    return next(filter(None, map(secret_values.secret, [content, *content.splitlines()])), "")


def _seen(text: str) -> str:
    return secret_values.secret(text.encode("utf-8", "surrogateescape"))


def _names_user(content: bytes) -> bool:
    """Tell whether an address names somebody, with whatever that is: a token has no other form."""
    text = content.decode("utf-8", "surrogateescape")
    return any(user not in _NO_SECRETS for user in _USER.findall(text))


def _may_log_in(text: str) -> bool:
    """Tell whether a command line or an address may hold what nothing else would tell of."""
    if _ASSIGNED_TOKEN.search(text) or _LOGIN_OPTIONS.search(text):
        return True
    _, scheme, rest = text.partition("://")
    if not scheme or " " in text:
        return False
    return "?" in rest or any(_RANDOM_PART.fullmatch(part) for part in rest.split("/")[1:])


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
    return allowed is _ALL or (isinstance(value, dict) and value.keys() <= allowed)


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


def of_text(content: bytes) -> tuple[bool, str]:
    """Likewise of attributes of Git, in which nothing but a secret by its form could be one."""
    seen = _seen_in_lines(content)
    lines = content.decode("utf-8", "surrogateescape").splitlines()
    return not seen and all(_ATTRIBUTES.fullmatch(line.strip()) for line in lines), seen
