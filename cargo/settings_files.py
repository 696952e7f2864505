"""Settings of Git and Cargo that a build script may have to read, by a look at them.

Tools and libraries in a script read them, and do something else where they are missing: libgit2
opens no repository where it may not read `/etc/gitconfig`, and Cargo builds with other flags
without its settings. So each is looked into once for a whole command. Where nothing in it is secret
every script may read it. Another one is closed, and seen to be there in every runtime: whoever
needs it fails, and is told. The program git is given a copy: `git_copy`.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import cargo_settings, git_settings
from buildperm.cargo.git_copy import git_copy
from buildperm.supervisor.settings import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildperm.supervisor.settings import OpenSettings

GIT = "Git's settings of this machine"

_NAMES = ("gitconfig", "gitattributes")
_GIT = tuple(f"/etc/{name}" for name in _NAMES)
_LARGEST = 64 << 10  # Bytes; what is larger is not looked into.
_IN_CARGO = ("config", "config.toml")


@dataclass(slots=True)
class FoundSettings:
    """What was found."""

    open: list[OpenSettings] = field(default_factory=list)
    closed: list[bytes] = field(default_factory=list)  # As they are called.
    held: dict[bytes, str] = field(default_factory=dict)  # Without links, and what is secret there.
    # Of `closed`, what git itself reads, and the copy that it gets; None where there can be none.
    gits: tuple[bytes, bytes | None] | None = None

    def close(self, is_secret: Callable[[bytes], bool]) -> None:
        """Close what a link gives another name, where that alone says that it may hold a secret.

        Whoever writes a workspace may put a link to any file of its user's there.
        """
        led = [each for each in self.open if each[0] != each[1] and is_secret(each[1])]
        self.open = [each for each in self.open if each not in led]
        self.closed += [path for path, _, _ in led]


def look(
    cargo_home: Path, folders: Iterable[Path], environment: Mapping[str, str]
) -> FoundSettings:
    """Look into Git's settings of this machine, and into Cargo's for `folders` and all above.

    A git that is installed elsewhere has its settings there: `environment` says which is found.
    """
    found = FoundSettings()
    elsewhere = _of_program(environment.get("PATH", os.defpath))
    for name in dict.fromkeys((*_GIT, *elsewhere)):
        is_config = name.endswith("config")
        judge = git_settings.of_git if is_config else git_settings.of_attributes
        _add(found, os.fsencode(name), judge, GIT)
    of_git = os.fsencode((elsewhere or _GIT)[0])
    if of_git in found.closed:
        content, _ = _content(os.path.realpath(of_git))
        folder = Path(os.fsdecode(of_git)).parent
        home = environment.get("HOME", "")
        found.gits = of_git, None if content is None else git_copy(content, folder, home)
    places = {cargo_home: None}
    for folder in folders:
        places |= dict.fromkeys(above / ".cargo" for above in (folder, *folder.parents))
    for place in places:
        for name in _IN_CARGO:
            path = os.fsencode(place / name)
            _add(found, path, cargo_settings.of_cargo, "")  # It is in the tier by its name.
    return found


def _of_program(search: str) -> list[str]:
    """Name the settings of the git on PATH: git-config(1), `$(prefix)/etc/gitconfig`."""
    program = shutil.which("git", path=search)
    if program is None:
        return []
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(program)))
    return [] if prefix in ("/", "/usr") else [f"{prefix}/etc/{name}" for name in _NAMES]


def _add(
    found: FoundSettings, path: bytes, judge: Callable[[bytes], tuple[bool, str]], name: str
) -> None:
    if not os.path.lexists(path):
        return
    real = os.path.realpath(path)
    content, which = _content(real)
    is_harmless, secret = judge(content) if content is not None else (False, "")
    if is_harmless:
        found.open.append((path, real, which))
        return
    if os.path.exists(real):
        found.closed.append(path)
    if secret and name:
        found.held[real] = f"{name}, which hold {secret}"


def _content(path: bytes) -> tuple[bytes | None, tuple[int, ...]]:
    """Read an ordinary file of ordinary size; None for anything else."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return None, ()
            content = file.read(_LARGEST + 1)
    except OSError:
        return None, ()
    return (content if len(content) <= _LARGEST else None), identity(about)
