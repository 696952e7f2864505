"""Where results of build scripts are kept: in the user's cache, closed to scripts."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.sandbox import machine_traits, private_cache

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.supervisor.session import SessionCache

OWN = "results"
"""The folder of workspaces that use nobody else's results; those of others begin with it."""

_SHARED = re.compile(f"{OWN}-[0-9a-f]{{64}}")


def name(keys: Sequence[str]) -> str:
    """Return which folder of the cache a workspace uses, by the public keys that it trusts.

    What another workspace takes from whom it trusts must not be restored in this one.
    """
    if not keys:
        return OWN
    text = "\n".join(sorted(keys)).encode()
    return f"{OWN}-{hashlib.sha256(text).hexdigest()}"


def is_shared(named: str) -> bool:
    """Tell whether a folder of the cache is one of workspaces that share results."""
    return _SHARED.fullmatch(named) is not None


def described(keys: Sequence[str] = ()) -> SessionCache:
    """Return what supervisors have to know of the store of those who trust these public keys.

    Raises:
        BuildpermError: There is no folder that only this user can write to.
    """
    named = name(keys)
    folder = private_cache.folder(named)
    if folder is None:
        raise BuildpermError(
            problem(keys),
            hint="Build with `--no-cache`, or set XDG_CACHE_HOME to a folder of your own.",
        )
    return {"folder": os.fsencode(folder), "machine": machine_traits.digest(), "by": recorder()}


def problem(keys: Sequence[str] = ()) -> str:
    """Say why there is no store for those who trust these public keys; empty if there is one."""
    named = name(keys)
    if private_cache.folder(named) is not None:
        return ""
    return f"`{private_cache.place(named)}` cannot be made, or others may write there"


def recorder() -> str:
    """Return who records here: a user of a host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
