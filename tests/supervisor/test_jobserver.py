"""Cargo's job server: how it is found, and how it gets back the tokens that a script kept."""

from __future__ import annotations

import fcntl
import os
import select
from typing import TYPE_CHECKING

import pytest

from buildperm.supervisor.jobserver import Jobserver
from tests.programs import program_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench import Bench, Ended


def found(**environ: bytes) -> tuple[list[int], bytes]:
    server = Jobserver({os.fsencode(name): value for name, value in environ.items()})
    return server.kept, server.fifo


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
        assert found(CARGO_MAKEFLAGS=text) == ([], fifo)  # Nobody has passed them on.
        for each in (reading, writing):
            os.set_inheritable(each, True)

        assert found(CARGO_MAKEFLAGS=text) == ([reading, writing], fifo)
        assert found(MAKEFLAGS=text) == ([reading, writing], fifo)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_fifo_is_found_by_its_path() -> None:
    flags = b"-j --jobserver-auth=fifo:/tmp/GMfifo1"

    assert found(CARGO_MAKEFLAGS=flags) == ([], b"/tmp/GMfifo1")


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
    assert found(CARGO_MAKEFLAGS=flags) == ([], b"")


def test_a_file_passed_off_as_a_jobserver_is_not_kept_open() -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    try:
        flags = b"--jobserver-auth=%d,%d" % (secret, secret)

        assert found(CARGO_MAKEFLAGS=flags) == ([], b"")
    finally:
        os.close(secret)


@pytest.fixture
def pipe(bench: Bench) -> Iterator[tuple[int, int]]:
    """Return a pipe of the bench's user with three tokens in it, each another one."""
    reading, writing = os.pipe()
    os.fchown(reading, bench.uid or os.getuid(), -1)
    os.write(writing, b"abc")
    yield reading, writing
    os.close(reading)
    os.close(writing)


def run(bench: Bench, pipe: tuple[int, int], body: str) -> Ended:
    """Run a script that has the two ends in R and W."""
    reading, writing = pipe
    bench.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    placed = bench.script(f"import os, time\nR, W = {reading}, {writing}\n{body}\n")
    return bench.run(placed, pass_fds=pipe)


def left(pipe: tuple[int, int]) -> list[int]:
    """Return the tokens that are in the pipe, in order."""
    os.write(pipe[1], b"|")  # So that there is something to read.
    return sorted(os.read(pipe[0], 4096).replace(b"|", b"", 1))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("os.read(R, 1); os.read(R, 1)", id="reads"),
        pytest.param(
            "own = os.open(f'/dev/fd/{R}', os.O_RDONLY | os.O_NONBLOCK)\n"
            "os.read(own, 1); os.read(own, 1)",
            id="opens it again",
        ),
        pytest.param("os.dup2(R, 3); os.read(3, 1); os.read(3, 1)", id="by 3"),
        pytest.param(
            "told = os.pipe()\n"
            "if not os.fork():\n"
            "  os.setsid(); os.read(R, 1); os.read(R, 1)\n"
            "  os.write(told[1], b'now'); time.sleep(99)\n"
            "os.read(told[0], 3)",
            id="leaves somebody running",
        ),
        pytest.param("os.read(R, 2)", id="two at once"),
        pytest.param("os.read(R, 8); os.write(W, b'b')", id="gives some back"),
        pytest.param("os.read(R, 1); os.read(R, 1); os.kill(os.getpid(), 9)", id="is killed"),
        pytest.param("for _ in range(3): os.read(R, 1)\nos.write(W, b'b')", id="gives one back"),
        pytest.param("os.read(R, 1); os.read(R, 1); os.write(W, b'z')", id="gives another back"),
    ],
)
@pytest.mark.quick(4)
def test_tokens_that_it_keeps_are_put_back(bench: Bench, pipe: tuple[int, int], body: str) -> None:
    ended = run(bench, pipe, body)

    kept = 1 if "b'z'" in body else 2
    assert ended.of("end")[0]["tokens"] == kept
    assert b"put back" in ended.stderr
    assert b"of Cargo's job server that it had kept" in ended.stderr
    tokens = left(pipe)
    assert len(tokens) == 3
    if kept == 2:
        assert bytes(tokens) == b"abc"
    # Nobody else's calls have stopped waiting.
    assert not any(fcntl.fcntl(end, fcntl.F_GETFL) & os.O_NONBLOCK for end in pipe)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("os.write(W, os.read(R, 1))", id="gives it back"),
        pytest.param("os.write(W, os.read(R, 8))", id="gives all back"),
        pytest.param("os.write(W, os.read(R, 1) + os.read(R, 1))", id="gives both back"),
        pytest.param(
            "own = os.pipe(); os.write(own[1], b'x'); os.read(own[0], 1)\n"
            "os.write(own[1], b'x'); open('/proc/self/stat', 'rb', 0).read(1)",
            id="reads elsewhere",
        ),
        pytest.param(
            program_text("waits_for_tokens.py"),
            id="waits in vain",
        ),
    ],
)
@pytest.mark.quick(3)
def test_what_adds_up_is_no_news(bench: Bench, pipe: tuple[int, int], body: str) -> None:
    ended = run(bench, pipe, body)

    if "Thread" in body:  # Whoever still waited got those that were put in again.
        assert ended.of("end")[0]["tokens"] == 3
    else:
        assert ended.of("end")[0]["tokens"] == 0
        assert b"job server" not in ended.stderr
    assert bytes(left(pipe)) == b"abc"


def test_tokens_that_it_makes_stay(bench: Bench, pipe: tuple[int, int]) -> None:
    """It may have read them in a way that is not counted."""
    ended = run(bench, pipe, "os.read(R, 16); os.write(W, b'a'); os.write(W, b'b')")

    assert ended.of("end")[0]["tokens"] == 0
    assert bytes(left(pipe)) == b"ab"


def test_what_has_taken_the_place_of_the_fifo_is_left_alone(own_bench: Bench) -> None:
    fifo, other = own_bench.out_dir / "jobserver", own_bench.top / "other"
    for path in (fifo, other):
        os.mkfifo(path)
    cargo = os.open(fifo, os.O_RDWR)
    os.write(cargo, b"abc")
    outside = os.open(other, os.O_RDONLY | os.O_NONBLOCK)
    own_bench.environment["CARGO_MAKEFLAGS"] = f"-j4 --jobserver-auth=fifo:{fifo}"

    ended = own_bench.run(
        own_bench.script(
            f"import os; fd = os.open('{fifo}', os.O_RDWR); os.read(fd, 1)\n"
            f"os.unlink('{fifo}'); os.symlink('{other}', '{fifo}')\n"
        )
    )

    assert ended.of("end")[0]["tokens"] == 1
    assert sorted(os.read(cargo, 9)) == list(b"abc")
    poll = select.poll()
    poll.register(outside)
    assert poll.poll(0) == []  # Or it would say that a writer had come and gone.
    os.close(cargo)
    os.close(outside)


def test_a_fifo_gets_its_tokens_back(own_bench: Bench) -> None:
    fifo = own_bench.top / "jobserver"
    os.mkfifo(fifo)
    cargo = os.open(fifo, os.O_RDWR)
    os.write(cargo, b"abc")
    own_bench.environment["CARGO_MAKEFLAGS"] = f"-j4 --jobserver-auth=fifo:{fifo}"

    ended = own_bench.run(
        own_bench.script(f"import os; fd = os.open('{fifo}', os.O_RDWR); os.read(fd, 1)")
    )

    assert ended.of("end")[0]["tokens"] == 1
    assert sorted(os.read(cargo, 9)) == list(b"abc")
    os.close(cargo)


def test_make_gives_all_of_them_back(bench: Bench, pipe: tuple[int, int]) -> None:
    makefile = bench.package / "Makefile"
    makefile.write_text("all: a b c d e\na b c d e:\n\t@sleep 0.1; echo cargo::warning=$@\n")
    bench.environment["CARGO_MAKEFLAGS"] = "-j --jobserver-auth={},{}".format(*pipe)
    script = bench.top / "script.sh"
    script.write_text('#!/bin/sh -e\nMAKEFLAGS="$CARGO_MAKEFLAGS" make all\n')
    script.chmod(0o755)

    ended = bench.run(bench.install(script), "learning", pass_fds=pipe)

    assert ended.status == 0, ended.stderr
    assert b"unavailable" not in ended.stderr
    assert ended.stdout.count(b"cargo::warning=") == 5
    assert ended.of("end")[0]["tokens"] == 0
    assert bytes(left(pipe)) == b"+++"  # Which it has taken, and put back in its own way.
