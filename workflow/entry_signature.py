"""Signatures of entries in a store that several machines share: ed25519 (RFC 8032).

The private key is in a variable or a file of whoever builds for others. It is never printed. Cargo
and all that it starts get none of buildperm's variables: see `cargo.cargo_invocation`.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Any

from buildperm.errors import BuildpermError
from buildperm.policy.cache_store import key_bytes, key_text, public_bytes

VARIABLE, FILE_VARIABLE = "BUILDPERM_CACHE_KEY", "BUILDPERM_CACHE_KEY_FILE"
INSTALL = "Install it: pip install 'buildperm[shared-cache]'."

_PRIVATE_PREFIX = "ed25519-private:"
_FILE_MOST = 4096  # Bytes; a key has 60.


class Signer:
    """Whoever writes to a store: a private key, of which only signatures leave this object."""

    def __init__(self, seed: bytes) -> None:
        self._key = _library().Ed25519PrivateKey.from_private_bytes(seed)
        self.public = key_text(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> str:
        """Return the signature of `message`, in base64."""
        return base64.b64encode(self._key.sign(message)).decode()


def is_signed(message: bytes, signature: str, public: str) -> bool:
    """Tell whether `signature` is the one of `message` by the private half of `public`.

    Raises:
        BuildpermError: The library is not installed.
    """
    library = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        raw = base64.b64decode(signature, validate=True)
        library.Ed25519PublicKey.from_public_bytes(public_bytes(public)).verify(raw, message)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def signer() -> Signer | None:
    """Return who signs here, as the environment says; None where it names no key.

    Raises:
        BuildpermError: What it names is no private key, or others can read the file.
    """
    text, named = os.environ.get(VARIABLE, "").strip(), os.environ.get(FILE_VARIABLE, "")
    source = VARIABLE
    if not text and named:
        text, source = _file_text(Path(named)), FILE_VARIABLE
    if not text:
        return None
    try:
        return Signer(key_bytes(text, _PRIVATE_PREFIX))
    except ValueError as error:
        hint = "`buildperm cache keygen FILE` makes one."
        raise BuildpermError(f"what {source} names {error}", hint=hint) from None


def make_key(path: Path) -> str:
    """Write a new private key to a new file that only its owner can read; return the public key.

    Raises:
        BuildpermError: There is something at `path`, scripts could read it, or it cannot be made.
    """
    for folder in Path(os.path.abspath(path)).parents:
        if (folder / "Cargo.toml").exists():
            raise BuildpermError(
                f"`{folder}` is a package: its build script can read what lies in it",
                hint="Name a file somewhere else, such as `~/.config/buildperm-cache-key`.",
            )
    made = _library().Ed25519PrivateKey.generate()
    text = key_text(made.private_bytes_raw(), _PRIVATE_PREFIX)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)  # Whatever the umask says.
            file.write(text + "\n")
    except OSError as error:
        raise BuildpermError(
            f"cannot write `{path}`: {error.strerror}", hint="Name a file that does not exist yet."
        ) from error
    return key_text(made.public_key().public_bytes_raw())


def check_library() -> None:
    """Make sure that signatures can be looked at.

    Raises:
        BuildpermError: The library is not installed.
    """
    _library()


def _file_text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_FILE_MOST)
    except OSError as error:
        raise BuildpermError(
            f"cannot read what {FILE_VARIABLE} names: {error.strerror}",
            hint="Name the file that `buildperm cache keygen` has written.",
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise BuildpermError(
            f"others can read what {FILE_VARIABLE} names", hint="Run: chmod 600 on this file."
        )
    return raw.decode("ascii", "replace").strip()


def _library() -> Any:  # noqa: ANN401 - a module, which may not be there
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise BuildpermError("`cryptography` is not installed", hint=INSTALL) from error
    return ed25519
