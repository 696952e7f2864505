"""Tries calls of all kinds on files inside and outside of what it may use; none has to succeed."""

import contextlib
import os
from collections.abc import Callable


def attempt(call: Callable[..., object], *arguments: object) -> None:
    """Make a call, whatever comes of it."""
    with contextlib.suppress(OSError):
        call(*arguments)


attempt(os.open, "out/file", os.O_RDONLY)
attempt(os.open, "out/file", os.O_WRONLY | os.O_TRUNC)
attempt(os.open, "in/way-out", os.O_RDWR)
attempt(os.open, "in/file", os.O_RDWR)
attempt(os.open, "out/locked", os.O_RDONLY)
attempt(os.open, "out/absent", os.O_RDONLY)
attempt(os.open, "out/new", os.O_WRONLY | os.O_CREAT)
attempt(os.open, "out/none/new", os.O_WRONLY | os.O_CREAT)
attempt(os.mkdir, "out/made")
attempt(os.mkdir, "out/folder")
attempt(os.unlink, "out/victim")
attempt(os.rename, "in/file", "out/moved")
attempt(os.link, "out/file", "in/stolen")
attempt(os.symlink, "x", "out/link")
attempt(os.truncate, "out/file", 0)
attempt(os.execv, "out/tool", ["tool"])
attempt(os.execv, "out/file", ["file"])
attempt(os.execv, "out/nothing", ["nothing"])
