"""Reads a tar archive that somebody else made, without writing anything.

Not Python's `tarfile`: it takes a damaged header for the end of the archive, and reads extended
headers of any length into memory. What a layer of an image may hold is little: ustar, the extended
headers of POSIX.1-2001 (pax), and the long names of GNU tar: tar(5).
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

BLOCK = 512
_EXTENDED_MOST = 1 << 20  # Bytes of an extended header; some hold certificates and capabilities.
_CHUNK = 1 << 20
_KINDS = {
    **dict.fromkeys((0, ord("0"), ord("7")), stat.S_IFREG),
    ord("1"): 0,
    ord("2"): stat.S_IFLNK,
    ord("3"): stat.S_IFCHR,
    ord("4"): stat.S_IFBLK,
    ord("5"): stat.S_IFDIR,
    ord("6"): stat.S_IFIFO,
}
_LONG_NAME, _LONG_LINK, _LOCAL, _GLOBAL = b"LKxg"
_READ = frozenset((b"path", b"linkpath", b"size"))  # Of what extended headers say.


class NoArchiveError(Exception):
    """It is no archive that can be read; the text says why, as a clause."""


class Source(Protocol):
    """Where the bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer where there are not so many, and none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class TapeMember:
    """One entry of an archive."""

    name: bytes
    kind: int  # Of `stat.S_IF…`; 0: another name of the file `link`.
    mode: int  # Permissions.
    size: int  # Bytes of content, which only regular files have.
    mtime: int  # Seconds.
    link: bytes  # What a link says; empty for all else.


class TapeArchive:
    """An archive that is read once, from its beginning to its end."""

    def __init__(self, source: Source) -> None:
        """Begin at where `source` is."""
        self._source = source
        self._unread = 0  # Of the current member, with what fills its last block.
        self._filling = 0
        self.position = 0  # Bytes that were read.

    def members(self) -> Iterator[TapeMember]:
        """Yield each, in order; what is not read of its content is skipped.

        Raises:
            NoArchiveError: It is damaged, or has what no layer has.
            OSError: It cannot be read.
        """
        kept: dict[bytes, bytes] = {}
        said: dict[bytes, bytes] = {}
        while header := self._header():
            kind, size = header[156], _number(header[124:136])
            if kind in (_LONG_NAME, _LONG_LINK):
                key = b"path" if kind == _LONG_NAME else b"linkpath"
                said[key] = self._extended(size).partition(b"\0")[0]
            elif kind == _LOCAL:
                said |= _records(self._extended(size))
            elif kind == _GLOBAL:
                kept |= _records(self._extended(size))
            else:
                made = _member(header, size, kept | said)
                said = {}
                self._begin(made.size)
                yield made
                self._skip()
        if said:
            raise NoArchiveError("it ends after the header of a name")

    def content(self) -> Iterator[bytes]:
        """Yield the content of the current member, in pieces.

        Raises:
            NoArchiveError: It ends too early.
        """
        while wanted := min(_CHUNK, self._unread - self._filling):
            piece = self._read(wanted)
            self._unread -= len(piece)
            yield piece

    def _begin(self, size: int) -> None:
        self._filling = -size % BLOCK
        self._unread = size + self._filling

    def _skip(self) -> None:
        while self._unread:
            self._unread -= len(self._read(min(_CHUNK, self._unread)))

    def _extended(self, size: int) -> bytes:
        if size > _EXTENDED_MOST:
            raise NoArchiveError("it has an extended header of more than a mebibyte")
        self._begin(size)
        told = b"".join(self.content())
        self._skip()
        return told

    def _header(self) -> bytes:
        """Return the next header; nothing at the end."""
        found = self._read(BLOCK, may_end=True)
        if not found.strip(b"\0"):
            return b""  # Some write one block of zeros, some two, some none.
        sums = _sums(found)
        if _number(found[148:156]) not in sums:
            raise NoArchiveError("it is damaged: a header has another checksum")
        return found

    def _read(self, size: int, *, may_end: bool = False) -> bytes:
        """Return exactly so many bytes, or none at the end where that is one."""
        pieces = []
        left = size
        while left and (piece := self._source.read(left)):
            pieces.append(piece)
            left -= len(piece)
        if left and not (may_end and left == size):
            raise NoArchiveError("it ends too early")
        self.position += size - left
        return b"".join(pieces)


def _sums(header: bytes) -> tuple[int, int]:
    """Return the checksum, and the one that old programs made of signed characters."""
    counted = header[:148] + b" " * 8 + header[156:]
    total = sum(counted)
    return total, total - 256 * sum(each > 127 for each in counted)


def _number(field: bytes) -> int:
    """Read an octal number, or the binary one that GNU tar writes where it is too large."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        if field[0] & 0x40:
            raise NoArchiveError("it has a negative number")
        return value
    digits = field.partition(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise NoArchiveError("it is damaged: what should be a number is none")
    return int(digits or b"0", 8)


def _records(text: bytes) -> dict[bytes, bytes]:
    """Read the extended header of pax: `LENGTH KEY=VALUE` and an end of line, each.

    Only what is read of it is kept, and each byte is taken once: there may be many.
    """
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(text):
        digits, space, _ = text[start : start + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = text[start + len(digits) + 1 : start + length]
        start += length
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or length != len(digits) + 1 + len(record):
            raise NoArchiveError("it is damaged: an extended header cannot be read")
        if key.startswith(b"GNU.sparse."):
            raise NoArchiveError("it has a file with holes, which layers do not have")
        if key in _READ:
            found[key] = value
    return found


def _member(header: bytes, size: int, said: dict[bytes, bytes]) -> TapeMember:
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        name = header[345:500].partition(b"\0")[0] + b"/" + name
    name = said.get(b"path", name)
    link = said.get(b"linkpath", header[157:257].partition(b"\0")[0])
    kind = _KINDS.get(header[156])
    if kind is None:
        raise NoArchiveError(f"it has an entry of an unknown kind, {header[156]}")
    if kind == stat.S_IFREG and name.endswith(b"/"):
        kind = stat.S_IFDIR  # So it was written before there was a kind for it.
    told = said.get(b"size", b"")
    if told and not (told.isdigit() and len(told) < 20):
        raise NoArchiveError("it is damaged: a size is no number")
    size = int(told or size) if kind == stat.S_IFREG else 0
    if b"\0" in name or b"\0" in link:
        raise NoArchiveError("it has a name with a zero byte")
    mtime = _number(header[136:148]) if not header[136] & 0x80 else 0
    is_link = kind in (0, stat.S_IFLNK)
    mode = _number(header[100:108]) & 0o7777  # `S_IMODE` takes no number of GNU tar.
    return TapeMember(name, kind, mode, size, mtime, link if is_link else b"")
