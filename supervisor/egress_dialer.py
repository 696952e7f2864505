"""Connects to granted hosts: checks the name, looks it up, and dials the address that was checked.

Part of the supervisor, imported once a script connects: standard library only.
"""

from __future__ import annotations

import _socket
import os
import select
from errno import EHOSTUNREACH, EINPROGRESS, ETIMEDOUT

from buildperm.rules import address
from buildperm.supervisor.egress_gate import TLS_PORT, EgressRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from buildperm.supervisor.http_request import HttpRequest

    Socket: TypeAlias = _socket.socket
    Resolve: TypeAlias = Callable[[str, int], list[bytes]]
    """Returns the addresses of a name, each as its bytes; an OSError if there are none."""
    Dial: TypeAlias = Callable[[bytes, int, float], Socket]
    """Connects to an address and a port within some seconds; the socket does not block after."""

_DIAL_S = 20.0
_TRIED_MOST = 6  # Addresses of one name.


class EgressDialer:
    """Connects to the hosts that one run was granted."""

    def __init__(
        self,
        granted: Iterable[str],
        denied: Iterable[str],
        resolve: Resolve | None = None,
        dial: Dial | None = None,
    ) -> None:
        """Take the rules.

        Args:
            granted: Patterns of hosts with ports.
            denied: Patterns that count for more.
            resolve: How names are looked up; by default as the system does it.
            dial: How connections are made.
        """
        self._granted = tuple(granted)
        self._denied = tuple(denied)
        self._resolve = resolve or look_up
        self._dial = dial or connect

    def is_granted(self, target: str) -> bool:
        """Tell whether a host with its port was granted."""
        return address.is_granted(target, self._granted, self._denied)

    def reach(self, request: HttpRequest, target: str) -> Socket:
        """Connect to the host of a request.

        Raises:
            EgressRefusedError: It may not be reached.
            OSError: It cannot be reached.
        """
        if not self.is_granted(target):
            raise EgressRefusedError("it is not granted")
        if request.port == TLS_PORT and not request.is_tunnel:
            raise EgressRefusedError("port 443 is for TLS only")
        literal = address.packed_address(request.host)
        found = [literal] if literal else self._resolve(request.host, request.port)
        refused: EgressRefusedError | None = None
        failure = OSError(EHOSTUNREACH, os.strerror(EHOSTUNREACH))
        for packed in list(dict.fromkeys(map(address.unmapped, found)))[:_TRIED_MOST]:
            try:
                self._check(packed, request, is_literal=literal is not None)
                return self._dial(packed, request.port, _DIAL_S)
            except EgressRefusedError as error:
                refused = refused or error
            except OSError as error:
                failure = error
        if refused is not None:
            raise refused
        raise failure

    def _check(self, packed: bytes, request: HttpRequest, *, is_literal: bool) -> None:
        """Refuse an address to which a name must not lead.

        Raises:
            EgressRefusedError: With the address as its target.
        """
        where = address.joined(address.written(packed), request.port)
        if address.is_denied(where, self._denied):
            raise EgressRefusedError(f"it leads to {where}, which is denied", where)
        if is_literal or address.is_granted(where, self._granted):
            return
        why = address.why_special(packed) or _why_own(packed)
        if why:
            raise EgressRefusedError(
                f"it leads to {where}, which is {why} and has to be granted as an address", where
            )


def look_up(name: str, port: int) -> list[bytes]:
    """Look up a name as the system does it.

    Raises:
        OSError: It has no address.
    """
    try:
        # As bytes: importing the codec for text takes longer than the rest.
        found = _socket.getaddrinfo(name.encode(), port, 0, _socket.SOCK_STREAM)
    except _socket.gaierror as error:
        raise OSError(EHOSTUNREACH, f"the name leads nowhere: {error.strerror}") from error
    packed = (address.packed_address(str(each[4][0]).partition("%")[0]) for each in found)
    return [each for each in packed if each]


def connect(packed: bytes, port: int, timeout_s: float) -> Socket:
    """Connect to an address.

    Raises:
        OSError: It cannot be reached within `timeout_s` seconds.
    """
    family = _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6
    server = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    server.setblocking(False)
    code = server.connect_ex((address.written(packed), port))
    if code == EINPROGRESS:
        poll = select.poll()
        poll.register(server.fileno(), select.POLLOUT)
        if poll.poll(timeout_s * 1000):
            code = server.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        else:
            code = ETIMEDOUT
    if code:
        server.close()
        raise OSError(code, os.strerror(code))
    return server


def _why_own(packed: bytes) -> str:
    """Say that an address is this machine's, whose services may trust its callers: bind(2)."""
    family = _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6
    try:
        probe = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    except OSError:
        return ""
    try:
        probe.bind((address.written(packed), 0))
    except OSError:
        return ""
    finally:
        probe.close()
    return "this machine itself"
