"""What a build script may leave beside the programs that Cargo links: libraries, resources.

Bundlers copy what a program loads to where it is run: `target/debug`, and `deps` and `examples` in
it, for tests and examples. Grants call that folder `$TARGET_DIR/$PROFILE`, whatever profile and
target it is of. The rest of it is Cargo's own: its programs, `build`, `deps` but for this.

A script works in a folder of its own in the place of it (`tracer.recorder.own_folders`); what was
granted of that is put there when it has passed (`supervisor.profile_delivery`).

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "$TARGET_DIR/$PROFILE/"
STAGED = "beside"
"""The folder in the scratch folder of a run that stands in the place of the profile's."""

RERUN_OF = "stands-for"
"""The link in the folder of a rerun to the folder that its `profile` stands for."""

INNER = ("deps", "examples")
_CARGOS = frozenset(
    (*INNER, "build", "incremental", "artifact", "doc", "native", "package", "tmp", "gen")
)
_COMPILED = frozenset(
    ("d", "rlib", "rmeta", "o", "a", "lib", "exe", "pdb", "wasm", "dwp", "dwo", "json", "timestamp")
)
_LIBRARIES = ("so", "dylib", "dll")
_HASH = frozenset("0123456789abcdef")
_HASH_LENGTH = 16


def folder(out_dir: bytes) -> bytes:
    """Return the folder of the profile that an OUT_DIR is of; empty if that cannot be told.

    Cargo calls that `PROFILE/build/CRATE-HASH/out`, and in its new layout `…/CRATE/HASH/out`.
    """
    above = os.path.dirname(out_dir)
    for _ in range(2):
        above = os.path.dirname(above)
        if os.path.basename(above) == b"build":
            return os.path.dirname(above)
    return b""


def is_pattern(pattern: str) -> bool:
    """Tell whether a grant is about files beside programs."""
    return pattern.startswith(PREFIX)


def why_closed(target: str, *, is_folder: bool = False) -> str:
    """Say why nobody may write a target below `PREFIX`, or what a pattern means; empty if one may.

    `is_folder` tells that it is a folder, with what one may write in it.
    """
    parts = target.removeprefix(PREFIX).split("/")
    if parts[0] in INNER:
        parts = parts[1:]
    if parts[-1:] == ["**"]:
        parts, is_folder = parts[:-1], True
    if not parts or any(not part or part.startswith(".") for part in parts):
        return "it is Cargo's own"
    *above, name = parts
    if is_folder:
        above = parts
    if any("*" in part or "?" in part for part in above):
        return "its folders are called by their names"
    lowered = parts[0].lower()
    if lowered in _CARGOS or lowered.startswith(("buildperm", "cargo-")):
        return "it is Cargo's own: what is there becomes a part of other crates"
    if lowered.endswith(".dsym"):
        return "it is what a program is debugged by"
    if above:
        return ""
    stem, dot, extension = name.rpartition(".")
    if not dot or (not stem.strip("*?.") and extension.strip("*?") in ("", "exe")):
        return "it may be a program that Cargo links"
    if extension.lower() in _COMPILED:
        return "it is Cargo's own: what is there becomes a part of other crates"
    tail = stem.partition(".")[0].rpartition("-")[2]
    if len(tail) == _HASH_LENGTH and _HASH.issuperset(tail):
        return "it is Cargo's own: what is there becomes a part of other crates"
    return ""


def is_loaded(target: str) -> bool:
    """Tell whether a target is a library that programs beside it load."""
    name = target.rpartition("/")[2].lower()
    return any(name.endswith(f".{each}") or f".{each}." in name for each in _LIBRARIES)


def folded(target: str) -> str:
    """Return a pattern for a target and what lies beside it that is alike."""
    parts = target.removeprefix(PREFIX).split("/")
    inner = parts[0] if parts[0] in INNER else ""
    parts = parts[1:] if inner else parts
    head = f"{PREFIX}{inner}/" if inner else PREFIX
    if len(parts) > 1:
        return f"{head}{parts[0]}/**"
    stem, _, extension = parts[0].rpartition(".")
    if ".so." in parts[0] and extension not in _LIBRARIES:
        return f"{head}{stem.partition('.so')[0]}.so.*"
    return f"{head}*.{extension}"


def known_as(path: bytes, profile: bytes) -> str:
    """Return how a path in the folder of a profile is called; empty for others, and Cargo's own."""
    if not profile or not path.startswith(profile + b"/") or path.startswith(profile + b"/build/"):
        return ""  # The output folders: there may be tens of thousands of files in one.
    target = PREFIX + encode(path[len(profile) + 1 :])
    return "" if why_closed(target) else target


def granted(patterns: Iterable[str]) -> list[str]:
    """Return the patterns that are about such files, and may be."""
    return [each for each in patterns if is_pattern(each) and not why_closed(each)]


def is_cargos(path: bytes) -> bool:
    """Tell whether what is at `path` was put there by Cargo: it links what it has compiled.

    Where it cannot link it copies, and leaves a file beside it that says what it was made of.
    """
    try:
        about = os.lstat(path)
    except OSError:
        return False
    head, name = os.path.split(path)
    stem = name.partition(b".")[0]
    stems = {stem}
    if os.path.basename(head) == b"deps":  # Rustc lists there for `NAME` what `libNAME.so` is of.
        stems.add(stem.removeprefix(b"lib"))
    return about.st_nlink > 1 or any(os.path.lexists(head + b"/" + e + b".d") for e in stems)
