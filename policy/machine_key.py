"""The key of one user on one machine: it tells what was made here from what a checkout brought.

What lies below a target directory can come with a repository or an archive, which may have been
made to answer questions beforehand. Nobody who makes one has this key. It lies in
`$XDG_STATE_HOME/buildperm`, which no build script may read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

NAME = "buildperm.keystore"  # Called like what holds keys, wherever it lies: `rules.keyfiles`.
_SIZE = 32

_known: dict[Path | None, bytes] = {}
"""The key by its file, so that a command has one key even where none can be kept."""


def sign(purpose: str, place: Path, content: bytes) -> str:
    """Return what only this user on this machine can write below `content`, for this place.

    Args:
        purpose: What is signed; a signature for one purpose is none for another.
        place: Where it lies: what is moved or copied is not what was made there.
        content: What is signed.
    """
    where = os.fsencode(os.path.realpath(place))
    parts = (purpose.encode(), where, content)
    text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(_key(), text, hashlib.sha256).hexdigest()


def is_signed(purpose: str, place: Path, content: bytes, signature: str) -> bool:
    """Tell whether `signature` is what `sign` returns."""
    expected = sign(purpose, place, content)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def is_kept() -> bool:
    """Tell whether later commands have the same key."""
    path = _path()
    return path is not None and _key() == _read(path)


def _path() -> Path | None:
    """Return where the key is kept: None where there is no home folder."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    try:
        state = Path(chosen) if chosen.startswith("/") else Path.home() / ".local/state"
    except RuntimeError:
        return None
    return state / "buildperm" / NAME


def _key() -> bytes:
    path = _path()
    if path not in _known:
        made = (_read(path) or _make(path)) if path is not None else b""
        _known[path] = made or secrets.token_bytes(_SIZE)
    return _known[path]


def _read(path: Path) -> bytes:
    """Return the key in a file that nobody else can have read or written; else nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        is_own = status.st_uid == os.geteuid() and stat.S_ISREG(status.st_mode)
        if not is_own or status.st_mode & 0o077:
            return b""
        found = file.read(_SIZE + 1)
    return found if len(found) == _SIZE else b""


def _make(path: Path) -> bytes:
    """Make a key, unless another command is faster; nothing where none can be kept."""
    new = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SIZE))
        try:
            os.link(new, path)  # All of it or nothing, and never over another one.
        except FileExistsError:
            if not _read(path):  # Somebody else can read it, or it was cut short.
                os.replace(new, path)
        return _read(path)
    except OSError:
        return b""
    finally:
        try:
            os.unlink(new)
        except OSError:
            pass
