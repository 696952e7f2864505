"""What Cargo.toml says of a store of results that several machines share: where it is, whose keys.

Nothing secret may stand there: Cargo.toml is for everybody.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

KEYS_MOST = 16
"""Who signs is few."""

KEY_PREFIX = "ed25519:"
KEY_BYTES = 32
"""RFC 8032, 5.1.5: of a public key, and of the private one's seed."""

_SCHEMES = ("file", "gs", "http", "https", "s3")
_LOCAL = ("127.0.0.1", "::1", "localhost")
_ADDRESS = re.compile(r"[!-~]{1,1000}")  # Printable ASCII without spaces.


@dataclass(frozen=True, slots=True)
class CacheStore:
    """A store, and whose entries of it are used."""

    address: str  # A URL without user, password, query and fragment.
    keys: tuple[str, ...]  # Public keys, sorted: KEY_PREFIX and base64.


def check_address(text: str) -> None:
    """Make sure that `text` is the address of a store.

    Raises:
        ValueError: It is not. The text says why, as a clause, and does not repeat the address.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if not _ADDRESS.fullmatch(text) or parts.scheme not in _SCHEMES:
        raise ValueError("is no URL that begins with `https://`, `s3://`, `gs://` or `file:///`")
    if "@" in parts.netloc:
        raise ValueError("holds a user or a password, which do not belong in a file")
    if "?" in text or "#" in text:
        raise ValueError("holds a query or a fragment, which may be a secret")
    _check_place(parts, host, port)


def _check_place(parts: SplitResult, host: str | None, port: int | None) -> None:
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or "%" in parts.path:
            raise ValueError("is no `file:///FOLDER`")
    elif not host:
        raise ValueError("names no host or bucket")
    elif parts.scheme == "http" and not is_local(host):
        raise ValueError("is not encrypted: `http://` is for this machine only")
    elif parts.scheme in ("s3", "gs") and port is not None:
        raise ValueError("names a port, which a bucket does not have")
    if ".." in parts.path.split("/"):
        raise ValueError("leads upwards")


def is_local(host: str | None) -> bool:
    """Tell whether a host is this machine: what is sent there crosses no network."""
    return host in _LOCAL


def public_bytes(text: str) -> bytes:
    """Return the bytes of a public key.

    Raises:
        ValueError: It is none.
    """
    return key_bytes(text, KEY_PREFIX)


def key_bytes(text: str, prefix: str) -> bytes:
    """Return the bytes of a key that is written as `prefix` and base64.

    Raises:
        ValueError: It is none; the text does not repeat it.
    """
    if text.startswith(prefix):
        try:
            raw = base64.b64decode(text[len(prefix) :], validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) == KEY_BYTES and key_text(raw, prefix) == text:  # One way to write it.
            return raw
    raise ValueError(f"is no `{prefix}` with {KEY_BYTES} bytes in base64")


def key_text(raw: bytes, prefix: str = KEY_PREFIX) -> str:
    """Write a key for `key_bytes`."""
    return prefix + base64.b64encode(raw).decode()
