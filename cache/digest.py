"""Digests of what is kept and compared: BLAKE2b, which every Python has without OpenSSL.

Part of the supervisor: to import `hashlib` would load OpenSSL, which takes longer than most hits.
"""

from __future__ import annotations

import os
from _blake2 import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = 32  # Bytes; collisions must not be found by anybody.
_CHUNK = 1 << 20


def of(content: bytes) -> str:
    """Return the digest of `content`, as hexadecimal digits."""
    return blake2b(content, digest_size=SIZE).hexdigest()


def of_parts(parts: Iterable[bytes]) -> str:
    """Return a digest that tells where each part begins."""
    made = blake2b(digest_size=SIZE)
    for part in parts:
        made.update(b"%d:" % len(part))
        made.update(part)
    return made.hexdigest()


def of_descriptor(descriptor: int) -> str:
    """Return the digest of what an open file holds, from where it stands.

    Raises:
        OSError: It cannot be read.
    """
    made = blake2b(digest_size=SIZE)
    while chunk := os.read(descriptor, _CHUNK):
        made.update(chunk)
    return made.hexdigest()


def is_one(text: object) -> bool:
    """Tell whether `text` is a digest: names of files are made of it."""
    return (
        isinstance(text, str)
        and len(text) == 2 * SIZE
        and all(letter in "0123456789abcdef" for letter in text)
    )
