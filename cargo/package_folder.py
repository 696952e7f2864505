"""What the folder of a package is called: from the workspace on, also where it lies beside that.

Path dependencies are named in Cargo.toml relative to it, mostly. So `$WORKSPACE/../library` means
the same in every checkout and work tree, whatever lies around it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildperm.rules.layout import SHARED
from buildperm.rules.pattern import locate
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

_ABOVE = b".."


def portable(path: bytes, places: Mapping[str, bytes]) -> str:
    """Write the path of a package, or of a file in one, as every checkout would.

    Args:
        path: Absolute, without links and `..`.
        places: Folders by token; that of the workspace among them.
    """
    text = locate(path, places)
    workspace = places.get("WORKSPACE", b"")
    if not text.startswith(("/", "$HOME")) or not workspace.startswith(b"/"):
        return text
    shared = os.path.commonpath([path, workspace])
    below = [] if path == shared else os.path.relpath(path, shared).split(b"/")
    if below and below[0] in SHARED.get(shared, ()):
        return text  # What is the system's, or other homes, lies there in every checkout.
    up = os.path.relpath(shared, workspace).split(b"/")
    if up[0] != _ABOVE:
        return text
    return "/".join(("$WORKSPACE", *map(encode, up), *map(encode, below)))


def absolute(path: str) -> str:
    """Take out `..` again: there are no links on the way to a workspace."""
    return os.path.normpath(path)
