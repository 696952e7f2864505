"""Where results of build scripts are kept: in the user's cache, closed to scripts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.sandbox import machine_traits, private_cache

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionCache


def described() -> SessionCache:
    """Return what supervisors have to know of the store.

    Raises:
        BuildpermError: There is no folder that only this user can write to.
    """
    folder = private_cache.folder("results")
    if folder is None:
        raise BuildpermError(
            f"`{private_cache.place('results')}` cannot be made, or others may write there",
            hint="Build with `--no-cache`, or set XDG_CACHE_HOME to a folder of your own.",
        )
    return {"folder": os.fsencode(folder), "machine": machine_traits.digest(), "by": recorder()}


def recorder() -> str:
    """Return who records here: a user of a host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
