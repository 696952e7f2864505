"""Where results are kept: a protocol, and the one store that there is, a folder of the user's.

    FOLDER/1/results/KE/KEY/NAME.json   one result, compressed: see kept_result
    FOLDER/1/blobs/DI/DIGEST            a file or a text, compressed: see blob_form

Whatever is written is written beside and renamed, so several builds can be at it. Whatever is read
is checked: a blob by its digest, a result by its form.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat
from errno import EPERM

from buildperm.cache import archive_members, blob_form, digest, kept_result
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.location import open_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from buildperm.cache.kept_result import KeptResult

    class ResultStore(Protocol):
        """Where results are found, and put."""

        def results(self, key: str) -> list[tuple[str, KeptResult]]:
            """Return what is kept below a static key, with the name of each, the latest first."""

        def put(self, key: str, name: str, result: KeptResult) -> None:
            """Keep a result under this name; one that has it already is replaced.

            Raises:
                OSError: There is no way, or no room.
            """

        def blob(self, named: str, size: int) -> bytes:
            """Return what has this digest, and is so long.

            Raises:
                OSError: It cannot be read.
                ValueError: It is not what it should be.
            """

        def put_blob(self, content: bytes) -> str:
            """Keep `content`; return its digest.

            Raises:
                OSError: There is no way, or no room.
            """


_FORMAT = b"/1"
_MOST_RESULT = 64 << 20  # Bytes of one result; inputs are some 200 bytes each.
_NAME = frozenset("0123456789abcdef-")


class StoreError(Exception):
    """The folder cannot be used; the text says why, as a clause."""


class FolderStore:
    """A store in a folder that belongs to whoever builds."""

    def __init__(self, folder: bytes) -> None:
        """Open the store, and make its folders.

        Raises:
            StoreError: Somebody else could write to it.
            OSError: It cannot be made.
        """
        self.folder = folder + _FORMAT
        self._is_closed = False  # Nobody else reaches what is in it.
        for path in (folder, self.folder, self.folder + b"/results", self.folder + b"/blobs"):
            _make(path)
            about = os.lstat(path)
            if why := _why_not_own(about):
                raise StoreError(why)
            self._is_closed |= not about.st_mode & 0o011

    def results(self, key: str) -> list[tuple[str, KeptResult]]:
        """See `ResultStore`; what cannot be read is left out."""
        found = []
        for path in self._paths_below(key):
            try:
                about = os.lstat(path)
                if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
                    continue
                with open(open_regular_file(path), "rb") as file:
                    content = file.read(_MOST_RESULT + 1)
                result = kept_result.load(blob_form.text(content, _MOST_RESULT))
            except (OSError, ValueError):
                continue
            found.append((os.fsdecode(os.path.basename(path))[: -len(".json")], result))
        return sorted(found, key=lambda item: -item[1].made_s)

    def every(self) -> Iterator[tuple[str, str, KeptResult]]:
        """Yield all results, with key and name."""
        top = self.folder + b"/results"
        for first in _listed(top):
            for key in _listed(top + b"/" + first):
                text = os.fsdecode(key)
                if digest.is_one(text):
                    for name, result in self.results(text):
                        yield text, name, result

    def put(self, key: str, name: str, result: KeptResult) -> None:
        """See `ResultStore`."""
        if not digest.is_one(key) or not _NAME.issuperset(name):
            raise ValueError("not a name of a result")
        self._made_folder(b"results", key)
        _write(self._result_path(key, name), blob_form.packed(result.dump()))

    def remove(self, key: str, name: str) -> None:
        """Remove a result, if it is there; its blobs may be those of others as well.

        Raises:
            OSError: It cannot be removed.
        """
        folder = self._folder(b"results", key)
        try:
            os.unlink(self._result_path(key, name))
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            if not os.listdir(folder):
                raise

    def note_use(self, key: str, name: str) -> None:
        """Note that a result is in use: others go first where there is no more room."""
        try:
            os.utime(self._result_path(key, name))
        except OSError:
            pass  # Another build has removed it.

    def last_use_s(self, key: str, name: str) -> float:
        """Return when a result was filed or restored last, in seconds since the epoch; 0: gone."""
        try:
            return os.lstat(self._result_path(key, name)).st_mtime
        except OSError:
            return 0.0

    def blob(self, named: str, size: int) -> bytes:
        """See `ResultStore`."""
        return blob_form.unpacked(self.raw_blob(named, size), named, size, self.raw_blob)

    def raw_blob(self, named: str, size: int) -> bytes:
        """Return a blob as it is kept, which nobody has looked at.

        Raises:
            OSError: It cannot be read.
            ValueError: There is no such name.
        """
        path = self._folder(b"blobs", named)
        self._check(os.path.dirname(path))
        with open(open_regular_file(path), "rb") as file:
            return file.read(size + 2)  # One byte more than is packed: see `blob_form.packed`.

    def put_blob(self, content: bytes) -> str:
        """See `ResultStore`; of an archive, members that are here already are only named."""
        named = digest.of(content)
        is_archive = content.startswith(archive_members.MAGIC)
        if self._uses(named) and (not is_archive or self._uses_parts(named, len(content))):
            return named
        path = self._made_folder(b"blobs", named)
        pieces = archive_members.pieces(content, self._uses) if is_archive else []
        _write(path, blob_form.packed(content, pieces))
        return named

    def parts(self, named: str, size: int) -> list[tuple[str, int]]:
        """Return digests and lengths of the other blobs that a blob consists of; mostly none.

        Raises:
            OSError: It cannot be read.
            ValueError: It is damaged.
        """
        is_list = blob_form.is_list(self.raw_blob(named, 0))
        return blob_form.parts(self.raw_blob(named, size), size) if is_list else []

    def _uses(self, named: str) -> bool:
        """Tell whether a blob is there, and note that it is in use: else it is removed some day.

        Raises:
            ValueError: There is no such name.
        """
        path = self._folder(b"blobs", named)
        try:
            self._check(os.path.dirname(path))
            os.utime(path)
        except OSError:
            return False
        return True

    def _uses_parts(self, named: str, size: int) -> bool:
        try:
            return all(list(map(self._uses, (part for part, _ in self.parts(named, size)))))
        except (OSError, ValueError):
            return False

    def blobs(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the digest of each blob, and what the file system says of it."""
        top = self.folder + b"/blobs"
        for first in _listed(top):
            for name in _listed(top + b"/" + first):
                try:
                    yield os.fsdecode(name), os.lstat(top + b"/" + first + b"/" + name)
                except OSError:
                    continue

    def remove_blob(self, named: str) -> None:
        """Remove a blob, if it is there."""
        try:
            os.unlink(self.folder + b"/blobs/" + os.fsencode(named[:2] + "/" + named))
        except OSError:
            pass

    def unused(self) -> Iterator[str]:
        """Say of each folder in it that is not used why not, as a sentence."""
        pending = [self.folder + b"/results/" + name for name in _listed(self.folder + b"/results")]
        pending += [self.folder + b"/blobs/" + name for name in _listed(self.folder + b"/blobs")]
        depth = self.folder.count(b"/") + 2
        for path in pending:
            try:
                self._check(path)
            except FileNotFoundError:
                continue  # Another build has removed it.
            except OSError as error:
                at = "" if error.filename is None else f"`{encode(path)}`: "
                yield f"{at}{error.strerror}"
                continue
            if path.count(b"/") == depth and path.startswith(self.folder + b"/results/"):
                pending += [path + b"/" + key for key in _listed(path)]

    def size(self) -> int:
        """Return how many bytes of the disk the store takes."""
        total = 0
        pending = [self.folder]
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        return total

    def _folder(self, what: bytes, named: str) -> bytes:
        if not digest.is_one(named):
            raise ValueError("not a digest")
        text = named.encode()
        return self.folder + b"/" + what + b"/" + text[:2] + b"/" + text

    def _result_path(self, key: str, name: str) -> bytes:
        return self._folder(b"results", key) + b"/" + name.encode() + b".json"

    def _made_folder(self, what: bytes, named: str) -> bytes:
        """Make the folder above that of `named`; return the latter.

        Raises:
            OSError: It cannot be made, or is not ours.
        """
        folder = self._folder(what, named)
        above = os.path.dirname(folder)
        _make(above)
        self._check(above)
        if what == b"results":
            _make(folder)
            self._check(folder)
        return folder

    def _check(self, path: bytes) -> None:
        """Make sure that nobody else has made a folder of the store, or what is in it.

        Raises:
            OSError: Somebody may have, it is a link, or it is not there.
        """
        if why := _why_not_own(os.lstat(path), is_closed=self._is_closed):
            raise PermissionError(EPERM, f"`{encode(path)}` {why}")

    def _paths_below(self, key: str) -> list[bytes]:
        folder = self._folder(b"results", key)
        try:
            self._check(os.path.dirname(folder))
            self._check(folder)
        except OSError:
            return []
        names = _listed(folder)
        return [folder + b"/" + name for name in names if name.endswith(b".json")]


def _why_not_own(about: os.stat_result, *, is_closed: bool = False) -> str:
    if not stat.S_ISDIR(about.st_mode):
        return "is no folder"
    if about.st_uid != os.geteuid() or (about.st_mode & 0o022 and not is_closed):
        return "belongs to somebody else, or others may write there"
    return ""


def _make(folder: bytes) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass


def _listed(folder: bytes) -> list[bytes]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _write(path: bytes, content: bytes) -> None:
    new = path + b".%d.new" % os.getpid()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(new, flags, 0o600), "wb") as file:
            file.write(content)
        os.rename(new, path)
    except OSError:
        try:
            os.unlink(new)  # A full disk is not filled further.
        except OSError:
            pass
        raise
