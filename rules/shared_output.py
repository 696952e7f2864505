"""Places of the target directory that several crates share, and what there is nobody's to write.

Some crates leave files there for others: `cxx-build` in `cxxbridge`, whoever uses `scratch` in the
OUT_DIR of that crate. Such a place is a folder with a name of its own. Everything else is what
Cargo compiles, or buildperm's, and a script that may change it decides what another crate is.

Grants are judged by names alone. Profiles and targets are called what somebody likes, so a run also
looks at what is in a folder: `is_open`.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os
from itertools import islice

from buildperm.rules import profile_output
from buildperm.rules.pattern import absolute, covers, is_literal, locate
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = "$TARGET_DIR"  # noqa: S105 - of a path
_CARGOS = frozenset(  # The Cargo book, "Build cache"; the rest is made by its subcommands.
    (
        *("debug", "release", "build", "deps", "doc", "examples", "incremental", "package", "tmp"),
        *("cargo-timings", "artifact", "sbom", "miri", "nextest", "rust-analyzer", "flycheck"),
    )
)
_OURS = "buildperm"
_ARCHITECTURES = (  # `rustc --print target-list`, with which a target begins.
    *("aarch64", "amdgcn", "arm", "avr", "bpf", "csky", "hexagon", "i386", "i586", "i686"),
    *("loongarch", "m68k", "mips", "msp430", "nvptx", "powerpc", "riscv", "s390x", "sparc"),
    *("thumb", "wasm", "x86", "xtensa"),
)
_PUBLISHED = frozenset(("scratch",))
"""Crates whose OUT_DIR is there for the scripts of others, and holds nothing else."""

_MADE = frozenset((".fingerprint", "incremental"))
_HASH = frozenset("0123456789abcdef")
_HASH_LENGTH = 16
_LOCKS = (b".fingerprint", b".cargo-lock", b".cargo-build-lock", b".cargo-artifact-lock")
"""What Cargo makes in the folder of a profile before it runs anything."""

_OF_ALL = b".rustc_info.json"  # What it makes in a target directory.
_LOOKED_AT_MOST = 4096  # Folders directly in a place: with more it is closed.
_DEEPER_MOST = 1024  # Folders in those, which are two or three if they are Cargo's.
_BESIDE = ("deps", "examples")
_COMPILED = frozenset(
    ("d", "rlib", "rmeta", "o", "a", "lib", "exe", "pdb", "wasm", "dwp", "dwo", "json", "timestamp")
)


def root(target: str) -> str:
    """Return the shared place in which a target lies; empty if it is in none.

    `target` is portable text, with or without Cargo's hashes, or a pattern:
    `$TARGET_DIR/cxxbridge`, `$TARGET_DIR/**/build/scratch-*/out/cxxbridge/**`.
    """
    token, *parts = target.split("/")
    if token != _TOKEN or not parts or parts[0] == "$PROFILE":
        return ""
    for at in range(1, min(len(parts), 3)):
        if parts[at] in _MADE:
            return ""  # Of a profile, whatever that is called.
        if parts[at] == "build" and _is_unit(parts[at + 1 :]):
            below = _below_published(parts[at + 1 :]) if _is_head(parts[:at]) else 0
            named = parts[at + below : at + below + 1] if below else []
            if named and is_literal(named[0]) and _is_name(named[0]):
                return "/".join((token, *parts[: at + below + 1]))
            return ""
    return f"{token}/{parts[0]}" if _is_shareable(parts[0]) else ""


def stable(target: str) -> str:
    """Write a target in a shared place without profile, target and hashes; others as they are."""
    place = root(target)
    mark = "/build/"
    if mark not in place:
        return target
    unit = place.partition(mark)[2].split("/")
    named = "/".join(unit[2:]) if unit[1] == "out" else "/".join(unit[3:])
    crate = next(each for each in _PUBLISHED if unit[0].startswith(each))
    below = f"{crate}-*/out" if unit[1] == "out" else f"{crate}/*/out"
    return f"{_TOKEN}/**/build/{below}/{named}{target[len(place) :]}"


def concrete(pattern: str, places: Mapping[str, bytes]) -> list[str]:
    """Write the pattern of a shared place as the places that there are; others as they are.

    All of a target directory would be walked for it else, and that may be large.
    """
    mark = f"{_TOKEN}/**/build/"
    place = root(pattern)
    target = places.get("TARGET_DIR")
    if not place.startswith(mark) or not target:
        return [pattern]
    rest = pattern[len(mark) :]
    found: list[str] = []
    tops = _folders(target)
    inner = [top + b"/" + name for top in tops for name in _folders(target + b"/" + top)]
    for head in (*tops, *inner):
        build = target + b"/" + head + b"/build"
        for unit in _folders(build) if _has_locks(target + b"/" + head) else ():
            name = encode(unit)
            text = f"{_TOKEN}/{encode(head)}/build/{name}"
            crate, _, below = rest.partition("/")
            if crate in _PUBLISHED and name == crate:
                found += [
                    f"{text}/{encode(inner)}/{below.partition('/')[2]}"
                    for inner in _folders(build + b"/" + unit)
                ]
            elif name.rpartition("-")[0] == crate.removesuffix("-*"):
                found.append(f"{text}/{below}")
    return [each for each in found if "/build/" in root(each)]


def _folders(folder: bytes) -> list[bytes]:
    """List the folders in a folder, none where that cannot be told; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def why_closed(pattern: str) -> str:
    """Say why nobody may write what a pattern names in the target directory; empty if one may.

    One file beside what Cargo has linked may be named, unless Cargo makes such files itself.
    """
    token, *parts = pattern.split("/")
    if token != _TOKEN or root(pattern):
        return ""
    if profile_output.is_pattern(pattern):
        return profile_output.why_closed(pattern)
    if parts and parts[0].lower().startswith(_OURS):
        return "it is buildperm's own"
    if is_literal(pattern) and _is_beside(parts):
        return ""
    if not parts or not is_literal(parts[0]):
        return "most of it is Cargo's own, and it holds what other crates are compiled to"
    return "it is Cargo's own: what is there becomes a part of other crates"


def is_open(path: bytes, places: Mapping[str, bytes]) -> bool:
    """Tell whether a grant may open `path`, which is in the target directory, for writing.

    Looks at what is there. `path` is without links, or nothing is there yet.
    """
    target = places["TARGET_DIR"]
    text = locate(path, {"TARGET_DIR": target})
    place = root(text)
    if not place:
        return not why_closed(text) and not _is_linked(path)
    folder = absolute(place, {"TARGET_DIR": target}) or target
    if "/build/" in place:
        return True
    own = places.get("OUT_DIR", b"")
    return not (own and covers(folder, own)) and not _is_cargos(folder)


def _is_shareable(name: str) -> bool:
    lowered = name.lower()
    if not is_literal(name) or not _is_name(name) or lowered in _CARGOS:
        return False
    is_target = "-" in name and lowered.startswith(_ARCHITECTURES)
    return not is_target and not lowered.startswith((_OURS, "cargo-", "cachedir.tag"))


def _is_name(name: str) -> bool:
    return bool(name) and not name.startswith(".")


def _is_head(parts: list[str]) -> bool:
    """Tell whether something is between target directory and `build`: a profile, a target."""
    if parts == ["**"]:
        return True
    if parts[0].lower().startswith(_OURS):
        return False
    return all(is_literal(part) and _is_name(part) for part in parts) and len(parts) <= 2


def _is_unit(parts: list[str]) -> bool:
    """Tell whether it is of a package that Cargo builds: `CRATE-HASH`, or `CRATE/HASH`."""
    return any(_is_hash(part.rpartition("-")[2]) for part in parts[:2])


def _below_published(parts: list[str]) -> int:
    """Return how many components behind `build` a name in a published OUT_DIR is; 0 if in none.

    Cargo calls it `CRATE-HASH/out`, and in its new layout `CRATE/HASH/out`.
    """
    crate, dash, tail = parts[0].rpartition("-")
    if dash and crate in _PUBLISHED and _is_hash(tail) and parts[1:2] == ["out"]:
        return 3
    if parts[0] in _PUBLISHED and _is_hash("".join(parts[1:2])) and parts[2:3] == ["out"]:
        return 4
    return 0


def _is_hash(text: str) -> bool:
    return text == "*" or (len(text) == _HASH_LENGTH and _HASH.issuperset(text))


def _is_beside(parts: list[str]) -> bool:
    """Tell whether a path is one of a file beside programs, and no such as Cargo makes."""
    *folders, name = parts or [""]
    if folders[-1:] and folders[-1] in _BESIDE:
        folders = folders[:-1]
    if not 1 <= len(folders) <= 2 or not all(map(_is_name, folders)):
        return False
    if not set(folders).isdisjoint(_CARGOS - {"debug", "release"}):
        return False
    stem, dot, extension = name.rpartition(".")
    if not _is_name(stem) or not dot or extension.lower() in _COMPILED:
        return False
    tail = stem.partition(".")[0].rpartition("-")[2]
    return not (len(tail) == _HASH_LENGTH and _HASH.issuperset(tail))


def _is_linked(path: bytes) -> bool:
    """Tell whether a file is one that Cargo has put there: it links what it has compiled."""
    try:
        return os.lstat(path).st_nlink > 1
    except OSError:
        return False


def _is_cargos(folder: bytes) -> bool:
    """Tell whether Cargo builds in `folder`: a profile, profiles for a target, or all of a build.

    Target directories lie in one another: a tool may give Cargo `target/tests/NAME`.
    """
    level = [folder]
    for most in (_LOOKED_AT_MOST, _DEEPER_MOST, 0):
        if any(_has_locks(each) or os.path.lexists(each + b"/" + _OF_ALL) for each in level):
            return True
        inner = (each + b"/" + name for each in level for name in _folders(each)) if most else ()
        level = [*islice(inner, most + 1)]
        if len(level) > most:
            return most == _LOOKED_AT_MOST
    return False


def _has_locks(folder: bytes) -> bool:
    return any(os.path.lexists(folder + b"/" + name) for name in _LOCKS)
