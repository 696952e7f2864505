"""What to look for in the sources of a crate, to find the line that asks for an access.

Nothing here proves anything: a name can be put together at run time, and what looks like the name
may be another. So a screen calls every line that was found this way a guess.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from buildperm.policy.kinds import Kind
from buildperm.tracer.notation import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildperm.policy.access import Access
    from buildperm.policy.proposal import Proposal

_APIS: Final = {
    ("cc", "c++", "gcc", "g++", "clang", "clang++", "ar", "ranlib", "as", "ld", "cc1", "cc1plus"): (
        "cc::",
    ),
    ("cmake", "make", "ninja"): ("cmake::", "autotools::"),
    ("pkg-config", "pkgconf"): ("pkg_config::", "system_deps::"),
    ("protoc",): ("prost_build::", "tonic_build::", "protobuf_codegen"),
    ("git",): ("git2::", "vergen", "shadow_rs", "built::", "git_version"),
    ("rustc",): ('"RUSTC"', "rustc_version", "autocfg", "version_check"),
    ("cargo",): ('"CARGO"',),
    ("nasm", "yasm"): ("nasm_rs::",),
    ("perl",): ("openssl_src::",),
    ("llvm-config", "libclang.so"): ("bindgen::", "clang_sys"),
}
"""What crates that run these programs are called in Rust."""

_NETWORK: Final = ("TcpStream", "UdpSocket", "UnixStream", "ureq::", "reqwest::", "ToSocketAddrs")
_MOST: Final = 60
_SHORTEST: Final = 3
_LESS: Final = 5
_COMMANDS: Final = 20
_ARGUMENT: Final = 5
"""Characters of an argument that says something."""


@dataclass(frozen=True, slots=True, order=True)
class Clue:
    """A text that the line may hold, and how much that would say."""

    score: int
    text: str
    is_word: bool = False  # No letter, digit or underscore may stand beside it.


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line that holds a clue."""

    score: int
    number: int  # From 1.
    text: str
    clue: str


def clues(proposal: Proposal) -> tuple[Clue, ...]:
    """Return what to look for, what says most first."""
    found: dict[tuple[str, bool], int] = {}
    for access in proposal.evidence:
        # What only another program did is not in the source; the call of that program is.
        less = _LESS if access.chains and all(len(chain) > 2 for chain in _named(access)) else 0
        listed_here = [(clue, less) for clue in _of_access(access)]
        listed_here += [(clue, 0) for clue in _callers(access)]
        for clue, lowered in listed_here:
            key = clue.text, clue.is_word
            if len(clue.text) >= _SHORTEST or clue.text.startswith('"'):
                found[key] = max(clue.score - lowered, found.get(key, 1))
        if len(found) > _MOST * 4:
            break
    listed = [Clue(score, text, is_word) for (text, is_word), score in found.items()]
    return tuple(sorted(listed, key=lambda clue: (-clue.score, clue.text))[:_MOST])


def search(text: str, wanted: Iterable[Clue], *, is_main: bool = False) -> list[FoundLine]:
    """Return the lines that hold a clue, likeliest first.

    Args:
        text: A source file.
        wanted: What to look for.
        is_main: It is the file that the build script begins in.
    """
    listed = sorted(wanted, reverse=True)
    patterns = [(clue, _pattern(clue)) for clue in listed]
    anything = re.compile("|".join(pattern.pattern for _, pattern in patterns) or r"(?!)")
    found: list[FoundLine] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not anything.search(line):
            continue
        best = next((clue for clue, pattern in patterns if pattern.search(line)), None)
        if best is None:
            continue
        score = 2 * best.score + is_main
        is_remark = line.lstrip().startswith(("//", "/*", "* "))
        is_import = line.lstrip().startswith(("use ", "extern crate ", "mod "))
        if is_remark or is_import:
            score //= 3
        found.append(FoundLine(score, number, line, best.text))
    return sorted(found, key=lambda each: (-each.score, each.number))


def _pattern(clue: Clue) -> re.Pattern[str]:
    literal = re.escape(clue.text)
    # A name with `::` beside it is Rust's own: `std::env`.
    return re.compile(rf"(?<![\w-])(?<!::){literal}(?![\w-]|::)" if clue.is_word else literal)


def _of_access(access: Access) -> Iterator[Clue]:
    match access.kind:
        case Kind.EXEC:
            yield from _program(access.target)
        case Kind.READ | Kind.WRITE:
            yield from _path(access.target)
        case Kind.ENV:
            yield Clue(12, f'"{access.target}"')
            yield Clue(7, access.target, is_word=True)
        case Kind.NET:
            yield from _address(access.target)
        case Kind.DIRECTIVE:
            yield from _directive(access.target)
        case Kind.SYSTEM:
            yield Clue(7, access.target.partition("(")[0], is_word=True)
        case _:
            assert_never(access.kind)


def _named(access: Access) -> Iterator[tuple[str, ...]]:
    """Yield the chains of programs, each with what was done at its end."""
    for chain in access.chains:
        yield chain if access.kind is Kind.EXEC else (*chain, access.target)


def _program(target: str) -> Iterator[Clue]:
    name = posixpath.basename(target)
    yield Clue(10, f'"{name}"')
    yield Clue(6, name, is_word=True)
    if "/" in target:
        yield from (clue for clue in _path(target) if not clue.is_word)
    yield from _apis(name)


def _apis(name: str) -> Iterator[Clue]:
    for programs, names in _APIS.items():
        if name in programs:
            yield from (Clue(10 if each.startswith('"') else 7, each) for each in names)


def _path(target: str) -> Iterator[Clue]:
    """Yield a path and its parts, without the folder that a token stands for."""
    parts = [part for part in target.split("/") if part and not part.startswith("$")]
    rest = "/".join(parts)
    if target.startswith("/"):
        yield Clue(13, target)
    elif len(parts) > 1:
        yield Clue(13, rest)
    if parts:
        name = parts[-1]
        yield Clue(10, f'"{name}"')
        yield Clue(9, name, is_word=True)
        stem, dot, suffix = name.rpartition(".")
        if dot and stem:
            yield Clue(4, f'"{suffix}"')
            yield Clue(4, f".{suffix}", is_word=True)
    for folder in parts[:-1]:
        yield Clue(8 if folder.startswith(".") else 7, f'"{folder}"')
        yield Clue(6, f"{folder}/")


def _address(target: str) -> Iterator[Clue]:
    host, _, port = target.rpartition(":")
    yield Clue(13, target)
    if host:
        yield Clue(10, host.strip("[]"), is_word=True)
        yield Clue(4, f":{port}", is_word=True)
    yield from (Clue(4, each) for each in _NETWORK)


def _directive(target: str) -> Iterator[Clue]:
    key, _, value = target.partition("=")
    yield Clue(13, f"{key}={value}")
    yield Clue(9, value.partition("=")[0], is_word=True)
    yield Clue(10, f":{key}=")
    yield from (Clue(5, each) for each in _DIRECTIVE_APIS.get(key, ()))


_DIRECTIVE_APIS: Final = {
    "rustc-link-lib": ("pkg_config::", "cc::", "cmake::", ".compile("),
    "rustc-link-search": ("pkg_config::", "cc::", "cmake::"),
    "rustc-env": ("vergen", "shadow_rs", "built::"),
    "rustc-cfg": ("autocfg", "rustc_version", "version_check"),
}


def _callers(access: Access) -> Iterator[Clue]:
    """Yield what the source called, where that in turn did it; and what it was told to do."""
    for chain in access.chains:
        if len(chain) > 1:
            yield Clue(9, f'"{chain[1]}"')
            yield from (Clue(3, clue.text) for clue in _apis(chain[1]))
    for line, _ in access.commands[:_COMMANDS]:
        try:
            words = [decode(word).decode() for word in shlex.split(line)]
        except ValueError:
            continue  # Cut in the middle, or no text.
        for word in words[1:]:
            if len(word) >= _ARGUMENT and not word.startswith("/"):
                yield Clue(12 if " " in word else 8, word)
