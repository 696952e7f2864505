"""Runs one command under a real recorder and writes the recording; started by the tests.

A stand-in for the supervisor: it forks, waits until it is traced, installs a filter of its own and
executes. `python -IS harness.py SPEC`, where SPEC is a marshalled dictionary.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from buildperm.tracer.recorder.asked_paths import AskedPaths
from buildperm.tracer.recorder.loop import Recorder
from buildperm.tracer.recorder.run_end import sentence
from buildperm.tracer.recorder.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ALLOW, TRACE = 0x7FFF0000, 0x7FF00000


def build_filter(recorded: dict[int, int]) -> bytes:
    """Return a program that stops for each call in `recorded`, with that much filter data."""
    code = [struct.pack("=HBBI", 0x20, 0, 0, 0)]
    for number, data in recorded.items():
        code.append(struct.pack("=HBBI", 0x15, 0, 1, number))
        code.append(struct.pack("=HBBI", 0x06, 0, 0, TRACE | data))
    code.append(struct.pack("=HBBI", 0x06, 0, 0, ALLOW))
    return b"".join(code)


def confine(program: bytes) -> None:
    """Install `program` for this process: seccomp(2)."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    loaded = Program(len(program) // 8, program)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(loaded), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def restrict(readable: list[bytes], writable: list[bytes]) -> None:
    """Let this process read and execute below `readable`, and everything below `writable`.

    landlock(7); a stand-in with the rights of ABI 3 for the real one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    everything, reading = (1 << 15) - 1, 0b1101
    handled = ctypes.c_uint64(everything)
    ruleset = libc.syscall(444, ctypes.byref(handled), 8, 0)
    for rights, paths in ((reading, readable), (everything, writable)):
        for path in paths:
            below = os.open(path, os.O_PATH)
            fitting = rights if os.path.isdir(path) else rights & (1 << 14 | 0b111)
            rule = ctypes.create_string_buffer(struct.pack("=Qi", fitting, below))
            if libc.syscall(445, ruleset, 1, rule, 0):
                raise OSError(ctypes.get_errno(), "landlock_add_rule")
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(446, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")


class CountingRecorder(Recorder):
    """Knows how many stops the Python loop has handled."""

    python_stops = 0

    def _loop(self, wait: Callable[[], tuple[int, int]]) -> int:
        def counted() -> tuple[int, int]:
            found = wait()
            self.python_stops += 1
            return found

        return super()._loop(counted)


def main(spec: dict[str, Any]) -> int:
    """Record `spec["argv"]` into `spec["recording"]`."""
    argv = spec["argv"]
    gate, opener = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(opener)
        os.read(gate, 1)
        os.close(gate)
        if spec["readable"]:
            restrict(spec["readable"], spec["writable"])
        given = spec["filter"]
        confine(given if isinstance(given, bytes) else build_filter(given))
        os.execve(argv[0], argv, spec["env"])
    writer = Writer(**spec["caps"])
    recorder = CountingRecorder(writer, spec["calls"], spec["library"])
    recorder.environment.withheld = frozenset(spec["withheld"])
    recorder.process_limit = spec["process_limit"]
    asked = AskedPaths()
    if spec.get("collects"):
        recorder.collect(asked)
    recorder.attach(pid, argv[0])
    if spec["stop_after_s"]:
        import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it

        _signal.signal(_signal.SIGALRM, lambda *_: recorder.stop())
        _signal.alarm(spec["stop_after_s"])
    os.close(gate)
    os.close(opener)
    status = recorder.run()
    header = spec["header"]
    end: dict[str, Any] = {
        "status": status,
        "exit": os.waitstatus_to_exitcode(status),
        "left_running": recorder.left_running,
        "voided": recorder.voided,
        "failure": sentence(recorder.stop_cause) if recorder.stop_cause else "",
        "unseen": recorder.environment.unseen,
    }
    writer.save(spec["recording"], header, end)
    with open(spec["recording"] + b".asked", "wb") as asked_file:
        found = asked.opened, asked.looked, asked.executed, asked.read_links
        asked_file.write(marshal.dumps((asked.reason, *map(frozenset, found))))
    with open(spec["recording"] + b".stops", "w", encoding="utf-8") as file:
        file.write(str(recorder.python_stops))
    return 0


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        loaded = marshal.load(file)
    sys.exit(main(loaded))
