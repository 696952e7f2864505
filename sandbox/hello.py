"""Reads the first message of a TLS client, to know whom it wants to talk to.

RFC 8446, 4.1.2 and 5.1; RFC 6066, 3. What is not exactly in the form given there is refused: a
server that reads it another way than this must not be led elsewhere.

Part of the supervisor, once a script is given the network: built-in modules only.
"""

from __future__ import annotations

HANDSHAKE = 0x16
HELLO_MOST = 32_768
"""Bytes of the message; those of today have up to 2,000."""

_RECORD_MOST = 16_384
_RECORDS_MOST = 256
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0


class HelloError(ValueError):
    """It is no greeting that could be understood in one way only; the text is a clause."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise HelloError("its TLS greeting is cut short")
        self._at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def server_name(data: bytes) -> str | None:
    """Return the host that a client names, in lower case; empty if none. None: more is needed.

    Raises:
        HelloError: It is not a greeting, or one that could be read in several ways.
    """
    message = b""
    at = records = 0
    while True:
        if len(message) >= 4:
            size = int.from_bytes(message[1:4], "big")
            if message[0] != _CLIENT_HELLO:
                raise HelloError("it begins TLS with something else than a greeting")
            if size > HELLO_MOST:
                raise HelloError("its TLS greeting is too long")
            if len(message) > 4 + size:
                raise HelloError("something follows its TLS greeting in the same record")
            if len(message) == 4 + size:
                return _name_in(message[4:])
        header = data[at : at + 5]
        if header[:1] not in (b"", bytes((HANDSHAKE,))) or header[1:2] not in (b"", b"\3"):
            raise HelloError("it does not speak TLS")
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:5], "big")
        records += 1
        if not 0 < length <= _RECORD_MOST or records > _RECORDS_MOST:
            raise HelloError("its TLS records are of no allowed size")
        piece = data[at + 5 : at + 5 + length]
        message += piece
        if len(piece) < length:
            # The size may be known to be too much already.
            if len(message) >= 4 and int.from_bytes(message[1:4], "big") > HELLO_MOST:
                raise HelloError("its TLS greeting is too long")
            return None
        at += 5 + length


def _name_in(hello: bytes) -> str:
    reader = _Reader(hello)
    reader.take(2 + 32)  # Version and random.
    if len(reader.vector(1)) > 32:
        raise HelloError("its TLS greeting has a session of no allowed size")
    suites = reader.vector(2)
    if len(suites) < 2 or len(suites) % 2 or not reader.vector(1):
        raise HelloError("its TLS greeting has no ciphers")
    if not reader.left:
        return ""
    extensions = _Reader(reader.vector(2))
    if reader.left:
        raise HelloError("its TLS greeting is longer than it says")
    found: dict[int, bytes] = {}
    while extensions.left:
        kind = extensions.number(2)
        if kind in found:
            raise HelloError("its TLS greeting says something twice")
        found[kind] = extensions.vector(2)
    if _SERVER_NAME not in found:
        return ""
    listed = _Reader(found[_SERVER_NAME])
    names = _Reader(listed.vector(2))
    if names.number(1) != _HOST_NAME:
        raise HelloError("its TLS greeting names something else than a host")
    name = names.vector(2)
    if listed.left or names.left:
        raise HelloError("its TLS greeting names more than one host")
    if not name.isascii() or not name or b"\0" in name:
        raise HelloError("its TLS greeting names no host")
    return name.decode("ascii").lower()
