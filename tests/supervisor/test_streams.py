"""What a script printed comes back line by line, wherever it was cut on its way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.streams import Streams
from tests.supervisor.gate_packages import package

AT_ONCE = 1 << 16  # What is read at once.
WAIT_S = 60


def lines_of(pieces: Sequence[bytes]) -> list[bytes]:
    """Return the lines of what a script has printed piece by piece."""
    with TemporaryDirectory() as folder:
        streams = Streams(os.fsencode(folder), 1 << 24, 1 << 10, lambda: None)
        script = os.dup(streams.stdout)
        streams.start()
        try:
            for piece in pieces:
                while piece:
                    piece = piece[os.write(script, piece) :]
        finally:
            os.close(script)
        assert streams.finish(WAIT_S)
        return list(streams.lines())


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 40))
def test_lines_are_those_of_the_whole(pieces: Sequence[bytes], before: int) -> None:
    """The end of what is read at once falls into a line, onto its end, or between two."""
    pieces = [b"x" * (AT_ONCE - before), *pieces]
    *lines, rest = b"".join(pieces).split(b"\n")

    assert lines_of(pieces) == [*lines, *([rest] if rest else [])]


def test_a_directive_is_judged_as_a_whole_wherever_it_is_cut() -> None:
    denied = b"cargo:rustc-link-arg=-x"
    watched = b"cargo:rerun-if-changed=\xc3\xa4"
    for before in range(len(denied) + len(watched) + 3):
        filler = b"y" * (AT_ONCE - before - 1)
        gate = DirectiveGate(package(), {}, (), lambda *_: None)

        passed = b"".join(gate.pass_on(lines_of([filler + b"\n" + denied + b"\n" + watched])))

        assert passed == filler + b"\n" + watched + b"\n"
        assert gate.withheld == ["rustc-link-arg=-x (refused)"]


def test_a_line_may_be_longer_than_what_is_read_at_once() -> None:
    long = b"cargo:rerun-if-changed=" + b"z" * (3 * AT_ONCE)

    assert lines_of([long, b"\n", b"\n", b"end"]) == [long, b"", b"end"]
