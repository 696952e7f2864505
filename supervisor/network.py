"""The network of one run: none, or a door to what was granted.

What every script that is recorded has to pay is a socket; the rest is imported when it is used.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _socket
import os

from buildperm.supervisor import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.brokered_connect import Connector
    from buildperm.supervisor.egress_proxy import Door
    from buildperm.supervisor.session import SessionPackage
    from buildperm.tracer.recorder.brokered import BrokeredCall
    from buildperm.tracer.recorder.loop import Recorder
    from buildperm.tracer.recorder.observation import Stopped
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer


PIDFD_GETFD = 438
"""The same number on every architecture: asm-generic/unistd.h."""


def unavailable() -> str:
    """Say why connections cannot be made for a script here; empty if they can."""
    try:
        own = os.pidfd_open(os.getpid())
    except OSError as error:
        return f"pidfd_open is refused: {error.strerror}"
    try:
        copy = syscalls.call(PIDFD_GETFD, own, own, 0)
        if copy < 0:
            return str(syscalls.failure("pidfd_getfd is refused").strerror)
        os.close(copy)
    finally:
        os.close(own)
    return ""


def is_wanted(package: SessionPackage, *, learning: bool) -> bool:
    """Tell whether there is to be a door for a script.

    One that is learnt about gets one that leads nowhere, so that it can be seen which hosts it asks
    for; so does one that was denied some, as it would behave otherwise without.
    """
    return learning or bool(package["net"] or package["deny"].get("net"))


class Network:
    """Where a script may connect to."""

    def __init__(
        self, package: SessionPackage, calls: Mapping[int, str], *, learning: bool
    ) -> None:
        """Find a port for the door, where there is to be one."""
        self._granted = package["net"]
        self._denied = package["deny"].get("net", [])
        self._numbers = {name: number for number, name in calls.items()}
        self._listener: _socket.socket | None = None
        self._connector: Connector | None = None
        self._door: Door | None = None
        self.remarks: list[str] = []  # What a person should know that no event tells.
        self.port = 0  # Of the door; 0 if there is none.
        if is_wanted(package, learning=learning) and not unavailable():
            self._listener = _socket.socket(
                _socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC
            )
            self._listener.bind(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]

    def serve(self, recorder: Recorder) -> None:
        """Have the calls of a script performed that lead to the door."""
        if self.port:
            recorder.performers[self._numbers["connect"]] = self._connect

    def end(self, writer: Writer) -> None:
        """Close the door and write down where it led; the script has ended."""
        if self._door is not None:
            for visit in self._door.close():
                writer.visited(
                    visit.process,
                    visit.target,
                    visit.errno,
                    visit.refused,
                    visit.at_ns,
                    visit.count,
                    (visit.sent, visit.received),
                )
            self.remarks = self._door.remarks
        if self._listener is not None:
            self._listener.close()

    def _connect(self, tid: int, process: Process, stopped: Stopped) -> BrokeredCall:
        return self._opened().perform(tid, process, stopped)

    def _opened(self) -> Connector:
        """Start the door when somebody first connects to anything."""
        if self._connector is None:
            from buildperm.supervisor.brokered_connect import Connector
            from buildperm.supervisor.egress_proxy import Door

            assert self._listener is not None
            self._door = Door(self._listener, self._granted, self._denied)
            self._door.start()
            self._connector = Connector(
                self._door, self._granted, self._denied, self._numbers["sendto"]
            )
        return self._connector
