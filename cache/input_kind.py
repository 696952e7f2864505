"""The kinds of things that a run may have depended on, and how each is written.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Input: TypeAlias = list[str | int]
    """Kind, path, and what was found there; see below."""

FILE, LISTING, ABSENT, LINK, LOOK, KERNEL = "file", "listing", "absent", "link", "look", "kernel"
FOLDER = "folder"
"""Kinds, with what follows the path:

    file     permissions, digest, size, modified, device, inode, changed
    listing  permissions, digest, size, modified, device, inode, changed
    absent
    link     its text, with tokens, as encoded
    look     mode, size, modified; of a folder links instead of size; both 0 of anything else
    folder   a folder, and no link to one: `..` leads out of it, or readlink(2) was asked
    kernel   digest of what a file or folder of /proc or /sys says
"""

FIELDS = {FILE: 9, LISTING: 9, ABSENT: 2, LINK: 3, LOOK: 5, KERNEL: 3, FOLDER: 2}
"""How long an input is, by its kind; all but the first three fields are numbers."""
