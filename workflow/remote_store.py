"""Reaches a store that several machines share: a folder, or S3, GCS and HTTP through `obstore`.

Nothing that comes from there is trusted: not what it is, how long it is, or that it comes at all.
Redirects are not followed. No message names the address: a library's own might hold credentials.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import threading
import time
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from buildperm.errors import BuildpermError
from buildperm.policy.cache_store import is_local
from buildperm.workflow.entry_signature import INSTALL

TIMEOUT_S = 15.0
"""For one request, from connecting to the last byte."""

_CAUSES = (
    # Where a library looks for credentials in the end: services of Amazon's and Google's machines.
    (
        r"performing [A-Z]+ https?://(?:169\.254\.169\.254|metadata\.google\.internal)/",
        "there are no credentials for it",
    ),
    (r"kind: Timeout", "no answer in time"),
    (r"kind: Connect", "nothing answers there"),
    (r"status: ([1-5]\d\d)\b", "it answers {0}"),
)

_FAILURES_MOST = 3  # After so many requests without an answer there are no others.


class UnreachableError(Exception):
    """The store does not do what was asked; the text says how, as a clause."""


class RemoteStore(Protocol):
    """What is asked of a store, whatever holds it."""

    def get(self, path: str, most: int) -> bytes | None:
        """Return what is at a path; None if nothing is.

        Raises:
            ValueError: It is longer than `most` bytes.
            UnreachableError: It cannot be had.
        """

    def put(self, path: str, content: bytes) -> None:
        """Write to a path.

        Raises:
            UnreachableError: That is not possible.
        """


def opened(address: str) -> RemoteStore:
    """Return the store behind an address that `policy.cache_store.check_address` has passed.

    Raises:
        BuildpermError: It cannot be used, or `obstore` is not installed and needed.
    """
    parts = urlsplit(address)
    return LocalFolder(parts.path) if parts.scheme == "file" else ObjectStore(address)


class LocalFolder:
    """A store in a folder where others may write: whatever lies there does not hold this up."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder)

    def get(self, path: str, most: int) -> bytes | None:
        """See `RemoteStore`."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(f"{self._folder}/{path}", flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ValueError("no file")
                content = file.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreachableError(f"the store cannot be read: {error.strerror}") from error
        if len(content) > most:
            raise ValueError("longer than it may be")
        return content

    def put(self, path: str, content: bytes) -> None:
        """See `RemoteStore`."""
        whole = f"{self._folder}/{path}"
        folder = os.path.dirname(whole)
        try:
            if os.path.realpath(folder) != folder:
                raise UnreachableError("the store has a link in it")
            os.makedirs(folder, exist_ok=True)
            handle, new = tempfile.mkstemp(dir=folder)
            try:
                with open(handle, "wb") as file:
                    file.write(content)
                os.chmod(new, 0o644)  # Others read it; nothing secret is in it.
                os.replace(new, whole)
            except BaseException:
                os.unlink(new)  # A full disk is not filled further.
                raise
        except OSError as error:
            raise UnreachableError(f"the store cannot be written to: {error.strerror}") from error


class ObjectStore:
    """A store behind a URL; several threads may use it."""

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S, most_s: float = 600.0) -> None:
        """Prepare.

        Args:
            address: As `policy.cache_store.check_address` wants it.
            timeout_s: For one request.
            most_s: For all; what comes later is not asked for.

        Raises:
            BuildpermError: `obstore` is not installed, or cannot use the address.
        """
        self._until_s = time.monotonic() + most_s
        self._failures = 0
        self._lock = threading.Lock()
        try:
            import obstore.exceptions
            from obstore.store import from_url
        except ImportError as error:
            raise BuildpermError("`obstore` is not installed", hint=INSTALL) from error
        self._library: Any = obstore
        parts = urlsplit(address)
        timeout = timedelta(seconds=timeout_s)
        try:
            self._store: Any = from_url(
                address,
                client_options={
                    "timeout": timeout,
                    "connect_timeout": timeout,
                    "allow_http": parts.scheme == "http" or _has_own_endpoint(parts.scheme),
                },
                retry_config={"max_retries": 1, "retry_timeout": timeout},
            )
        except Exception as error:  # The library has a class for each store.
            raise BuildpermError(
                "the store that `cache` in Cargo.toml names cannot be used",
                hint="Look at `store`, and at the variables with its credentials.",
            ) from error.with_traceback(None)

    def get(self, path: str, most: int) -> bytes | None:
        """See `RemoteStore`."""
        self._check_use()
        content = bytearray()
        try:
            found = self._library.get(self._store, path)
            for chunk in found.stream(min_chunk_size=1 << 16):
                content += chunk
                if len(content) > most:
                    break
                self._check_use()
        except FileNotFoundError:
            return None
        except UnreachableError:
            raise
        except Exception as error:
            raise self._failed("cannot be read", error) from error
        self._failures = 0
        if len(content) > most:
            raise ValueError("longer than it may be")
        return bytes(content)

    def put(self, path: str, content: bytes) -> None:
        """See `RemoteStore`."""
        self._check_use()
        try:
            self._library.put(self._store, path, content, use_multipart=False)
        except Exception as error:
            raise self._failed("cannot be written to", error) from error

    def _check_use(self) -> None:
        if self._failures >= _FAILURES_MOST:
            raise UnreachableError("the store has failed too often")
        if time.monotonic() > self._until_s:
            raise UnreachableError("the store takes too long")

    def _failed(self, how: str, error: Exception) -> UnreachableError:
        refusals = self._library.exceptions
        if isinstance(error, refusals.PermissionDeniedError | refusals.UnauthenticatedError):
            return UnreachableError(f"the store {how}: it refuses that")
        with self._lock:
            self._failures += 1
        return UnreachableError(f"the store {how}{_cause(str(error))}")


def _cause(said: str) -> str:
    """Say why a request has failed, by what the library says: that may hold addresses and names."""
    for pattern, told in _CAUSES:
        if found := re.search(pattern, said):
            return f": {told.format(*found.groups())}"
    return ""


def _has_own_endpoint(scheme: str) -> bool:
    """Tell whether a bucket is on this machine, as AWS_ENDPOINT_URL says."""
    named = os.environ.get("AWS_ENDPOINT_URL", "")
    return scheme == "s3" and named.startswith("http://") and is_local(urlsplit(named).hostname)
