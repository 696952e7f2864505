"""The files of an OCI layout, or of an archive that `docker save` and the like write.

Nothing is unpacked: an archive is read through once, to see where in it each file is.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Protocol

from buildperm.printable import printable
from buildperm.sandbox.tape_archive import NoArchiveError, TapeArchive, TapeMember

_MOST = 100_000  # Files in an archive: an image has some ten.
_NAME_MOST = 4_095  # Bytes: limits.h.
_LARGEST = 100 << 30  # Bytes: all of an archive is read; a file with holes says what it likes.
_SHOWN_MOST = 200
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")


class ImageError(Exception):
    """It is no image that can be used; the text says why, as a clause."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class ImageFile:
    """One of the files: a file, or a part of an archive."""

    def __init__(self, file: io.BufferedReader, start: int = 0, size: int | None = None) -> None:
        """Take the file, and close it at the end.

        Args:
            file: Which one.
            start: Where in it.
            size: Bytes; None: up to its end.
        """
        self._file = file
        self._left = os.fstat(file.fileno()).st_size if size is None else size
        file.seek(start)

    def __enter__(self) -> ImageFile:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, and fewer at the end."""
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def beginning(self) -> bytes:
        """Return the next four bytes, which are not taken."""
        return self._file.peek(4)[: min(4, self._left)]


class Shelf(Protocol):
    """Files by name, as an archive or a folder has them."""

    def open(self, name: str) -> ImageFile:
        """Open one.

        Raises:
            ImageError: There is none of this name.
            OSError: It cannot be read.
        """
        ...

    def has(self, name: str) -> bool:
        """Tell whether there is one."""
        ...


def shelf(path: Path) -> Shelf:
    """Return the files of the layout or archive at `path`.

    Raises:
        ImageError: It is neither.
        OSError: It cannot be read.
    """
    return _LayoutFolder(path) if path.is_dir() else _ImageTar(path)


class _LayoutFolder:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))

    def open(self, name: str) -> ImageFile:
        shown = printable(name[:_SHOWN_MOST])
        if ".." in name.split("/") or name.startswith("/"):
            raise ImageError(f"`{shown}` is no file of it")
        try:
            # Some link one file to another; what is elsewhere is none of the image's.
            path = Path(os.path.realpath(self._folder / name, strict=True))
            if not path.is_relative_to(self._folder):
                raise ImageError(
                    f"`{shown}` is a link that leads out of it",
                    "If it is meant, copy the folder with what its links lead to: `cp -rL`.",
                )
            return ImageFile(_regular(path))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ImageError(f"`{shown}` is not there") from error
        except ValueError as error:  # A zero byte, or half a character.
            raise ImageError(f"`{shown}` is no name of a file") from error

    def has(self, name: str) -> bool:
        return (self._folder / name).is_file()


class _ImageTar:
    """The files of a tar archive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        with _regular(path) as file:
            if file.peek(8).startswith(_COMPRESSED):
                raise ImageError(
                    "it is compressed as a whole", "Decompress it: `gunzip`, `unzstd`."
                )
            if os.fstat(file.fileno()).st_size > _LARGEST:
                raise ImageError(f"it has more than {_LARGEST >> 30} GiB")
            archive = TapeArchive(file)
            try:
                for each in archive.members():
                    self._take(os.fsdecode(each.name), each, archive.position)
            except NoArchiveError as error:
                raise ImageError(f"it is no archive of an image: {error}") from error

    def _take(self, called: str, found: TapeMember, position: int) -> None:
        if len(found.name) > _NAME_MOST or len(found.link) > _NAME_MOST:
            raise ImageError("it has a file whose name is too long")
        name = os.path.normpath(called)
        self._places.pop(name, None)
        self._links.pop(name, None)
        if stat.S_ISREG(found.kind):
            self._places[name] = (position, found.size)
        elif found.link:  # Docker links a layer to another that is the same.
            above = os.path.dirname(name) if found.kind else ""
            self._links[name] = os.path.normpath(os.path.join(above, os.fsdecode(found.link)))
        if len(self._places) + len(self._links) > _MOST:
            raise ImageError(f"it has more than {_MOST:,} files")

    def open(self, name: str) -> ImageFile:
        found = self._found(name)
        if found is None:
            raise ImageError(f"`{printable(name[:_SHOWN_MOST])}` is not in it")
        return ImageFile(_regular(self._path), *found)

    def has(self, name: str) -> bool:
        return self._found(name) is not None

    def _found(self, name: str) -> tuple[int, int] | None:
        name = os.path.normpath(name)
        return self._places.get(self._links.get(name, name))


def _regular(path: Path) -> io.BufferedReader:
    """Open a file, and wait for nothing: it may be a pipe."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return os.fdopen(file, "rb")
    os.close(file)
    raise ImageError(f"`{printable(str(path))}` is no file")
