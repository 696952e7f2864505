"""What modules ask the system for when they are imported, with an answer where it is not Linux.

All of buildperm can be imported everywhere, so that grants and recordings can be read everywhere.
What would run a script ends before it uses any of these: `workflow.foreign_system`.

Part of the supervisor: `os` only.
"""

from __future__ import annotations

import os

_NOT_HERE = 1 << 40
"""A flag that no call takes: `os.open` raises OverflowError, so nothing is opened without it."""


def open_flags(*names: str) -> int:
    """Combine the flags of open(2) that `os` has under `names`.

    Where the system lacks one of them, no file can be opened with what is returned.
    """
    combined = 0
    for name in names:
        combined |= getattr(os, name, _NOT_HERE)
    return combined


READS_FILE = open_flags("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")
"""Opens what a hostile program has left, to copy it: no link, and no wait for a pipe."""

MAKES_FILE = open_flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC")
"""Makes the copy, where nothing may be yet."""


def configured(name: str) -> int:
    """Ask sysconf(3) for the value `name`; 1 where the system does not have that call."""
    return os.sysconf(name) if hasattr(os, "sysconf") else 1


def machine() -> str:
    """Tell the processor's name as uname(2) has it: `x86_64`, `aarch64`; empty on Windows."""
    return os.uname().machine if hasattr(os, "uname") else ""
