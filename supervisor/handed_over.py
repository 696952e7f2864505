"""What the launcher tells of a host of macros that it has started without a supervisor.

Either it is to be taken over, from the very call that the launcher has kept it from; or it has
ended, and has done nothing but what is told here.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import struct

from buildperm.tracer.recorder import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from buildperm.tracer.recorder.environment_reads import EnvironmentReads
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer

_TOLD = struct.Struct("=IiiIQ")  # struct told: supervisor/compiling/quiet.c
_TAKEN_OVER, _ENDED = 1, 2
_MET_FILE_LIMIT, _PRINTED, _MOVED = 1, 2, 4  # Flags.
_OPENED_MOST = 1000  # How often is of no interest beyond that.


class HandedOver:
    """A host, and what it has done."""

    __slots__ = (
        "has_ended",
        "has_moved",
        "has_printed",
        "met_file_limit",
        "names",
        "opened",
        "pid",
        "place",
        "spent_s",
        "status",
    )

    def __init__(self, content: bytes) -> None:
        """Take a message.

        Raises:
            ValueError: It is none.
        """
        size = _TOLD.size + frozen.SIZE
        if len(content) < size:
            raise ValueError("it is too short")
        kind, self.pid, self.status, flags, spent_ms = _TOLD.unpack_from(content)
        if kind not in (_TAKEN_OVER, _ENDED) or self.pid <= 0:
            raise ValueError("it is of another kind")
        self.has_ended = kind == _ENDED
        self.met_file_limit = bool(flags & _MET_FILE_LIMIT)
        self.has_moved = bool(flags & _MOVED)  # It has chosen its processors.
        self.has_printed = bool(flags & _PRINTED)
        self.spent_s = spent_ms / 1000  # Of its limit `seconds`.
        self.place = content[_TOLD.size : size]
        self.names: list[tuple[bytes, int]] = []  # Variables that it has asked for, how often.
        self.opened: list[tuple[bytes, int]] = []  # Files that it has opened for reading.
        for note in content[size:].split(b"\0")[:-1]:
            what, number, text = note.split(b" ", 2)
            kept = {b"env": self.names, b"open": self.opened}[what]
            kept.append((text, int(number)))

    def record(
        self,
        process: Process,
        environment: EnvironmentReads,
        writer: Writer,
        variables: Container[bytes],
    ) -> None:
        """Record what it has done as what `process` did, whose environment holds `variables`."""
        for path, count in self.opened:
            real = os.path.realpath(path)
            for _ in range(min(count, _OPENED_MOST)):
                writer.opened(process, real, "read", False, 0, False, False)
        for name, count in self.names:
            environment.file(process, name, name in variables, count)
