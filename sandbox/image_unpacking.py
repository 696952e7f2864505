"""Unpacks an image into a folder that can be a root.

Layers are read twice: once to see what they make together, and once for the content of what is
left. Both times each has to be what its digest says. Written is only what build scripts see of a
root, into a new folder that nobody else can enter, which gets its name when it is complete.

Owners are left out, and so are devices, pipes, sockets and extended attributes. Permissions are
kept as far as they may be: everybody may read, only the owner may write, and nothing is setuid; all
folders are 755. So who unpacks it, and with which umask, makes no difference.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buildperm.errors import CannotEnforceError
from buildperm.printable import printable
from buildperm.rules import root_layout
from buildperm.sandbox import root_digest, unfinished_folder
from buildperm.sandbox.image_choice import ImageChoice, LayerFile
from buildperm.sandbox.image_files import ImageError, Shelf
from buildperm.sandbox.image_tree import ImageTree, NoTreeError, TreeFile
from buildperm.sandbox.tape_archive import NoArchiveError, Source, TapeArchive

_LARGEST = 100 << 30  # Bytes of all layers without compression: as much as a root may have.
_PATH_MOST = 4_095  # Bytes: limits.h.
_LATEST = 1 << 40  # Seconds: what any file system can say.
_CHUNK = 1 << 20
_ZSTD_HINT = (
    "Copy it: `skopeo copy --dest-compress --dest-compress-format gzip oci-archive:IMAGE "
    "oci-archive:OTHER`. Its ID stays, and is a `root-image`, too."
)


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """What was made of an image."""

    digest: str  # Of the root, as Cargo.toml names it.
    files: int  # With folders and links.
    left_out: int  # Devices, pipes and sockets.


def unpack(files: Shelf, image: ImageChoice, folder: Path, wanted: str = "") -> UnpackedImage:
    """Make `folder` of an image.

    Args:
        files: Where its layers are.
        image: Which one.
        folder: A path at which nothing is, or an empty folder.
        wanted: The digest that the root has to have; empty: any.

    Raises:
        CannotEnforceError: It is no root, or another one than wanted.
        ImageError: The image is damaged, or has what no image has.
        OSError: Something cannot be read or written.
    """
    tree = ImageTree()
    left = _LARGEST
    for number, layer in enumerate(image.layers):
        left -= _add(files, layer, tree, number, left)
    with unfinished_folder.begin(folder) as made:
        writing = _TreeWriting(made.inside)
        writing.make(tree.top)
        _check_room(made.path, writing.size)
        for number, layer in enumerate(image.layers):
            writing.fill(files, layer, number)
        writing.settle()
        digest = _digest(made.path, folder, wanted)
        made.finish()
    return UnpackedImage(digest, writing.files, writing.left_out)


def _check_room(folder: Path, size: int) -> None:
    """Refuse what would fill the disk, before it does."""
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    if size > free:
        raise OSError(
            errno.ENOSPC,
            f"it needs {size >> 20:,} MiB, and {free >> 20:,} are free",
            str(folder.parent),
        )


def _digest(made: Path, folder: Path, wanted: str) -> str:
    try:
        digest = root_digest.state_of(made).digest
    except CannotEnforceError as error:
        said = str(error.args[0]).replace(printable(str(made)), printable(str(folder)))
        raise CannotEnforceError(said, hint="Take an image with `usr` and `etc`.") from error
    if wanted and digest != wanted:
        raise CannotEnforceError(
            f"the image unpacks to {digest}, and `root-digest` is {wanted}",
            hint="Take the image that `root-digest` was made from; if this one is meant, commit "
            "its digest, and run `buildperm learn`.",
        )
    return digest


def _add(files: Shelf, layer: LayerFile, tree: ImageTree, number: int, most: int) -> int:
    """Add a layer to the tree; return its size without compression."""
    with _opened(files, layer, most) as source:
        archive = TapeArchive(source)
        for index, each in enumerate(archive.members()):
            tree.add(number, index, each)
    return source.size


class _TreeWriting:
    """Writes a tree, each file once."""

    def __init__(self, top: bytes) -> None:
        self.files = 0
        self.size = 0  # Bytes of all files.
        self.left_out = 0
        self._top = top
        self._regular: dict[tuple[int, int], tuple[bytes, TreeFile]] = {}  # By layer and number.
        self._folders: list[tuple[bytes, TreeFile]] = []
        self._names: list[tuple[bytes, TreeFile]] = []  # Other names of files.

    def make(self, top: TreeFile) -> None:
        """Make folders and links of what a root has; remember the files."""
        pending = [
            (self._top + b"/" + name, each)
            for name, each in sorted((top.children or {}).items())
            if root_layout.is_replaced(name)
        ]
        seen: set[int] = set()
        while pending:
            path, found = pending.pop()
            if len(path) > _PATH_MOST:
                raise ImageError("its layers make a path that is too long")
            if found.kind not in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK):
                self.left_out += 1
                continue
            self.files += 1
            if found.children is not None:
                os.mkdir(path, 0o700)
                self._folders.append((path, found))
                pending += ((path + b"/" + name, each) for name, each in found.children.items())
            elif found.kind == stat.S_IFLNK:
                os.symlink(found.link, path)
                _set_time(path, found)
            elif id(found.same) in seen:
                self._names.append((path, found.same))
            else:
                seen.add(id(found.same))
                self.size += found.same.size
                self._regular[found.same.layer, found.same.member] = path, found.same

    def fill(self, files: Shelf, layer: LayerFile, number: int) -> None:
        """Write the content of what is left of a layer."""
        if not any(which == number for which, _ in self._regular):
            return
        with _opened(files, layer, _LARGEST) as source:
            archive = TapeArchive(source)
            for index, _ in enumerate(archive.members()):
                path, found = self._regular.get((number, index), (b"", None))
                if found is not None:
                    _write(path, found, archive)

    def settle(self) -> None:
        """Give files their other names, and folders their permissions."""
        places = {id(found): path for path, found in self._regular.values()}
        for path, found in self._names:
            os.link(places[id(found)], path)
        for path, found in reversed(self._folders):
            os.chmod(path, 0o755)  # noqa: S103
            _set_time(path, found)


def _write(path: bytes, found: TreeFile, archive: TapeArchive) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    try:
        for piece in archive.content():
            view = memoryview(piece)
            while view:
                view = view[os.write(file, view) :]
        is_program = found.mode & 0o111
        os.fchmod(file, (found.mode | (0o555 if is_program else 0o444)) & 0o755)
    finally:
        os.close(file)
    _set_time(path, found)


def _set_time(path: bytes, found: TreeFile) -> None:
    """Give it the image's time: compiled Python, for one, counts as long as its source has it."""
    seconds = min(found.mtime, _LATEST)
    try:
        os.utime(path, (seconds, seconds), follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOVERFLOW):  # No time of this file system.
            raise


@contextmanager
def _opened(files: Shelf, layer: LayerFile, most: int) -> Iterator[_CheckedFile]:
    """Open a layer without its compression; at the end, make sure that it was the right one.

    Raises:
        ImageError: It was not, or cannot be read.
    """
    called = f"the layer {layer.digest or layer.content}"
    with files.open(layer.name) as file:
        outer = _CheckedFile(file, _LARGEST)
        start = file.beginning()
        if start == b"\x28\xb5\x2f\xfd":
            raise ImageError(f"{called} is compressed by zstd, which is not read here", _ZSTD_HINT)
        is_gzip = start[:2] == b"\x1f\x8b"
        # It would seek only to begin anew.
        plain = gzip.GzipFile(fileobj=outer) if is_gzip else outer  # type: ignore[call-overload]
        inner = _CheckedFile(plain, most)
        try:
            yield inner
            inner.finish()
            outer.finish()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ImageError(f"{called} is damaged: {error}") from error
        except (NoArchiveError, NoTreeError) as error:
            raise ImageError(f"{called} cannot be used: {error}") from error
    if layer.digest and outer.digest != layer.digest:
        raise ImageError(f"{called} is damaged: its digest is {outer.digest}")
    if inner.digest != layer.content:
        raise ImageError(f"{called} is damaged: its content is {inner.digest}, not {layer.content}")


class _CheckedFile:
    """What is read of a file, with a limit and a digest."""

    def __init__(self, file: Source, most: int) -> None:
        self._file = file
        self._most = most
        self._told = hashlib.sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        piece = self._file.read(min(size, _CHUNK))
        self.size += len(piece)
        if self.size > self._most:
            raise ImageError(f"its layers have more than {_LARGEST >> 30} GiB")
        self._told.update(piece)
        return piece

    def finish(self) -> None:
        """Read what is left."""
        while self.read(_CHUNK):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._told.hexdigest()}"
