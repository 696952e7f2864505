"""The program that Cargo calls in place of our scripts: it starts them without what a loader obeys.

It is `supervisor/starting/entry.c`. Where there is no C compiler, Cargo calls the scripts.
"""

from __future__ import annotations

from buildperm.sandbox import start_programs

_MARK = b"buildperm-entry\0" + bytes(8)
"""Where the program keeps its own size, behind which it finds the text."""


def entry(script: bytes) -> bytes:
    """Return the program that becomes a script; empty where there can be none.

    Args:
        script: Its path.
    """
    program = b"" if b"\n" in script else start_programs.entry_program()
    if not program:
        return b""
    assert program.count(_MARK) == 1  # Or it would find nothing.
    program = program.replace(_MARK, _MARK[:-8] + len(program).to_bytes(8, "little"))
    return program + b"\nscript=" + script + b"\n"
