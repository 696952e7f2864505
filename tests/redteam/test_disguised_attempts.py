"""Refused attempts that look like something which is not reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.policy.fold import fold
from buildperm.policy.undecided_accesses import undecided
from buildperm.tracer.recording import reader

if TYPE_CHECKING:
    from tests.bench import Bench

_CONNECTS = """\
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect({!r})
except OSError as error:
    print(f"cargo::warning={{error.errno}}")
"""


@pytest.mark.parametrize(
    "way", ["/proc/self/root{}", "/run/nscd/../..{}", "/proc/self/cwd/../..{}"]
)
def test_a_socket_is_told_by_where_its_name_leads(bench: Bench, way: str) -> None:
    # It looked like one of libc's own, or like something of the process itself: ci said nothing.
    agent = bench.top / "agent"
    name = way.format(f"/{agent.name}" if "cwd" in way else agent)

    ended = bench.run(bench.script(_CONNECTS.format(name)))

    assert ended.stdout == b"cargo::warning=13\n"
    asked = undecided(fold(reader.read(bench.recording)))
    assert str(agent) in [access.target for access in asked]
