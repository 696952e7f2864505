"""Reads the files with which an engine is reached: certificates, a private key, a bearer token.

What is secret must be its owner's alone, and all of it has to be what it is said to be: gRPC says
no more of a file that it cannot use than that nobody answers.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field

from buildperm.errors import BuildpermError

_FILE_MOST = 1 << 20  # Bytes.
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1: b64token.
_OF_OTHERS = stat.S_IRWXO | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class RemoteCredentials:
    """The contents of these files; None and empty where there is none."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)


def read(
    *, ca: str = "", certificate: str = "", key: str = "", token: str = ""
) -> RemoteCredentials:
    """Read files by their paths; empty for none.

    Raises:
        BuildpermError: One cannot be read, is not what it should be, or is open to others.
    """
    found = RemoteCredentials(
        ca=_content(ca),
        certificate=_content(certificate),
        key=_content(key, is_secret=True),
        token=_token(token),
    )
    _check_ca(ca, found.ca)
    _check_pair(certificate, key)
    return found


def _content(path: str, *, is_secret: bool = False) -> bytes | None:
    if not path:
        return None
    try:
        # A pipe would be waited for, and could be read but once.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            about = os.fstat(file.fileno())
            content = file.read(_FILE_MOST + 1) if stat.S_ISREG(about.st_mode) else b""
    except OSError as error:
        raise BuildpermError(
            f"`{path}` cannot be read: {error.strerror}", hint="Name another file."
        ) from error
    if not stat.S_ISREG(about.st_mode) or len(content) > _FILE_MOST:
        raise BuildpermError(f"`{path}` is no file of at most 1 MiB", hint="Name another file.")
    if is_secret and about.st_mode & _OF_OTHERS:
        raise BuildpermError(
            f"`{path}` is a secret, and others may read or change it",
            hint="Take that from them: chmod 600.",
        )
    if is_secret and about.st_uid not in (0, os.geteuid()):
        raise BuildpermError(f"`{path}` belongs to somebody else", hint="Name a file of your own.")
    return content


def _token(path: str) -> str:
    content = _content(path, is_secret=True)
    if content is None:
        return ""
    token = content.strip()
    if not _TOKEN.fullmatch(token):
        raise BuildpermError(
            f"`{path}` holds no bearer token", hint="Write the token into it, and nothing else."
        )
    return token.decode("ascii")


def _check_ca(path: str, content: bytes | None) -> None:
    if content is None:
        return
    import ssl  # Some Pythons have none, and few builds need it.

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=content.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise BuildpermError(
            f"`{path}` holds no certificates", hint="Name a file with certificates in PEM."
        ) from error


def _check_pair(certificate: str, key: str) -> None:
    if not certificate:
        return
    import ssl

    try:
        # Without `password` OpenSSL would ask at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            certificate, key, password=lambda: ""
        )
    except (ssl.SSLError, ValueError) as error:
        raise BuildpermError(
            f"`{key}` is not the private key of `{certificate}`, or needs a password",
            hint="Name both in PEM, the key without a password.",
        ) from error
    except OSError as error:
        raise BuildpermError(
            f"`{certificate}` or `{key}` cannot be read: {error.strerror}",
            hint="Name other files.",
        ) from error
