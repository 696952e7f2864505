"""A connection by which the launcher of a compiler asks the fork server for a host of macros.

    launcher                                    server                     worker
    connects ──▶ FOLDER/macros ──────▶ looks at /proc/PID, forks ──▶ reads the request, supervises
    reads ◀── its exit status, a line ─────── reaps ◀──────────────────────── ends

What is to be run comes with the request: see `supervisor.macro_request`. With its first byte come
two descriptors: the host's end of the bridge, and standard error. A traced or filtered process is
held itself, and is not served. Where there is no server, a launcher starts an interpreter with its
connection as standard input.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import _socket
import os
import struct
import sys

from buildperm.supervisor import hardening
from buildperm.supervisor.fork_request import ForkRefusedError, process_status, refuse_held
from buildperm.supervisor.macro_request import BRIDGE, BadRequestError, MacroRequest, receive
from buildperm.supervisor.macro_supervision import supervise

if sys.platform != "win32":
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

_HANDED_OVER = 2  # The bridge, and standard error.
_PATIENCE_S = 10  # For each piece of a request.
_PIECE = 1 << 16
_INT = 4
UNSAID = 2
"""An exit status: nobody has said what is wrong, so the launcher does."""


def main() -> NoReturn:
    """Serve the launcher that has started this process: its connection is standard input."""
    parent = os.getppid()
    connected = _socket.socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, BRIDGE + 1))

    try:
        request, handles = _receive(connected)
        _take(handles, [connected.fileno()])
    except (OSError, BadRequestError) as error:
        os.write(2, f"buildperm: cannot run macros: {error}\n".encode())
        os._exit(1)
    supervise(request, _outside_of(parent), parent, reply=lambda status: reply(connected, status))


def reply(connected: _socket.socket, status: int) -> None:
    """Tell the launcher how it has ended, if that has not ended itself, as editors have it do."""
    try:
        connected.send(b"%d\n" % status)
    except (BrokenPipeError, ConnectionResetError):
        pass  # Its compiler call, or its server, has ended: nobody waits.


class LauncherIdentity:
    """Which process a launcher is."""

    __slots__ = ("_group", "_umask", "parent_handle", "pid")

    def __init__(self, connected: _socket.socket) -> None:
        """Look at the launcher that has connected.

        Raises:
            ForkRefusedError: It must not be served.
            OSError: It is gone, or cannot be looked at.
        """
        raw = connected.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 3 * _INT)
        self.pid, user, _ = struct.unpack("3i", raw)  # unix(7), struct ucred
        if self.pid <= 0 or user != os.getuid():
            raise ForkRefusedError("it is somebody else's")
        status = process_status(b"%d" % self.pid)
        refuse_held(status)
        self._umask = int(status[b"Umask"], 8)
        self._group = os.getpgid(self.pid)
        self.parent_handle = os.pidfd_open(int(status[b"PPid"]))  # To be closed by who asks.

    def take_on(self) -> None:
        """Make this process, a new one, belong to the same build as the launcher."""
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        try:
            os.setpgid(0, self._group)
        except OSError:
            pass  # Of another session: its terminal is not ours either.
        os.umask(self._umask)


class LauncherConnection:
    """A launcher that waits to be served."""

    def __init__(self, connected: _socket.socket) -> None:
        """Look at the launcher.

        Raises:
            ForkRefusedError: It must not be served.
            OSError: It is gone, or cannot be looked at.
        """
        self._socket = connected
        self._identity = LauncherIdentity(connected)
        self.parent_handle = self._identity.parent_handle

    def become(
        self, server: int, session: bytes, outside: Mapping[bytes, bytes], scratch: bytes
    ) -> NoReturn:
        """Be the supervisor, in a child of the process `server`; never returns.

        Args:
            server: The fork server.
            session: Its session; a request that names another one is refused.
            outside: The environment that Cargo was given.
            scratch: The name of a scratch folder that no other worker uses.
        """
        try:
            self._identity.take_on()
            request, handles = _receive(self._socket)
            if os.path.realpath(request.session) != os.path.realpath(session):
                raise BadRequestError("it is of another build")  # noqa: TRY301
            os.dup2(1, 0)  # Both the server's: nothing is read, and nothing printed.
            _take(handles)
            supervise(request, outside, server, scratch=scratch)
        except (OSError, BadRequestError) as error:
            os.write(2, f"buildperm: cannot run macros: {error}\n".encode())
            os._exit(1)
        finally:
            os._exit(UNSAID)


def _receive(connected: _socket.socket) -> tuple[MacroRequest, list[int]]:
    """Receive a request, with the bridge and standard error, which is put in its place."""
    connected.setblocking(True)
    patience = struct.pack("ll", _PATIENCE_S, 0)  # struct timeval
    connected.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, patience)
    room = _socket.CMSG_SPACE(_HANDED_OVER * _INT)
    first, told, flags, _ = connected.recvmsg(_PIECE, room, _socket.MSG_CMSG_CLOEXEC)
    handles = [
        handle
        for level, kind, raw in told
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for (handle,) in struct.iter_unpack("i", raw[: len(raw) // _INT * _INT])
    ]
    if len(handles) != _HANDED_OVER or flags & _socket.MSG_CTRUNC:
        raise BadRequestError("it does not come with a bridge and standard error")
    os.dup2(handles[1], 2)  # Already: what is wrong with the request is said there.
    rest = bytearray(first)

    def read(most: int) -> bytes:
        if not rest:
            return connected.recv(min(most, _PIECE))
        piece = bytes(rest[:most])
        del rest[:most]
        return piece

    return receive(read), handles


def _take(handles: list[int], kept: Sequence[int] = ()) -> None:
    """Put the bridge in its place, and close all but it, the standard streams and `kept`."""
    high = fcntl.fcntl(handles[0], fcntl.F_DUPFD_CLOEXEC, BRIDGE + 1)
    os.dup2(high, BRIDGE, inheritable=False)
    hardening.close_but([BRIDGE, *kept])


def _outside_of(launcher: int) -> dict[bytes, bytes] | None:
    """Return the environment of the process that has started `launcher`, which is Cargo."""
    try:
        with open(b"/proc/%d/stat" % launcher, "rb") as file:
            parent = int(file.read().rpartition(b")")[2].split()[1])  # proc_pid_stat(5)
        with open(b"/proc/%d/environ" % parent, "rb") as file:
            pairs = file.read().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    return {name: value for name, mark, value in (each.partition(b"=") for each in pairs) if mark}
