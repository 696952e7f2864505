"""The scan of OUT_DIR after a run, and the private folders: both walk a tree that is hostile.

Cargo, rustc and the linker use what lies in OUT_DIR without any sandbox. `include_str!` of a link
that leaves it would embed a credential in the program.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat

from buildperm.sandbox.carve import covers
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 200
"""Folders inside folders beyond this are not looked into but reported: PATH_MAX is near."""

MOST_NAMED = 20
"""Findings beyond this are not listed."""

_KINDS = (
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_SETUID = stat.S_ISUID | stat.S_ISGID
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def scan(out_dir: bytes) -> list[str]:
    """Name what must not be in `out_dir`, which has to be without links; empty if it is clean."""
    found: list[str] = []
    for path, about in _walk(out_dir):
        why = about if isinstance(about, str) else _why(out_dir, path, about)
        if why:
            found.append(f"$OUT_DIR{encode(path[len(out_dir) :])}: {why}")
            if len(found) >= MOST_NAMED:
                break
    return found


def _why(out_dir: bytes, path: bytes, about: os.stat_result) -> str:
    mode = about.st_mode
    if stat.S_ISLNK(mode):
        target = os.path.realpath(path)
        if covers(out_dir, target):
            return ""
        return f"a link that leaves it, to {encode(target)}"
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return name
    if stat.S_ISREG(mode) and mode & _SETUID:
        return "a setuid or setgid program"
    return ""


def _walk(top: bytes) -> Iterator[tuple[bytes, os.stat_result | str]]:
    """Yield everything below `top` with its lstat(2), or with what is wrong with a folder."""
    pending = [(top, 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        about = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield entry.path, about
                    if stat.S_ISDIR(about.st_mode):
                        pending.append((entry.path, depth + 1))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield folder, f"a folder that cannot be looked into ({error.strerror})"
            continue
        if depth >= DEEPEST:
            yield folder, "too many folders inside each other"
            return


def empty(path: bytes) -> None:
    """Make `path` an empty folder that only its owner may enter.

    Raises:
        OSError: It cannot be removed or made.
    """
    remove(path)
    os.mkdir(path, 0o700)


def remove(path: bytes) -> None:
    """Remove `path` and all below it; links are removed, not followed.

    Folders that forbid entering are opened up, and what lies deeper than descriptors or PATH_MAX
    allow is first moved up.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        parent = os.open(os.path.dirname(path), _FOLDER_FLAGS)
    except FileNotFoundError:
        return
    try:
        _remove_in(parent, os.path.basename(path), 0, parent)
        # What was moved up carries names of ours.
        while _moved:
            _remove_in(parent, _moved.pop(), 0, parent)
    finally:
        os.close(parent)


_moved: list[bytes] = []


def _remove_in(folder: int, name: bytes, depth: int, top: int) -> None:
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(about.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    if about.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, 0o700, dir_fd=folder)
    if depth >= DEEPEST:
        away = b".deep-%d-%d" % (os.getpid(), about.st_ino)
        os.rename(name, away, src_dir_fd=folder, dst_dir_fd=top)
        _moved.append(away)
        return
    inside = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    try:
        for child in os.listdir(inside):
            _remove_in(inside, os.fsencode(child), depth + 1, top)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=folder)
