"""A stand-in for the fork server: takes requests for macros, and answers over the bridge itself."""

from __future__ import annotations

import array
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class MacroServer:
    """What was asked for."""

    answer: bytes = b"0\n"
    requests: list[dict[str, str]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    served: list[threading.Thread] = field(default_factory=list)

    def serve(self, connected: socket.socket) -> None:
        """Take a request, say `expanded` to whoever is at the other end, and wait for its end."""
        size, rights, _, _ = connected.recvmsg(4, socket.CMSG_SPACE(8))
        bridge, said = array.array("i", rights[0][2])
        content = b""
        while len(content) < int.from_bytes(size, "little"):
            content += connected.recv(1 << 16)
        *entries, rest = content.split(b"\0")
        assert not rest
        told = [entry.decode().partition(" ") for entry in entries]
        self.requests.append({key: value for key, _, value in told if key != "env"})
        variables = [value.partition("=") for key, _, value in told if key == "env"]
        self.environments.append({name: value for name, _, value in variables})
        os.close(said)
        with socket.socket(fileno=bridge) as end, connected:
            assert end.recv(100) == b"expand"
            end.sendall(b"expanded")
            assert end.recv(100) == b""  # The compiler has ended.
            connected.sendall(self.answer)


@contextmanager
def serving(folder: Path, answer: bytes = b"0\n") -> Iterator[MacroServer]:
    """Serve in a folder, as BUILDPERM_SERVER names it, until the end."""
    server = MacroServer(answer)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "macros"))
        listening.listen()
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                thread = threading.Thread(target=server.serve, args=[connected])
                thread.start()
                server.served.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield server
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for thread in server.served:
            thread.join()
