"""The network of one run: none, or an egress proxy to what was granted.

Every recorded script pays for one socket; the rest is imported when it is used.

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
    from buildperm.supervisor.egress_proxy import EgressProxy
    from buildperm.supervisor.session import SessionPackage
    from buildperm.tracer.recorder.brokered import Answer
    from buildperm.tracer.recorder.loop import Recorder
    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
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
    """Tell whether a script gets an egress proxy.

    While learning the proxy leads nowhere, and shows which hosts the script asks for. A script that
    was denied hosts gets one too: without it, the script would behave differently.
    """
    return learning or bool(package["net"] or package["deny"].get("net"))


class Network:
    """Where a script may connect to."""

    def __init__(
        self, package: SessionPackage, calls: Mapping[int, str], *, learning: bool
    ) -> None:
        """Find a port for the egress proxy, where there is one."""
        self._granted = package["net"]
        self._denied = package["deny"].get("net", [])
        self._numbers = {name: number for number, name in calls.items()}
        self._listener: _socket.socket | None = None
        self._connector: Connector | None = None
        self._proxy: EgressProxy | None = None
        self.remarks: list[str] = []  # What a person should know that no event tells.
        self.port = 0  # Of the proxy; 0 if there is none.
        if is_wanted(package, learning=learning) and not unavailable():
            self._listener = _socket.socket(
                _socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC
            )
            self._listener.bind(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]

    def serve(self, recorder: Recorder) -> None:
        """Broker the script's connect(2), which leads to the proxy."""
        if self.port:
            recorder.brokers[self._numbers["connect"]] = self._connect

    def end(self, writer: Writer) -> None:
        """Close the proxy and record where it led; the script has ended."""
        if self._proxy is not None:
            for visit in self._proxy.close():
                writer.proxied(
                    visit.process,
                    visit.target,
                    visit.errno,
                    visit.refused,
                    visit.at_ns,
                    visit.count,
                    (visit.sent, visit.received),
                )
            self.remarks = self._proxy.remarks
        if self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """Close the port in a process in which nothing is served."""
        if self._listener is not None:
            self._listener.close()

    def descriptors(self) -> list[int]:
        """List what has to stay open for it."""
        return [] if self._listener is None else [self._listener.fileno()]

    def _connect(
        self, tid: int, process: Process, syscall: SyscallInfo, _seen: Decoded | None
    ) -> Answer:
        return self._opened().connect(tid, process, syscall)

    def _opened(self) -> Connector:
        """Start the proxy at the first connect(2) to anything."""
        if self._connector is None:
            from buildperm.supervisor.brokered_connect import Connector
            from buildperm.supervisor.egress_dialer import EgressDialer
            from buildperm.supervisor.egress_proxy import EgressProxy
            from buildperm.supervisor.system_root import resolver

            assert self._listener is not None
            self._proxy = EgressProxy(
                self._listener, EgressDialer(self._granted, self._denied, resolver())
            )
            self._proxy.start()
            self._connector = Connector(
                self._proxy, self._granted, self._denied, self._numbers["sendto"]
            )
        return self._connector
