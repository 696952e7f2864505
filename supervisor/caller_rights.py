"""Whose rights a stopped thread has, as far as they matter for changes of metadata.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat


class CallFailedError(Exception):
    """The call fails as the kernel would let it fail, with this errno; 0: it is refused."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Caller:
    """The rights with which a call is made, as far as they matter for one's own files."""

    def __init__(self, user: int, groups: frozenset[int], *, is_privileged: bool) -> None:
        self.user = user
        self.groups = groups
        self.is_privileged = is_privileged  # CAP_FOWNER, CAP_DAC_OVERRIDE and CAP_CHOWN.

    def owns(self, about: os.stat_result) -> bool:
        """Tell whether it counts as the owner."""
        return self.is_privileged or self.user == about.st_uid

    def may_write(self, link: bytes, about: os.stat_result) -> bool:
        """Tell whether it may write to the file behind `link`."""
        if self.is_privileged or not self.groups:  # Without groups: it has given up rights.
            return self.owns(about) and bool(self.is_privileged or about.st_mode & stat.S_IWUSR)
        return os.access(link, os.W_OK, effective_ids=True)


def root(process: bytes) -> tuple[object, ...]:
    """Return the root of a process: the mounts that it sees, and which folder in them."""
    about = os.stat(process + b"/root")
    return os.readlink(process + b"/ns/mnt"), about.st_dev, about.st_ino


def identity(process: bytes, capabilities: int = -1) -> tuple[bytes, ...]:
    """Return what a process may do: its user namespace, users, groups and `capabilities`."""
    with open(process + b"/status", "rb", buffering=0) as file:
        lines = file.read().split(b"\n")
    found = [os.readlink(process + b"/ns/user")]
    for line in lines:
        if line.startswith((b"Uid:", b"Gid:", b"Groups:")):
            found.append(line)
        elif line.startswith(b"CapEff:"):
            found.append(b"%x" % (int(line[7:], 16) & capabilities))
    return tuple(found)
