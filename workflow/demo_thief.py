"""The thief whom the misbehaving crate of the demonstration calls, and what it can steal."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

TOKEN = "planted-token-that-opens-nothing"  # noqa: S105 - a fake one, for a fake thief

_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted by buildperm demo, opens nothing\n"
_CREDENTIALS = "[default]\naws_secret_access_key = planted-by-buildperm-demo\n"


class Thief:
    """The other end of the connection that the misbehaving crate makes: a port of this machine."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._received: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                loot = bytearray()
                try:
                    while len(loot) < 65536 and (piece := connection.recv(4096)):
                        loot += piece
                except OSError:
                    pass  # What has arrived so far is all there is.
                self._received.append(bytes(loot))

    def take(self) -> list[bytes]:
        """Return what has been received since the last call."""
        received, self._received = self._received, []
        return received

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


def plant_secrets(home: Path) -> None:
    """Write keys that open nothing into a home folder."""
    for name, content in ((".ssh/id_ed25519", _KEY), (".aws/credentials", _CREDENTIALS)):
        secret = home / name
        secret.parent.mkdir(parents=True, mode=0o700)
        secret.write_text(content, encoding="utf-8")
        secret.chmod(0o600)
