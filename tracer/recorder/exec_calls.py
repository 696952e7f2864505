"""Reads the calls that execute programs.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import ENOENT

from buildperm.tracer.recorder import decoding, location, memory, refusal
from buildperm.tracer.recorder.decoding import RESTARTING
from buildperm.tracer.recorder.location import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import Enter, Leave, Observer, Seen, Stopped
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import ExecutionLayout


def handler(observer: Observer, _name: str, layout: ExecutionLayout) -> tuple[Enter, Leave]:
    """Return what reads a call with such a layout."""
    start_at, path_at = (index + 1 for index in layout.path)
    argv_at = layout.argv + 1
    writer, resume = observer.writer, observer.resume

    def enter(tid: int, process: Process, stopped: Stopped) -> Seen:
        path = observer.outer(memory.text(tid, stopped[path_at]) or b"")
        start = stopped[start_at] if start_at else AT_FDCWD
        return location.absolute(process.pid, tid, start, path), stopped[argv_at]

    def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
        requested, pointer = seen
        found: bytes = requested
        argv: tuple[bytes, ...] = ()
        if -result != ENOENT:  # a search through PATH is not worth its arguments
            try:
                argv = decoding.arguments(tid, pointer)
            except OSError:
                pass  # gone, or unreadable: the next entry will say so
        if -result in refusal.SUSPECT or observer.is_hidden(result, requested):
            found = location.resolved(requested)
            refused = refused or refusal.may_execute(found)
        resume(tid)
        if -result < RESTARTING:
            writer.executed(process, found, requested, argv, -min(result, 0), refused)
        if refused:  # execve(2), "Interpreter scripts": either may be what is missing
            interpreter = _interpreter(found)
            if interpreter and refusal.may_execute(interpreter):
                writer.executed(process, interpreter, requested, argv, -result, refused)

    return enter, leave


def executed(pid: int, seen: Seen | None) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """Return program, path asked for and arguments of what `pid` has just started.

    A program that is unreadable, or killed already, is called what was asked for.
    """
    program = location.program(pid)
    requested = program if seen is None else seen[0]
    return program or requested, requested, decoding.command_line(pid)


def _interpreter(path: bytes) -> bytes:
    """Return the interpreter that the first line of `path` names; empty if there is none."""
    try:
        file = location.opened(path)
    except OSError:
        return b""
    try:
        line = os.read(file, 256).split(b"\n", 1)[0]
    except OSError:
        return b""
    finally:
        os.close(file)
    words = line[2:].split() if line.startswith(b"#!") else []
    return location.resolved(words[0]) if words and words[0].startswith(b"/") else b""
