"""What of the file system is the system's own, and comes from a root where there is one.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

_NAMES = frozenset((b"usr", b"etc", b"bin", b"sbin", b"opt", b"nix", b"gnu"))

NEEDED = (b"usr", b"etc")
"""What a root has to have: folders, no links."""

PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The folders of programs in a root, the same on every machine: environ(7), hier(7)."""


def is_replaced(name: bytes) -> bool:
    """Tell whether an entry of `/` is the root's, and the machine's is not there: `lib64`."""
    return name in _NAMES or name.startswith(b"lib")


def covers(path: bytes) -> bool:
    """Tell whether an absolute path without `..` names something of the system's own."""
    return is_replaced(path.lstrip(b"/").partition(b"/")[0])
