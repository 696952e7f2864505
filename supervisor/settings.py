"""Settings files of this machine that were found to hold nothing secret, or may hold something.

A command looks into them once: `cargo.settings_files`. Its session may be used much later, by plain
Cargo. So a file counts as harmless only while it is the one that was looked into.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules.layout import GIT_COPY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.supervisor.session import Session

    OpenSettings = tuple[bytes, bytes, tuple[int, ...]]
    """A path as it is called, the same without links, and which file that was."""


def identity(about: os.stat_result) -> tuple[int, ...]:
    """Tell a file from what it was before, and from what may be written there later."""
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def readable(session: Session) -> list[bytes]:
    """List the harmless ones, without links, as far as they are still what was looked into."""
    return [real for _, real, which in session.get("settings", ()) if _is_same(real, which)]


def closed(session: Session, open_ones: Iterable[bytes]) -> list[bytes]:
    """List those that exist and are not harmless, or not any more, as they are called."""
    return [*session.get("settings_closed", ()), *changed(session, open_ones)]


def changed(session: Session, open_ones: Iterable[bytes]) -> list[bytes]:
    """List those that were harmless and are something else now, as they are called."""
    still = set(open_ones)
    return [path for path, real, _ in session.get("settings", ()) if real not in still]


def git_copy(session: Session) -> bytes:
    """Return the path of the copy that git reads; empty if there is none as the session has it."""
    _, content = session.get("git_settings", (b"", None))
    if content is None:
        return b""
    path = session["places"]["TARGET_DIR"] + b"/" + os.fsencode(GIT_COPY)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return path if file.read() == content else b""
    except OSError:
        return b""


def _is_same(path: bytes, which: tuple[int, ...]) -> bool:
    try:
        return identity(os.lstat(path)) == which
    except OSError:
        return False
