"""Whether settings of Git hold nothing that is secret, by a look into them.

What is known to be harmless is listed, and all else is not: these files may hold tokens, addresses
with passwords, and commands that print either. A file that includes others is never harmless.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildperm.cargo.settings_secrets import (
    ALL_KEYS,
    names_user,
    secret_in,
    secret_in_lines,
    words,
)
from buildperm.rules import secret_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\\n]|\\.)*)"\s*)?\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*(=?)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"'}

_GIT: Mapping[str, frozenset[str]] = {
    "advice": ALL_KEYS,
    "color": ALL_KEYS,
    "column": ALL_KEYS,
    "branch": words("autosetupmerge autosetuprebase sort"),
    "commit": words("cleanup gpgsign status verbose"),
    "core": words(
        "abbrev attributesfile autocrlf bare bigfilethreshold checkroundtripencoding checkstat "
        "commentchar commitgraph compression createobject deltabasecachelimit editor eol "
        "excludesfile filemode filesreflocktimeout fsmonitor fsync fsyncmethod fsyncobjectfiles "
        "hookspath ignorecase ignorestat logallrefupdates loosecompression maxtreedepth "
        "multipackindex notesref packedgitlimit packedgitwindowsize packedrefstimeout pager "
        "precomposeunicode prefersymlinkrefs preloadindex protecthfs protectntfs quotepath "
        "repositoryformatversion safecrlf sharedrepository sparsecheckout sparsecheckoutcone "
        "splitindex symlinks trustctime untrackedcache usereplacerefs warnambiguousrefs whitespace"
    ),
    "credential": words("helper usehttppath"),
    "diff": words("algorithm colormoved context mnemonicprefix noprefix renamelimit renames"),
    "feature": words("experimental manyfiles"),
    "fetch": words("fsckobjects parallel prune prunetags recursesubmodules writecommitgraph"),
    "filter": words("clean process required smudge"),
    "format": words("pretty"),
    "gc": ALL_KEYS,
    "help": words("autocorrect format"),
    "http": words(
        "lowspeedlimit lowspeedtime maxrequests postbuffer sslbackend sslcainfo sslcapath "
        "sslverify version"
    ),
    "i18n": words("commitencoding logoutputencoding"),
    "index": words("recordendofindexentries recordoffsettable sparse threads version"),
    "init": words("defaultbranch defaultobjectformat defaultrefformat templatedir"),
    "lfs": words("concurrenttransfers fetchexclude fetchinclude fetchrecentalways"),
    "log": words("abbrevcommit date decorate follow mailmap showsignature"),
    "maintenance": words("auto strategy"),
    "merge": words("conflictstyle ff log renamelimit renames stat"),
    "pack": words("compression deltacachesize packsizelimit threads window windowmemory"),
    "pretty": ALL_KEYS,
    "protocol": words("allow version"),
    "pull": words("ff rebase"),
    "push": words("autosetupremote default followtags recursesubmodules"),
    "rebase": words("autosquash autostash updaterefs"),
    "receive": words("denycurrentbranch denynonfastforwards fsckobjects"),
    "rerere": words("autoupdate enabled"),
    "safe": words("barerepository directory"),
    "status": words("branch short showstash showuntrackedfiles submodulesummary"),
    "submodule": words("fetchjobs recurse"),
    "tag": words("forcesignannotated gpgsign sort"),
    "transfer": words("fsckobjects hiderefs unpacklimit"),
    "user": words("email name useconfigonly"),
    "versionsort": words("prereleasesuffix suffix"),
}
"""Keys of git-config(1) by section, in lower case."""

_GIT_COMMANDS = frozenset(
    ["core.editor", "core.fsmonitor", "core.pager", "credential.helper"],
)
"""Values that may be command lines: only the name of a program is harmless."""

_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]*")
_LARGE_FILES = re.compile(r"git[- ]lfs [a-z-]+(?: --skip)?(?: -- %f| %f)?|true|false")
"""What `git lfs install` writes for `filter.lfs`; anything else is a command line of somebody's."""

_ATTRIBUTES = re.compile(r"(?:#.*|(?:\S+|\"[^\"]*\")(?:\s+[-!]?[A-Za-z0-9_.-]+(?:=\S+)?)+)?")
"""A line of gitattributes(5)."""


class UnclearError(Exception):
    """A file is not written as its tool would have it."""


def of_git(content: bytes) -> tuple[bool, str]:
    """Tell whether settings of Git are harmless; if not, which kind of secret is seen, if any.

    What stands in a comment counts as well, and a section without keys: a file is read as a whole.
    """
    if seen := secret_in_lines(content):
        return False, seen
    try:
        entries = list(_git_entries(content.decode()))
    except (UnclearError, UnicodeDecodeError):
        return False, ""
    is_harmless = not names_user(content)
    for entry in entries:
        known, seen = judge_git(*entry)
        if seen:
            return False, seen
        is_harmless &= known
    return is_harmless, ""


def judge_git(section: str, subsection: str, key: str, value: str) -> tuple[bool, str]:
    """Tell whether one setting of Git is harmless, and which kind of secret is seen, if any."""
    seen = secret_in(subsection) or secret_in(value) or secret_in(f"{key} = {value}")
    if key == "extraheader":
        seen = seen or secret_values.TOKEN
    if seen:
        return False, seen
    allowed = _GIT.get(section, frozenset())
    known = allowed is ALL_KEYS or key in allowed or (not key and bool(allowed))
    is_command = f"{section}.{key}" in _GIT_COMMANDS
    if section == "filter" and (subsection != "lfs" or not _LARGE_FILES.fullmatch(value or "true")):
        known = False  # A command line of anybody's.
    if is_command and not _PROGRAM.fullmatch(value):
        known = False
    return known and "@" not in subsection, ""


def of_attributes(content: bytes) -> tuple[bool, str]:
    """Likewise of attributes of Git, in which nothing but a secret by its form could be one."""
    seen = secret_in_lines(content)
    lines = content.decode("utf-8", "surrogateescape").splitlines()
    return not seen and all(_ATTRIBUTES.fullmatch(line.strip()) for line in lines), seen


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
