"""Git's own folder of the repository that a workspace lies in, where it is not in the workspace.

Scripts ask git for the commit, and a workspace often is a folder of a larger repository, another
worktree of one, or a submodule.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules.pattern import covers

_MOST = 4096  # Bytes of a `.git` file: gitrepository-layout(5).


def folders(workspace: bytes) -> list[bytes]:
    """List the folders of git, without links, that belong to `workspace` and lie outside of it.

    A `.git` file is believed only if what it names says so, too, or lies in a folder of git around
    the workspace: it may have come with what is built.
    """
    above = _above(workspace)
    around = [os.path.realpath(folder + b"/.git") for folder in above]
    around = [git for git in around if os.path.isfile(git + b"/HEAD")]
    found: list[bytes] = []
    for folder in above:
        mark = folder + b"/.git"
        if os.path.isdir(mark):
            found.append(os.path.realpath(mark))
            break
        named = _read(mark).removeprefix(b"gitdir: ") if os.path.isfile(mark) else b""
        if named:
            git = os.path.realpath(os.path.join(folder, named))
            back = _read(git + b"/gitdir")
            is_worktree = bool(back) and os.path.realpath(back) == os.path.realpath(mark)
            if is_worktree or any(covers(each, git) for each in around):
                common = _read(git + b"/commondir") or b"."
                found += [git, os.path.realpath(os.path.join(git, common))]
            break
    return [git for git in found if os.path.isfile(git + b"/HEAD") and not covers(workspace, git)]


def _above(folder: bytes) -> list[bytes]:
    found = [folder]
    while found[-1].count(b"/") > 1:
        found.append(found[-1].rpartition(b"/")[0])
    return found


def _read(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST)
    except OSError:
        return b""
    return text.rstrip(b"\n") if b"\0" not in text else b""
