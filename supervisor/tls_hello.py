"""Reads the client hello of TLS, to find the server name in it.

There are two if the server asks for another: RFC 8446, 4.1.2, 4.1.4 and 5.1; RFC 6066, 3. Anything
that is not exactly of that form is refused: a server that reads it differently must not be led to
another host.

Part of the supervisor, once a script is given the network: built-in modules only.
"""

from __future__ import annotations

HANDSHAKE = 0x16
HELLO_MOST = 32_768
"""Bytes of the message; real ones have up to 2,000."""

_RECORD_MOST = 16_384
_RECORDS_MOST = 256
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_CHANGE_CIPHER_SPEC, _APPLICATION_DATA = 0x14, 0x17
# The random of a HelloRetryRequest: RFC 8446, 4.1.3.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_SERVER_NAME = 0
_HOST_NAME = 0


class ClientHelloError(ValueError):
    """The client hello is invalid or ambiguous; the text is a clause."""


class _TlsReader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise ClientHelloError("its TLS greeting is cut short")
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
        ClientHelloError: It is no client hello, or an ambiguous one.
    """
    found = _message(data)
    return None if found is None else _name_in(found[0][4:])


def end(data: bytes) -> int:
    """Return where the records of the client hello end that `server_name` has read."""
    found = _message(data)
    return len(data) if found is None else found[1]


def before_second(data: bytes) -> int:
    """Return how many bytes of `data` are whole records that may precede a second client hello.

    The server skips them: early data, and a change of ciphers for middleboxes (RFC 8446, 4.2.10
    and D.4).
    """
    at = 0
    while is_skipped(data[at:]):
        header = data[at : at + 5]
        after = at + 5 + int.from_bytes(header[3:5], "big")
        if len(header) < 5 or after > len(data):
            break
        at = after
    return at


def is_skipped(data: bytes) -> bool:
    """Tell whether `data` begins with a record that `before_second` skips.

    Raises:
        ClientHelloError: It is longer than any.
    """
    if data[:1] not in (bytes((_CHANGE_CIPHER_SPEC,)), bytes((_APPLICATION_DATA,))):
        return False
    if int.from_bytes(data[3:5], "big") > _RECORD_MOST + 256:  # RFC 8446, 5.2
        raise ClientHelloError("its TLS records are of no allowed size")
    return True


def asks_again(data: bytes) -> bool | None:
    """Tell whether a server asks for another client hello. None: more is needed.

    The server was granted, so it is trusted not to deceive.
    """
    message = b""
    at = 0
    while True:
        if message[:1] not in (b"", bytes((_SERVER_HELLO,))):
            return False
        if len(message) >= 38:
            return message[6:38] == _RETRY  # After type, length and version.
        header = data[at : at + 5]
        if header[:1] not in (b"", bytes((HANDSHAKE,))):
            return False
        if len(header) < 5:
            return None
        piece = data[at + 5 : at + 5 + int.from_bytes(header[3:5], "big")]
        if not piece and len(data) > at + 5:
            return False
        message += piece
        at += 5 + int.from_bytes(header[3:5], "big")


def _message(data: bytes) -> tuple[bytes, int] | None:
    """Return the client hello at the beginning of `data`, and where its records end.

    Raises:
        ClientHelloError: It is no client hello.
    """
    message = b""
    at = records = 0
    while True:
        if len(message) >= 4:
            size = int.from_bytes(message[1:4], "big")
            if message[0] != _CLIENT_HELLO:
                raise ClientHelloError("it begins TLS with something else than a greeting")
            if size > HELLO_MOST:
                raise ClientHelloError("its TLS greeting is too long")
            if len(message) > 4 + size:
                raise ClientHelloError("something follows its TLS greeting in the same record")
            if len(message) == 4 + size:
                return message, at
        header = data[at : at + 5]
        if header[:1] not in (b"", bytes((HANDSHAKE,))) or header[1:2] not in (b"", b"\3"):
            raise ClientHelloError("it does not speak TLS")
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:5], "big")
        records += 1
        if not 0 < length <= _RECORD_MOST or records > _RECORDS_MOST:
            raise ClientHelloError("its TLS records are of no allowed size")
        piece = data[at + 5 : at + 5 + length]
        message += piece
        if len(piece) < length:
            # The size may already be known to be too much.
            if len(message) >= 4 and int.from_bytes(message[1:4], "big") > HELLO_MOST:
                raise ClientHelloError("its TLS greeting is too long")
            return None
        at += 5 + length


def _name_in(hello: bytes) -> str:
    reader = _TlsReader(hello)
    reader.take(2 + 32)  # Version and random.
    if len(reader.vector(1)) > 32:
        raise ClientHelloError("its TLS greeting has a session of no allowed size")
    suites = reader.vector(2)
    if len(suites) < 2 or len(suites) % 2 or not reader.vector(1):
        raise ClientHelloError("its TLS greeting has no ciphers")
    if not reader.left:
        return ""
    extensions = _TlsReader(reader.vector(2))
    if reader.left:
        raise ClientHelloError("its TLS greeting is longer than it says")
    found: dict[int, bytes] = {}
    while extensions.left:
        kind = extensions.number(2)
        if kind in found:
            raise ClientHelloError("its TLS greeting says something twice")
        found[kind] = extensions.vector(2)
    if _SERVER_NAME not in found:
        return ""
    listed = _TlsReader(found[_SERVER_NAME])
    names = _TlsReader(listed.vector(2))
    if names.number(1) != _HOST_NAME:
        raise ClientHelloError("its TLS greeting names something else than a host")
    name = names.vector(2)
    if listed.left or names.left:
        raise ClientHelloError("its TLS greeting names more than one host")
    if not name.isascii() or not name or b"\0" in name:
        raise ClientHelloError("its TLS greeting names no host")
    return name.decode("ascii").lower()
