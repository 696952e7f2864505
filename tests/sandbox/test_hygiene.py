"""Finding the jobserver, and the stub that is run by sh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.sandbox import hygiene
from buildperm.sandbox.stub import stub


@pytest.mark.parametrize(
    ("flags", "fifo"),
    [
        (b"-j --jobserver-fds={r},{w} --jobserver-auth={r},{w}", b""),
        (b"-j8 --jobserver-auth={r},{w}", b""),
        (b"--jobserver-auth=fifo:/a --jobserver-auth={r},{w}", b""),
    ],
)
def test_the_jobserver_is_found_among_the_flags(flags: bytes, fifo: bytes) -> None:
    reading, writing = os.pipe()
    try:
        text = flags.replace(b"{r}", b"%d" % reading).replace(b"{w}", b"%d" % writing)

        assert hygiene.jobserver({b"CARGO_MAKEFLAGS": text}) == ([reading, writing], fifo)
        assert hygiene.jobserver({b"MAKEFLAGS": text}) == ([reading, writing], fifo)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_fifo_is_found_by_its_path() -> None:
    flags = {b"CARGO_MAKEFLAGS": b"-j --jobserver-auth=fifo:/tmp/GMfifo1"}

    assert hygiene.jobserver(flags) == ([], b"/tmp/GMfifo1")


@pytest.mark.parametrize(
    "flags",
    [
        b"",
        b"-j",
        b"--jobserver-auth=",
        b"--jobserver-auth=a,b",
        b"--jobserver-auth=-2,-2",
        b"--jobserver-auth=99999999999999999999,4097",
        b"--jobserver-auth=4096,4097",
    ],
)
def test_what_is_no_jobserver_keeps_nothing_open(flags: bytes) -> None:
    assert hygiene.jobserver({b"CARGO_MAKEFLAGS": flags}) == ([], b"")


def test_a_file_passed_off_as_a_jobserver_is_not_kept_open() -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    try:
        flags = {b"CARGO_MAKEFLAGS": b"--jobserver-auth=%d,%d" % (secret, secret)}

        assert hygiene.jobserver(flags) == ([], b"")
    finally:
        os.close(secret)


@pytest.mark.parametrize("name", ["plain", "a b", "it's", 'say "x"', "$HOME", "`id`", "ä"])
def test_any_path_survives_the_shell(tmp_path: Path, name: str) -> None:
    session = tmp_path / name / "session"
    program = tmp_path / name / "stub"
    program.parent.mkdir()
    text = stub(os.fsencode(session)).replace(
        b"-IS", b"-ISc 'import os; print(os.environ[\"BUILDPERM_FALLBACK\"])'"
    )
    program.write_bytes(text + b"# real: x\n")

    ended = subprocess.run(["sh", program], capture_output=True, check=True)

    assert ended.stdout == os.fsencode(session) + b"\n"
    assert text.count(b"\n# real:") == 0
    assert os.fsencode(sys.executable) in text


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="a%0Ab"):
        stub(b"/a\nb")
