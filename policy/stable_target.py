"""Stable targets: what an access touches, as every commit, checkout and run of it would say."""

from __future__ import annotations

import re

from buildperm.policy.kinds import Kind

# Cargo's hash of a unit, as in `build/zlib-sys-0123456789abcdef/out`.
_HASH = re.compile(r"(?<=-)[0-9a-f]{16}(?=/|$)")
_BUILD_OUTPUT = re.compile(r"(\$TARGET_DIR)/.*?(/build/[^/]+(?:/[^/]+)?/out)(?=/|$)")
# What git keeps by commit, by branch, or packed and unpacked as it likes: gitrepository-layout(5).
_HISTORY = re.compile(
    r"(?P<git>(?:^|.*/)\.git(?:/(?:modules|worktrees)/[^/]+)?)/(?:(?P<folder>objects|refs|logs)(?:/.*)?"
    r"|packed-refs|shallow|ORIG_HEAD|FETCH_HEAD)\Z",
    re.DOTALL,
)
_TEMPORARY = re.compile(r"(?:/tmp|/var/tmp|/dev/shm)/")
_RANDOM = re.compile(r"(?:(?=[A-Za-z_]*[0-9])[A-Za-z0-9_]{6,}|(?=[a-z]*[A-Z])[A-Za-z]{6,})")
_SUFFIXES = re.compile(
    r"(?:(?<=\.tmp)[A-Za-z0-9]{6,}|(?<=\.)[0-9]{4,}|(?<=[._-])(?=[a-f]*[0-9])[0-9a-f]{16,})(?=\.|$)"
)


def portable(target: str) -> str:
    """Replace what differs on other machines or in other builds: profile and hashes of Cargo."""
    target = _BUILD_OUTPUT.sub(r"\1/**\2", target)
    return _HASH.sub("*", target) if target.startswith("$TARGET_DIR/") else target


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
        return target  # Hashes of registries are the same everywhere.
    head, _, name = target.rpartition("/")
    temporary = _TEMPORARY.match(target)
    if temporary:
        rest = target[temporary.end() :].split("/")
        return temporary[0] + "/".join(_RANDOM.sub("*", component) for component in rest)
    return f"{head}/{_SUFFIXES.sub('*', name)}"
