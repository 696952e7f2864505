"""Carries the data of one connection between a client and a granted host.

Part of the supervisor, imported once a script connects: standard library only.
"""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from buildperm.supervisor.egress_gate import EgressGate

CHUNK = 1 << 16
FIRST_DATA_S = 30.0
"""For the request, and for the client hello in TLS."""

_IDLE_S = 600.0
_SHUT_WR = 1


class EgressRelay:
    """One connection, until both sides have ended or nobody has sent anything for long."""

    def __init__(
        self,
        client: _socket.socket,
        server: _socket.socket,
        gate: EgressGate,
        on_sent: Callable[[int], None],
        on_received: Callable[[int], None],
    ) -> None:
        """Take two sockets that do not block.

        Args:
            client: What the script has connected.
            server: The host.
            gate: Decides about what the client sends.
            on_sent: Called with the number of bytes that went to the host.
            on_received: Called with the number of bytes that came from it.
        """
        self._client = client
        self._server = server
        self._gate = gate
        self._on_sent = on_sent
        self._on_received = on_received
        self._to_server, self._to_client = bytearray(), bytearray()
        self._hears_client = self._hears_server = True
        self._is_shut = False  # The host knows that the client sends no more.
        self._deadline = time.monotonic() + FIRST_DATA_S

    def run(self, to_server: bytes, to_client: bytes, from_client: bytes) -> None:
        """Carry data both ways.

        Args:
            to_server: What goes to the host first.
            to_client: What goes to the client first.
            from_client: What the client has sent already.

        Raises:
            EgressRefusedError: The client sends what is not meant for this host.
        """
        self._to_server += to_server
        self._to_client += to_client
        if from_client:
            self._to_server += self._gate.feed(from_client)
        while self._hears_server or self._to_client:
            if not self._step():
                return
        self._client.shutdown(_SHUT_WR)

    def _step(self) -> bool:
        """Wait until something can be read or written, and do it; False where all is over."""
        if not (self._hears_client or self._to_server or self._is_shut):
            self._is_shut = True
            self._server.shutdown(_SHUT_WR)
        reads_client = self._hears_client and not self._to_server and not self._gate.waits
        reads_server = self._hears_server and not self._to_client
        at_client, at_server = self._wait(reads_client=reads_client, reads_server=reads_server)
        if not (at_client or at_server):
            return False
        if at_client & ~select.POLLOUT and reads_client and not self._read_client():
            return False
        if at_server & ~select.POLLOUT and reads_server:
            self._read_server()
        if self._to_server and at_server:
            sent = self._server.send(self._to_server)
            del self._to_server[:sent]
            self._on_sent(sent)
        if self._to_client and at_client & ~select.POLLIN:
            del self._to_client[: self._client.send(self._to_client)]
        return True

    def _wait(self, *, reads_client: bool, reads_server: bool) -> tuple[int, int]:
        """Return what the client and the server are ready for; 0 and 0 after too long."""
        for_client = (select.POLLIN if reads_client else 0) | (
            select.POLLOUT if self._to_client else 0
        )
        for_server = (select.POLLIN if reads_server else 0) | (
            select.POLLOUT if self._to_server else 0
        )
        poll = select.poll()
        if for_client:
            poll.register(self._client.fileno(), for_client)
        if for_server:
            poll.register(self._server.fileno(), for_server)
        left = _IDLE_S if self._gate.is_open else self._deadline - time.monotonic()
        ready = dict(poll.poll(max(0.0, left) * 1000))
        return ready.get(self._client.fileno(), 0), ready.get(self._server.fileno(), 0)

    def _read_client(self) -> bool:
        """Take what the client sends; False where it ends before the gate has decided."""
        data = self._client.recv(CHUNK)
        self._hears_client = bool(data)
        if data:
            self._to_server += self._gate.feed(data)
        return bool(data) or self._gate.is_open

    def _read_server(self) -> None:
        data = self._server.recv(CHUNK)
        self._hears_server = bool(data)
        self._to_client += data
        self._gate.hear(data)
        self._to_server += self._gate.feed(b"")  # What the gate has held back for that.
        self._on_received(len(data))
