"""Tells whether buildperm's folder in a target directory was made here, by this user.

A repository, or an archive, can bring one along: with answers to questions, recordings of what a
build script did not do, and libraries that Cargo takes for fresh. So a folder carries a mark that
nobody else can make: `policy.machine_key`. What has none is not used. It is put aside.

What Git tracks can change with each `git pull`, below a mark that stays. It is refused.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from buildperm.cargo import git_index
from buildperm.errors import BuildpermError
from buildperm.policy import machine_key
from buildperm.tracer.notation import encode

NAME = "buildperm"  # Of our folder in a target directory.
STATE = "buildperm-compile"  # Of what is kept in a target directory while buildperm is always on.
_ASIDE = "-not-made-here"  # Behind the name.
_MARK = "made-here"
_PURPOSE = "target directory"


def claim(target_directory: Path, name: str = NAME) -> str:
    """Make sure that what is in our folder was made here; return what to tell, mostly nothing.

    Nothing is made where there is no such folder. `name` is NAME or STATE.

    Raises:
        BuildpermError: Git tracks what is in it, or it cannot be put aside.
    """
    folder = target_directory / name
    if not folder.is_dir():  # Whoever needs one says that it cannot be made.
        return ""
    _refuse_tracked(folder)
    if _is_marked(folder):
        return ""
    try:
        if not _has_content(folder):
            mark(folder)
            return ""
        aside = folder.with_name(f"{name}{_ASIDE}")
        if os.path.lexists(aside):
            _remove(aside)
        os.rename(folder, aside)
        folder.mkdir()
        mark(folder)
    except OSError as error:
        raise BuildpermError(
            f"`{_named(folder)}` was not made here by this user, and cannot be put aside: "
            f"{error.strerror}",
            hint=f"Remove `{_named(folder)}`, or set CARGO_TARGET_DIR to another folder.",
        ) from error
    return (
        f"`{_named(folder)}` was not made here by this user (it came with the checkout or from a "
        "cache without ~/.local/state/buildperm, or was copied or moved): nothing of it is used, "
        f"and it lies in `{_named(aside)}` now"
    )


def make(target_directory: Path, name: str = NAME) -> Path:
    """Return our folder in a target directory, which is made where it is missing.

    Raises:
        OSError: It cannot be made.
    """
    folder = target_directory / name
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        mark(folder)
    return folder


def mark(folder: Path) -> None:
    """Note that everything in a folder was made here.

    Raises:
        OSError: It cannot be noted.
    """
    new = folder / f".{_MARK}.{os.getpid()}"
    new.write_text(machine_key.sign(_PURPOSE, folder, b"") + "\n")
    os.replace(new, folder / _MARK)


def _is_marked(folder: Path) -> bool:
    if folder.is_symlink():  # What it leads to may have been made for another workspace.
        return False
    try:
        descriptor = os.open(folder / _MARK, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            signature = file.read(4096).decode("ascii", "replace").strip()
    except OSError:
        return False
    return machine_key.is_signed(_PURPOSE, folder, b"", signature)


def _has_content(folder: Path) -> bool:
    """Tell whether anything is in a folder but what Cargo's tools are told by; or it is a link."""
    return folder.is_symlink() or any(name != "CACHEDIR.TAG" for name in os.listdir(folder))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _named(path: Path) -> str:
    return encode(os.fsencode(path))


def _refuse_tracked(folder: Path) -> None:
    """Refuse a folder of which Git tracks anything."""
    root = next((each for each in folder.parents if os.path.lexists(each / ".git")), None)
    if root is None:
        return
    prefix = os.fsencode(folder.relative_to(root)) + b"/"
    if git_index.tracks_below(root / ".git", prefix):
        raise BuildpermError(
            f"`{_named(folder)}` is tracked by Git: what is in it may be somebody else's, and "
            "nothing of it is used",
            hint=f"Run `git rm -r -q --cached {_named(folder)}`, and add it to .gitignore.",
        )
