"""Whether the user trusts a repository of somebody else's: git-config(1), `safe.directory`.

Git refuses to work in such a repository unless the user's own settings name it. Scripts do not see
these settings, and would silently get no version: so this one answer is passed on, by its value.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_S = 20


def trusted(root: Path, environment: Mapping[str, str]) -> list[bytes]:
    """Return the work tree around `root` where it is somebody else's and the user trusts it.

    `root` is without links. Nothing of the repository is read, and git is only asked about the
    settings of user and system.
    """
    tree = next((each for each in (root, *root.parents) if os.path.lexists(each / ".git")), None)
    if tree is None or not _is_foreign(tree):
        return []
    is_trusted = False
    for value in _listed(environment):
        # After an empty one, what was listed before does not count.
        is_trusted = bool(value) and (is_trusted or _names(value, tree))
    return [os.fsencode(tree)] if is_trusted else []


def _names(value: str, tree: Path) -> bool:
    """Tell whether a setting names a work tree: all of them, those below a folder, or this one."""
    if value.endswith("/*"):
        return tree.is_relative_to(os.path.realpath(value[:-2]))
    return value == "*" or os.path.realpath(value) == str(tree)


def _is_foreign(tree: Path) -> bool:
    try:
        owners = {os.lstat(each).st_uid for each in (tree, tree / ".git")}
    except OSError:
        return False
    return owners != {os.geteuid()}


def _listed(environment: Mapping[str, str]) -> list[str]:
    """Return what the settings of user and system list, in Git's order."""
    words = ["git", "config", "--null", "--type=path", "--get-all", "safe.directory"]
    try:
        told = subprocess.run(
            words,
            cwd="/",
            env={
                **environment,
                "GIT_DIR": os.devnull,
            },  # In no repository: it may say what it likes.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return os.fsdecode(told.stdout).split("\0")[:-1]
