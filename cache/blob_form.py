"""How a blob is written: compressed where that is smaller, with a letter in front.

    =CONTENT     as it is
    zCOMPRESSED  by zlib
    +COMPRESSED  a list of pieces, by zlib: `.`, a length and so many bytes, or `@`, a length and
                 the digest of another blob that is so long; lengths have eight bytes

A list saves what other blobs hold. It is read as if an enemy had written it: pieces come to exactly
the size of the blob before any of them is fetched, another blob has a certain size at least, and is
no list itself.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import zlib

from buildperm.cache import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import TypeAlias

    Piece: TypeAlias = bytes | tuple[str, int]
    """Bytes as they are, or the digest of another blob and how long that is."""

    PartReader: TypeAlias = Callable[[str, int], bytes]
    """Returns the blob with a digest and a length, as it is kept."""

LEAST_PART = 512
"""Bytes of another blob that a list may name: so it has no more pieces than its blob deserves."""

_LEVEL = 2  # A third of the time of 6, and a tenth more bytes; whoever fills a store waits for it.
_HERE, _ELSEWHERE = b".", b"@"
_LENGTH = 8
_HEAD = 1 + _LENGTH
_RECORD = _HEAD + digest.SIZE


def packed(content: bytes, pieces: Collection[Piece] = ()) -> bytes:
    """Return `content` as it is kept: no longer than itself and one byte.

    Args:
        content: A file or a text.
        pieces: What it consists of, none of them empty, if other blobs are among them.
    """
    if pieces and len(made := _packed_list(pieces)) <= len(content):
        return made
    smaller = zlib.compress(content, _LEVEL)
    return b"z" + smaller if len(smaller) < len(content) else plain(content)


def plain(content: bytes) -> bytes:
    """Return `content` as it may be kept, at no cost."""
    return b"=" + content


def _packed_list(pieces: Collection[Piece]) -> bytes:
    told: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            told += (_HERE, len(piece).to_bytes(_LENGTH, "big"), piece)
        else:
            named, length = piece
            told += (_ELSEWHERE, length.to_bytes(_LENGTH, "big"), bytes.fromhex(named))
    return b"+" + zlib.compress(b"".join(told), _LEVEL)


def unpacked(raw: bytes, named: str, size: int, part: PartReader | None = None) -> bytes:
    """Return what `packed` was given; never more than `size` bytes are made of `raw`.

    Args:
        raw: What was kept; it may be somebody else's.
        named: Its digest.
        size: How long it is.
        part: Where it may be a list: gets another blob, as it is kept.

    Raises:
        ValueError: It is something else.
        OSError: From `part`.
    """
    rest = _joined(raw, size, part) if part and is_list(raw) else _opened(raw, size)
    if len(rest) != size or digest.of(rest) != named:
        raise ValueError("not what its digest says")
    return rest


def text(raw: bytes, most: int) -> bytes:
    """Return a text that `packed` was given, or that was kept as it is: JSON begins otherwise.

    Args:
        raw: What was kept; it may be somebody else's.
        most: So many bytes at most are made of it.

    Raises:
        ValueError: It is something else, or longer.
    """
    rest = raw if raw[:1] == b"{" else _opened(raw, most)
    if len(rest) > most:
        raise ValueError("too long")
    return rest


def is_list(raw: bytes) -> bool:
    """Tell whether a blob is kept as a list, by its first byte or more."""
    return raw[:1] == b"+"


def parts(raw: bytes, size: int) -> list[tuple[str, int]]:
    """Return digests and lengths of the other blobs that one of `size` bytes consists of.

    Raises:
        ValueError: It is a list, and not one that `packed` has made.
    """
    if not is_list(raw):
        return []
    return [piece for piece in _pieces(raw, size) if not isinstance(piece, bytes)]


def _joined(raw: bytes, size: int, part: PartReader) -> bytes:
    """Put a list together. What becomes of it has a digest, so no part is looked at for its own.

    Raises:
        ValueError: It is no list of this size, or a part is not so long.
        OSError: From `part`.
    """
    made = []
    read: dict[tuple[str, int], bytes] = {}
    for piece in _pieces(raw, size):
        if isinstance(piece, bytes):
            made.append(piece)
            continue
        if piece not in read:
            read[piece] = _opened(part(*piece), piece[1])
            if len(read[piece]) != piece[1]:
                raise ValueError("a part is not as long as its list says")
        made.append(read[piece])
    return b"".join(made)


def _pieces(raw: bytes, size: int) -> list[Piece]:
    """Return the pieces of a list; they come to `size` bytes.

    Raises:
        ValueError: They do not, or it is no list.
    """
    # Of the longest one, every other piece names the smallest part, and one byte is between them.
    told = _inflated(raw[1:], size + (size // LEAST_PART + 1) * (_RECORD + _HEAD))
    found: list[Piece] = []
    at, left = 0, size
    while at < len(told):
        kind, begin = told[at : at + 1], at + _HEAD
        length = int.from_bytes(told[at + 1 : begin], "big")
        at = begin + (length if kind == _HERE else digest.SIZE)
        least = {_HERE: 1, _ELSEWHERE: LEAST_PART}.get(kind, size + 1)
        if not least <= length <= left or at > len(told):
            raise ValueError("not a list of the blob's size")
        left -= length
        found.append(told[begin:at] if kind == _HERE else (told[begin:at].hex(), length))
    if left:
        raise ValueError("not a list of the blob's size")
    return found


def _opened(raw: bytes, most: int) -> bytes:
    """Return at most one byte more than `most`.

    Raises:
        ValueError: It is not what `packed` has made.
    """
    kind, rest = raw[:1], raw[1:]
    if kind == b"=":
        return rest
    if kind != b"z":
        raise ValueError("not a blob")
    return _inflated(rest, most)


def _inflated(compressed: bytes, most: int) -> bytes:
    """Return at most one byte more than `most`.

    Raises:
        ValueError: It was not compressed by zlib.
    """
    try:
        return zlib.decompressobj().decompress(compressed, most + 1)
    except zlib.error as error:
        raise ValueError("not compressed as it should be") from error
