"""What the supervisor of macros tells a launcher that may have ended."""

from __future__ import annotations

import socket

from buildperm.supervisor.launcher_connection import reply


def test_a_launcher_is_told_how_macros_have_ended() -> None:
    launcher, connected = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with launcher, connected:
        reply(connected, 7)
        assert launcher.recv(16) == b"7\n"


def test_a_launcher_that_has_ended_is_not_told_and_nothing_is_printed() -> None:
    launcher, connected = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    launcher.close()
    with connected:
        reply(connected, 7)
