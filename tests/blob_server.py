"""An HTTP server on loopback that keeps what is put there, and misbehaves as a test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BlobServer(ThreadingHTTPServer):
    """Holds objects by path; `misbehaves` says how it answers a GET."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []  # Of each request: method and path.
        self.misbehaves = ""
        self.released = threading.Event()

    @property
    def address(self) -> str:
        """Return the URL of the store."""
        return f"http://127.0.0.1:{self.server_port}/store"

    def paths(self, kind: str) -> list[str]:
        """List the objects of a kind: `shelves` or `blobs`."""
        return sorted(path for path in self.objects if f"/1/{kind}/" in path)


class _Handler(BaseHTTPRequestHandler):
    server: BlobServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(f"PUT {self.path}")
        if self.server.misbehaves == "refuses":
            self._say(403)
            return
        self.server.objects[self.path] = content
        self._say(200)

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        content = self.server.objects.get(self.path)
        match self.server.misbehaves:
            case "hangs":
                self.server.released.wait(60)
            case "trickles":
                self._trickle()
            case "endless":
                self._pour()
            case "refuses":
                self._say(403)
            case "fails":
                self._say(500, b"\x1b[31m forged")
            case misbehaves if misbehaves.startswith("redirects to "):
                self._say(302, location=misbehaves.removeprefix("redirects to "))
            case _:
                self._say(404) if content is None else self._say(200, content)

    def _say(self, status: int, content: bytes = b"", location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)

    def _trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            while not self.server.released.wait(0.05):
                self.wfile.write(b"[")
        except OSError:
            pass  # Nobody waits any more.

    def _pour(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(10_000):
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass


@contextmanager
def blob_server() -> Iterator[BlobServer]:
    """Serve until the end."""
    with BlobServer() as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
