"""Lets a script start from `/`, without reading it.

Some programs open `/` once, and name all else from there, as openat(2) allows: `capnp` does. No
rule can open that folder, since a Landlock rule holds for all that is below. But whoever has a
descriptor with O_PATH may only name what is in the folder, as anybody may by a whole path, and each
name is judged like that. To list the folder with it is EBADF. So that is what is given where `/` is
opened for reading, and what is recorded is that reading it was refused.

glibc's opendir(3) adds O_NONBLOCK. Who lists `/` by it is refused as ever, by EACCES: Python's
imports go on after that, and end with any other error.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import EACCES

from buildperm.tracer.recorder.brokered import Substitute
from buildperm.tracer.syscall_table import OpenLayout, of
from buildperm.tracer.system_values import open_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.recorder.writer import Writer

_ANOTHER = open_flags("O_ACCMODE", "O_CREAT", "O_TRUNC", "O_PATH", "O_NONBLOCK")


class RootFolder:
    """Makes the descriptors for the processes of one tree."""

    def __init__(self, calls: dict[int, str], writer: Writer) -> None:
        """Prepare.

        Args:
            calls: Name by number of each call that the filter may stop.
            writer: Where events go.
        """
        layouts = of(OpenLayout)
        known = ((number, layouts[name]) for number, name in calls.items() if name in layouts)
        # openat2(2) has a descriptor stand for `/`, if it is told so.
        self._flags_at = {
            number: layout.flags
            for number, layout in known
            if layout.flags >= 0 and not layout.has_open_how
        }
        self._writer = writer
        self.is_closed = False
        """Whether nobody in the tree may read `/`."""

    def start(self, process: Process, decoded: Decoded, syscall: SyscallInfo) -> Substitute | None:
        """Return what to do in the place of an open; None if the call is to be made as it is.

        Args:
            process: Whose call it is.
            decoded: What it opens: see `open_calls`.
            syscall: The call itself.
        """
        path, _, flags = decoded
        at = self._flags_at.get(syscall[0])
        is_listing = flags & os.O_DIRECTORY and not flags & _ANOTHER
        if not self.is_closed or at is None or not is_listing or path.strip(b"/") or not path:
            return None

        def translate(result: int) -> int:
            errno = EACCES if result >= 0 else -result
            self._writer.opened(process, b"/", "read", False, errno, False, False, True)
            return result

        arguments = list(syscall[1:7])
        arguments[at] |= os.O_PATH
        return Substitute(syscall[0], tuple(arguments), None, translate)
