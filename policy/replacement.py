"""Replacing a file all or nothing, and only if it still holds what was read from it."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from buildperm.errors import BuildpermError, ChangedMeanwhileError

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def replace_file(
    path: Path, before: bytes | None, after: bytes, *, changed_hint: str, failed_hint: str
) -> None:
    """Replace the content `before` of the file at `path` by `after`.

    Mode and owner stay; a symbolic link to a file is followed, not replaced.

    Args:
        path: The file.
        before: What it held when it was read; None where there was none.
        after: What it is to hold.
        changed_hint: What to do where somebody else changed it meanwhile.
        failed_hint: What to do where it cannot be written.

    Raises:
        BuildpermError: It holds something else by now, or cannot be written; it is untouched.
    """
    real = Path(os.path.realpath(path))
    temporary = real.with_name(f".{real.name}.{secrets.token_hex(8)}")
    made = False
    try:
        status: os.stat_result | None = None
        if before is not None:
            with real.open("r+b") as file:  # Fails where replacing it would bypass its mode.
                status = os.fstat(file.fileno())
            if not status.st_mode & _WRITABLE:  # The superuser may, and did not say so.
                raise BuildpermError(f"{path} is read-only; it was not changed", hint=failed_hint)
        _refuse_changed(path, real, before, changed_hint)
        mode = 0o666 if status is None else 0o600  # The umask is the user's wish for a new file.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        made = True
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            if status is not None:
                _take_over(file.fileno(), status)
            file.flush()
            os.fsync(file.fileno())
        _refuse_changed(path, real, before, changed_hint)
        os.replace(temporary, real)
        made = False
        folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BuildpermError(f"write {path}: {error.strerror}", hint=failed_hint) from error
    finally:
        if made:
            os.unlink(temporary)


def _take_over(descriptor: int, status: os.stat_result) -> None:
    """Give a new file the owner and mode of the one that it will replace."""
    made = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (made.st_uid, made.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _refuse_changed(path: Path, real: Path, expected: bytes | None, hint: str) -> None:
    try:
        found = real.read_bytes()
    except FileNotFoundError:
        found = None
        if expected is not None:
            raise
    if found != expected:
        raise ChangedMeanwhileError(
            f"{path} was changed by somebody else meanwhile; nothing was written", hint=hint
        )
