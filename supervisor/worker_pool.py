"""The workers that supervise build scripts: see `supervisor.script_worker`.

There is always one without work, and there are as many as there have been scripts at once. To be
told who has work, and to fork another one, is all that the server does for them.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _socket
import os
import select

from buildperm.supervisor.script_worker import BUSY, ScriptWorker, is_ready

SCRIPTS = b"scripts"
"""The socket in the server's folder to which stubs connect that are no shell scripts."""

_WAITING_MOST = 1024  # The kernel may allow fewer: listen(2).
_AT_ONCE = 4  # So many are forked where many scripts begin at once.
_USELESS_MOST = 3
_PIECE = 1 << 16


class WorkerPool:
    """The workers of one server."""

    def __init__(self, folder: bytes, session: bytes) -> None:
        """Listen in `folder`.

        Args:
            folder: The server's.
            session: That of most scripts.

        Raises:
            OSError: There cannot be a socket.
        """
        self._folder = folder
        self._session = session
        self._workers: dict[int, int] = {}  # Process by pidfd.
        self._busy: set[int] = set()
        self._told = b""
        self._useless = 0  # Workers in a row that have ended before they had work.
        self._is_closed = False
        self._notices, self._telling = os.pipe2(os.O_CLOEXEC)
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._listener.bind(folder + b"/" + SCRIPTS)
        self._listener.listen(_WAITING_MOST)

    def start(self, poll: select.poll) -> None:
        """Fork the first worker; `poll` tells what is to be passed to `happened`."""
        poll.register(self._notices, select.POLLIN)
        self._fill(poll)

    def owns(self, descriptor: int) -> bool:
        """Tell whether a descriptor is one of those that were registered."""
        return descriptor == self._notices or descriptor in self._workers

    @property
    def is_empty(self) -> bool:
        """Whether there are no workers."""
        return not self._workers

    def happened(self, descriptor: int, poll: select.poll) -> None:
        """React to what has happened at a descriptor, and see to it that somebody has no work."""
        if descriptor == self._notices:
            *lines, self._told = (self._told + os.read(self._notices, _PIECE)).split(b"\n")
            for line in lines:
                worker = int(line[:-1])
                self._useless = 0
                (self._busy.add if line[-1:] == BUSY else self._busy.discard)(worker)
        else:
            poll.unregister(descriptor)
            worker = self._workers.pop(descriptor)
            os.close(descriptor)
            os.waitpid(worker, 0)
            if worker not in self._busy:
                self._useless += 1
            self._busy.discard(worker)
        if self._useless == _USELESS_MOST:
            self.close()
        self._fill(poll)

    def close(self) -> None:
        """Fork no more; stubs do without."""
        self._is_closed = True
        self._listener.close()

    def kill(self, signal: int) -> None:
        """Send all workers a signal."""
        for worker in self._workers.values():
            os.kill(worker, signal)

    def _fill(self, poll: select.poll) -> None:
        """Fork another one if all have work; several if stubs are waiting even so."""
        if self._is_closed or set(self._workers.values()) - self._busy:
            return
        server = os.getpid()
        for _ in range(_AT_ONCE if is_ready(self._listener.fileno(), select.POLLIN) else 1):
            try:
                worker = os.fork()
            except OSError:
                if self.is_empty:
                    self.close()
                return  # Stubs wait until one of the others has time.
            if worker == 0:
                ScriptWorker(
                    self._listener.fileno(), self._telling, self._folder, self._session
                ).run(server)
            handle = os.pidfd_open(worker)
            self._workers[handle] = worker
            poll.register(handle, select.POLLIN)
