"""The one way out: an HTTP proxy in the supervisor that leads to granted hosts and nowhere else.

It listens on the loopback interface while a script runs, and serves nobody but sockets that
`brokered_connect` has connected to it. For each connection it checks the name against the grants,
looks it up by itself, connects to exactly the address that was checked, and lets the client say
nothing before that is known to be meant for this host: by the name in TLS, or by the `Host` of the
one request.

A client that is encrypted can still ask the server behind a granted name for another of its sites:
what is inside of TLS nobody sees here.

Part of the supervisor, imported once a script uses it: standard library only.
"""

from __future__ import annotations

import _socket
import _thread
import os
import select
import time
from errno import EHOSTUNREACH, EINPROGRESS, ETIMEDOUT

from buildperm.rules import address
from buildperm.supervisor import tls_hello
from buildperm.supervisor.http_request import END, HEAD_MOST, Body, HeadError, HttpRequest, parse
from buildperm.supervisor.tls_hello import HANDSHAKE, HelloError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol, TypeAlias

    from buildperm.tracer.recorder.process_tree import Process

    Socket: TypeAlias = _socket.socket
    Resolve: TypeAlias = Callable[[str, int], list[bytes]]
    """Returns the addresses that a name leads to, each as its bytes; an OSError if to none."""
    Dial: TypeAlias = Callable[[bytes, int, float], Socket]
    """Connects to an address and a port within some seconds, without blocking afterwards."""

    class EgressGate(Protocol):
        """Decides what of a client's data goes on to the server."""

        @property
        def is_open(self) -> bool:
            """Whether it has made up its mind."""
            ...

        @property
        def waits(self) -> bool:
            """Whether the server has to say something first."""
            ...

        def hear(self, data: bytes) -> None:
            """Take notice of what the server says."""
            ...

        def feed(self, data: bytes) -> bytes:
            """Return what may go on by now; raises a RefusedError."""
            ...


CONNECTIONS_MOST = 128
"""At once; the next ones wait."""

VISITS_MOST = 10_000
"""Different visits that are told apart; the others are counted only."""

_BACKLOG = 1024
_CHUNK = 1 << 16
_FIRST_WORDS_S = 30.0  # For the request, and for the greeting in TLS.
_DIAL_S = 20.0
_IDLE_S = 600.0
_TRIED_MOST = 6  # Addresses of one name.
_TLS_PORT = 443
_SHUT_WR, _SHUT_RDWR = 1, 2
_REMARKS_MOST = 20


class EgressRefusedError(Exception):
    """A connection that is not made or goes no further; the text is a clause."""

    def __init__(self, why: str, target: str = "") -> None:
        super().__init__(why)
        self.target = target  # What it was really meant for; empty for what was asked for.


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
    """The proxy of one run; `close` says who went where."""

    def __init__(
        self,
        listener: Socket,
        granted: Iterable[str],
        denied: Iterable[str] = (),
        resolve: Resolve | None = None,
        dial: Dial | None = None,
    ) -> None:
        """Take a bound socket.

        Args:
            listener: On the loopback interface.
            granted: Patterns of hosts with ports.
            denied: Patterns that count for more.
            resolve: How names are looked up; by default as the system does it.
            dial: How connections are made.
        """
        self.port: int = listener.getsockname()[1]
        self.remarks: list[str] = []  # What a person should know that no event tells.
        self._listener = listener
        self._granted = tuple(granted)
        self._denied = tuple(denied)
        self._resolve = resolve or look_up
        self._dial = dial or connect
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
        """Say that a socket bound to `port` is about to connect for `process`."""
        with self._lock:
            self._expected[port] = process

    def forget(self, port: int) -> None:
        """Say that it did not come to that."""
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
            # Whoever else on this machine has found the port is not served.
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
        """Read the request, go to the host, and pass on what may pass."""
        target = ""
        try:
            head, rest = _head(client)
            request = parse(head)
            target = address.joined(request.host, request.port)
            server = self._reach(request, target, process)
        except HeadError as error:
            self._remark(str(error), "")
            _reply(client, b"400 Bad Request", str(error))
            return
        except EgressRefusedError as error:
            meant = error.target or target
            self._visit(process, meant, refused=True)
            if meant != target or address.is_granted(target, self._granted, self._denied):
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
            self._pass_on(client, server, request, rest, visit)
        except EgressRefusedError as error:
            if error.target and error.target != target:
                self._visit(process, error.target, refused=True)
            self._remark(str(error), target)
        finally:
            with self._lock:
                self._open.discard(server)
            server.close()

    def _reach(self, request: HttpRequest, target: str, process: Process) -> Socket:
        """Connect to the host of a request.

        Raises:
            RefusedError: It may not be reached.
            OSError: It cannot be reached.
        """
        if not address.is_granted(target, self._granted, self._denied):
            raise EgressRefusedError("it is not granted")
        if request.port == _TLS_PORT and not request.is_tunnel:
            raise EgressRefusedError("port 443 is for TLS only")
        literal = address.packed_address(request.host)
        found = [literal] if literal else self._resolve(request.host, request.port)
        refused: EgressRefusedError | None = None
        failure = OSError(EHOSTUNREACH, os.strerror(EHOSTUNREACH))
        for packed in list(dict.fromkeys(map(address.unmapped, found)))[:_TRIED_MOST]:
            try:
                self._check(packed, request, is_literal=literal is not None)
                server = self._dial(packed, request.port, _DIAL_S)
            except EgressRefusedError as error:
                refused = refused or error
                continue
            except OSError as error:
                failure = error
                continue
            with self._lock:
                self._open.add(server)
                if self._is_closing:
                    _shut(server)
            return server
        if refused is not None:
            raise refused
        raise failure

    def _check(self, packed: bytes, request: HttpRequest, *, is_literal: bool) -> None:
        """Refuse an address that a name should not lead to.

        Raises:
            RefusedError: With the address as its target.
        """
        where = address.joined(address.written(packed), request.port)
        if address.is_denied(where, self._denied):
            raise EgressRefusedError(f"it leads to {where}, which is denied", where)
        if is_literal or address.is_granted(where, self._granted):
            return
        why = address.why_special(packed) or _why_own(packed)
        if why:
            raise EgressRefusedError(
                f"it leads to {where}, which is {why} and has to be granted as an address", where
            )

    def _pass_on(
        self, client: Socket, server: Socket, request: HttpRequest, rest: bytes, visit: Visit
    ) -> None:
        """Carry data both ways until both have ended, or nobody has said anything for long.

        Raises:
            RefusedError: The client says what is not meant for this host.
        """
        gate: EgressGate
        to_server, to_client = bytearray(), bytearray()
        if request.is_tunnel:
            gate = Tunnel(request)
            to_client += b"HTTP/1.1 200 Connection established\r\n\r\n"
        else:
            gate = Single(request)
            to_server += request.head
        preamble = len(to_client)  # Our own words are not the host's.
        if rest:
            to_server += gate.feed(rest)
        hears_client = hears_server = True
        is_shut = False
        deadline = time.monotonic() + _FIRST_WORDS_S
        while hears_server or to_client:
            if not (hears_client or to_server or is_shut):
                is_shut = True
                server.shutdown(_SHUT_WR)
            poll = select.poll()
            wants_more = hears_client and not to_server and not gate.waits
            for_client = (select.POLLIN if wants_more else 0) | (select.POLLOUT if to_client else 0)
            for_server = (select.POLLIN if hears_server and not to_client else 0) | (
                select.POLLOUT if to_server else 0
            )
            if for_client:
                poll.register(client.fileno(), for_client)
            if for_server:
                poll.register(server.fileno(), for_server)
            left = (deadline - time.monotonic()) if not gate.is_open else _IDLE_S
            ready = dict(poll.poll(max(0.0, left) * 1000))
            if not ready:
                return
            at_client, at_server = ready.get(client.fileno(), 0), ready.get(server.fileno(), 0)
            if at_client & ~select.POLLOUT and wants_more:
                data = client.recv(_CHUNK)
                hears_client = bool(data)
                if data:
                    to_server += gate.feed(data)
                elif not gate.is_open:
                    return
            if at_server & ~select.POLLOUT and hears_server and not to_client:
                data = server.recv(_CHUNK)
                hears_server = bool(data)
                to_client += data
                gate.hear(data)
                to_server += gate.feed(b"")  # What was waiting for that.
                with self._lock:
                    visit.received += len(data)
            if to_server and at_server:
                gone = server.send(to_server)
                del to_server[:gone]
                with self._lock:
                    visit.sent += gone
            if to_client and at_client & ~select.POLLIN:
                gone = client.send(to_client)
                del to_client[:gone]
                preamble = max(0, preamble - gone)
        client.shutdown(_SHUT_WR)

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
        text = (
            f"a connection to {target} was refused: {why}"
            if target
            else (f"a connection was refused: {why}")
        )
        with self._lock:
            if text not in self.remarks and len(self.remarks) < _REMARKS_MOST:
                self.remarks.append(text)


class Tunnel:
    """The gate of a CONNECT: nothing passes before a name in TLS is known to be the right one.

    A server may ask for a second greeting and then goes by the name in that, so that what it
    answers to the first is waited for.
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
            RefusedError: It is meant for another host.
        """
        self._held += data
        if self.is_open:
            return self._let_go(len(self._held))
        if self.waits or not self._held:
            return b""
        try:
            return self._read()
        except HelloError as error:
            raise EgressRefusedError(str(error)) from error

    def _read(self) -> bytes:
        passing = b""
        if self._is_second:
            passing = self._let_go(tls_hello.before_second(self._held))
            if not self._held or tls_hello.is_skipped(self._held):
                return passing
        elif self._held[0] != HANDSHAKE:
            if self._request.port == _TLS_PORT:
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
        """Look into the answer to the first greeting."""
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
        # RFC 6066, 3: addresses are not named; whoever names none at all cannot be checked.
        if name != request.host and (name or not is_literal):
            meant = address.joined(name, request.port) if address.is_name(name) else ""
            said = f"`{name}`" if meant else "no host"
            raise EgressRefusedError(f"it asks for {said} in TLS", meant)


class Single:
    """The gate of a plain request: its body passes, and nothing after it."""

    waits = False

    def __init__(self, request: HttpRequest) -> None:
        self._body = Body(request.length)

    @property
    def is_open(self) -> bool:
        """It knows what it wants to know from the head."""
        return True

    def hear(self, data: bytes) -> None:
        """Take no notice: what a server says changes nothing."""

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to the request.

        Raises:
            RefusedError: There is more.
        """
        try:
            return self._body.feed(data)
        except HeadError as error:
            raise EgressRefusedError(str(error)) from error


def look_up(name: str, port: int) -> list[bytes]:
    """Look up a name as the system does it.

    Raises:
        OSError: It leads nowhere.
    """
    try:
        # As bytes: a text would be put through a codec that takes longer than the rest.
        found = _socket.getaddrinfo(name.encode(), port, 0, _socket.SOCK_STREAM)
    except _socket.gaierror as error:
        raise OSError(EHOSTUNREACH, f"the name leads nowhere: {error.strerror}") from error
    packed = (address.packed_address(str(each[4][0]).partition("%")[0]) for each in found)
    return [each for each in packed if each]


def connect(packed: bytes, port: int, timeout_s: float) -> Socket:
    """Connect to an address.

    Raises:
        OSError: It cannot be reached within `timeout_s` seconds.
    """
    family = _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6
    server = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    server.setblocking(False)
    code = server.connect_ex((address.written(packed), port))
    if code == EINPROGRESS:
        poll = select.poll()
        poll.register(server.fileno(), select.POLLOUT)
        if poll.poll(timeout_s * 1000):
            code = server.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        else:
            code = ETIMEDOUT
    if code:
        server.close()
        raise OSError(code, os.strerror(code))
    return server


def _why_own(packed: bytes) -> str:
    """Say that an address is one of this machine's, where services trust who calls; bind(2)."""
    family = _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6
    try:
        probe = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    except OSError:
        return ""
    try:
        probe.bind((address.written(packed), 0))
    except OSError:
        return ""
    finally:
        probe.close()
    return "this machine itself"


def _head(client: Socket) -> tuple[bytes, bytes]:
    """Read a request up to its empty line, and what came with it.

    Raises:
        HeadError: It is too long.
        OSError: The client is gone, or takes too long.
    """
    data = b""
    deadline = time.monotonic() + _FIRST_WORDS_S
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    while END not in data:
        if len(data) > HEAD_MOST:
            raise HeadError("its request is too long")
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise OSError(ETIMEDOUT, os.strerror(ETIMEDOUT))
        piece = client.recv(_CHUNK)
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
    try:  # What is still to be read would have the kernel reset the connection: tcp(7).
        while client.recv(_CHUNK):
            pass
    except OSError:
        pass


def _shut(each: Socket) -> None:
    try:
        each.shutdown(_SHUT_RDWR)
    except OSError:
        pass
