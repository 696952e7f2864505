"""The servers that canaries try to reach."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

_NO_PORT = 1  # Where a server cannot be had.
_MPTCP = 262  # IPPROTO_MPTCP, which Python 3.11 has no name for.


class CanaryServers:
    """Sockets that listen on this machine, by the ID of the canary that tries to reach them."""

    def __init__(self, folder: Path, abstract: str, stack: ExitStack) -> None:
        """Make them; `stack` closes them.

        Args:
            folder: Where the one with a path is made.
            abstract: The name of the one without.
            stack: Closes all.
        """
        inet, unix, stream = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM
        self._servers: dict[str, socket.socket] = {}
        for name, family, kind, protocol, address in (
            ("tcp-connect", inet, stream, 0, ("127.0.0.1", 0)),
            ("tcp-fast-open", inet, stream, 0, ("127.0.0.1", 0)),
            ("mptcp", inet, stream, _MPTCP, ("127.0.0.1", 0)),
            ("udp", inet, socket.SOCK_DGRAM, 0, ("127.0.0.1", 0)),
            ("unix-path", unix, stream, 0, f"/proc/self/fd/{_opened(folder, stack)}/socket"),
            ("unix-abstract", unix, stream, 0, f"\0{abstract}"),
        ):
            try:
                server = stack.enter_context(socket.socket(family, kind, protocol))
                server.bind(address)
                if kind == stream:
                    server.listen()
            except OSError:
                continue  # This machine has no such socket: the attempt will show it.
            server.setblocking(False)
            self._servers[name] = server

    def ports(self) -> dict[str, int]:
        """Return the ports of the servers by the names that the child knows."""
        names = {"tcp": "tcp-connect", "tcp_fast_open": "tcp-fast-open", "mptcp": "mptcp"}
        found = {}
        for name, canary in (names | {"udp": "udp"}).items():
            server = self._servers.get(canary)
            found[name] = server.getsockname()[1] if server else _NO_PORT
        return found

    def reached(self) -> dict[str, bool]:
        """Tell which of them somebody has reached."""
        return {name: _was_reached(server) for name, server in self._servers.items()}


def _opened(path: Path, stack: ExitStack) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _was_reached(server: socket.socket) -> bool:
    try:
        if server.type == socket.SOCK_DGRAM:
            server.recv(1)
        else:
            server.accept()[0].close()
    except OSError:
        return False
    return True
