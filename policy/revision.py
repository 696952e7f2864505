"""Revisions: what exactly of a package a person has seen, as `reviewed` in Cargo.toml names it.

A version of a registry is published once. In a Git repository the next commit may carry the same
version, so that a revision there is `VERSION#COMMIT`, with the whole commit: who makes commits can
make two that begin alike.
"""

from __future__ import annotations

import re

_SHOWN = 12  # Digits of a commit in sentences.
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_GIT = "git+"


def of_package(version: str, source: str) -> str:
    """Return the revision of a package; `source` is Cargo's source string, empty for a path."""
    if not source.startswith(_GIT):
        return version
    # Without a commit it is one that nothing in Cargo.toml can be equal to.
    return f"{version}#{source.partition('#')[2]}"


def version(revision: str) -> str:
    """Return the version of a revision."""
    return revision.partition("#")[0]


def in_words(revision: str) -> str:
    """Say which revision it is."""
    number, mark, commit = revision.partition("#")
    return f"{number} (commit {commit[:_SHOWN]})" if mark else number


def violation(revision: str, key_source: str) -> tuple[str, str] | None:
    """Say what is wrong with the commit of a revision under a key with this source, and a hint."""
    _, mark, commit = revision.partition("#")
    if not mark:
        return None
    if not key_source.startswith(_GIT):
        return (
            "only a package from a Git repository has a commit",
            "Write the version alone.",
        )
    if not _COMMIT.fullmatch(commit):
        return (
            "what follows `#` is no whole commit",
            "Write all 40 digits as in Cargo.lock, or have `buildperm review` write them.",
        )
    return None
