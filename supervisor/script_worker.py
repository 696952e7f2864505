"""A worker of the fork server: supervises one build script after the other.

    stub                                     worker
    connects to FOLDER/scripts ────────────▶ accepts: the kernel wakes one that has nothing to do
    waits                                    looks at /proc/PID, supervises, as ever
    reads its exit status ◀───────────────── answers, and waits for the next one

The server has no part in this; it is told who has work, so that there is always somebody who has
none. What a process has done before costs less: its memory is its own, and the interpreter has
specialised the code. A run that failed, or was interrupted, is the last one of its worker.

The stub's end is noticed as the end of the connection; the stub ends with its Cargo.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import _socket
import _thread
import gc
import os
import select
import struct
import sys

from buildperm.supervisor import hardening
from buildperm.supervisor.fork_request import ForkRefusedError, ForkRequest
from buildperm.supervisor.prewarm import warm_up
from buildperm.supervisor.supervision import ScriptSupervisor
from buildperm.tracer.recorder import ptrace

if sys.platform != "win32":
    import fcntl
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

AGAIN = b"again"
"""The reply to a stub that has to start an interpreter of its own."""

BUSY, IDLE = b"+", b"-"
"""What follows a worker's process ID in what it tells the server."""

_MEMORY_KIB = 128 << 10  # One that has become larger than this makes room.
_SIGNALS = (1, 2, 15)  # SIGHUP, SIGINT, SIGTERM: signal(7), on every architecture of Linux.
_CREDENTIALS = struct.Struct("3i")  # unix(7), struct ucred


class ScriptWorker:
    """One worker, in a process of its own."""

    def __init__(self, listener: int, notices: int, folder: bytes, session: bytes) -> None:
        """Take what it needs.

        Args:
            listener: The socket to which stubs connect.
            notices: Where the server reads who has work.
            folder: The server's.
            session: That of most scripts.
        """
        self._listener = listener
        self._notices = notices
        self._folder = folder
        self._session = session

    def run(self, server: int) -> NoReturn:
        """Serve stubs in a child of the process `server`, and end with it; never returns."""
        try:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
            hardening.close_but([self._listener, self._notices])
            if hardening.die_with_parent(server, _signal.SIGTERM):
                if not is_ready(self._listener, select.POLLIN):
                    warm_up(self._session, self._folder)
                while self._serve():
                    self._tell(IDLE)
        finally:
            os._exit(0)

    def _serve(self) -> bool:
        """Serve the next stub; tell whether to go on."""
        connected = _accepted(self._listener)
        self._tell(BUSY)
        try:
            request = ForkRequest(_peer(connected), self._folder)
        except (OSError, ValueError, LookupError, ForkRefusedError):
            _answer(connected, AGAIN)
            os.close(connected)
            return True
        try:
            own = [self._listener, self._notices, connected]
            self._listener, self._notices, connected = request.enter(own)
        except OSError:  # Of another session: its terminal is not ours.
            _answer(connected, AGAIN)
            return False
        supervisor = ScriptSupervisor(request.arguments, request.environ, keeps_scratch=True)
        _obey(supervisor, connected)
        status = supervisor.run()
        fcntl.fcntl(connected, fcntl.F_SETFL, 0)  # Its end means nothing any more.
        # Before the answer: as long as its pipes are open here, Cargo reads on.
        _let_go([self._listener, self._notices, connected])
        _answer(connected, b"%d" % status)
        os.close(connected)
        # What has entered a root stays there, and may not look at other stubs any more.
        is_as_before = not (status or supervisor.has_to_end() or supervisor.is_in_root)
        del supervisor, request
        return is_as_before and _tidy()

    def _tell(self, what: bytes) -> None:
        os.write(self._notices, b"%d%s\n" % (os.getpid(), what))


def _accepted(listener: int) -> int:
    waiting = _socket.socket(fileno=listener)
    try:
        number, _ = waiting._accept()  # type: ignore[attr-defined]  # typeshed lacks it
    finally:
        waiting.detach()
    return int(number)


def _peer(connected: int) -> int:
    """Return the ID of the process that has connected.

    Raises:
        ForkRefusedError: It is somebody else's, or gone.
    """
    peer = _socket.socket(fileno=connected)
    try:
        raw = peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS.size)
    finally:
        peer.detach()
    pid, user, _ = _CREDENTIALS.unpack(raw)
    if pid <= 0 or user != os.getuid():
        raise ForkRefusedError("it is somebody else's")
    return int(pid)


def _answer(connected: int, what: bytes) -> None:
    try:
        os.write(connected, what + b"\n")
    except OSError:
        pass  # The stub is gone. Python ignores SIGPIPE.


def _obey(supervisor: ScriptSupervisor, connected: int) -> None:
    """Have `supervisor` end with the stub, or by a signal: fcntl(2), F_SETSIG."""
    for signal in _SIGNALS:
        if _signal.getsignal(signal) is not _signal.SIG_IGN:  # As under nohup(1).
            _signal.signal(signal, supervisor.interrupt)
    fcntl.fcntl(connected, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connected, fcntl.F_SETSIG, _signal.SIGTERM)
    fcntl.fcntl(connected, fcntl.F_SETFL, os.O_ASYNC)
    if is_ready(connected, select.POLLRDHUP):  # It has ended before that.
        supervisor.interrupt(_signal.SIGTERM, None)


def _let_go(own: list[int]) -> None:
    """Close everything but `own`, and leave the folder."""
    nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for place in range(3):
        os.dup2(nothing, place)
    hardening.close_but(own)
    os.chdir(b"/")


def _tidy() -> bool:
    """Make this process what it was before its first script; False if it is not."""
    for signal in _SIGNALS:
        if _signal.getsignal(signal) is not _signal.SIG_IGN:
            _signal.signal(signal, _signal.SIG_DFL)
    gc.enable()
    gc.collect()
    ptrace.make_dumpable()
    is_small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < _MEMORY_KIB
    return is_small and not _thread._count()


def is_ready(descriptor: int, event: int) -> bool:
    """Tell whether poll(2) has `event` to say of a descriptor right now."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(0))
