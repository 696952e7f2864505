"""Refuses to run build scripts where there is no Linux: nothing else here could hold them."""

from __future__ import annotations

import sys

from buildperm.errors import CannotEnforceError

_NAMES = {"darwin": "macOS", "win32": "Windows"}


def require_linux() -> None:
    """Refuse to go on unless this is Linux.

    Raises:
        CannotEnforceError: It is another system.
    """
    if sys.platform != "linux":
        raise CannotEnforceError(
            f"only Linux can hold a build, and this is {_NAMES.get(sys.platform, sys.platform)}",
            hint="Run this in a Linux container or a virtual machine that has the workspace. "
            "What was recorded and granted can be looked at here: `check`, `show`, `why`, "
            "`simulate`, `trace`, `review --from FILE`.",
        )
