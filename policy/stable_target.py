"""Stable targets: what an access touches, as every commit, checkout and run of it would say."""

from __future__ import annotations

import re
from functools import lru_cache

from buildperm.policy.kinds import Kind
from buildperm.rules import profile_output, shared_output

# Cargo's hash of a unit, as in `build/zlib-sys-0123456789abcdef/out`.
_HASH = re.compile(r"(?<=-)[0-9a-f]{16}(?=/|$)")
_REGISTRY = re.compile(
    r"\A(\$CARGO_HOME/registry/src)/[^/]+-[0-9a-f]{16}/([A-Za-z0-9_-]+-[0-9]+\.[^/*?]+)(?=/|\Z)"
)
_BUILD_OUTPUT = re.compile(r"(\$TARGET_DIR)/.*?(/build/[^/]+(?:/[^/]+)?/out)(?=/|$)")
# What git keeps by commit, by branch, or packed and unpacked as it likes: gitrepository-layout(5).
_HISTORY = re.compile(
    r"(?P<git>(?:\$GIT|(?:^|.*/)\.git)(?:/(?:modules|worktrees)/[^/]+)?)/(?:(?P<folder>objects|refs|logs)(?:/.*)?"
    r"|packed-refs|shallow|ORIG_HEAD|FETCH_HEAD)\Z",
    re.DOTALL,
)
TEMPORARY = re.compile(r"(?:/tmp|/var/tmp|/dev/shm)/")
_RANDOM = re.compile(r"(?:(?=[A-Za-z_]*[0-9])[A-Za-z0-9_]{6,}|(?=[a-z]*[A-Z])[A-Za-z]{6,})")
# What programs are known to draw, perhaps from small letters alone: semaphores of glibc, temporary
# files of Python, mktemp(1), gcc, rustc and the crate tempfile.
_KNOWN = re.compile(
    r"\A(sem\.|tmp(?=[a-z0-9_]{8}(?:\.|\Z))|(?:\.tmp|rustc|cc)(?=[A-Za-z0-9]{6}(?:\.|\Z))"
    r"|(?:tmp\.|mp-|psm_|pymp-|wnsm_|listener-)(?=[A-Za-z0-9_]{6,}(?:\.|\Z)))[^.]+",
    re.DOTALL,
)
# Process IDs, user IDs, dates. Not a version, which has a dot beside it.
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9]{3,}(?![0-9A-Za-z]|\.[0-9])|(?<=[-_])[0-9]+\Z|\A[0-9]+\Z"
)
_SUFFIXES = re.compile(
    r"(?:(?<=\.tmp)[A-Za-z0-9]{6,}|(?<=\.)[0-9]{4,}|(?<=[._-])(?=[a-f]*[0-9])[0-9a-f]{16,})(?=\.|$)"
)


def portable(target: str) -> str:
    """Replace what differs on other machines or in other builds: profile and hashes of Cargo."""
    if profile_output.is_pattern(target):
        return target
    target = shared_output.stable(target)
    target = _BUILD_OUTPUT.sub(r"\1/**\2", target)
    return _HASH.sub("*", target) if target.startswith("$TARGET_DIR/") else target


def grantable(target: str) -> str:
    """Return what a grant calls a target: `portable`, and the same for every registry and mirror.

    Cargo names the folder of a registry's sources after its address: `SourceId` in its sources.
    The folder of a crate in it is named for the version, so that nothing else is meant by it.
    """
    return _REGISTRY.sub(r"\1/*/\2", portable(target))


@lru_cache(maxsize=1 << 16)  # Of one access it is asked several times.
def lasting(kind: Kind, target: str) -> str:
    """Replace by wildcards, besides, what differs from one run or commit to the next.

    That is names of git's objects and branches, of temporary files, and hashes and process IDs in
    names. It may stand for more than what was seen, and grants nothing.
    """
    if not kind.is_file or "/" not in target:
        return target
    target = portable(target)
    found = _HISTORY.match(target)
    if found:
        return f"{found['git']}/{found['folder'] or 'refs'}/**"
    if target.startswith("$CARGO_HOME/"):
        return target  # Hashes are those of registries, not of builds.
    head, _, name = target.rpartition("/")
    if TEMPORARY.match(target):
        return in_any_run(target)
    return f"{head}/{_SUFFIXES.sub('*', name)}"


def in_any_run(target: str) -> str:
    """Replace what varies in the names of a target where everybody makes temporary files."""
    temporary = TEMPORARY.match(target)
    if not temporary:
        return target
    return temporary[0] + "/".join(map(_of_any_run, target[temporary.end() :].split("/")))


def _of_any_run(component: str) -> str:
    """Replace what varies in a name of a temporary file; `*` as it is."""
    pieces = _NUMBER.sub("*", _KNOWN.sub(r"\1*", component)).split("*")
    return "*".join(_RANDOM.sub("*", piece) for piece in pieces)
