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
    kind, rest = raw[:1], raw[1:]
    if kind == b"z":
        try:
            rest = zlib.decompressobj().decompress(rest, size + 1)
        except zlib.error as error:
            raise ValueError("not compressed as it should be") from error
    elif kind != b"=":
        raise ValueError("not a blob")
    if len(rest) != size or digest.of(rest) != named:
        raise ValueError("not what its digest says")
    return rest
