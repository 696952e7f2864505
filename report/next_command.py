"""The command that a message names as the next one: it settles what the message is about."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

REVIEW = "buildperm review"
"""Builds as the last review did, and asks about what is new."""


def again(command: str, words: Sequence[str] = ()) -> str:
    """Return a command of buildperm with words for Cargo, quoted as for a shell."""
    return f"{command} -- {shlex.join(words)}" if words else command


def review(words: Sequence[str] = ()) -> str:
    """Return the review that builds with these words for Cargo."""
    return again(REVIEW, words)


def prune(words: Sequence[str] = ()) -> str:
    """Return the review that proposes to remove what is not used; others wait for some updates."""
    return again(f"{REVIEW} --prune now", words)


def decide(report: Path | str, words: Sequence[str] = ()) -> str:
    """Return the review of a kept report: it asks about that very build, and builds nothing.

    `words` are those of the build: which packages there are depends on them.
    """
    shown = os.path.relpath(report)
    path = str(report) if shown.startswith("..") else shown
    return again(f"{REVIEW} --from {shlex.quote(path)}", words)
