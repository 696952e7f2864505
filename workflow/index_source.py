"""Where an index of permissions is read from: a folder, or an https address with a SHA-256.

Nothing is used whose content is not what the list says, and the list of an address has to have the
SHA-256 that was given.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import quote

from buildperm.errors import BuildpermError
from buildperm.policy.entry_list import (
    ENTRY_MOST,
    FILE,
    LIST_MOST,
    EntryList,
    entry_path,
    parse_list,
)
from buildperm.policy.permission_entry import PermissionEntry, parse_entry

_PINNED = re.compile(r"(?P<place>.*)#sha256=(?P<hash>[0-9a-f]{64})", re.DOTALL)
_TIMEOUT_S = 30

Read = Callable[[str, int], bytes]
"""Returns a file of an index by its path in it, of at most so many bytes."""


@dataclass(frozen=True, slots=True)
class PermissionIndex:
    """An index that can be asked."""

    place: str  # As it was given, without the SHA-256.
    digest: str  # SHA-256 of its list.
    entries: EntryList
    _read: Read = field(repr=False)

    def find(self, name: str, version: str, checksum: str) -> PermissionEntry | None:
        """Return the entry of a package with this content; None where there is none.

        Raises:
            BuildpermError: Its file is not what the list says, or cannot be read.
        """
        try:
            path = entry_path(name, version)
        except ValueError:
            return None
        digest = self.entries.hashes.get(path)
        if digest is None:
            return None
        raw = self._read(path, ENTRY_MOST)
        if hashlib.sha256(raw).hexdigest() != digest:
            raise BuildpermError(
                f"`{path}` of the index does not have the SHA-256 that its list says; it is not "
                "used",
                hint="Get the index anew, or leave --index out.",
            )
        entry = parse_entry(raw)
        if (entry.name.lower(), entry.version) != (name.lower(), version):
            raise BuildpermError(f"`{path}` of the index is the entry of another package")
        # Another content is another package, whatever it is called.
        return entry if entry.checksum == checksum else None


def open_index(text: str) -> PermissionIndex:
    """Open an index: `PATH`, `PATH#sha256=…` or `https://…#sha256=…`.

    Raises:
        BuildpermError: It is none, cannot be read, or is not the one that is meant.
    """
    match = _PINNED.fullmatch(text)
    place, digest = (match["place"], match["hash"]) if match else (text, "")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", place)
    if scheme is None:
        read = _of_folder(Path(place))
    elif scheme[1].lower() != "https":
        raise BuildpermError(f"an index is a folder or an https address, not `{scheme[1]}://`")
    elif not digest:
        raise BuildpermError(
            "the address of an index needs the SHA-256 of its list: `https://…#sha256=…`",
            hint="`buildperm index` prints it.",
        )
    else:
        read = _of_address(place)
    raw = read(FILE, LIST_MOST)
    found = parse_list(raw, digest)
    return PermissionIndex(place, hashlib.sha256(raw).hexdigest(), found, read)


def read_regular(path: Path, most: int) -> bytes:
    """Read a plain file of at most `most` bytes.

    Raises:
        BuildpermError: It is none, larger, or cannot be read.
    """
    try:
        # A pipe in its place would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BuildpermError(f"`{path}` is no plain file")
            return _bounded(file, most, str(path))
    except OSError as error:
        raise BuildpermError(
            f"cannot read `{path}`: {error.strerror}", hint="`buildperm index` makes an index."
        ) from error


def _of_folder(folder: Path) -> Read:
    return lambda path, most: read_regular(folder / path, most)


def _of_address(address: str) -> Read:
    opener = urllib.request.OpenerDirector()  # It knows https and nothing else to be led to.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    base = address.rstrip("/")

    def read(path: str, most: int) -> bytes:
        where = f"{base}/{quote(path)}"
        try:
            with opener.open(where, timeout=_TIMEOUT_S) as answer:
                return _bounded(answer, most, where)
        except (OSError, HTTPException, ValueError) as error:
            raise BuildpermError(f"cannot get `{where}`: {error}") from error

    return read


def _bounded(file: IO[bytes], most: int, name: str) -> bytes:
    raw = file.read(most + 1)
    if len(raw) > most:
        raise BuildpermError(f"`{name}` has more than {most:,} bytes; it is not used")
    return raw
