"""Cargo directives: what a build script may make Cargo do.

A script that is confined in every other way still runs code in rustc or the linker where Cargo
obeys it. The keys are those of the Cargo book, "Build Scripts", "Outputs of the Build Script".

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import baseline
from buildperm.rules.containment import contained
from buildperm.rules.directive_table import (
    ARGUMENTS,
    HARMLESS,
    LINK_ARGUMENTS,
    OLD_KEYS,
    SYSTEM_LIBRARIES,
)
from buildperm.rules.pattern import covers, locate, matches
from buildperm.rules.steering_table import CARGOS, FAMILIES, SETTINGS, STEERING, TOLD
from buildperm.rules.variables import holds_credential
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

FREE, GRANTED, REFUSED, FORBIDDEN = "free", "granted", "refused", "forbidden"

# `char::is_whitespace` of Rust, which Cargo trims lines with; Python's own idea has more.
_WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)

_TO_SPACE = dict.fromkeys(map(ord, _WHITE), " ")

_WATCHED = ("rerun-if-changed",)
_SEARCH = "rustc-link-search"
_SEARCHING = (_SEARCH, "rustc-flags")  # No others name folders that are searched.
_FOLLOWED = (_SEARCH, "rustc-link-lib", "rustc-flags", *LINK_ARGUMENTS)
_SEARCH_KINDS = ("dependency", "crate", "native", "framework", "all")
_NO_CRATES = ("native", "framework")  # Where rustc looks for no crates; without a kind it does.
# Cargo has programs search these folders too, outside of the sandbox. In LD_LIBRARY_PATH `;` parts
# folders as well as `:` does, and `$LIB` stands for another name: ld.so(8). What is loaded is then
# not in the folder that was looked into.
_MISREAD = frozenset(b":;$")

_SEPARATORS = b":;, \t"
_TO_ONE = bytes.maketrans(_SEPARATORS, b":" * len(_SEPARATORS))
_LONGEST_PATH = 4096  # PATH_MAX


def parse(line: bytes) -> tuple[bytes, bytes] | None:
    """Read one line of a script's standard output as Cargo does; None if Cargo ignores it.

    Both spellings of metadata, `cargo::metadata=KEY=VALUE` and `cargo:KEY=VALUE`, give the key
    `metadata`. A directive without `=` gives an empty value.
    """
    try:
        text = line.decode("utf-8").strip(_WHITE)
    except UnicodeDecodeError:
        return None
    if not text.startswith("cargo:"):
        return None
    old = not text.startswith("cargo::")
    text = text[6:] if old else text[7:]
    key, equals, value = text.partition("=")
    raw = key.encode(), value.rstrip(_WHITE).encode()
    if old and not (equals and raw[0] in OLD_KEYS):
        return b"metadata", text.encode()
    return raw


def judge(
    key: str,
    value: str,
    *,
    granted: Iterable[str],
    denied: Collection[str],
    places: Mapping[str, bytes],
    handed_over: Iterable[bytes] = (),
    suspect: Callable[[bytes], object] | None = None,
    poses: Callable[[bytes], object] | None = None,
    preempts: Callable[[bytes], object] | None = None,
) -> str:
    """Say what becomes of a directive: free, granted, refused or forbidden.

    `key` and `value` are in notation. `granted` and `denied` are patterns of `key=value` with
    portable paths; for `rustc-env` the value's name alone will do. `handed_over` are folders that
    other build scripts named in `DEP_*`. `suspect` tells whether a folder that a build script has
    filled is not to be searched for libraries without a grant, `poses` whether one is never to be
    searched for crates, `preempts` whether one is never to be searched at all.

    Raises:
        ValueError: Value or pattern hold a `%` without two hexadecimal digits.
    """
    if denied and is_denied(key, value, denied=denied, places=places):
        return REFUSED
    if key in _WATCHED:
        return FREE  # Some scripts have Cargo watch hundreds of thousands of files.
    if key not in _SEARCHING:
        verdict = _judge_one(key, value, places=places, handed_over=handed_over)
        if verdict != REFUSED:
            return verdict
    parts = _parts(key, value)
    if not parts:
        return FORBIDDEN
    verdicts = {_judge_one(*part, places=places, handed_over=handed_over) for part in parts}
    if verdicts == {FREE} and suspect is not None:
        folders = (_searched(value) for key, value in parts if key == _SEARCH)
        if any(suspect(folder) for folder in folders if not _is_system(folder, places)):
            verdicts = {REFUSED}
    if preempts is not None:
        folders = (_searched(value) for key, value in parts if key == _SEARCH)
        if any(preempts(folder) for folder in folders if folder and not _is_system(folder, places)):
            return FORBIDDEN
    if poses is not None:
        searched = (value for key, value in parts if key == _SEARCH and _holds_crates(value))
        folders = (_searched(value) for value in searched)
        if any(poses(folder) for folder in folders if folder and not _is_system(folder, places)):
            return FORBIDDEN
    if FORBIDDEN in verdicts:
        return FORBIDDEN
    if verdicts == {FREE}:
        return FREE
    texts = targets(key, value, places)
    by_grant = any(matches(pattern, text) for pattern in granted for text in texts)
    return GRANTED if by_grant else REFUSED


def is_denied(key: str, value: str, *, denied: Iterable[str], places: Mapping[str, bytes]) -> bool:
    """Tell whether a person has refused a directive, or a part of one that has several."""
    texts = with_parts(key, value, places)
    return any(matches(pattern, text) for pattern in denied for text in texts)


def with_parts(key: str, value: str, places: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return what denials are held against: `targets`, of each part of `rustc-flags`, too.

    A denial is about a path as it is written and about where that leads.
    """
    texts: dict[str, None] = {}
    for part in dict.fromkeys(((key, value), *_parts(key, value))):
        texts.update(dict.fromkeys(targets(*part, places)))
        texts[f"{part[0]}={portable(part[1], places)}"] = None
    return tuple(texts)


def targets(key: str, value: str, places: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return what patterns of directives are held against, the narrowest portable text first.

    Where rustc or the linker look for files, a path by which a link leads out of its token's folder
    is written as the one that it leads to.
    """
    write = contained if key in _FOLLOWED else locate
    whole = f"{key}={portable(value, places, write)}"
    if key == "rustc-env":
        return f"{key}={value.partition('=')[0]}", whole
    return (whole,)


def portable(
    value: str,
    places: Mapping[str, bytes],
    write: Callable[[bytes, Mapping[str, bytes]], str] = locate,
) -> str:
    """Replace the folders of `places` in a directive's value by their tokens, with `write`."""
    raw = decode(value)
    separated = raw.translate(_TO_ONE) + b":"
    written: list[str] = []
    at, end = 0, -1
    start = raw.find(b"/")
    while start >= 0:
        if _begins_path(raw, start, at):
            if end < start:  # What a script prints is long: look for each end once.
                end = separated.find(b":", start)
            path = raw[start:end]
            located = write(path, places) if len(path) <= _LONGEST_PATH else ""
            if located.startswith("$") or (located and located != encode(path)):
                written += (encode(raw[at:start]), located)
                at = end
        start = raw.find(b"/", max(start + 1, at))
    return "".join((*written, encode(raw[at:])))


def _begins_path(raw: bytes, slash: int, at: int) -> bool:
    """Tell whether a slash is the first character of a path: `=/a`, `,/a`, `-L/a`."""
    if slash == at or raw[slash - 1] in _SEPARATORS or raw[slash - 1 : slash] == b"=":
        return True
    return (
        slash - at >= 2 and raw[slash - 2 : slash - 1] == b"-" and raw[slash - 1 : slash].isalpha()
    )


def steers(name: str) -> bool:
    """Tell whether an environment variable changes what rustc or its children do."""
    upper = name.upper()
    if not name or upper in STEERING or any(matches(pattern, upper) for pattern in FAMILIES):
        return True
    is_told = upper.rpartition("_")[2] in TOLD
    return not is_told and any(matches(pattern, upper) for pattern in SETTINGS)


def is_free_search(
    value: str, places: Mapping[str, bytes], handed_over: Iterable[bytes] = ()
) -> bool:
    """Tell whether a library search path lies where nobody but the script and the system writes.

    Libraries that came with a package are as much its code as what is compiled of it.
    """
    path = _searched(value)
    if not path:
        return False
    if not _is_of_scripts(path, places, handed_over):
        # Links of the system are a root's here, and the machine's where rustc follows them: behind
        # `..` it has to be the system's without them, too.
        is_system = _is_system(path, places) and _is_system(os.path.normpath(_named(value)), places)
        return is_system or (not _holds_crates(value) and _came_with_package(path, places))
    # A link there may lead to what the script may read, where others may write later.
    real = os.path.realpath(path)
    return _is_of_scripts(real, places, handed_over) or _is_system(real, places)


def _came_with_package(path: bytes, places: Mapping[str, bytes]) -> bool:
    """Tell whether a folder is one of the package alone, and not of a workspace around others."""
    package, workspace = places.get("MANIFEST_DIR", b""), places.get("WORKSPACE", b"")
    if not package or not workspace or covers(package, workspace):
        return False
    found = (locate(each, places) for each in (path, os.path.realpath(path)))
    return all(each.startswith("$MANIFEST_DIR/") for each in found)


def _is_of_scripts(path: bytes, places: Mapping[str, bytes], handed_over: Iterable[bytes]) -> bool:
    """Tell whether a path is in a folder of the script, or in one that was handed over to it."""
    if any(covers(folder, path) for folder in handed_over):
        return True
    return locate(path, places).partition("/")[0] in ("$OUT_DIR", "$TMP")


def _is_ones_own(value: str, places: Mapping[str, bytes], handed_over: Iterable[bytes]) -> bool:
    """Tell whether metadata names no output folder of a script that may still run.

    Dependents may read what it names, and have Cargo search it for libraries: so a script may hand
    over its own folder, which nobody changes any more, and what it was handed itself.
    """
    named = baseline.outputs(decode(value).partition(b"=")[2], places)
    if not named:
        return True
    own = places.get("OUT_DIR", b"")
    known = {baseline.output_of(folder, places) for folder in (own, *handed_over)}
    return all(baseline.output_of(path, places) in known for path in named)


def leads_out(value: str, places: Mapping[str, bytes]) -> bool:
    """Tell whether a value names a path outside of script, package and system.

    Asked about metadata, which the build scripts of dependents get as `DEP_*`: they run held to
    their own grants, and often hand the path on.
    """
    raw = decode(value).translate(_TO_ONE).replace(b"=", b":")
    words = {word[2:] if word[:1] == b"-" else word for word in raw.split(b":")}  # `-I/x`
    return any(
        word.startswith(b"/") and not _is_of_package(os.path.normpath(word), places)
        for word in words
        if len(word) <= _LONGEST_PATH
    )


def _is_of_package(path: bytes, places: Mapping[str, bytes]) -> bool:
    own = ("$OUT_DIR", "$TMP", "$MANIFEST_DIR", "$SYSROOT")
    located = locate(path, places)
    if located.partition("/")[0] in own:
        return True
    return located.startswith("/usr/") or _is_system(path, places)


def _searched(value: str) -> bytes:
    """Return the folder that a search path means; empty for a relative one.

    rustc runs in the workspace's folder for some packages and in the package's for others.
    """
    path = _named(value)
    if not path.startswith(b"/"):
        return b""
    # `..` behind a link leads elsewhere than it reads: `$OUT_DIR/a/b/link/../../..`.
    path = os.path.realpath(path) if b".." in path.split(b"/") else os.path.normpath(path)
    return path[1:] if path.startswith(b"//") else path


def _named(value: str) -> bytes:
    """Return the path in a search path, as it is written."""
    kind, equals, rest = value.partition("=")
    return decode(rest if equals and kind in _SEARCH_KINDS else value)


def _is_misread(value: str, places: Mapping[str, bytes]) -> bool:
    """Tell whether ld.so would read a folder's name as other folders.

    The folder of the build itself is the user's choice.
    """
    named = locate(_searched(value), places).partition("/")[2]
    return not _MISREAD.isdisjoint(decode(named))


def _holds_crates(value: str) -> bool:
    """Tell whether rustc looks for crates where it is told to search."""
    kind, equals, _ = value.partition("=")
    return not (equals and kind in _NO_CRATES)


def _is_system(path: bytes, places: Mapping[str, bytes]) -> bool:
    located = locate(path, places)
    return any(matches(pattern, located) for pattern in SYSTEM_LIBRARIES)


def _parts(key: str, value: str) -> list[tuple[str, str]]:
    """Take `rustc-flags` apart as Cargo does: only `-l` and `-L`; empty where it cannot be."""
    if key != "rustc-flags":
        return [(key, value)]
    parts: list[tuple[str, str]] = []
    # The notation hides a tab, at which Cargo splits.
    words = _words(decode(value).decode("utf-8", "replace"))
    while words:
        word = words.pop(0)
        if not word.startswith(("-l", "-L")):
            return []
        flag, rest = word[:2], word[2:] or (words.pop(0) if words else "")
        if not rest:
            return []
        key = "rustc-link-lib" if flag == "-l" else _SEARCH
        parts.append((key, encode(rest.encode())))
    return parts


def _words(text: str) -> list[str]:
    """Split as `char::is_whitespace` of Rust does, which knows other characters than Python."""
    return [word for word in text.translate(_TO_SPACE).split(" ") if word]


def _is_misplaced(key: str, value: str) -> bool:
    """Tell whether a word, or what rustc makes of it, would be read as something else than a value.

    rustc and gcc read further arguments from the file behind an `@`, wherever it stands. A word
    that begins with `-` is an option for whoever does not know that the one before takes a value:
    wrappers of rustc, and linkers, which get the path of a search path as a word of its own.
    """
    text = decode(value).decode("utf-8", "replace")
    kind, equals, rest = text.partition("=")
    words = [text]
    if key == _SEARCH and kind in _SEARCH_KINDS:
        words.append(rest)
    elif key == "rustc-link-lib" and not kind.startswith("link-arg"):
        words += (rest if equals else kind).split(":")  # KIND:MODIFIERS=NAME:NEW_NAME
    return any(word.lstrip(_WHITE).startswith(("-", "@")) for word in words)


def _judge_one(
    key: str, value: str, *, places: Mapping[str, bytes], handed_over: Iterable[bytes]
) -> str:
    if key in ARGUMENTS and _is_misplaced(key, value):
        return FORBIDDEN
    if key == "rustc-link-lib":
        # A name is looked for in the folders that were judged, a path wherever it leads.
        is_argument = value.startswith("link-arg") and "=" in value
        return REFUSED if "/" in value or is_argument else FREE
    if key == "rerun-if-env-changed":
        # Cargo keeps the value in its target directory, where other scripts may find it.
        return REFUSED if holds_credential(value) else FREE
    if key == "metadata":
        return FREE if _is_ones_own(value, places, handed_over) else REFUSED
    if key in HARMLESS:
        return FREE
    if key == _SEARCH:
        if _is_misread(value, places):
            return FORBIDDEN
        return FREE if is_free_search(value, places, handed_over) else REFUSED
    if key == "rustc-env":
        name = value.partition("=")[0]
        if steers(name):
            return FORBIDDEN
        return REFUSED if name in CARGOS else FREE
    return REFUSED if key in LINK_ARGUMENTS else FORBIDDEN
