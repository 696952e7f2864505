"""What `buildperm root` does: says what a root is, for Cargo.toml."""

from __future__ import annotations

import os
from pathlib import Path

from buildperm.errors import CannotEnforceError, ExitCode
from buildperm.presentation import console
from buildperm.printable import printable
from buildperm.sandbox import root_digest


def tell_digest(folder: Path) -> int:
    """Print the line for Cargo.toml, and return the exit code.

    Raises:
        CannotEnforceError: It is no root.
    """
    try:
        root = Path(os.path.realpath(folder, strict=True))
    except OSError as error:
        raise CannotEnforceError(
            f"the root `{printable(str(folder))}` cannot be used: {error.strerror}",
            hint="Name the folder that has `usr` and `etc`.",
        ) from error
    console.print_line(f'root-digest = "{root_digest.state_of(root).digest}"')
    return ExitCode.OK
