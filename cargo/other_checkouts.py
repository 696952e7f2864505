"""Tells what is the same to a person as an enrolled workspace, and lies in another place."""

from __future__ import annotations

import os
from pathlib import Path

from buildperm.cargo.target_directory import TargetDirectory

_MOST = 1 << 12  # Bytes of a `.git` that is a file.
_MARK = b"gitdir: "


def main_of(root: Path) -> Path | None:
    """Return the main work tree of what is a linked one of Git's; None where it is none.

    Its `.git` is a file that names `.git/worktrees/NAME` of the main one: git-worktree(1),
    "DETAILS"; gitrepository-layout(5). Nothing of it is run.
    """
    for folder in (root, *root.parents):
        try:
            with open(folder / ".git", "rb") as file:
                told = file.read(_MOST)
        except IsADirectoryError:
            return None
        except OSError:
            continue
        if not told.startswith(_MARK):
            return None
        named = os.fsdecode(told.removeprefix(_MARK).rstrip(b"\n"))
        place = Path(os.path.normpath(folder / named))
        is_linked = place.parent.name == "worktrees" and place.parents[1].name == ".git"
        return place.parents[2] / root.relative_to(folder) if is_linked else None
    return None


def trace_of(target: Path) -> Path:
    """Return what always on has in a target directory in which it was at work."""
    return TargetDirectory(target).state


def was_held(target: Path) -> bool:
    """Tell whether always on has been at work in a target directory, wherever that lay then."""
    return trace_of(target).is_dir()
