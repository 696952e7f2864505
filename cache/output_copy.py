"""Takes what a run has left in OUT_DIR into a store, and puts it back: as copies, never as links.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import errno
import os
import stat

from buildperm.cache.kept_result import FILE, FOLDER, LINK, files_in_order
from buildperm.tracer.notation import decode, encode
from buildperm.tracer.system_values import MAKES_FILE, READS_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.cache.kept_result import Left, Said
    from buildperm.cache.path_tokens import PathTokens
    from buildperm.cache.result_store import ResultStore

MOST_BYTES = 512 << 20
"""More than this is not kept of one run."""

MOST_FILE_BYTES = 256 << 20
"""Nor is a larger file, which has to fit into memory several times."""

MOST_FILES = 20_000
DEEPEST = 200

_GIVEN = frozenset(("security.selinux", "system.posix_acl_access", "system.posix_acl_default"))
"""Attributes that whatever is made in a folder has from there, or from the system."""


class NotKeptError(Exception):
    """What a run has left cannot be kept; the text says why, as a clause."""


class OutputTaker:
    """Takes what a run has left."""

    def __init__(self, store: ResultStore, tokens: PathTokens) -> None:
        self.left: list[Left] = []
        self.bound: set[str] = set()  # Places that stand where no token can.
        self._store = store
        self._tokens = tokens
        self._bytes = 0

    def take(self, folder: bytes) -> None:
        """Take all that is in a folder.

        Raises:
            NotKeptError: There is too much, or something that cannot be copied.
            OSError: Something cannot be read, or the store cannot take it.
        """
        begin = len(self.left)
        self._list(folder, "")
        for each in files_in_order(self.left[begin:]):
            path = folder + b"/" + decode(str(each[1]))
            each += self.keep(self._content(path))

    def _list(self, folder: bytes, above: str) -> None:
        """List what is in a folder, files without what is in them.

        Raises:
            NotKeptError: There is too much, or something that cannot be copied.
            OSError: Something cannot be read.
        """
        if above.count("/") > DEEPEST:
            raise NotKeptError(f"it has left folders nested deeper than {DEEPEST}")
        above_mode = os.stat(folder).st_mode
        for name in sorted(os.listdir(folder)):
            path, shown = folder + b"/" + name, above + encode(name)
            about = os.lstat(path)
            self._check(path, shown, about, above_mode)
            if len(self.left) >= MOST_FILES:
                raise NotKeptError(f"it has left more than {MOST_FILES:,} files")
            if stat.S_ISLNK(about.st_mode):
                text = encode(self._tokens.tokens_for(os.readlink(path)))
                self.left.append([LINK, shown, text])
            elif stat.S_ISDIR(about.st_mode):
                self.left.append([FOLDER, shown, about.st_mode & 0o777])
                self._list(path, shown + "/")
            elif stat.S_ISREG(about.st_mode):
                if about.st_size > MOST_FILE_BYTES:
                    size = f"{MOST_FILE_BYTES >> 20} MiB"
                    raise NotKeptError(f"`$OUT_DIR/{shown}` has more than {size}")
                self._bytes += about.st_size
                if self._bytes > MOST_BYTES:
                    raise NotKeptError(f"it has left more than {MOST_BYTES >> 20} MiB")
                self.left.append([FILE, shown, stat.S_IMODE(about.st_mode) & 0o777])
            else:
                raise NotKeptError(f"`$OUT_DIR/{shown}` is neither a file nor a folder")

    def _check(self, path: bytes, shown: str, about: os.stat_result, above_mode: int) -> None:
        """Make sure that a copy would be the same.

        Raises:
            NotKeptError: It has more than contents and permissions.
        """
        inherited = stat.S_ISGID if stat.S_ISDIR(about.st_mode) else 0
        special = about.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX)
        if special & ~(inherited & above_mode) or (above_mode & inherited) & ~special:
            raise NotKeptError(f"`$OUT_DIR/{shown}` has a special permission")
        if about.st_uid != os.geteuid():
            raise NotKeptError(f"`$OUT_DIR/{shown}` belongs to somebody else")
        try:
            names = os.listxattr(path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
            names = []
        if set(names) - _GIVEN:
            raise NotKeptError(f"`$OUT_DIR/{shown}` has attributes")

    def keep(self, content: bytes) -> Said:
        """Put a text or a file into the store, with tokens where it has no NUL character."""
        told = self._tokens.tokens_for(content)
        if b"\0" in content:
            self.bound.update(self._tokens.found_in(content))
        return [self._store.put_blob(told), len(told), int(told != content)]

    def _content(self, path: bytes) -> bytes:
        file = os.open(path, READS_FILE)
        try:
            pieces = []
            while piece := os.read(file, 1 << 20):
                pieces.append(piece)
        finally:
            os.close(file)
        return b"".join(pieces)


def put_back(left: list[Left], folder: bytes, store: ResultStore, tokens: PathTokens) -> None:
    """Make in an empty folder what a run had left.

    Raises:
        OSError: It cannot be made, or the store has lost something.
        ValueError: The store has something else.
    """
    closed: list[tuple[bytes, int]] = []
    for each in left:
        path = folder + b"/" + decode(str(each[1]))
        match each[0]:
            case "folder":
                os.mkdir(path, 0o700)
                closed.append((path, int(each[2])))
            case "link":
                os.symlink(tokens.places_for(decode(str(each[2]))), path)
            case _:
                _make_file(path, int(each[2]), told(each[3:], store, tokens))
    for path, mode in reversed(closed):
        os.chmod(path, mode | os.lstat(path).st_mode & stat.S_ISGID)  # As the folder above it.


def told(said: Said, store: ResultStore, tokens: PathTokens) -> bytes:
    """Return a text or file from the store as it is here.

    Raises:
        OSError: The store has lost it.
        ValueError: The store has something else.
    """
    content = store.blob(str(said[0]), int(said[1]))
    return tokens.places_for(content) if said[2] else content


def _make_file(path: bytes, mode: int, content: bytes) -> None:
    file = os.open(path, MAKES_FILE, 0o600)
    try:
        while content:
            content = content[os.write(file, content) :]
        os.fchmod(file, mode)
    finally:
        os.close(file)
