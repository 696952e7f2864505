"""The recorder looks at files that a script names, with the rights of the user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bench import compile_c
from tests.programs import program_text

if TYPE_CHECKING:
    from tests.bench import Bench

SWAPS = program_text("swaps.c")


def test_the_recorder_takes_nothing_out_of_a_pipe_that_a_script_points_it_to(bench: Bench) -> None:
    # What it was told is a program that could be run outside was a link to a device by the time
    # that its first line was read: what somebody typed was gone.
    lure = bench.top / "lure"
    lure.mkdir()
    os.mkfifo(lure / "device")
    (lure / "device").chmod(0o777)
    bench.environment = {"CARGO_PKG_NAME": str(lure)}
    pipe = os.open(lure / "device", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, b"typed")
        ended = bench.run(bench.install(compile_c(SWAPS, bench.top / "swaps")))

        assert ended.status == 0, ended.stderr
        assert os.read(pipe, 64) == b"typed"
    finally:
        os.close(pipe)
