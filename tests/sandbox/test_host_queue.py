"""A process for macros answers foreseen calls itself, and has them made in their order."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from buildperm.sandbox import native_programs
from tests.programs import CHILDREN

_SOURCES = Path(native_programs.__file__).parent.parent / "supervisor" / "compiling"
_SYMBOL = b"__rustc_proc_macro_decls_0__"
_LOAD, _TABLE, _RUN, _CALL, _ANSWER, _DONE, _FAILED, _QUEUED = range(1, 9)
_BARE = 0
_HEAD = struct.Struct("<IIQ")
_MOST = 49152  # QUEUE_MOST
_NO_COUNTER = 0xFF
_NOTHING = bytes(18)


def _foreseen(drop: bytes, *makes: bytes) -> bytes:
    words = [drop, *makes, *[drop] * (7 - len(makes))]
    packed = b"".join(each.ljust(2, b"\0") for each in words)
    return bytes([len(drop), _NO_COUNTER]) + packed


_FORESEEN = _foreseen(b"d", b"m", b"n")


@dataclass(slots=True)
class _Compiler:
    """Plays the shim in a compiler, whose answers are given beforehand."""

    host: Path
    library: Path
    foreseen: bytes
    process: subprocess.Popen[bytes] = field(init=False)
    arriving: int = field(init=False)
    leaving: int = field(init=False)

    def __post_init__(self) -> None:
        ours, theirs = socket.socketpair()
        its_in, self.leaving = os.pipe()
        self.arriving, its_out = os.pipe()
        command: list[str | Path] = [
            "/bin/sh",
            "-c",
            'exec "$0" "$1" 3<&0 </dev/null',
            self.host,
            self.library,
        ]
        with ours, theirs:
            self.process = subprocess.Popen(command, stdin=theirs.fileno())
            text = self.foreseen + _SYMBOL
            head = _HEAD.pack(_LOAD, len(text), _BARE)
            socket.send_fds(ours, [head + text], [its_in, its_out])
        os.close(its_in)
        os.close(its_out)
        assert self.hear()[0] == _TABLE

    def say(self, kind: int, extra: int = 0, text: bytes = b"") -> None:
        os.write(self.leaving, _HEAD.pack(kind, len(text), extra) + text)

    def run(self, text: bytes, following: int = 0) -> None:
        no_processor = 0xFFFF << 48
        self.say(_RUN, no_processor | following, text)

    def hear(self) -> tuple[int, list[tuple[int, bytes]], bytes]:
        """Return the kind of a frame, what is queued in it, by handle, and the rest."""
        kind, size, extra = _HEAD.unpack(self._read(_HEAD.size))
        text = self._read(size)
        queued, at = [], 0
        while at < extra:
            size, handle = struct.unpack_from("<II", text, at)
            queued.append((handle, text[at + 8 : at + 8 + size]))
            at += 8 + size
        assert at == extra
        return kind, queued, text[at:]

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = os.read(self.arriving, size - len(found))
            assert more, "it has ended"
            found += more
        return found

    def end(self) -> int:
        os.close(self.leaving)
        os.close(self.arriving)
        return self.process.wait(60)


@pytest.fixture(name="library", scope="module")
def _library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("queuing") / "libmade-1.so"
    source = CHILDREN / "queuing_macros.c"
    options = ["-std=gnu11", "-shared", "-fPIC", "-I", str(_SOURCES)]
    subprocess.run(["cc", *options, "-o", str(library), str(source)], check=True)
    return library


@pytest.fixture(name="compiler")
def _compiler(library: Path) -> Iterator[_Compiler]:
    compiler = _Compiler(native_programs.programs().host, library, _FORESEEN)
    yield compiler
    assert compiler.end() == 0


def _handle(number: int) -> str:
    return "00" + number.to_bytes(4, "little").hex()


def test_what_is_foreseen_goes_with_the_next_call(compiler: _Compiler) -> None:
    compiler.run(b"d1 m1 n22 ask d2", following=7)
    assert compiler.hear() == (_CALL, [(0, b"d1"), (7, b"m1"), (8, b"n22")], b"ask")
    compiler.say(_ANSWER, 9, b"\xff\xee")
    kind, queued, made = compiler.hear()
    assert (kind, queued) == (_DONE, [(0, b"d2")])
    assert made.decode().split() == ["00", _handle(7), _handle(8), "ffee", "00"]


def test_a_handle_that_nobody_knows_is_waited_for(compiler: _Compiler) -> None:
    compiler.run(b"d m1 m2 ask m3 m4")
    assert compiler.hear() == (_CALL, [(0, b"d")], b"m1")
    compiler.say(_ANSWER, 0, b"\0" + (30).to_bytes(4, "little"))
    assert compiler.hear() == (_CALL, [(31, b"m2")], b"ask")
    compiler.say(_ANSWER, 0, b"")
    assert compiler.hear() == (_CALL, [], b"m3")
    compiler.say(_ANSWER, 0, b"\1\1")  # Err(PanicMessage::Unknown)
    assert compiler.hear() == (_CALL, [], b"m4")
    compiler.say(_ANSWER, 60, b"\0" + (50).to_bytes(4, "little"))
    kind, queued, made = compiler.hear()
    assert (kind, queued) == (_DONE, [])
    answers = ["00", _handle(30), _handle(31), "", "0101", _handle(50)]
    assert made.decode().split(" ") == [*answers, ""]


def test_after_the_last_handle_nothing_is_foreseen(compiler: _Compiler) -> None:
    compiler.run(b"m m d", following=0xFFFFFFFF)
    assert compiler.hear() == (_CALL, [(0xFFFFFFFF, b"m")], b"m")
    compiler.say(_ANSWER, 0, b"\1\1")
    assert compiler.hear()[:2] == (_DONE, [(0, b"d")])


def test_a_run_knows_nothing_of_the_one_before(compiler: _Compiler) -> None:
    compiler.run(b"m", following=5)
    assert compiler.hear()[:2] == (_DONE, [(5, b"m")])
    compiler.run(b"m")
    assert compiler.hear() == (_CALL, [], b"m")
    compiler.say(_ANSWER)
    assert compiler.hear()[:2] == (_DONE, [])


def test_a_long_queue_is_made_before_it_grows(compiler: _Compiler) -> None:
    times = 20_000
    compiler.run(b"d*%d" % times)
    seen = 0
    while (frame := compiler.hear())[0] == _QUEUED:
        kind, queued, rest = frame
        assert (kind, rest) == (_QUEUED, b"")
        assert _MOST <= sum(8 + len(each) for _, each in queued) < _MOST + 9
        seen += len(queued)
        compiler.say(_ANSWER)
    assert frame[0] == _DONE
    assert seen + len(frame[1]) == times


def test_where_nothing_is_foreseen_each_call_waits(library: Path) -> None:
    compiler = _Compiler(native_programs.programs().host, library, _NOTHING)
    compiler.run(b"d m", following=5)
    for call in (b"d", b"m"):
        assert compiler.hear() == (_CALL, [], call)
        compiler.say(_ANSWER, 5)
    assert compiler.hear()[0] == _DONE
    assert compiler.end() == 0


def test_a_call_may_be_named_by_two_bytes(library: Path) -> None:
    host = native_programs.programs().host
    compiler = _Compiler(host, library, _foreseen(b"ab", b"ac"))
    compiler.run(b"ab ac1 ad a", following=5)
    assert compiler.hear() == (_CALL, [(0, b"ab"), (5, b"ac1")], b"ad")
    compiler.say(_ANSWER, 6)
    assert compiler.hear() == (_CALL, [], b"a")
    compiler.say(_ANSWER, 6)
    assert compiler.hear()[0] == _DONE
    assert compiler.end() == 0


def test_what_a_process_has_queued_that_ends_is_made_by_nobody(library: Path) -> None:
    compiler = _Compiler(native_programs.programs().host, library, _FORESEEN)
    compiler.run(b"d d !")
    assert os.read(compiler.arriving, 1) == b""
    assert compiler.end() == 1
