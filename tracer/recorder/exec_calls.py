"""Reads the calls that execute programs.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import ENOENT

from buildperm.tracer.recorder import (
    decoding,
    location,
    memory,
    program_interpreter,
    refusal,
)
from buildperm.tracer.recorder.decoding import RESTARTING
from buildperm.tracer.recorder.location import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import (
        Decoded,
        Handler,
        Observer,
        SyscallInfo,
    )
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import ExecutionLayout


def handler(observer: Observer, _name: str, layout: ExecutionLayout) -> Handler:
    """Return the handler of a call with this layout."""
    start_at, path_at = (index + 1 for index in layout.path)
    argv_at = layout.argv + 1
    writer, resume = observer.writer, observer.resume

    def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded:
        path = observer.host_path(memory.c_string(tid, syscall[path_at]) or b"")
        start = syscall[start_at] if start_at else AT_FDCWD
        return location.absolute(process.pid, tid, start, path), syscall[argv_at]

    def on_exit(tid: int, process: Process, decoded: Decoded, result: int, refused: bool) -> None:
        requested, pointer = decoded
        found: bytes = requested
        argv: tuple[bytes, ...] = ()
        if -result != ENOENT:  # A search through PATH is not worth its arguments.
            try:
                argv = decoding.arguments(tid, pointer)
            except OSError:
                pass  # Gone, or unreadable: the next entry will say so.
        if -result in refusal.SANDBOX_ERRNOS or observer.is_hidden(result, requested):
            found = location.resolved(requested)
            refused = refused or refusal.may_execute(found)
        resume(tid)
        if -result < RESTARTING:
            entry = writer.executed(process, found, requested, argv, -min(result, 0), refused)
            if observer.repeats is not None:
                is_same = not argv and not refused and not found.startswith(b"/proc/")
                observer.repeats.note(b"", entry if is_same else None)
        if refused:  # execve(2), "Interpreter scripts": either may be what is missing
            interpreter = _interpreter(found)
            if interpreter and refusal.may_execute(interpreter):
                writer.executed(process, interpreter, requested, argv, -result, refused)

    return on_entry, on_exit


def executed(pid: int, decoded: Decoded | None) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """Return the program, the requested path and the arguments of what `pid` has just executed.

    The requested path stands for a program that is unreadable, or already killed.
    """
    program = location.program(pid)
    requested = program if decoded is None else decoded[0]
    return program or requested, requested, decoding.command_line(pid)


def _interpreter(path: bytes) -> bytes:
    """Return the interpreter that the first line of `path` names; empty if there is none."""
    try:
        file = location.open_regular_file(path)
    except OSError:
        return b""
    try:
        named = program_interpreter.of_script(os.read(file, 256))
    except OSError:
        return b""
    finally:
        os.close(file)
    return location.resolved(named) if named.startswith(b"/") else b""
