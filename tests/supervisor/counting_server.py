"""A server for build scripts that counts the connections to it."""

from __future__ import annotations

import contextlib
import socket
import threading


class CountingServer:
    """A server that counts who comes; it answers what it is told with `ok`."""

    def __init__(self, family: int = socket.AF_INET, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(family)
        self.socket.bind((host, 0))
        self.socket.listen(1000)
        self.port: int = self.socket.getsockname()[1]
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self.socket.accept()
                self.count += 1
                threading.Thread(target=self._answer, args=(guest,), daemon=True).start()

    @staticmethod
    def _answer(guest: socket.socket) -> None:
        with contextlib.suppress(OSError), guest:
            while b"\n" not in (piece := guest.recv(1000)):
                if not piece:
                    return  # It has gone without a question.
            guest.sendall(b"HTTP/1.0 200 OK\r\n\r\nok")

    def __enter__(self) -> CountingServer:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
