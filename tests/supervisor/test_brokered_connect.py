"""Connections made in the place of a real build script under the real supervisor."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench import compile_c, wait_until
from tests.programs import CHILDREN, program_text
from tests.supervisor.counting_server import CountingServer
from tests.supervisor.refused_calls import refuse_pidfd_getfd

if TYPE_CHECKING:
    from tests.bench import Bench, Ended

PRELUDE = program_text("connections.py")


@pytest.fixture
def guests() -> Iterator[CountingServer]:
    with CountingServer() as found:
        yield found


def attempt(
    bench: Bench, guests: CountingServer, body: str, *more: str, profile: str = "enforcing"
) -> Ended:
    """Run `body` with a grant for the server and for `more`."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        (bench.package / "ports").write_text(f"{guests.port} {closed.getsockname()[1]}")
    bench.grants = {"net": [f"127.0.0.1:{guests.port}", *more], "exec": ["curl"]}
    placed = bench.script(PRELUDE + body)
    return bench.run(placed, "learning" if profile == "learning" else "enforcing")


ASK = 's.sendall(b"x\\n"); tell(s.makefile("rb").read().split()[-1].decode())'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f"s = socket.socket(); s.connect(here); {ASK}", "ok"),
        (f"s = socket.socket(); s.settimeout(60); s.connect(here); {ASK}", "ok"),
        (
            "s = socket.socket(); s.setblocking(False); code = s.connect_ex(here)\n"
            "assert code in (0, errno.EINPROGRESS), code\n"
            "select.select([], [s], [], 60); assert not s.getsockopt(1, 4)\n"
            f"s.setblocking(True); {ASK}",
            "ok",
        ),
        (
            f's = socket.socket(socket.AF_INET6)\ns.connect(("::ffff:127.0.0.1", port)); {ASK}',
            "ok",
        ),
        ("s = socket.socket(); s.connect(here); tell(os.get_blocking(s.fileno()))", "True"),
        (
            "s = socket.socket(); s.setblocking(False); s.connect_ex(here)\n"
            "tell(os.get_blocking(s.fileno()))",
            "False",
        ),
        ("s = socket.socket(); s.connect(here); tell(s.connect_ex(here))", str(errno.EISCONN)),
        ("s = socket.socket(); s.connect(here); tell(s.getpeername() == here)", "True"),
    ],
)
@pytest.mark.quick(4)
def test_a_granted_address_is_connected_to_as_ever(
    bench: Bench, guests: CountingServer, body: str, told: str
) -> None:
    ended = attempt(bench, guests, body)

    assert (ended.status, ended.stdout.decode().split()) == (0, [told]), ended
    connected = [each for each in ended.of("socket") if each["use"] == "connected"]
    assert {each["address"].rpartition(":")[2] for each in connected} == {str(guests.port)}
    assert not any(each.get("refused") for each in connected[:1])


def test_ipv6_is_connected_to(bench: Bench) -> None:
    with CountingServer(socket.AF_INET6, "::1") as guests:
        (bench.package / "port").write_text("")
        body = f's = socket.socket(socket.AF_INET6); s.connect(("::1", port)); {ASK}'
        ended = attempt(bench, guests, body, f"[::1]:{guests.port}")

    assert ended.stdout == b"ok\n", ended


def test_a_granted_address_where_nobody_listens_refuses_the_connection(
    bench: Bench, guests: CountingServer
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        body = f'tell(socket.socket().connect_ex(("127.0.0.1", {port})))'
        ended = attempt(bench, guests, body, f"127.0.0.1:{port}")

    assert ended.stdout.decode().split() == [str(errno.ECONNREFUSED)]
    assert not any(each.get("refused") for each in ended.of("socket"))


# By what it tries; each has to fail although a grant for an address is in force.
REFUSED = {
    "another port": 's = socket.socket(); s.connect(("127.0.0.1", closed))',
    "another address": 's = socket.socket(); s.connect(("127.0.0.2", port))',
    "every address": 's = socket.socket(); s.connect(("0.0.0.0", port))',
    "udp": "s = socket.socket(type=socket.SOCK_DGRAM)",
    "udp to the granted": 's = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b"x", here)',
    "tcp fast open": 's = socket.socket(); s.sendto(b"x", 0x20000000, here)',
    "tcp fast open by message": 's = socket.socket(); s.sendmsg([b"x"], [], 0x20000000, here)',
    "tcp fast open later": "s = socket.socket(); s.setsockopt(6, 30, 1)",
    "a route of its own": (
        's = socket.socket(); s.setsockopt(0, 4, b"\\x83\\x07\\x04" + bytes((8, 8, 8, 8, 0)))'
    ),
    "an ipv6 route": "s = socket.socket(socket.AF_INET6); s.setsockopt(41, 57, bytes(24))",
    "mptcp": "socket.socket(proto=262)",
    "a unix socket": 's = socket.socket(socket.AF_UNIX); s.connect("/nowhere/socket")',
    "an abstract socket": 's = socket.socket(socket.AF_UNIX); s.connect("\\0abstract")',
    "listening": 's = socket.socket(); s.bind(("127.0.0.1", 0))',
    "listening unbound": "s = socket.socket(); s.listen()",
    "disconnecting": (
        "libc = ctypes.CDLL(None, use_errno=True); s = socket.socket(); s.connect(here)\n"
        'if libc.connect(s.fileno(), struct.pack("=H14x", 0), 16):\n'
        "    raise OSError(ctypes.get_errno(), 'no')"
    ),
    "a unix socket to the granted": (
        "libc = ctypes.CDLL(None, use_errno=True); s = socket.socket(socket.AF_UNIX)\n"
        'at = struct.pack("=H", 2) + struct.pack("!H", port) + bytes((127, 0, 0, 1)) + bytes(8)\n'
        "if libc.connect(s.fileno(), at, 16):\n"
        "    raise OSError(ctypes.get_errno(), 'no')"
    ),
    "a file to the granted": (
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        'at = struct.pack("=H", 2) + struct.pack("!H", port) + bytes((127, 0, 0, 1)) + bytes(8)\n'
        'if libc.connect(os.open("/dev/null", 0), at, 16):\n'
        "    raise OSError(ctypes.get_errno(), 'no')"
    ),
    "nothing to the granted": (
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        'at = struct.pack("=H", 2) + struct.pack("!H", port) + bytes((127, 0, 0, 1)) + bytes(8)\n'
        "if libc.connect(77, at, 16):\n"
        "    raise OSError(ctypes.get_errno(), 'no')"
    ),
    "an address out of nowhere": (
        "libc = ctypes.CDLL(None, use_errno=True); s = socket.socket()\n"
        "if libc.connect(s.fileno(), ctypes.c_void_p(16), 16):\n"
        "    raise OSError(ctypes.get_errno(), 'no')"
    ),
    "half an address": (
        "libc = ctypes.CDLL(None, use_errno=True); s = socket.socket()\n"
        'if libc.connect(s.fileno(), struct.pack("=H", 2) + struct.pack("!H", port), 4):\n'
        "    raise OSError(ctypes.get_errno(), 'no')"
    ),
    "the proxy from outside of its address": (
        'door = int(os.environ["http_proxy"].rpartition(":")[2])\n'
        's = socket.socket(); s.connect(("127.0.0.2", door))'
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.quick(4)
def test_a_grant_opens_nothing_else(own_bench: Bench, guests: CountingServer, name: str) -> None:
    body = "".join(f"    {line}\n" for line in REFUSED[name].splitlines())
    whole = (
        f"try:\n{body}except OSError as error: tell('refused', error.errno)\nelse: tell('done')\n"
    )
    ended = attempt(own_bench, guests, whole)

    assert ended.status == 0
    assert ended.stdout.startswith(b"refused"), ended


def test_the_table_is_refused_to_another_user_too(bench: Bench, guests: CountingServer) -> None:
    text = ""
    for name, attempted in REFUSED.items():
        body = "".join(f"        {line}\n" for line in attempted.splitlines())
        text += f"if os.fork() == 0:\n    try:\n{body}        tell({name!r})\n"
        text += "    except OSError: pass\n    os._exit(0)\nos.wait()\n"
    ended = attempt(bench, guests, text)

    assert (ended.status, ended.stdout) == (0, b""), ended


def test_without_a_grant_there_is_no_door(bench: Bench, guests: CountingServer) -> None:
    (bench.package / "ports").write_text(f"{guests.port} 1")
    placed = bench.script(
        PRELUDE + "tell([name for name in os.environ if 'proxy' in name.lower()])\n"
        "tell(socket.socket().connect_ex(here))"
    )
    ended = bench.run(placed)

    assert ended.stdout.decode().split() == ["[]", str(errno.EACCES)]
    assert ended.refused("socket") == [f"127.0.0.1:{guests.port}"]
    assert guests.count == 0


def test_a_script_finds_the_door_by_its_environment(bench: Bench, guests: CountingServer) -> None:
    body = program_text("fetches.py")
    ended = attempt(bench, guests, body)

    assert ended.stdout.decode().split() == ["ok", "403"], ended
    reached, refused = [each for each in ended.of("socket") if each["family"] == "host"]
    assert reached["address"] == f"127.0.0.1:{guests.port}"
    assert reached["sent"] > 0
    assert reached["received"] > 0
    assert refused["address"] == "example.test:80"
    assert refused["refused"]
    # The way to the proxy itself is nobody's concern, nor are the variables that show it.
    assert not [
        each
        for each in ended.of("socket")
        if each["family"] == "inet" and each["use"] == "connected"
    ]
    assert not [each for each in ended.of("environment") if "PROXY" in each["name"].upper()]


def test_while_learning_hosts_are_known_by_their_names(
    bench: Bench, guests: CountingServer
) -> None:
    (bench.package / "ports").write_text(f"{guests.port} 1")
    placed = bench.script(
        PRELUDE + "import subprocess\n"
        "subprocess.run(['curl', '-s', 'https://index.example.test/a'])\n"
        "tell(socket.socket().connect_ex(here))\n"
    )
    ended = bench.run(placed, "learning")

    refused = [each["address"] for each in ended.of("socket") if each.get("refused")]
    assert "index.example.test:443" in refused
    assert f"127.0.0.1:{guests.port}" in refused
    assert guests.count == 0


def test_a_script_that_was_denied_a_host_behaves_as_it_did(
    bench: Bench, guests: CountingServer
) -> None:
    (bench.package / "ports").write_text(f"{guests.port} 1")
    bench.deny = {"net": ["index.example.test:443"]}
    bench.grants = {"exec": ["curl"]}
    placed = bench.script(
        PRELUDE + "import subprocess\n"
        "subprocess.run(['curl', '-s', 'https://index.example.test/a'])\n"
    )
    ended = bench.run(placed)

    assert "index.example.test:443" in ended.refused("socket")
    assert "dgram" not in ended.refused("socket")  # It would have asked for the name by itself.


def test_another_process_of_this_machine_cannot_use_the_door(
    own_bench: Bench, guests: CountingServer
) -> None:
    (own_bench.package / "ports").write_text(f"{guests.port} 1")
    own_bench.grants = {"net": [f"127.0.0.1:{guests.port}"]}
    placed = own_bench.script(PRELUDE + program_text("shows_proxy.py"))
    with own_bench.start(placed) as process:
        said = own_bench.out_dir / "proxy-port"
        assert wait_until(said.exists)
        with socket.create_connection(("127.0.0.1", int(said.read_text()))) as stranger:
            stranger.settimeout(60)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                stranger.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % guests.port)
                assert stranger.recv(100) == b""
        (own_bench.package / "go").touch()
        assert process.wait(60) == 0
    assert guests.count == 1


def test_where_descriptors_cannot_be_copied_a_grant_is_not_held_and_nothing_runs(
    own_bench: Bench,
) -> None:
    own_bench.grants = {"net": ["github.com:443"]}
    placed = own_bench.script("open(__import__('os').environ['OUT_DIR'] + '/ran', 'w')")

    ended = own_bench.run(placed, preexec_fn=refuse_pidfd_getfd)

    assert ended.status == 23
    assert b"github.com:443" in ended.stderr
    assert b"pidfd_getfd" in ended.stderr
    assert not (own_bench.out_dir / "ran").exists()


def test_where_descriptors_cannot_be_copied_learning_goes_on_without_a_door(
    own_bench: Bench,
) -> None:
    placed = own_bench.script(
        "import os, socket\n"
        "print([name for name in os.environ if 'proxy' in name.lower()])\n"
        "print(socket.socket().connect_ex(('127.0.0.1', 9)))"
    )
    ended = own_bench.run(placed, "learning", preexec_fn=refuse_pidfd_getfd)

    assert ended.stdout.decode().split() == ["[]", "13"]


@contextlib.contextmanager
def crowded() -> Iterator[socket.socket]:
    """Listen with a full backlog, so that whoever connects has to wait."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(8):
            guest = stack.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(server.getsockname())
        yield server
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def admit(server: socket.socket) -> None:
    """Accept all connections until the server is closed."""

    def serve() -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            while True:
                stack.enter_context(server.accept()[0])

    threading.Thread(target=serve, daemon=True).start()


def test_the_recorder_does_not_wait_for_a_server(own_bench: Bench) -> None:
    """One thread waits for its connection, while another one is recorded."""
    with crowded() as server:
        port = server.getsockname()[1]
        own_bench.grants = {"net": [f"127.0.0.1:{port}"]}
        body = program_text("connects_slowly.py", PORT=str(port))
        with own_bench.start(own_bench.script(body)) as process:
            assert wait_until((own_bench.out_dir / "alive").exists)
            admit(server)
            stdout, _ = process.communicate(timeout=60)

    assert stdout.decode().split() == ["True", str(port)]
    (connected,) = [line for line in own_bench.events() if line.get("use") == "connected"]
    assert "errno" not in connected


@pytest.mark.parametrize(("mode", "told"), [("wait", "0 1"), ("interrupt", f"{-errno.EINTR} 1")])
def test_signals_while_a_connection_is_waited_for(
    own_bench: Bench, tmp_path: Path, mode: str, told: str
) -> None:
    program = compile_c(
        (CHILDREN / "connecting.c").read_text(), tmp_path / "connecting", "-pthread"
    )
    with crowded() as server:
        port = server.getsockname()[1]
        (own_bench.package / "connecting").write_text(f"{mode} {port} {port} 1")
        own_bench.grants = {"net": [f"127.0.0.1:{port}"]}
        with own_bench.start(own_bench.install(program)) as process:
            if mode == "wait":
                alarms = own_bench.out_dir / "alarms"
                assert wait_until(lambda: alarms.exists() and alarms.stat().st_size > 5)
                admit(server)
            stdout, stderr = process.communicate(timeout=60)

    assert stdout.decode().strip() == told, stderr


def test_a_time_limit_for_sending_ends_the_wait(own_bench: Bench) -> None:
    with crowded() as server:
        port = server.getsockname()[1]
        own_bench.grants = {"net": [f"127.0.0.1:{port}"]}
        ended = own_bench.run(
            own_bench.script(
                "import socket, struct\ns = socket.socket()\n"
                "s.setsockopt(1, 21, struct.pack('ll', 0, 200000))\n"
                f"print(s.connect_ex(('127.0.0.1', {port})))"
            )
        )

    assert ended.stdout.decode().split() == [str(errno.EINPROGRESS)]


def test_a_thread_with_descriptors_of_its_own_is_connected(
    own_bench: Bench, guests: CountingServer
) -> None:
    """clone(2): threads do not have to share their table of descriptors."""
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    ended = attempt(
        own_bench,
        guests,
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    s = socket.socket(); s.connect(here)\n"
        "    os._exit(0 if s.getpeername() == here else 1)\n"
        "tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    )

    assert ended.stdout == b"0\n"
    assert os.WIFEXITED(ended.events[-1]["status"])


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not installed")
def test_within_bubblewrap_it_is_the_same(bench: Bench, guests: CountingServer) -> None:
    """The sockets are the script's own, so that they have to be of the machine's network."""
    bench.wrapper, bench.mounts = [os.fsencode(shutil.which("bwrap") or "")], True
    body = (
        f"s = socket.socket(); s.connect(here); {ASK}\n"
        "import urllib.request\n"
        'tell(urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode())\n'
        'tell(socket.socket().connect_ex(("127.0.0.1", closed)))\n'
    )
    for profile in ("enforcing", "learning"):
        ended = attempt(bench, guests, body, profile=profile)

        assert ended.stdout.decode().split() == ["ok", "ok", str(errno.EACCES)], ended
