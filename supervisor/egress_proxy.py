"""The egress proxy: an HTTP proxy in the supervisor that leads to granted hosts and nowhere else.

It listens on the loopback interface while a script runs, and serves only the sockets that
`brokered_connect` has connected to it. For each connection it checks the name against the grants,
looks the name up by itself, and connects to exactly the address that it has checked
(`egress_dialer`). No data of the client passes before it is known to be meant for this host: by the
server name in TLS, or by the `Host` of the one request (`egress_gate`).

Part of the supervisor, imported once a script connects: standard library only.
"""

from __future__ import annotations

import _socket
import _thread
import os
import select
import time
from errno import EHOSTUNREACH, ETIMEDOUT

from buildperm.rules import address
from buildperm.supervisor.egress_gate import EgressRefusedError, RequestGate, TunnelGate
from buildperm.supervisor.egress_relay import CHUNK, FIRST_DATA_S, EgressRelay
from buildperm.supervisor.http_request import END, HEAD_MOST, HeadError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.supervisor.egress_dialer import EgressDialer, Socket
    from buildperm.supervisor.egress_gate import EgressGate
    from buildperm.supervisor.http_request import HttpRequest
    from buildperm.tracer.recorder.process_tree import Process


CONNECTIONS_MOST = 128
"""At once; the next ones wait."""

VISITS_MOST = 10_000
"""Different visits that are told apart; the others are only counted."""

_BACKLOG = 1024
_SHUT_WR, _SHUT_RDWR = 1, 2
_REMARKS_MOST = 20
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Visit:
    """All connections of one chain of programs to one host, with one outcome."""

    __slots__ = ("at_ns", "count", "errno", "process", "received", "refused", "sent", "target")

    def __init__(self, process: Process, target: str, *, errno: int, refused: bool) -> None:
        self.process = process
        self.target = target  # `example.org:443`
        self.errno = errno
        self.refused = refused
        self.at_ns = time.monotonic_ns()
        self.count = 0
        self.sent = 0  # Bytes.
        self.received = 0


class EgressProxy:
    """The proxy of one run; `close` returns who went where."""

    def __init__(self, listener: Socket, dialer: EgressDialer) -> None:
        """Take a socket that is bound to the loopback interface, and what connects to hosts."""
        self.port: int = listener.getsockname()[1]
        self.remarks: list[str] = []  # What a person should know that no event tells.
        self._listener = listener
        self._dialer = dialer
        self._lock = _thread.allocate_lock()
        self._expected: dict[int, Process] = {}
        self._visits: dict[tuple[int, str, int, bool], Visit] = {}
        self._open: set[Socket] = set()
        self._running = 0
        self._is_closing = False

    def start(self) -> None:
        """Let clients in."""
        self._listener.listen(_BACKLOG)
        _thread.start_new_thread(self._accept, ())

    def expect(self, port: int, process: Process) -> None:
        """Announce that a socket bound to `port` is about to connect for `process`."""
        with self._lock:
            self._expected[port] = process

    def forget(self, port: int) -> None:
        """Withdraw what was announced."""
        with self._lock:
            self._expected.pop(port, None)

    def close(self) -> list[Visit]:
        """End all connections; return the visits."""
        with self._lock:
            self._is_closing = True
            for each in self._open:
                _shut(each)
            visits = list(self._visits.values())
        _shut(self._listener)  # accept(2) fails now.
        return visits

    def _accept(self) -> None:
        while not self._is_closing:
            try:
                # What `socket.socket.accept` is made of.
                descriptor, peer = self._listener._accept()  # type: ignore[attr-defined]
            except OSError:
                time.sleep(0.05)  # Closed by now, or ECONNABORTED, EMFILE: accept(2)
                continue
            client = _socket.socket(fileno=descriptor)
            # Nobody else on this machine who has found the port is served.
            with self._lock:
                process = self._expected.pop(peer[1], None)
            if process is None:
                client.close()
                continue
            while self._running >= CONNECTIONS_MOST and not self._is_closing:
                time.sleep(0.01)
            self._enter(client)
            try:
                _thread.start_new_thread(self._serve, (client, process))
            except RuntimeError:  # No more threads.
                self._leave(client)
                client.close()

    def _enter(self, client: Socket) -> None:
        with self._lock:
            self._running += 1
            self._open.add(client)
            if self._is_closing:
                _shut(client)

    def _leave(self, client: Socket) -> None:
        with self._lock:
            self._running -= 1
            self._open.discard(client)

    def _serve(self, client: Socket, process: Process) -> None:
        """Serve one connection to its end: a thread."""
        try:
            client.setblocking(False)
            self._answer(client, process)
        except OSError:
            pass  # The client is gone, or the script has ended.
        finally:
            self._leave(client)
            client.close()

    def _answer(self, client: Socket, process: Process) -> None:
        """Read the request, connect to the host, and relay what may pass."""
        target = ""
        try:
            head, rest = _head(client)
            request = parse(head)
            target = address.joined(request.host, request.port)
            server = self._dialer.reach(request, target)
            self._keep(server)
        except HeadError as error:
            self._remark(str(error), "")
            _reply(client, b"400 Bad Request", str(error))
            return
        except EgressRefusedError as error:
            meant = error.target or target
            self._visit(process, meant, refused=True)
            if meant != target or self._dialer.is_granted(target):
                self._remark(str(error), target)
            _reply(client, b"403 Forbidden", f"{target}: {error}")
            return
        except OSError as error:
            if not target:
                raise
            self._visit(process, target, errno=error.errno or EHOSTUNREACH)
            _reply(client, b"502 Bad Gateway", f"{target}: {error.strerror or error}")
            return
        visit = self._visit(process, target)
        try:
            self._relay(client, server, request, rest, visit)
        except EgressRefusedError as error:
            if error.target and error.target != target:
                self._visit(process, error.target, refused=True)
            self._remark(str(error), target)
        finally:
            with self._lock:
                self._open.discard(server)
            server.close()

    def _keep(self, server: Socket) -> None:
        """Register a connection to a host, which `close` will end."""
        with self._lock:
            self._open.add(server)
            if self._is_closing:
                _shut(server)

    def _relay(
        self, client: Socket, server: Socket, request: HttpRequest, rest: bytes, visit: Visit
    ) -> None:
        """Carry data both ways until the connection ends.

        Raises:
            EgressRefusedError: The client sends what is not meant for this host.
        """

        def on_sent(size: int) -> None:
            with self._lock:
                visit.sent += size

        def on_received(size: int) -> None:
            with self._lock:
                visit.received += size

        gate: EgressGate = TunnelGate(request) if request.is_tunnel else RequestGate(request)
        relay = EgressRelay(client, server, gate, on_sent, on_received)
        relay.run(request.head, _ESTABLISHED if request.is_tunnel else b"", rest)

    def _visit(
        self, process: Process, target: str, *, errno: int = 0, refused: bool = False
    ) -> Visit:
        """Count a visit and return what its bytes are added to."""
        key = process.chain, target, errno, refused
        with self._lock:
            visit = self._visits.get(key)
            if visit is None:
                visit = Visit(process, target, errno=errno, refused=refused)
                if len(self._visits) < VISITS_MOST:
                    self._visits[key] = visit
            visit.count += 1
        return visit

    def _remark(self, why: str, target: str) -> None:
        what = f"a connection to {target}" if target else "a connection"
        text = f"{what} was refused: {why}"
        with self._lock:
            if text not in self.remarks and len(self.remarks) < _REMARKS_MOST:
                self.remarks.append(text)


def _head(client: Socket) -> tuple[bytes, bytes]:
    """Return a request up to its empty line, and what follows it.

    Raises:
        HeadError: It is too long.
        OSError: The client is gone, or takes too long.
    """
    data = b""
    deadline = time.monotonic() + FIRST_DATA_S
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    while END not in data:
        if len(data) > HEAD_MOST:
            raise HeadError("its request is too long")
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise OSError(ETIMEDOUT, os.strerror(ETIMEDOUT))
        piece = client.recv(CHUNK)
        if not piece:
            raise OSError(EHOSTUNREACH, "the client is gone")
        data += piece
    head, end, rest = data.partition(END)
    return head + end, rest


def _reply(client: Socket, status: bytes, why: str) -> None:
    text = f"buildperm: {why}\n".encode()
    head = b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n" % (
        status,
        len(text),
    )
    client.setblocking(True)
    client.settimeout(5.0)
    client.sendall(head + b"connection: close" + END + text)
    client.shutdown(_SHUT_WR)
    try:  # Unread data would make the kernel reset the connection: tcp(7).
        while client.recv(CHUNK):
            pass
    except OSError:
        pass


def _shut(each: Socket) -> None:
    try:
        each.shutdown(_SHUT_RDWR)
    except OSError:
        pass
