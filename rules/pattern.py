"""Patterns over portable text: matching, writing a path portably, finding what a pattern grants.

A pattern is notation (`tracer.notation`) with `*` (anything within one path component), `**`
(anything), `?` (one character or one `%XX`). `X/**` is X and everything below it, `X/**/Y` also
`X/Y`. Letter case counts. The first component may be a token such as `$WORKSPACE`.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import stat
import sys
from _bisect import bisect_left  # Importing `bisect` would cost more than all else here.

from buildperm.rules.layout import FILES, LISTED, PROBED, SHARED
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

TOKENS = (
    "OUT_DIR",
    "TMP",
    "MANIFEST_DIR",
    "WORKSPACE",
    "TARGET_DIR",
    "CARGO_HOME",
    "GIT",
    "HOME",
    "SYSROOT",
)
"""Every token, first the one that wins where two stand for the same folder."""

_TOOLS = TOKENS[-1]

VISITED_MOST = 20_000
"""Directory entries that expanding one pattern looks at; beyond them it grants less, never more."""

_ONE, _STAR, _ACROSS, _BELOW, _BETWEEN, _ABOVE = "?", "*", "**", "/**", "/**/", "**/"
WILDCARDS = frozenset((_ONE, _STAR, _ACROSS, _BELOW, _BETWEEN, _ABOVE))
"""What the parts of a pattern are that are not literal; none of them can be literal text."""

_NOT_FOLLOWED = frozenset(("", ".", ".."))
_compiled: dict[str, tuple[str, tuple[str, ...]]] = {}
_listed: dict[bytes, list[tuple[bytes, list[bytes]]]] = {}


def matches(pattern: str, text: str) -> bool:
    """Tell whether `pattern` covers all of `text`.

    Raises:
        ValueError: The pattern holds a `%` without two hexadecimal digits.
    """
    head, rest = _compiled.get(pattern) or _compile(pattern)
    if not text.startswith(head):
        return False
    if not rest:
        return len(text) == len(head)
    if rest == (_BELOW,):
        return len(text) == len(head) or text[len(head)] == "/"
    places = {len(head)}
    for part in rest:
        places = {after for before in places for after in _steps(part, text, before)}
        if not places:
            return False
    return len(text) in places


def parts(pattern: str) -> tuple[str, ...]:
    """Cut a pattern into literal text and wildcards, which are those of `WILDCARDS`.

    Raises:
        ValueError: The pattern holds a `%` without two hexadecimal digits.
    """
    head, rest = _compiled.get(pattern) or _compile(pattern)
    return (head, *rest)


def covers(upper: bytes, path: bytes) -> bool:
    """Tell whether `path` is `upper` or below it; both absolute, without a slash at their end."""
    return path == upper or path.startswith(upper if upper == b"/" else upper + b"/")


def nearest(path: bytes, folders: Container[bytes], longest: int) -> bytes | None:
    """Return which of `folders` the absolute `path` is, or lies in most closely; None if in none.

    `longest` is the length of the longest of them: a path can have thousands of components.
    """
    end = len(path) if len(path) <= longest else path.rfind(b"/", 0, longest + 1)
    while end > 0:
        if path[:end] in folders:
            return path[:end]
        end = path.rfind(b"/", 0, end)
    return None


def is_literal(pattern: str) -> bool:
    """Tell whether `pattern` names exactly one thing."""
    return "*" not in pattern and "?" not in pattern


def locate(path: bytes, places: Mapping[str, bytes]) -> str:
    """Write the absolute `path` portably: the longest token, then the rest in notation.

    `$SYSROOT` is for what a tool chain consists of, and no token is for what is the system's: what
    lies in `/usr` is called the same where HOME is `/` or the tool chain is a distribution's.
    """
    best, length = "", 0
    for token in TOKENS:
        place = places.get(token, b"")
        if len(place) > length and path.startswith(place):
            end = len(place)
            if (len(path) == end or path[end] == 0x2F or place == b"/") and (
                (token != _TOOLS and place not in SHARED) or _is_in(token, place, path)
            ):
                best, length = token, end
    if not best:
        return encode(path)
    if places[best] == b"/":
        length = 0
    return f"${best}{encode(path[length:])}"


def names_alike(folder: bytes, places: Mapping[str, bytes]) -> bool:
    """Tell whether `locate` writes what lies directly in `folder` as it writes that, and the name.

    That holds but for what is itself the folder of a token. Not so where several things share a
    folder, as in `/usr` or beside a tool chain.
    """
    return not any(
        (token == _TOOLS or place in SHARED or place == b"/") and covers(place, folder)
        for token, place in places.items()
    )


def _is_in(token: str, place: bytes, path: bytes) -> bool:
    """Tell whether `path`, in the folder of a token, is what that token is for."""
    rest = path[len(place) :].lstrip(b"/")
    shared = SHARED.get(place)
    if token != _TOOLS:
        return bool(rest) and rest.partition(b"/")[0] not in (shared or ())
    if place.rpartition(b"/")[0].endswith(b"/toolchains"):
        return True  # rustup's, with nothing else in it.
    text = f"$SYSROOT/{encode(rest)}".rstrip("/")
    if shared is None and (text in LISTED or matches(PROBED, text)):
        return True
    return text.startswith("$SYSROOT/lib/rustlib/") or any(matches(each, text) for each in FILES)


def absolute(text: str, places: Mapping[str, bytes]) -> bytes | None:
    """Read portable text without wildcards back; None if its token stands for nothing here.

    Raises:
        ValueError: A `%` is not followed by two hexadecimal digits.
    """
    if not text.startswith("$"):
        return decode(text)
    token, slash, rest = text[1:].partition("/")
    place = places.get(token)
    if place is None:
        return None
    return (place.rstrip(b"/") + b"/" + decode(rest)) if slash else place


def without_token(pattern: str, places: Mapping[str, bytes]) -> str | None:
    """Write a path pattern with the folder that its token stands for; None if that is nothing."""
    if not pattern.startswith("$"):
        return pattern
    token, slash, rest = pattern[1:].partition("/")
    place = places.get(token)
    return None if place is None else encode(place.rstrip(b"/")) + slash + rest


def folder(pattern: str, places: Mapping[str, bytes]) -> bytes | None:
    """Return the one folder that `FOLDER/**` names, existing or not; None for other patterns."""
    base = pattern[:-3]
    if not pattern.endswith("/**") or not is_literal(base):
        return None
    return absolute(base, places) or None


def resolve(pattern: str, places: Mapping[str, bytes]) -> list[tuple[bytes, bool]]:
    """Find the existing paths that a path pattern leads to, links resolved.

    True beside a path: the folder and everything below it is meant. What does not exist is left
    out, and so is everything where the pattern's token stands for nothing or where the pattern
    holds `.`, `..` or an empty component. Links lead anywhere: `rules.containment` says what of it
    may be granted.

    Raises:
        ValueError: The pattern holds a `%` without two hexadecimal digits.
    """
    return list(dict.fromkeys((real, below) for _, real, below in leads(pattern, places)))


def leads(pattern: str, places: Mapping[str, bytes]) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield what `resolve` finds, each with the path as it was named, links unresolved, before it.

    Raises:
        ValueError: The pattern holds a `%` without two hexadecimal digits.
    """
    below = pattern.endswith("/**")
    base = pattern[:-3] if below else pattern
    if not _NOT_FOLLOWED.isdisjoint(base.split("/")[1:]):
        return
    found: Iterable[bytes]
    if is_literal(base):
        literal = absolute(base, places)
        found = () if literal is None else (literal or b"/",)
    else:
        found = _expand(base, places)
    for path in found:
        real = real_path(path)
        if real and (real[1] or not below):
            yield path, real[0], below


def real_path(path: bytes) -> tuple[bytes, bool] | None:
    """Follow all links of an absolute path; True: it is a folder. None where nothing is there.

    The kernel is asked once, through a descriptor that opens nothing (open(2), O_PATH).
    """
    if b"\0" in path or not path.startswith(b"/"):
        return None
    if sys.platform != "linux":
        real = os.path.realpath(path)
        return (real, os.path.isdir(real)) if os.path.exists(real) else None
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        real = os.readlink(b"/proc/self/fd/%d" % descriptor)
        if not os.path.samestat(status, os.stat(real)):
            return None  # Removed in between, or a name that proc(5) decorates: grant nothing.
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return real, stat.S_ISDIR(status.st_mode)


def resolve_exec(
    pattern: str, path_variable: bytes, places: Mapping[str, bytes]
) -> list[tuple[bytes, bool]]:
    """Find the programs that an exec pattern leads to, links resolved: names through PATH.

    A literal name gives the one program that execvp(3) would start, a pattern of names every
    program on PATH that it covers.

    Raises:
        ValueError: The pattern holds a `%` without two hexadecimal digits.
    """
    found = exec_leads(pattern, path_variable, places)
    return list(dict.fromkeys((real, below) for _, real, below in found))


def exec_leads(
    pattern: str, path_variable: bytes, places: Mapping[str, bytes]
) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield what `resolve_exec` finds, each with the path as it was named before it.

    Raises:
        ValueError: The pattern holds a `%` without two hexadecimal digits.
    """
    if "/" in pattern or pattern.startswith("$"):
        yield from leads(pattern, places)
        return
    if is_literal(pattern):
        program = which(decode(pattern), path_variable)
        real = real_path(program) if program else None
        if program and real:
            yield program, *real
        return
    head = decode(_compile(pattern)[0])
    literal = decode(max(pattern.replace("?", "*").split("*"), key=len))
    for directory, names in _programs(path_variable):
        if head:
            names = names[bisect_left(names, head) : bisect_left(names, head + b"\xff")]
        for name in names:
            if literal in name and matches(pattern, encode(name)):
                program = directory + name
                real = real_path(program) if _is_program(program) else None
                if real:
                    yield program, *real


def which(name: bytes, path_variable: bytes) -> bytes | None:
    """Return what execvp(3) would start for `name`; relative entries of PATH are skipped."""
    if not name or b"/" in name or b"\0" in name:
        return None
    for directory in path_variable.split(b":"):
        if directory.startswith(b"/"):
            program = directory.rstrip(b"/") + b"/" + name
            if _is_program(program):
                return program
    return None


def _compile(pattern: str) -> tuple[str, tuple[str, ...]]:
    """Cut a pattern into its literal beginning and the parts after it, and keep the result."""
    written = pattern
    while "/**/**/" in f"/{pattern}/":  # Saying it twice says no more.
        pattern = f"/{pattern}/".replace("/**/**/", "/**/")[1:-1]
    parts: list[str] = []
    literal = ""
    at, end = 0, len(pattern)
    while at < end:
        wildcard = ""
        if pattern[at] == "?":
            wildcard = _ONE
        elif pattern.startswith("/**", at) and pattern[at + 3 : at + 4] in ("", "/"):
            wildcard = _BETWEEN if at + 3 < end else _BELOW
            if at + 4 == end:  # `X/**/` says the same as `X/**`.
                wildcard, end = _BELOW, at + 3
        elif at == 0 and pattern.startswith("**/"):
            wildcard = _ABOVE
        elif pattern.startswith("**", at):
            wildcard = _ACROSS
        elif pattern[at] == "*":
            wildcard = _STAR
        if not wildcard:
            literal += pattern[at]
            at += 1
            continue
        parts += [_canonical(literal), wildcard]
        literal = ""
        at += len(wildcard)
    if literal or not parts:
        parts.append(_canonical(literal))
    compiled = parts[0], tuple(part for part in parts[1:] if part)
    if len(_compiled) < 4096:
        _compiled[written] = compiled
    return compiled


def _canonical(literal: str) -> str:
    """Write literal text as `encode` would have, except for `$`, which starts a token."""
    return "$".join(encode(decode(piece)) for piece in literal.split("$"))


def _steps(part: str, text: str, at: int) -> list[int]:
    """Where in `text` one part of a pattern may end that starts at `at`."""
    if part == _ONE:
        return [] if text[at : at + 1] in ("", "/") else [at + (3 if text[at] == "%" else 1)]
    if part in (_STAR, _ACROSS):
        stop = text.find("/", at) if part == _STAR else -1
        stop = len(text) if stop < 0 else stop
        ends = range(at, stop + 1)
        if "%" not in text:
            return list(ends)
        return [end for end in ends if "%" not in text[max(at, end - 2) : end]]
    if part == _BELOW:
        return [len(text)] if text[at : at + 1] in ("", "/") else []
    if part in (_BETWEEN, _ABOVE):
        if part == _BETWEEN and text[at : at + 1] != "/":
            return []
        after_slashes = [end + 1 for end in range(at, len(text)) if text[end] == "/"]
        return after_slashes if part == _BETWEEN else [at, *after_slashes]
    return [at + len(part)] if text.startswith(part, at) else []


def _expand(pattern: str, places: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield the existing paths that a pattern with wildcards covers; links are not walked into."""
    components = pattern.split("/")
    literal = 0
    while is_literal(components[literal]):
        literal += 1
    start = absolute("/".join(components[:literal]), places)
    if start is None or (not start and literal == 0):
        return
    budget = [VISITED_MOST]
    yield from _descend(start.rstrip(b"/"), components[literal:], budget)


def _descend(base: bytes, components: list[str], budget: list[int]) -> Iterator[bytes]:
    if not components:
        yield base
        return
    first, rest = components[0], components[1:]
    if is_literal(first):
        path = base + b"/" + decode(first)
        if os.path.lexists(path):
            yield from _descend(path, rest, budget)
        return
    try:
        if first == "**":
            yield from _descend(base, rest, budget)
            with os.scandir(base or b"/") as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        else:
            head = decode(_compile(first)[0])
            # Stores hold more packages than may be looked at: `/nix/store/*-gcc-*`.
            part = decode(max(first.replace("?", "*").split("*"), key=len))
            names = [n for n in os.listdir(base or b"/") if n.startswith(head) and part in n]
    except OSError:
        return
    for name in sorted(names):
        budget[0] -= 1
        if budget[0] < 0:
            return
        if first == "**":
            yield from _descend(base + b"/" + name, components, budget)
        elif matches(first, encode(name)):
            yield from _descend(base + b"/" + name, rest, budget)


def _programs(path_variable: bytes) -> list[tuple[bytes, list[bytes]]]:
    """List the folders of PATH, each with a slash and its sorted names, once in a process's life.

    A folder that is there twice counts once: `/bin` is `/usr/bin` nearly everywhere.
    """
    known = _listed.get(path_variable)
    if known is None:
        folders = dict.fromkeys(filter(None, map(real_path, path_variable.split(b":"))))
        known = []
        for directory, _ in folders:
            try:
                known.append((directory.rstrip(b"/") + b"/", sorted(os.listdir(directory))))
            except OSError:
                continue
        _listed[path_variable] = known
    return known


def _is_program(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False
