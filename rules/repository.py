"""Git's own folder of the repository that a workspace lies in, where it is not in the workspace.

Scripts ask git for the commit, and a workspace often is a folder of a larger repository, another
worktree of one, or a submodule.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules.pattern import covers

_GITDIR = b"gitdir: "
_MOST = 1 << 16  # Bytes of a `.git` file, or of a repository's settings: the tree is named first.


def folders(workspace: bytes) -> list[bytes]:
    """List the folders of git, without links, that belong to `workspace` and lie outside of it.

    A `.git` file is believed only if the repository that it names says so, too: it may have come
    with what is built. A link is not.
    """
    found: list[bytes] = []
    for folder in _above(workspace):
        mark = folder + b"/.git"
        if not os.path.lexists(mark):
            continue
        if not os.path.islink(mark):
            found = [os.path.realpath(mark)] if os.path.isdir(mark) else _named(folder, mark)
        break
    return [git for git in found if _is_repository(found[-1]) and not covers(workspace, git)]


def common(workspace: bytes) -> bytes:
    """Return the one folder outside of `workspace` that has all of its repository; empty if none.

    That is what `$GIT` stands for.
    """
    found = folders(workspace)
    return found[-1] if found else b""


def _named(folder: bytes, mark: bytes) -> list[bytes]:
    """Return the folders that a `.git` file names; none if they do not name it in their turn.

    See gitrepository-layout(5): each work tree has a folder in `worktrees` of the repository, with
    a file `gitdir` that says where it is. The folder of a submodule says so in its `config`.
    """
    text = _read(mark)
    if not text.startswith(_GITDIR):
        return []
    git = os.path.realpath(os.path.join(folder, text[len(_GITDIR) :]))
    back = _read(git + b"/gitdir")
    if back and os.path.realpath(os.path.join(git, back)) == os.path.realpath(mark):
        above, _, _ = git.rpartition(b"/")
        real, _, last = above.rpartition(b"/")
        told = os.path.realpath(os.path.join(git, _read(git + b"/commondir") or b"../.."))
        return [git, real] if last == b"worktrees" and told == real else []
    tree = _worktree(git + b"/config")
    is_own = bool(tree) and os.path.realpath(os.path.join(git, tree)) == os.path.realpath(folder)
    return [git] if is_own else []


def _worktree(config: bytes) -> bytes:
    """Return where git's settings say that the work tree is: git-config(1), core.worktree."""
    section, found = b"", b""
    for line in _read(config).split(b"\n"):
        said = line.strip()
        if said.startswith(b"["):
            section = said.lower()
        key, equals, value = said.partition(b"=")
        if section == b"[core]" and equals and key.strip().lower() == b"worktree":
            found = value.strip().strip(b'"')
    return found


def _is_repository(git: bytes) -> bool:
    return os.path.isfile(git + b"/HEAD") and os.path.isdir(git + b"/objects")


def _above(folder: bytes) -> list[bytes]:
    found = [folder]
    while found[-1].count(b"/") > 1:
        found.append(found[-1].rpartition(b"/")[0])
    return found


def _read(path: bytes) -> bytes:
    if not os.path.isfile(path):
        return b""  # To open a fifo would last forever.
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST)
    except OSError:
        return b""
    return text.rstrip(b"\n") if b"\0" not in text else b""
