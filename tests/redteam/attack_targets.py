"""What attacks aim at: servers and processes of the same user, planted secrets, a terminal.

Nothing here is anybody's: servers listen on 127.0.0.1 and in a temporary folder, the secrets are
made up anew for each arena, and processes are this test's own.
"""

from __future__ import annotations

import array
import fcntl
import os
import pty
import selectors
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Callable
from pathlib import Path

from tests.programs import program_text

SENT = b"REDTEAM-SENT-"

_VICTIM = program_text("victim.py")


class Servers:
    """Servers that accept everything, in a thread of their own; `got` keeps what came."""

    def __init__(self, folder: Path, secret: Path, mark: str) -> None:
        """Listen: `folder` gets the unix sockets, and who calls the giver gets `secret` open."""
        self.got = b""
        self._secret = secret
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._woken, self._wake = socket.socketpair()
        self.tcp = self._listen(socket.create_server(("127.0.0.1", 0)), self._accept)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        self.udp = self._listen(datagrams, self._take)
        self.abstract = f"redteam-{mark}"
        self._unix(f"\0{self.abstract}", socket.SOCK_STREAM, self._accept)
        for name in ("docker.sock", "agent", "bus", "nscd"):
            self._unix(str(folder / name), socket.SOCK_STREAM, self._accept)
        self._unix(str(folder / "datagram"), socket.SOCK_DGRAM, self._take)
        self._unix(str(folder / "giver"), socket.SOCK_STREAM, self._give)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Take what is left and stop."""
        self._wake.send(b"x")
        self._thread.join()
        self._selector.close()
        for each in (*self._sockets, self._wake, self._woken):
            each.close()

    def _unix(self, path: str, kind: int, handler: Callable[[socket.socket], None]) -> None:
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(path)
        if kind == socket.SOCK_STREAM:
            server.listen(16)
        if not path.startswith("\0"):
            Path(path).chmod(0o777)
        self._listen(server, handler)

    def _listen(self, server: socket.socket, handler: Callable[[socket.socket], None]) -> int:
        server.setblocking(False)
        self._sockets.append(server)
        self._selector.register(server, selectors.EVENT_READ, handler)
        name = server.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    def _serve(self) -> None:
        is_ending = False
        while True:
            ready = self._selector.select(0.2 if is_ending else None)
            if is_ending and not ready:
                return
            for key, _ in ready:
                if key.data is None:
                    self._selector.unregister(self._woken)
                    is_ending = True
                else:
                    key.data(key.fileobj)

    def _accept(self, server: socket.socket) -> None:
        guest, _ = server.accept()
        with guest:
            guest.settimeout(10)
            try:
                while piece := guest.recv(4096):
                    self.got += piece
                    if piece.endswith(b"\n"):
                        break
            except OSError:
                pass

    def _take(self, server: socket.socket) -> None:
        self.got += server.recv(4096)

    def _give(self, server: socket.socket) -> None:
        guest, _ = server.accept()
        with guest, self._secret.open("rb") as file:
            rights = array.array("i", [file.fileno()])
            guest.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


class Processes:
    """Processes of the user under attack, none of which has anything to do with the build."""

    def __init__(
        self, as_user: list[str], python: str, folder: Path, secret: str, key: str
    ) -> None:
        """Start them: `folder` gets a file for each signal that the victim gets."""
        command = [*as_user, python, "-IS", "-c", _VICTIM, str(folder), secret, key]
        self._victim = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._victim.stdout is not None
        self.address, self.writable, self.descriptor = map(
            int, self._victim.stdout.readline().split()
        )
        sleeping = [*as_user, "sleep", "600"]
        self._others = [subprocess.Popen(sleeping) for _ in range(3)]
        self.priority = self.nice(self.victim)  # Before anything is done to it: `nice make test`.

    @property
    def victim(self) -> int:
        return self._victim.pid

    @property
    def expendable(self) -> int:
        return self._others[0].pid

    @property
    def stoppable(self) -> int:
        return self._others[1].pid

    @property
    def limited(self) -> int:
        return self._others[2].pid

    def state(self, pid: int) -> str:
        """Return the letter of its state: proc_pid_stat(5)."""
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]

    def nice(self, pid: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, pid)

    def is_limited(self) -> bool:
        lines = Path(f"/proc/{self.limited}/limits").read_text().splitlines()
        return next(line for line in lines if line.startswith("Max processes")).split()[2] == "1"

    def close(self) -> tuple[bool, bool]:
        """End them; whether the victim's memory was written through /proc, and by the call."""
        assert self._victim.stdin is not None
        assert self._victim.stdout is not None
        self._victim.stdin.close()
        said = self._victim.stdout.read().split()
        self._victim.stdout.close()
        self._victim.wait()
        for each in self._others:
            each.kill()
            each.wait()
        return (said[0] == b"1", said[1] == b"1") if len(said) == 2 else (False, False)


class Terminal:
    """A pseudo-terminal, to be the one that controls the build."""

    def __init__(self, uid: int) -> None:
        """Open it, and give it to the user `uid`."""
        self._master, self.slave = pty.openpty()
        self.name = os.ttyname(self.slave)
        if os.getuid() == 0:
            os.chown(self.slave, uid, -1)
        os.set_blocking(self._master, False)

    def typed(self) -> int:
        """Count the bytes that could be read as if somebody had typed them."""
        raw = fcntl.ioctl(self.slave, termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", raw)[0])

    def shown(self) -> bytes:
        try:
            return os.read(self._master, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.slave)
        os.close(self._master)
