"""Exit codes and the one family of errors that a user can act on."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process exit status says; Cargo's own status is passed on where Cargo failed."""

    OK = 0
    """Everything asked for was done."""
    USAGE = 2
    """Wrong words on the command line, or input that cannot be read."""
    UNDECIDED = 3
    """Proposals are left that nobody has allowed or denied."""
    REFUSED = 20
    """A build script tried what it was not granted, or was failed by buildperm."""
    NOT_REVIEWED = 21
    """Nobody has reviewed a build script as it is now, or grants are wider than `--against` has."""
    UNUSED = 22
    """A grant was not used, and `--deny-unused` was given."""
    CANNOT_ENFORCE = 23
    """A build script could not be held, or it is not known whether one was, or what it did."""
    INTERRUPTED = 130
    """Ctrl+C or SIGTERM."""


class BuildpermError(Exception):
    """A failure that the user can act on; any other exception is a bug and keeps its traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint  # One imperative sentence; empty where nothing helps.

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\nhint: {self.hint}" if self.hint else message


class CannotEnforceError(BuildpermError):
    """Something cannot be held, or is not known to have been; the message says which, and what."""

    exit_code = ExitCode.CANNOT_ENFORCE
