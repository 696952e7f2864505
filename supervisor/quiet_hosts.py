"""Hosts of macros that launchers start themselves, on what the fork server tells them.

Nearly all macros do nothing that a recording would hold, and a supervisor for each would take ten
times as long as the host itself. So a launcher starts the host, confined in the same way, and
traces it. What it tells of a host that has ended, the server records at once. The first thing that
only a supervisor can see to makes the launcher hand the host over, to a worker of the server:

    launcher                                    server                       worker
    connects ──▶ FOLDER/hosts ──────────▶ looks at /proc/PID
    its request, in a file ─────────────▶ decides, once ──▶ recipe
    starts the host ◀── recipe ──────────────┘
    freezes it, what it has done ───────▶ forks ─────────▶ traces it from there on
    or: how it has ended ───────────────▶ records
    reads ◀── exit status, a line ────────────┴──── reaps ◀── ends

Where that is not possible, a launcher asks for a supervisor: `supervisor.launcher_connection`.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _socket
import os
import select
import struct

from buildperm.supervisor import hardening, quiet_recipe, session
from buildperm.supervisor.fork_request import ForkRefusedError
from buildperm.supervisor.handed_over import HandedOver
from buildperm.supervisor.kept_rights import KeptRights
from buildperm.supervisor.launcher_connection import UNSAID, LauncherIdentity
from buildperm.supervisor.macro_request import MOST, BadRequestError, MacroRequest
from buildperm.supervisor.macro_supervision import MacroSupervisor
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.tree_supervision import run_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from buildperm.supervisor.scratch_folders import ScratchFolders

HOSTS = b"hosts"
"""The socket in the server's folder."""

WAITING = 64
"""Launchers that can wait to be accepted."""

_INT = 4
_LONGEST = 1 << 17  # Of a message: quiet.c keeps what it notes short.


class QuietHost:
    """A launcher that asks for a host, until it is served or gone."""

    __slots__ = (
        "connection",
        "descriptor",
        "handed_over",
        "handles",
        "identity",
        "scratch",
        "supervisor",
    )

    def __init__(self, connection: _socket.socket, identity: LauncherIdentity) -> None:
        self.connection = connection
        self.descriptor = connection.fileno()
        self.identity = identity
        self.scratch = b""  # The name of its scratch folder; empty as long as it has none.
        self.supervisor: MacroSupervisor | None = None  # None until it has asked.
        self.handed_over: HandedOver | None = None
        self.handles: list[int] = []  # Handed over with it: where it prints, and standard error.

    def go_on(self, server: int) -> NoReturn:
        """Be the supervisor of a host that was handed over, in a child of the process `server`."""
        try:
            supervisor = self.supervisor
            assert supervisor is not None
            assert supervisor.plan is not None
            output, stderr = self.handles
            self.identity.take_on()
            os.dup2(stderr, 2)
            os.dup2(1, 0)  # Both the server's: nothing is read, and nothing printed.
            hardening.close_but([output, *supervisor.plan.network.descriptors()])
            supervisor.handed_over, supervisor.output = self.handed_over, output
            run_with(supervisor, server)
        finally:
            os._exit(UNSAID)

    def close_handles(self) -> None:
        """Close what came by the connection."""
        for handle in self.handles:
            os.close(handle)
        self.handles = []

    def close(self) -> None:
        """Close the connection, what came by it, and what was opened for the host."""
        self.connection.close()
        self.close_handles()
        if self.supervisor is not None and self.supervisor.plan is not None:
            self.supervisor.plan.network.close()


class QuietHosts:
    """All of them, of one fork server."""

    def __init__(
        self,
        folder: bytes,
        path: bytes,
        outside: Mapping[bytes, bytes],
        scratches: ScratchFolders,
        poll: select.poll,
    ) -> None:
        """Listen in the folder of the server; arguments are what the server has.

        Raises:
            OSError: The socket cannot be made.
        """
        self._path = path
        self._outside = outside
        self._scratches = scratches
        self._poll = poll
        self._rights = KeptRights()
        self._hosts: dict[int, QuietHost] = {}  # By descriptor.
        self._listener = _socket.socket(
            _socket.AF_UNIX,
            _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK,
        )
        self._listener.bind(folder + b"/" + HOSTS)
        self._listener.listen(WAITING)
        poll.register(self._listener.fileno(), select.POLLIN)

    def owns(self, descriptor: int) -> bool:
        """Tell whether an event of a descriptor is to be given to `happened`."""
        return descriptor in self._hosts or descriptor == self._listener.fileno()

    def close(self) -> None:
        """Serve nobody any more; hosts are killed by their launchers."""
        self._poll.unregister(self._listener.fileno())
        self._listener.close()
        for host in list(self._hosts.values()):
            self.forget(host)

    def happened(self, descriptor: int) -> QuietHost | None:
        """React to an event; return the host that has to be given to a worker, if one has."""
        host = self._hosts.get(descriptor)
        if host is None:
            self._accept()
            return None
        try:
            content, host.handles = _receive(host.connection)
            return self._heard(host, content)
        except (OSError, ValueError, LookupError, BadRequestError, StoppedError):
            self.forget(host)  # The launcher asks for a supervisor, which says what is wrong.
            return None

    def release(self, host: QuietHost) -> None:
        """Forget a host that a worker sees to, with its connection and its scratch folder."""
        self._poll.unregister(host.descriptor)
        del self._hosts[host.descriptor]

    def _accept(self) -> None:
        try:
            number, _ = self._listener._accept()  # type: ignore[attr-defined]  # typeshed lacks it
            connection = _socket.socket(fileno=number)
            host = QuietHost(connection, LauncherIdentity(connection))
        except (OSError, ValueError, LookupError, ForkRefusedError):
            return
        self._hosts[host.descriptor] = host
        self._poll.register(host.descriptor, select.POLLIN)

    def _heard(self, host: QuietHost, content: bytes) -> QuietHost | None:
        """Take a message of a launcher; an empty one is its end.

        Raises:
            OSError: Something failed; so do the others.
        """
        if not content:
            self.forget(host)
        elif host.supervisor is None:
            self._ask(host)
        else:
            host.handed_over = HandedOver(content)
            if not host.handed_over.has_ended or not self._record(host, host.handed_over):
                return host
            host.connection.send(b"0\n")
            self.forget(host)
        return None

    def _ask(self, host: QuietHost) -> None:
        """Decide what a host may do, and tell the launcher."""
        file = host.handles[0]
        size = os.fstat(file).st_size
        if size > MOST:
            raise BadRequestError("it is too long")
        request = MacroRequest(os.pread(file, size, 0))
        host.close_handles()
        if os.path.realpath(request.session) != os.path.realpath(self._path):
            raise BadRequestError("it is of another build")
        host.scratch = self._scratches.take()
        host.supervisor = MacroSupervisor(request, self._outside, host.scratch)
        plan = host.supervisor.prepare()
        told = None
        if quiet_recipe.is_possible(plan):
            compilation = (
                host.identity.pid,
                os.path.dirname(request.folder),
                session.identity(request.session),
            )
            plan.run.given = self._rights.of(compilation, plan.run)
            told = quiet_recipe.recipe(plan, plan.run.given, request.cwd)
        if told is None:
            raise BadRequestError("a supervisor has to start it")
        host.connection.send(told)

    def _record(self, host: QuietHost, ended: HandedOver) -> bool:
        """Record the run of a host that has ended; False if there is more to it: for a worker."""
        supervisor = host.supervisor
        if supervisor is None or supervisor.plan is None:
            return False
        if ended.has_printed or ended.met_file_limit:
            return False
        plan = supervisor.plan
        names = [name for name, _ in ended.names]
        if plan.run.left_out or not plan.kept.names.isdisjoint(names):
            return False
        if not plan.kept.secrets.keys().isdisjoint(names):
            return False
        supervisor.record_end(ended)
        return True

    def forget(self, host: QuietHost) -> None:
        """Forget a host that nobody sees to any more."""
        self.release(host)
        host.close()
        os.close(host.identity.parent_handle)
        if host.scratch:
            self._scratches.give_back(host.scratch)


def _receive(connection: _socket.socket) -> tuple[bytes, list[int]]:
    """Receive one message, with the descriptors that come with it."""
    room = _socket.CMSG_SPACE(2 * _INT)
    flags = _socket.MSG_CMSG_CLOEXEC | _socket.MSG_DONTWAIT
    content, told, _, _ = connection.recvmsg(_LONGEST, room, flags)
    handles = [
        handle
        for level, kind, raw in told
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for (handle,) in struct.iter_unpack("i", raw[: len(raw) // _INT * _INT])
    ]
    return content, handles
