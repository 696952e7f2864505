"""The egress proxy by itself: what it lets through, and what the host gets of it."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.rules import address
from buildperm.supervisor import http_request, tls_hello
from buildperm.supervisor.egress_dialer import EgressDialer
from buildperm.supervisor.egress_gate import EgressRefusedError, RequestGate, TunnelGate
from buildperm.supervisor.egress_proxy import EgressProxy, Visit
from buildperm.supervisor.http_request import HeadError, parse
from buildperm.supervisor.tls_hello import ClientHelloError
from buildperm.tracer.recorder.process_tree import Process
from tests.supervisor.certificate import NAME, certificate

PUBLIC = "93.184.215.14"


@dataclass
class Hall:
    """An egress proxy, a host behind it on this machine, and what happened."""

    granted: list[str] = field(default_factory=lambda: [f"{NAME}:443", f"{NAME}:80"])
    denied: list[str] = field(default_factory=list)
    leads_to: list[str] = field(default_factory=lambda: [PUBLIC])
    answers: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    greets: bytes = b"\x16\x03\x03\0\x2a\2\0\0\x26\3\3" + bytes(36)  # In TLS.
    dialled: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    heard: bytes = b""  # By the host.
    process: Process = field(default_factory=lambda: Process(1, 1, 0, None))
    proxy: EgressProxy | None = None

    def resolve(self, name: str, port: int) -> list[bytes]:
        self.asked.append(f"{name}:{port}")
        packed = [address.packed_address(each) for each in self.leads_to]
        return [each for each in packed if each]

    def dial(self, packed: bytes, port: int, timeout_s: float) -> socket.socket:
        assert timeout_s > 0
        self.dialled.append(address.joined(address.written(packed), port))
        ours, theirs = socket.socketpair()
        threading.Thread(target=self.host, args=(theirs,), daemon=True).start()
        ours.setblocking(False)
        return ours

    def host(self, guest: socket.socket) -> None:
        with guest:
            answered = False
            while data := guest.recv(1 << 16):
                if not self.heard and data[0] == tls_hello.HANDSHAKE:
                    guest.sendall(self.greets)
                self.heard += data
                if self.answers and not answered and b"\r\n\r\n" in self.heard:
                    answered = True
                    guest.sendall(self.answers)
                    guest.shutdown(socket.SHUT_WR)

    @contextlib.contextmanager
    def opened(self) -> Iterator[EgressProxy]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.proxy = EgressProxy(
                listener, EgressDialer(self.granted, self.denied, self.resolve, self.dial)
            )
            self.proxy.start()
            try:
                yield self.proxy
            finally:
                self.proxy.close()

    def client(self) -> socket.socket:
        assert self.proxy is not None
        client = socket.socket()
        client.settimeout(60)
        client.bind(("127.0.0.1", 0))
        self.proxy.expect(client.getsockname()[1], self.process)
        client.connect(("127.0.0.1", self.proxy.port))
        return client

    def says(self, *pieces: bytes) -> bytes:
        """Send `pieces` to the proxy, and return all of its answer."""
        with self.client() as client:
            first, *others = pieces
            client.sendall(first)
            answer = client.recv(len(OPEN)) if first.startswith(b"CONNECT") else b""
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in others:
                    client.sendall(piece)
            return answer + everything(client)

    def visits(self) -> list[Visit]:
        assert self.proxy is not None
        return self.proxy.close()

    def told(self) -> list[tuple[str, bool]]:
        return sorted((visit.target, visit.refused) for visit in self.visits())


def everything(client: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1 << 16):
            found += data
    return found


@functools.cache
def greeting(name: str, *, alpn: bool = True) -> bytes:
    """Return what a real TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = bool(name)
    if alpn:
        context.set_alpn_protocols(["h2", "http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name or None)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def connect(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


def fetch(url: str, host: str, more: str = "") -> bytes:
    return f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


# Who and where.


def test_a_plain_request_for_a_granted_host_gets_through() -> None:
    hall = Hall()
    with hall.opened():
        answer = hall.says(fetch(f"http://{NAME}/a?b", NAME, "Proxy-Connection: keep-alive\r\n"))

        assert answer == hall.answers
        assert hall.heard.startswith(b"GET /a?b HTTP/1.1\r\nhost: example.test\r\n")
        assert b"proxy-connection" not in hall.heard
        assert b"connection: close\r\n\r\n" in hall.heard
        assert hall.dialled == [f"{PUBLIC}:80"]
        (visit,) = hall.visits()

    assert (visit.target, visit.refused, visit.count) == (f"{NAME}:80", False, 1)
    assert (visit.sent, visit.received) == (len(hall.heard), len(hall.answers))


def test_a_tunnel_for_the_granted_name_gets_through() -> None:
    hall = Hall(answers=b"")
    said = greeting(NAME)
    with hall.opened(), hall.client() as client:
        client.sendall(connect(f"{NAME}:443"))
        assert client.recv(1000) == OPEN
        for at in range(0, len(said), 7):  # In pieces.
            client.sendall(said[at : at + 7])
        client.sendall(b"encrypted")
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == hall.greets
        (visit,) = hall.visits()

    assert hall.heard == said + b"encrypted"
    assert visit.sent == len(said) + 9


@pytest.mark.parametrize(
    "target",
    ["other.test:443", f"{NAME}:8443", f"sub.{NAME}:443", f"{NAME}.evil:443", f"{PUBLIC}:443"],
)
def test_what_is_not_granted_is_refused_before_anybody_is_asked(target: str) -> None:
    hall = Hall()
    with hall.opened():
        answer = hall.says(connect(target))

        assert answer.startswith(b"HTTP/1.1 403 ")
        assert hall.told() == [(target, True)]
    assert hall.asked == []
    assert hall.dialled == []


def test_a_name_is_compared_in_lower_case_and_without_its_dot() -> None:
    hall = Hall()
    with hall.opened():
        assert hall.says(fetch("http://Example.TEST./", "example.test.")) == hall.answers
        assert hall.told() == [(f"{NAME}:80", False)]


def test_a_wildcard_means_what_is_below_and_no_address() -> None:
    hall = Hall(granted=["*.example.test:443", "*.215.14:443"])
    with hall.opened():
        assert hall.says(connect("a.b.example.test:443"), b"x").startswith(OPEN)
        assert hall.says(connect("example.test:443")).startswith(b"HTTP/1.1 403 ")
        assert hall.says(connect(f"{PUBLIC}:443")).startswith(b"HTTP/1.1 403 ")


def test_a_denial_counts_for_more() -> None:
    hall = Hall(denied=["**"])
    with hall.opened():
        assert hall.says(connect(f"{NAME}:443")).startswith(b"HTTP/1.1 403 ")


SPECIAL = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254"),
    *("100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"),
    *("192.0.0.170", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1"),
    *("::1", "::", "fe80::1", "fd00:ec2::254", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::"),
    *("2001::1", "2001:db8::1", "::7f00:1", "100::1", "fec0::1", "100.100.100.200"),
]


@pytest.mark.parametrize("where", SPECIAL)
def test_a_name_that_leads_to_a_special_address_is_refused(where: str) -> None:
    hall = Hall(leads_to=[where])
    with hall.opened() as proxy:
        answer = hall.says(connect(f"{NAME}:443"))

        assert answer.startswith(b"HTTP/1.1 403 ")
        ((target, is_refused),) = hall.told()
    packed = address.packed_address(where)
    assert packed is not None
    assert (target, is_refused) == (address.joined(address.written(packed), 443), True)
    assert hall.dialled == []
    assert any("has to be granted as an address" in remark for remark in proxy.remarks)


@pytest.mark.parametrize("where", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
def test_a_name_that_leads_to_a_public_address_is_served(where: str) -> None:
    hall = Hall(leads_to=[where])
    with hall.opened():
        assert hall.says(connect(f"{NAME}:443"), b"x").startswith(OPEN)
    assert hall.dialled == [address.joined(where, 443)]


def test_the_address_that_was_checked_is_the_one_that_is_dialled() -> None:
    """Rebinding: the name leads elsewhere when it is asked for the second time."""
    hall = Hall()
    answers = [[PUBLIC], ["127.0.0.1"]]

    def resolve(name: str, port: int) -> list[bytes]:
        hall.leads_to = answers.pop(0)
        return Hall.resolve(hall, name, port)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        hall.proxy = EgressProxy(listener, EgressDialer(hall.granted, (), resolve, hall.dial))
        hall.proxy.start()
        assert hall.says(connect(f"{NAME}:443"), b"x").startswith(OPEN)
        assert hall.says(connect(f"{NAME}:443")).startswith(b"HTTP/1.1 403 ")
        hall.proxy.close()
    assert hall.dialled == [f"{PUBLIC}:443"]


def test_of_several_addresses_only_public_ones_are_tried() -> None:
    hall = Hall(leads_to=["127.0.0.1", "::1", PUBLIC])
    with hall.opened():
        assert hall.says(connect(f"{NAME}:443"), b"x").startswith(OPEN)
    assert hall.dialled == [f"{PUBLIC}:443"]


def test_a_private_address_is_reached_by_name_if_both_are_granted() -> None:
    hall = Hall(granted=[f"{NAME}:443", "10.0.0.1:443"], leads_to=["10.0.0.1"])
    with hall.opened():
        assert hall.says(connect(f"{NAME}:443"), b"x").startswith(OPEN)
    assert hall.dialled == ["10.0.0.1:443"]


def test_an_address_of_this_machine_is_refused() -> None:
    """Services trust connections from their own machine, whatever the address."""
    hall = Hall(leads_to=["127.0.0.1"])
    own = address.packed_address("127.0.0.1")
    assert own is not None
    from buildperm.supervisor.egress_dialer import _why_own

    assert _why_own(own) == "this machine itself"
    foreign = address.packed_address(PUBLIC)
    assert foreign is not None
    assert _why_own(foreign) == ""
    assert hall.dialled == []


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001", "1.2.3", "fe80::1%lo"]
)
def test_an_address_in_disguise_is_no_name(host: str) -> None:
    hall = Hall(granted=["**"])
    with hall.opened():
        assert hall.says(connect(f"{host}:443")).startswith(b"HTTP/1.1 400 ")
    assert hall.dialled == []


def test_another_process_of_this_machine_is_not_served() -> None:
    hall = Hall()
    with hall.opened() as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as stranger:
        stranger.settimeout(60)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stranger.sendall(fetch(f"http://{NAME}/", NAME))
        assert everything(stranger) == b""
        assert hall.visits() == []
    assert hall.dialled == []


def test_a_port_counts_once() -> None:
    hall = Hall()
    with hall.opened() as proxy:
        with hall.client() as client:
            port = client.getsockname()[1]
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.socket() as stranger:
            stranger.settimeout(60)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", port))
            stranger.connect(("127.0.0.1", proxy.port))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                stranger.sendall(fetch(f"http://{NAME}/", NAME))
            assert everything(stranger) == b""
    assert hall.dialled == []


# What is said.


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (greeting("other.test"), "asks for `other.test`"),
        (greeting(f"sub.{NAME}"), "asks for"),
        (greeting(""), "asks for no host"),
        (b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n", "port 443 is for TLS only"),
        (b"\x80\x2e\x01\x03\x01", "port 443 is for TLS only"),  # SSL 2
        (b"\x16\x02\x00\x00\x05hello", "does not speak TLS"),
        (b"\x16\x03\x01\x00\x00", "no allowed size"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "something else than a greeting"),
        (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "too long"),
    ],
    ids=["other", "below", "none", "http", "ssl2", "version", "empty", "kind", "long"],
)
def test_what_is_not_meant_for_the_host_does_not_reach_it(first: bytes, why: str) -> None:
    hall = Hall(answers=b"")
    with hall.opened() as proxy:
        assert hall.says(connect(f"{NAME}:443"), first) == OPEN
        told = hall.told()

    assert hall.heard == b""
    assert any(why in remark for remark in proxy.remarks), proxy.remarks
    if "other.test" in why:
        assert ("other.test:443", True) in told


def test_a_greeting_that_never_ends_holds_back_everything() -> None:
    hall = Hall(answers=b"")
    said = greeting(NAME)
    with hall.opened(), hall.client() as client:
        client.sendall(connect(f"{NAME}:443"))
        assert client.recv(1000) == OPEN
        client.sendall(said[:-1])
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""
    assert hall.heard == b""


def test_on_another_port_something_else_than_tls_passes() -> None:
    hall = Hall(granted=[f"{NAME}:22"], answers=b"")
    with hall.opened(), hall.client() as client:
        client.sendall(connect(f"{NAME}:22") + b"SSH-2.0-x\r\n")
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == OPEN
    assert hall.heard == b"SSH-2.0-x\r\n"


def test_tls_on_another_port_is_checked_too() -> None:
    hall = Hall(granted=[f"{NAME}:8443"], answers=b"")
    with hall.opened():
        assert hall.says(connect(f"{NAME}:8443"), greeting("other.test")) == OPEN
    assert hall.heard == b""


GET = f"GET http://{NAME}/ HTTP/1.1\r\n"
HOST = f"Host: {NAME}\r\n"


@pytest.mark.parametrize(
    "said",
    [
        f"{GET}Host: other.test\r\n\r\n",
        f"{GET}\r\n",
        f"{GET}{HOST}{HOST}\r\n",
        f"{GET}{HOST}Host: other.test\r\n\r\n",
        f"{GET}Host: {NAME}:81\r\n\r\n",
        f"{GET}{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        f"{GET}{HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        f"{GET}{HOST}Transfer-Encoding: chunked, identity\r\n\r\n",
        f"{GET}{HOST}Transfer-Encoding: xchunked\r\n\r\n",
        f"{GET}{HOST}Content-Length: +1\r\n\r\n",
        f"{GET}{HOST}Content-Length: 1, 1\r\n\r\n",
        f"{GET}{HOST}X : y\r\n\r\n",
        f"{GET}{HOST} folded: y\r\n\r\n",
        f"{GET}{HOST}X: a\rb\r\n\r\n",
        f"{GET}{HOST}X: a\n\r\n\r\n",
        f"{GET}{HOST}X: a\0b\r\n\r\n",
        f"GET http://{NAME}/ HTTP/1.1\nHost: {NAME}\n\n\r\n\r\n",
        f"GET  http://{NAME}/ HTTP/1.1\r\n{HOST}\r\n",
        f"GET http://{NAME}/ HTTP/2\r\n{HOST}\r\n",
        f"GET / HTTP/1.1\r\n{HOST}\r\n",
        f"GET https://{NAME}/ HTTP/1.1\r\n{HOST}\r\n",
        f"GET ftp://{NAME}/ HTTP/1.1\r\n{HOST}\r\n",
        f"GET http://user@{NAME}/ HTTP/1.1\r\n{HOST}\r\n",
        f"GET http://other.test\\@{NAME}/ HTTP/1.1\r\n{HOST}\r\n",
        f"GET http://{NAME}#@other.test/ HTTP/1.1\r\n{HOST}\r\n",
        f"CONNECT {NAME}:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        f"CONNECT {NAME} HTTP/1.1\r\n\r\n",
        f"CONNECT {NAME}:0 HTTP/1.1\r\n\r\n",
        f"CONNECT {NAME}:65536 HTTP/1.1\r\n\r\n",
        f"{GET}{HOST}X: {'y' * 40_000}\r\n\r\n",
        f"{GET}{HOST}" + "X: y\r\n" * 300 + "\r\n",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(said: str) -> None:
    hall = Hall()
    with hall.opened():
        assert hall.says(said.encode("latin-1")).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))
    assert hall.heard == b""
    assert hall.dialled == []


SECOND = fetch("http://other.test/secret", "other.test")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("", b""),
        ("Content-Length: 3\r\n", b"abc"),
        ("Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
    ],
)
def test_one_request_is_all_that_a_host_gets(head: str, body: bytes) -> None:
    request = f"POST http://{NAME}/ HTTP/1.1\r\n{HOST}{head}\r\n".encode() + body
    hall = Hall()
    with hall.opened():
        assert hall.says(request) == hall.answers
        assert hall.heard.endswith(body)
        first = hall.heard

    for pieces in ([request, SECOND], [request + SECOND]):
        hall = Hall(answers=b"")
        with hall.opened():
            hall.says(*pieces)
        assert SECOND not in hall.heard
        assert hall.heard in (first, b"")


@pytest.mark.parametrize(
    "body",
    [
        b"3;x=y\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"-1\r\n",
        b"3\r\nabcd\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_can_be_read_in_two_ways_go_no_further(body: bytes) -> None:
    with pytest.raises(HeadError):
        http_request.Body(http_request.CHUNKED).feed(body)


def test_visits_are_added_up_by_who_where_and_how() -> None:
    hall = Hall()
    with hall.opened():
        for _ in range(3):
            hall.says(fetch(f"http://{NAME}/", NAME))
            hall.says(connect("other.test:443"))
        visits = {visit.target: visit for visit in hall.visits()}

    assert visits[f"{NAME}:80"].count == visits["other.test:443"].count == 3
    assert visits[f"{NAME}:80"].received == 3 * len(hall.answers)
    assert visits["other.test:443"].sent == 0


def test_a_host_that_cannot_be_reached_is_no_refusal() -> None:
    hall = Hall()
    with hall.opened(), pytest.MonkeyPatch.context() as patch:
        assert hall.proxy is not None

        def dial(packed: bytes, port: int, timeout_s: float) -> socket.socket:
            raise ConnectionRefusedError(111, "Connection refused")

        patch.setattr(hall.proxy._dialer, "_dial", dial)
        assert hall.says(connect(f"{NAME}:443")).startswith(b"HTTP/1.1 502 ")
        (visit,) = hall.visits()
    assert (visit.errno, visit.refused) == (111, False)


def test_a_megabyte_each_way_arrives_as_it_was() -> None:
    hall = Hall(answers=b"")
    content = bytes(range(256)) * 4096

    def echo(guest: socket.socket) -> None:
        with guest:
            while data := guest.recv(1 << 16):
                guest.sendall(data)

    def send(client: socket.socket) -> None:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)

    hall.host = echo  # type: ignore[method-assign]
    hall.granted = [f"{NAME}:9000"]
    with hall.opened(), hall.client() as client:
        client.sendall(connect(f"{NAME}:9000"))
        assert client.recv(len(OPEN)) == OPEN
        threading.Thread(target=send, args=(client,), daemon=True).start()
        assert everything(client) == content
        (visit,) = hall.visits()
    assert (visit.sent, visit.received) == (len(content), len(content))


# The parsers.


@given(st.binary(max_size=400))
def test_whatever_comes_as_a_greeting_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ClientHelloError):
        tls_hello.server_name(b"\x16\x03\x01" + data)


@given(st.integers(0, 600), st.integers(0, 255))
def test_a_greeting_with_one_other_byte_never_names_a_host_that_it_does_not_hold(
    at: int, byte: int
) -> None:
    data = bytearray(greeting(NAME, alpn=False))
    data[at % len(data)] = byte
    try:
        name = tls_hello.server_name(bytes(data))
    except ClientHelloError:
        return
    assert not name or name.encode() in bytes(data).lower()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_a_greeting_in_any_number_of_records_is_read_the_same(sizes: list[int]) -> None:
    whole = greeting(NAME, alpn=False)[5:]
    data, at = b"", 0
    while at < len(whole):
        size = sizes.pop(0) if sizes else len(whole)
        piece = whole[at : at + size]
        data += b"\x16\x03\x01" + struct.pack("!H", len(piece)) + piece
        at += size

    assert tls_hello.server_name(data) == NAME
    assert all(tls_hello.server_name(data[:cut]) is None for cut in range(0, len(data) - 1, 13))


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack("!HH", kind, len(content)) + content


def names(*entries: tuple[int, bytes]) -> bytes:
    listed = b"".join(struct.pack("!BH", kind, len(name)) + name for kind, name in entries)
    return struct.pack("!H", len(listed)) + listed


def hello_with(*extensions: bytes, after: bytes = b"") -> bytes:
    joined = b"".join(extensions)
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0"
    body += struct.pack("!H", len(joined)) + joined + after
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message


def test_a_greeting_made_by_hand_is_read() -> None:
    assert tls_hello.server_name(hello_with(extension(0, names((0, b"A.test"))))) == "a.test"
    assert tls_hello.server_name(hello_with()) == ""
    # Encrypted greetings: the name outside is the one that counts.
    outer = hello_with(extension(0xFE0D, b"x" * 50), extension(0, names((0, b"a.test"))))
    assert tls_hello.server_name(outer) == "a.test"


@pytest.mark.parametrize(
    "data",
    [
        hello_with(extension(0, names((0, b"a.test"))), extension(0, names((0, b"b.test")))),
        hello_with(extension(0, names((0, b"a.test"), (0, b"b.test")))),
        hello_with(extension(0, names((1, b"a.test")))),
        hello_with(extension(0, names((0, b"a.test")) + b"x")),
        hello_with(extension(0, names((0, b"")))),
        hello_with(extension(0, names((0, b"a\0.test")))),
        hello_with(extension(0, names((0, "ä.test".encode())))),
        hello_with(extension(0, b"")),
        hello_with(extension(0, names((0, b"a.test"))), after=b"x"),
        hello_with(b"\0\0\0"),
    ],
)
def test_a_greeting_that_can_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(ClientHelloError):
        tls_hello.server_name(data)


def test_a_second_message_in_the_record_of_a_greeting_is_refused() -> None:
    data = bytearray(hello_with(extension(0, names((0, b"a.test")))))
    data += b"\1\0\0\0"
    data[3:5] = struct.pack("!H", len(data) - 5)
    with pytest.raises(ClientHelloError):
        tls_hello.server_name(bytes(data))


tokens = st.text("abcdefgXYZ-_", min_size=1, max_size=8)


@given(st.binary(max_size=300))
def test_whatever_comes_as_a_request_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(HeadError):
        parse(data + b"\r\n\r\n")


@given(st.lists(st.tuples(tokens, st.text("abc \t,;=", max_size=10)), max_size=5), tokens)
def test_what_a_host_gets_is_one_request_for_it(fields: list[tuple[str, str]], path: str) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    try:
        request = parse(f"GET http://{NAME}/{path} HTTP/1.1\r\n{HOST}{lines}\r\n".encode())
    except HeadError:
        return
    first, *rest = request.head.split(b"\r\n")

    assert first == f"GET /{path} HTTP/1.1".encode()
    assert [line for line in rest if line.lower().startswith(b"host:")] == [
        b"host: " + NAME.encode()
    ]
    assert request.head.count(b"\r\n\r\n") == 1
    assert request.head.endswith(b"\r\nconnection: close\r\n\r\n")


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.integers(1, 9))
def test_chunks_arrive_as_they_were_however_they_are_cut(pieces: list[bytes], size: int) -> None:
    data = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    body = http_request.Body(http_request.CHUNKED)

    passed = b"".join(body.feed(data[at : at + size]) for at in range(0, len(data), size))

    assert passed == data
    with pytest.raises(HeadError):
        body.feed(b"G")


@given(st.text(max_size=40), st.integers(-5, 70_000))
def test_a_target_is_written_in_one_way_only(host: str, port: int) -> None:
    found = address.split(f"{host}:{port}")
    if found is not None:
        assert address.split(address.joined(*found)) == found


def test_gates_are_what_decides() -> None:
    tunnel = TunnelGate(parse(connect(f"{NAME}:443")))
    assert tunnel.feed(greeting(NAME)[:50]) == b""
    assert not tunnel.is_open
    single = RequestGate(parse(fetch(f"http://{NAME}/", NAME)))
    with pytest.raises(EgressRefusedError):
        single.feed(b"x")


# A server that asks for a second greeting: RFC 8446, 4.1.4.

CHANGE = b"\x14\x03\x03\0\1\1"
EARLY = b"\x17\x03\x03\0\5early"


def asking(folder: Path) -> tuple[bytes, bytes, bytes, list[str]]:
    """Return both greetings of a real client, the server's answer, and whom the server took."""
    taken: list[str] = []
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(certificate(folder), folder / "key.pem")
    there.set_ecdh_curve("secp384r1")
    there.sni_callback = lambda _socket, name, _context: taken.append(name)
    here = ssl.create_default_context()
    ours, theirs = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    client = here.wrap_bio(*ours, server_hostname=NAME)
    server = there.wrap_bio(*theirs, server_side=True)

    def goes_on(side: ssl.SSLObject) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()

    goes_on(client)
    first = ours[1].read()
    theirs[0].write(first)
    goes_on(server)
    answer = theirs[1].read()
    ours[0].write(answer)
    goes_on(client)
    second = ours[1].read()
    theirs[0].write(second.replace(NAME.encode(), b"elsewhere.te"))
    goes_on(server)
    return first, answer, second, taken


def led(
    first: bytes, answer: bytes, second: bytes, *, size: int = 1 << 16
) -> tuple[bytes, TunnelGate]:
    """Return what goes through a tunnel that is fed in pieces of some size."""
    tunnel = TunnelGate(parse(connect(f"{NAME}:443")))
    passed = b""
    for at in range(0, len(first), size):
        passed += tunnel.feed(first[at : at + size])
    for at in range(0, len(answer), size):
        tunnel.hear(answer[at : at + size])
        passed += tunnel.feed(b"")
    for at in range(0, len(second), size):
        passed += tunnel.feed(second[at : at + size])
    return passed, tunnel


def test_a_server_goes_by_the_name_in_the_second_greeting(tmp_path: Path) -> None:
    assert asking(tmp_path)[3] == [NAME, "elsewhere.te"]


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("before", [b"", CHANGE, EARLY + CHANGE + EARLY])
def test_the_name_in_the_second_greeting_is_compared_too(
    tmp_path: Path, before: bytes, size: int
) -> None:
    first, answer, second, _ = asking(tmp_path)
    second = before + second.removeprefix(CHANGE)
    other = second.replace(NAME.encode(), b"elsewhere.te")

    passed, tunnel = led(first, answer, second + b"more", size=size)
    assert passed == first + second + b"more"
    assert tunnel.is_open
    with pytest.raises(EgressRefusedError, match=r"it asks for `elsewhere\.te` in TLS"):
        led(first, answer, other, size=size)
    with pytest.raises(EgressRefusedError, match="elsewhere"):  # Said before it was asked for.
        led(first + other, answer, b"", size=size)


def test_no_piece_of_another_record_is_taken_for_the_second_greeting(tmp_path: Path) -> None:
    first, answer, second, _ = asking(tmp_path)
    inside = second.removeprefix(CHANGE)
    other = inside.replace(NAME.encode(), b"elsewhere.te")
    wrapped = b"\x17\x03\x03" + struct.pack("!H", 100 + len(inside)) + bytes(100)

    for size in (1, 105, 1 << 16):
        with pytest.raises(EgressRefusedError, match="elsewhere"):
            led(first, answer, wrapped + inside + other, size=size)
    with pytest.raises(EgressRefusedError, match="no allowed size"):
        led(first, answer, b"\x17\x03\x03\xff\xff")
    with pytest.raises(EgressRefusedError, match="does not speak TLS"):
        led(first, answer, b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x03\0\x2a\2\0\0\x26\3\3" + bytes(36),
        b"\x15\x03\x03\0\2\2\x28",  # An alert.
        b"\x16\x03\x03\0\4\x0e\0\0\0",
        b"\x16\x03\x03\0\0\x16",
        b"220 hello\r\n",
    ],
)
def test_after_any_other_answer_everything_passes(answer: bytes) -> None:
    first = greeting(NAME)
    assert led(first + b"held", answer, b"later")[0] == first + b"heldlater"
    if answer[0] == tls_hello.HANDSHAKE:
        assert led(first + b"held", answer[:4], b"later")[0] == first  # Nothing yet.


@given(st.binary(max_size=200))
def test_whatever_a_server_answers_is_read(data: bytes) -> None:
    assert tls_hello.asks_again(data) in (None, False)
    assert tls_hello.asks_again(b"\x16\x03\x03\0\x2a\2\0\0\x26" + data) in (None, False)


# With real clients.


@pytest.mark.parametrize("again", [False, True])
def test_a_tls_session_goes_through_unchanged(tmp_path: Path, again: bool) -> None:
    made = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, tmp_path / "key.pem")
    if again:  # No client offers a key for this curve before it is asked.
        context.set_ecdh_curve("secp384r1")
    hall = Hall()

    def host(guest: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(guest, server_side=True) as secured:
            secured.sendall(secured.recv(100).upper())

    hall.host = host  # type: ignore[method-assign]
    client_context = ssl.create_default_context(cafile=str(made))
    with hall.opened(), hall.client() as client:
        client.sendall(connect(f"{NAME}:443"))
        assert client.recv(len(OPEN)) == OPEN
        with client_context.wrap_socket(client, server_hostname=NAME) as secured:
            secured.sendall(b"hello")
            assert secured.recv(100) == b"HELLO"
