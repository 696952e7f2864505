"""Links in the sensitive tier: their targets belong to the tier as well, with some exceptions.

A link may lead anywhere: to the system's files, to a program of the tool chain, to the folder that
is being built. Closing those would close the build, and none of them is a secret.

- A file is closed, unless it lies in the system, the tool chain or the target directory. There it
  is closed only if it is a key by its name or content.
- A folder is closed, unless the system, the tool chain or the build lies in it or around it.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import stat

from buildperm.rules import keyfiles
from buildperm.rules.pattern import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYSTEM = (
    *(b"/usr", b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/libx32"),
    *(b"/nix/store", b"/gnu/store", b"/proc", b"/sys", b"/dev"),
)
"""Folders of the operating system that hold nobody's secrets: everybody may read what is there."""

_BUILT_IN = ("WORKSPACE", "MANIFEST_DIR", "TARGET_DIR", "CARGO_HOME", "SYSROOT", "HOME")


def outermost(paths: Iterable[bytes]) -> list[bytes]:
    """Sort `paths`, and leave out what lies below another of them."""
    kept: list[bytes] = []
    for path in sorted({each.rstrip(b"/") + b"/" for each in paths}):
        if not kept or not path.startswith(kept[-1]):
            kept.append(path)
    return [path.rstrip(b"/") or b"/" for path in kept]


def is_closed(real: bytes, places: Mapping[str, bytes], kept: Iterable[bytes] = ()) -> bool:
    """Tell whether to close `real`, without links: a link of the sensitive tier leads there.

    `kept` are folders of the build beside those of `places`.
    """
    try:
        mode = os.lstat(real).st_mode
    except OSError:
        return False
    public = [*SYSTEM, *_tool_chain(places)]
    if stat.S_ISDIR(mode):
        built_in = [places[token] for token in _BUILT_IN if token in places]
        inside = any(covers(folder, real) for folder in public)
        return not inside and not any(
            covers(real, folder) for folder in (*public, *built_in, *kept, b"/etc")
        )
    if not (stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return False  # `~/.bash_history -> /dev/null`.
    if any(covers(folder, real) for folder in public):
        name = os.path.basename(real).decode("utf-8", "replace")
        return bool(keyfiles.by_name(name) or keyfiles.by_content(real))
    return True


def _tool_chain(places: Mapping[str, bytes]) -> list[bytes]:
    cargo_home = places.get("CARGO_HOME", b"")
    found = [cargo_home + name for name in (b"/registry", b"/git", b"/bin") if cargo_home]
    found += [places[token] for token in ("SYSROOT", "TARGET_DIR") if token in places]
    return found
