"""A stand-in for the fork server that starts macro hosts as it is asked to, unconfined."""

from __future__ import annotations

import array
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_HOST = 'exec "$0" "$1" 3<&0 </dev/null'


@dataclass(slots=True)
class HostingServer:
    """Which hosts were asked for."""

    host: Path
    requests: list[dict[str, str]] = field(default_factory=list)
    serving: list[threading.Thread] = field(default_factory=list)

    def serve(self, connected: socket.socket) -> None:
        """Start one host, and say how it ended."""
        size, rights, _, _ = connected.recvmsg(4, socket.CMSG_SPACE(8))
        bridge, said = array.array("i", rights[0][2])
        content = b""
        while len(content) < int.from_bytes(size, "little"):
            content += connected.recv(1 << 16)
        told = [entry.decode().partition(" ") for entry in content.split(b"\0")[:-1]]
        request = {key: value for key, _, value in told if key != "env"}
        variables = [value.partition("=") for key, _, value in told if key == "env"]
        self.requests.append(request)
        ended = subprocess.run(
            ["/bin/sh", "-c", _HOST, self.host, request["library"]],
            env={name: value for name, _, value in variables},
            cwd=request["cwd"],
            stdin=bridge,
            stderr=said,
            pass_fds=(),
            check=False,
        )
        os.close(bridge)
        os.close(said)
        with connected:
            connected.sendall(b"%d\n" % ended.returncode)


@contextmanager
def hosting(folder: Path, host: Path) -> Iterator[HostingServer]:
    """Serve in a folder, as BUILDPERM_SERVER names it, until the end."""
    server = HostingServer(host)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "macros"))
        listening.listen()

        def accept() -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                server.serving.append(threading.Thread(target=server.serve, args=[connected]))
                server.serving[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for each in server.serving:
                each.join()
