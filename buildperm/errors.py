"""Exit codes and the one family of errors that a user can act on."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The exit status of the command; where Cargo fails, its own status is passed on."""

    OK = 0
    """Everything asked for was done."""
    USAGE = 2
    """Wrong arguments, or input that cannot be read."""
    UNDECIDED = 3
    """Proposals are left that nobody has allowed or denied, or answers that were not written."""
    REFUSED = 20
    """A build script tried what it was not granted, or was failed by buildperm."""
    NOT_REVIEWED = 21
    """A build script was not reviewed as it is now, or grants are wider than in `--against`."""
    UNUSED = 22
    """A grant was not used, and `--deny-unused` was given."""
    CANNOT_ENFORCE = 23
    """A build script could not be held, or nobody knows whether it was or what it did."""
    STALE = 24
    """What was to be decided about is not as it was when it was listed: see `--token`."""
    INTERRUPTED = 130
    """Ctrl+C or SIGTERM."""


class BuildpermError(Exception):
    """A failure that the user can act on; any other exception is a bug and keeps its traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint  # One imperative sentence; empty where there is none to give.

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\nhint: {self.hint}" if self.hint else message


class ChangedMeanwhileError(BuildpermError):
    """A file is not as it was when the command read it; nothing was written."""


class CannotEnforceError(BuildpermError):
    """A build script cannot be held, or nobody knows whether it was; the message says which."""

    exit_code = ExitCode.CANNOT_ENFORCE
