"""How a blob is written: compressed where that is smaller, with a letter in front.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import zlib

from buildperm.cache import digest

_LEVEL = 6


def packed(content: bytes) -> bytes:
    """Return `content` as it is kept: no longer than itself and one byte."""
    smaller = zlib.compress(content, _LEVEL)
    return b"z" + smaller if len(smaller) < len(content) else b"=" + content


def unpacked(raw: bytes, named: str, size: int) -> bytes:
    """Return what `packed` was given; never more than `size` bytes are made of `raw`.

    Args:
        raw: What was kept; it may be somebody else's.
        named: Its digest.
        size: How long it is.

    Raises:
        ValueError: It is something else.
    """
    rest = _opened(raw, size)
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
    try:
        return zlib.decompressobj().decompress(rest, most + 1)
    except zlib.error as error:
        raise ValueError("not compressed as it should be") from error
