"""Decides which data of a client may go on to a granted host.

A client that is encrypted can still ask the server behind a granted name for another of its sites:
nobody here sees what is inside of TLS.

Part of the supervisor, imported once a script connects: standard library only.
"""

from __future__ import annotations

from buildperm.rules import address
from buildperm.supervisor import tls_hello
from buildperm.supervisor.http_request import Body, HeadError
from buildperm.supervisor.tls_hello import HANDSHAKE, ClientHelloError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from buildperm.supervisor.http_request import HttpRequest

    class EgressGate(Protocol):
        """Decides which data of a client goes on to the server."""

        @property
        def is_open(self) -> bool:
            """Whether it has decided."""
            ...

        @property
        def waits(self) -> bool:
            """Whether the server has to say something first."""
            ...

        def hear(self, data: bytes) -> None:
            """Take note of data from the server."""
            ...

        def feed(self, data: bytes) -> bytes:
            """Return what may go on by now; raises an EgressRefusedError."""
            ...


TLS_PORT = 443


class EgressRefusedError(Exception):
    """A connection that is not made or goes no further; the text is a clause."""

    def __init__(self, why: str, target: str = "") -> None:
        super().__init__(why)
        self.target = target  # The real target of the client; empty where it is the requested one.


class TunnelGate:
    """The gate of a CONNECT: nothing passes before the server name in TLS is known to be right.

    A server may ask for a second client hello, and then goes by the name in that one. So its answer
    to the first is waited for.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.is_open = False
        self.waits = False
        self._request = request
        self._held = b""
        self._heard = b""  # From the server, while it is waited for.
        self._is_second = False

    def feed(self, data: bytes) -> bytes:
        """Return what may go on by now.

        Raises:
            EgressRefusedError: It is meant for another host.
        """
        self._held += data
        if self.is_open:
            return self._let_go(len(self._held))
        if self.waits or not self._held:
            return b""
        try:
            return self._read()
        except ClientHelloError as error:
            raise EgressRefusedError(str(error)) from error

    def _read(self) -> bytes:
        passing = b""
        if self._is_second:
            passing = self._let_go(tls_hello.before_second(self._held))
            if not self._held or tls_hello.is_skipped(self._held):
                return passing
        elif self._held[0] != HANDSHAKE:
            if self._request.port == TLS_PORT:
                raise EgressRefusedError("port 443 is for TLS only")
            self.is_open = True
            return self._let_go(len(self._held))
        name = tls_hello.server_name(self._held)
        if name is None:
            return passing
        self._compare(name)
        if self._is_second:
            self.is_open = True
            return passing + self._let_go(len(self._held))
        self.waits = True
        return self._let_go(tls_hello.end(self._held))

    def hear(self, data: bytes) -> None:
        """Look into the answer to the first client hello."""
        if not self.waits:
            return
        self._heard += data
        asks_again = tls_hello.asks_again(self._heard)
        if asks_again is not None or not data or len(self._heard) > tls_hello.HELLO_MOST:
            self.waits, self._heard = False, b""
            self._is_second = bool(asks_again)
            self.is_open = not self._is_second

    def _let_go(self, size: int) -> bytes:
        passing, self._held = self._held[:size], self._held[size:]
        return passing

    def _compare(self, name: str) -> None:
        request = self._request
        is_literal = address.packed_address(request.host) is not None
        # RFC 6066, 3: addresses are not named; a client that names no host cannot be checked.
        if name != request.host and (name or not is_literal):
            meant = address.joined(name, request.port) if address.is_name(name) else ""
            said = f"`{name}`" if meant else "no host"
            raise EgressRefusedError(f"it asks for {said} in TLS", meant)


class RequestGate:
    """The gate of a plain request: the body passes, and nothing after it."""

    waits = False

    def __init__(self, request: HttpRequest) -> None:
        self._body = Body(request.length)

    @property
    def is_open(self) -> bool:
        """The head has told all that it needs."""
        return True

    def hear(self, data: bytes) -> None:
        """Ignore it: data from the server changes nothing."""

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to the request.

        Raises:
            EgressRefusedError: More data follows the request.
        """
        try:
            return self._body.feed(data)
        except HeadError as error:
            raise EgressRefusedError(str(error)) from error
