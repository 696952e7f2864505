"""Looks up names of hosts in a process that stays outside of a root.

What libc does for that, it loads from the system: nsswitch.conf(5) names libraries. In a root
those are somebody else's, and a supervisor runs none of them.

    supervisor, in the root          outside
    "443 example.org" ─────────────▶ getaddrinfo(3)
    "+ 5db8d70e" ◀────────────────── ends when the supervisor has

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _socket
import _thread
import os
from errno import EHOSTUNREACH

from buildperm.supervisor import hardening
from buildperm.supervisor.egress_dialer import look_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_LONGEST = 1 << 13  # A request is a name, an answer some addresses.
_MOST = 100  # Addresses: who answers for a name may send any number of them.


class OutsideLookup:
    """The process outside; `resolve` may be called by several threads."""

    def __init__(self) -> None:
        """Start it, from a process with one thread.

        Raises:
            OSError: There can be no more processes.
        """
        self._end, other = _socket.socketpair(
            _socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        )
        self._lock = _thread.allocate_lock()
        between = os.fork()
        if between == 0:  # Nobody's child: who waits for the script would meet it.
            self._end.close()
            _be_outside(other)
        other.close()
        os.waitpid(between, 0)

    def resolve(self, name: str, port: int) -> list[bytes]:
        """Look up a name, as `egress_dialer.look_up`.

        Raises:
            OSError: It has no address, or nobody is there to ask.
        """
        with self._lock:
            self._end.send(b"%d %s" % (port, name.encode()))
            answer = self._end.recv(_LONGEST)
        kind, *told = answer.split(b" ")
        if kind != b"+":
            raise OSError(EHOSTUNREACH, answer[2:].decode("utf-8", "replace"))
        return [bytes.fromhex(each.decode()) for each in told]


def _be_outside(end: _socket.socket) -> NoReturn:
    try:
        if os.fork() == 0:
            hardening.close_but([end.fileno()])
            nothing = os.open(b"/dev/null", os.O_RDWR)
            for place in range(3):
                os.dup2(nothing, place)
            while request := end.recv(_LONGEST):
                end.send(_answer(request))
    finally:
        os._exit(0)


def _answer(request: bytes) -> bytes:
    port, _, name = request.partition(b" ")
    try:
        return b" ".join(
            (b"+", *(each.hex().encode() for each in look_up(name.decode(), int(port))[:_MOST]))
        )
    except (OSError, ValueError) as error:
        return b"- " + str(error).encode()[:200]
