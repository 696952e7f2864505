"""Writes what compiling a package was refused, or was seen reading, as a recording.

No recorder looks at compilers: the launcher notes what its shim reports, and rustc itself lists the
files that it read. What comes of it is read, folded and asked about like what a recorder saw.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder.process_tree import Process
from buildperm.tracer.recorder.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EACCES = 13
_PID = 0
"""Of no process: whatever a crate names below /proc is another's."""


def write(
    path: bytes,
    header: Mapping[str, object],
    compiler: bytes,
    *,
    read: Iterable[bytes],
    refused: Iterable[tuple[str, bytes]],
    given: Iterable[bytes],
    withheld: Mapping[bytes, str],
    status: int,
) -> None:
    """Write a recording; its folder is made.

    Args:
        path: Where to.
        header: Its first line, see `Writer.save`.
        compiler: The program.
        read: Files that it read.
        refused: What it was refused: `read` or `write`, and a path.
        given: Variables that it asked for, and got.
        withheld: Variables that it asked for, and did not get; which secret their values hold.
        status: What it exited with.

    Raises:
        OSError: It cannot be written.
    """
    writer = Writer(lambda: 0)
    key = writer.process(_PID, 0, compiler, (os.path.basename(compiler),))
    process = Process(_PID, key, 0, None)
    for each in read:
        writer.opened(process, each, "read", False, 0, False, False)
    for how, each in refused:
        mode = "write" if how == "write" else "read"
        writer.opened(process, each, mode, False, _EACCES, True, False)
    for name in given:
        writer.environment(process, name, True, False)
    for name, why in withheld.items():
        writer.environment(process, name, False, True, why)
    writer.ended(key, status << 8, just_now=False)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    writer.save(
        path,
        header,
        {"status": status << 8, "exit": status, "left_running": 0, "voided": "", "failure": ""},
    )
