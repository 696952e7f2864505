"""Waiting until the files that say what a workspace is made of may have changed.

Folders are watched, not files: editors, git and Cargo put a new file in the place of the old one. A
folder that goes and comes back, as with another branch, has to be watched anew, which is why the
folders above it are watched too. Digests say what has changed, never events: these also report
touches, half-written files and what is undone a moment later.
"""

from __future__ import annotations

import hashlib
import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import TracebackType

    from watchdog.observers.api import BaseObserver

QUIET_S: Final = 0.5
"""Seconds without an event after which a change is taken to be complete."""

_POLL_S: Final = 1.0
_LONGEST_LOCK_S: Final = 30.0  # A git that was killed leaves its lock for ever.

# Not those of opening and closing: reading the files would be a reason to read them again.
_EVENTS: Final = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]


class Watcher(FileSystemEventHandler):
    """Tells when one of some files below a folder may have changed; to be closed after use."""

    def __init__(self, root: Path, *, polling: bool = False) -> None:
        """Watch nothing yet; with `polling` look once a second instead of asking the kernel."""
        self.polling_reason = "as asked for" if polling else ""  # Why it polls; empty if not.
        self._root = root
        self._lock_file = index_lock(root)
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._paths: frozenset[str] = frozenset()  # Files and folders that matter.
        self._folders: frozenset[Path] = frozenset()  # Those that are watched.
        self._observer = _polling() if polling else self._observing()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._observer.stop()
        self._observer.join()
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """Return a descriptor that is readable once something has happened, for `select`."""
        return self._reader

    def watch(self, files: Collection[Path]) -> None:
        """Watch these files from now on, whether they exist or not."""
        folders = {
            folder
            for file in files
            for folder in file.parents
            if folder.is_relative_to(self._root) or folder == file.parent
        }
        self._paths = frozenset(map(os.fspath, (*files, *folders)))
        present = frozenset(folder for folder in folders if folder.is_dir())
        if present == self._folders:
            return
        self._folders = present
        try:
            self._schedule()
        except OSError as error:
            # inotify(7), "/proc interfaces": ENOSPC and EMFILE are this user's limits.
            self._observer.stop()
            self.polling_reason = error.strerror or str(error)
            self._observer = _polling()
            self._schedule()

    def settle(self) -> None:
        """Wait until nothing happens any more and git has finished."""
        given_up_at = time.monotonic() + _LONGEST_LOCK_S
        while True:
            if select.select([self], [], [], QUIET_S)[0]:
                self._drain()
            elif not self._lock_file.exists() or time.monotonic() > given_up_at:
                return

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note an event, from the thread of watchdog."""
        touched = {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}
        if not self._paths.isdisjoint(touched):
            if event.is_directory:
                self._folders = frozenset()  # Another may be in its place: watch all anew.
            try:
                os.write(self._writer, b"!")
            except OSError:
                pass  # It is full, which says the same; or it is being closed.

    def _observing(self) -> BaseObserver:
        try:
            observer = Observer()
            observer.start()
        except OSError as error:
            self.polling_reason = error.strerror or str(error)
            return _polling()
        return observer

    def _schedule(self) -> None:
        self._observer.unschedule_all()
        for folder in self._folders:
            try:
                self._observer.schedule(self, os.fspath(folder), event_filter=_EVENTS)
            except (FileNotFoundError, NotADirectoryError):
                self._folders = frozenset()  # It went just now: the folder above it will tell.

    def _drain(self) -> None:
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            pass


def digests(files: Iterable[Path]) -> dict[Path, str]:
    """Return the digest of each file; empty for one that cannot be read."""
    return {file: _digest(file) for file in files}


def index_lock(folder: Path) -> Path:
    """Return the lock file that exists while git changes the work tree of `folder`."""
    for place in (folder, *folder.parents):
        entry = place / ".git"
        if entry.is_dir():
            return entry / "index.lock"
        try:
            named = entry.read_bytes()
        except OSError:
            continue
        # A work tree of its own (gitrepository-layout(5)): the file names its folder.
        directory = os.fsdecode(named.removeprefix(b"gitdir:").strip())
        return place / directory / "index.lock"
    return folder / ".git" / "index.lock"


def _polling() -> BaseObserver:
    observer = PollingObserver(timeout=_POLL_S)
    observer.start()
    return observer


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
