r"""Parses an HTTP request to a proxy: RFC 9110, RFC 9112.

The parser is strict: a request that two parsers might read differently is refused, against request
smuggling. Lines end in CR LF, no line is folded, no field is given twice.

Part of the supervisor, once a script is given the network: built-in modules only.
"""

from __future__ import annotations

from buildperm.rules import address

HEAD_MOST = 32_768
END = b"\r\n\r\n"
CHUNKED = -1

_FIELDS_MOST = 200
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TEXT = frozenset(range(256)) - frozenset(range(0x20)) - {0x7F} | {0x09}
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_LENGTH_MOST = 15  # Digits.
_OF_ONE_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization te upgrade http2-settings".split()
)


class HeadError(ValueError):
    """The request is invalid or ambiguous; the text is a clause."""


class HttpRequest:
    """A client's request to a proxy."""

    __slots__ = ("head", "host", "is_tunnel", "length", "port")

    def __init__(self, host: str, port: int, *, is_tunnel: bool, head: bytes, length: int) -> None:
        self.host = host
        self.port = port
        self.is_tunnel = is_tunnel  # CONNECT.
        self.head = head  # For the server; empty for a tunnel.
        self.length = length  # Of the body, or `CHUNKED`.


def parse(head: bytes) -> HttpRequest:
    """Parse a request head, up to its empty line.

    Raises:
        HeadError: It is invalid, or not for a proxy.
    """
    if not head.endswith(END) or head.index(END) != len(head) - len(END) or len(head) > HEAD_MOST:
        raise HeadError("its request has no end")
    first, *lines = head[: -len(END)].split(b"\r\n")
    if not all(map(_TEXT.issuperset, (first, *lines))):
        raise HeadError("its request holds control characters")
    words = first.split(b" ")
    if len(words) != 3 or not words[0] or not _TOKEN.issuperset(words[0]):
        raise HeadError("it does not speak HTTP")
    method, target, version = words
    if version not in _VERSIONS or not target.isascii():
        raise HeadError("it does not speak HTTP/1")
    fields = _fields(lines)
    length = _length(fields)
    if method == b"CONNECT":
        found = address.split(target.decode("ascii"))
        if found is None:
            raise HeadError("it names no host with a port")
        if length:
            raise HeadError("its request for a tunnel has a body")
        return HttpRequest(*found, is_tunnel=True, head=b"", length=0)
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() != b"http":
        raise HeadError("it asks the proxy for something else than `http://`")
    end = min((at for at in map(rest.find, (b"/", b"?", b"#")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if b"#" in path:
        raise HeadError("it asks for a part of a page")
    host, port = _authority(authority)
    named = [value for name, value in fields if name == b"host"]
    if len(named) != 1 or _authority(named[0]) != (host, port):
        raise HeadError("its request names two hosts")
    path = path if path.startswith(b"/") else b"/" + path
    return HttpRequest(
        host, port, is_tunnel=False, head=_for_server(method, path, named[0], fields), length=length
    )


def _authority(text: bytes) -> tuple[str, int]:
    if not text.isascii():
        raise HeadError("it names no host")
    plain = text.decode("ascii")
    has_port = ":" in plain.rpartition("]")[2]
    found = address.split(plain if has_port else f"{plain}:80")
    if found is None:
        raise HeadError("it names no host")
    return found


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return names in lower case, and values."""
    if len(lines) > _FIELDS_MOST:
        raise HeadError("its request has too many fields")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise HeadError("its request has a field that can be read in several ways")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


def _length(fields: list[tuple[bytes, bytes]]) -> int:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise HeadError("its request says twice how long it is")
    if codings:
        if codings[0].lower() != b"chunked":
            raise HeadError("its request is coded in an unknown way")
        return CHUNKED
    if not lengths:
        return 0
    if not lengths[0].isdigit() or len(lengths[0]) > _LENGTH_MOST:
        raise HeadError("its request is of no length")
    return int(lengths[0])


def _for_server(
    method: bytes, path: bytes, host: bytes, fields: list[tuple[bytes, bytes]]
) -> bytes:
    """Return the head for the server: one request, then the connection closes."""
    named = {
        word.strip(b" \t").lower()
        for name, value in fields
        if name == b"connection"
        for word in value.split(b",")
    }
    dropped = (_OF_ONE_HOP | named | {b"host"}) - {b"content-length", b"transfer-encoding"}
    lines = [
        method + b" " + path + b" HTTP/1.1",
        b"host: " + host,
        *(name + b": " + value for name, value in fields if name not in dropped),
        b"connection: close",
    ]
    return b"\r\n".join(lines) + END


class Body:
    """Passes on the body of one request, and nothing after it."""

    def __init__(self, length: int) -> None:
        self._left = max(length, 0)
        self._is_chunked = length == CHUNKED
        self._line = b""  # A line of the framing that has begun.
        self._stage = "size" if self._is_chunked else "plain"

    def feed(self, data: bytes) -> bytes:
        """Return `data`, all of which belongs to the body.

        Raises:
            HeadError: There is more than belongs to it, or its framing is broken.
        """
        if not self._is_chunked:
            if len(data) > self._left:
                raise HeadError("it sends more after its request")
            self._left -= len(data)
            return data
        at = 0
        while at < len(data):
            if self._stage == "done":
                raise HeadError("it sends more after its request")
            if self._stage == "data":
                taken = min(self._left, len(data) - at)
                at += taken
                self._left -= taken
                if not self._left:
                    self._stage = "after"
                continue
            self._line += data[at : at + 1]
            at += 1
            if len(self._line) > 32:
                raise HeadError("its chunks can be read in several ways")
            if self._line.endswith(b"\n"):
                self._read_line()
        return data

    def _read_line(self) -> None:
        """Handle a line of the framing; extensions and trailers are refused."""
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise HeadError("its chunks can be read in several ways")
        text = line[:-2]
        if self._stage == "size":
            if not 0 < len(text) <= 12 or not _HEXADECIMAL.issuperset(text):
                raise HeadError("its chunks can be read in several ways")
            self._left = int(text, 16)
            self._stage = "data" if self._left else "end"
        elif text:
            raise HeadError("its chunks can be read in several ways")
        else:
            self._stage = "done" if self._stage == "end" else "size"
