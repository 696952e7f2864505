"""A copy of Git's settings of this machine, without what may be secret in them.

Settings decide what git prints: `core.abbrev` how long a revision is. Where a file of settings is
closed to scripts, because something in it may be secret, git is told to read the copy:
`GIT_CONFIG_SYSTEM` of git(1), which Git has since version 2.32; an older one fails at the closed
file. What a file includes is not copied. git is led to it, and refused unless that is granted.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from buildperm.cargo.git_settings import UnclearError, git_entries, judge_git

if TYPE_CHECKING:
    from pathlib import PurePath

_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\b": "\\b"})
_INCLUDES = ("include", "includeif")
_OF_FOLDERS = ("gitdir:", "gitdir/i:")


def git_copy(content: bytes, folder: PurePath, home: str) -> bytes | None:
    """Return settings of Git with nothing but what is known to be harmless.

    Args:
        content: Of the file.
        folder: In which it lies: what it includes may be relative to that.
        home: Which `~` means; scripts see another one.

    Returns:
        The copy; None where the file is not written as Git would have it.
    """
    lines: list[str] = []
    try:
        for section, subsection, key, value in git_entries(content.decode()):
            is_harmless, seen = judge_git(section, subsection, key, value)
            left, below = value, subsection
            if section in _INCLUDES and key == "path" and not seen:
                left, below = _absolute(value, str(folder), home), _condition(subsection, home)
                is_harmless = bool(left)
            if is_harmless and not seen and "\0" not in left + below:
                named = f' "{_quoted(below)}"' if below else ""
                lines.append(f'[{section}{named}]\n\t{key} = "{left.translate(_ESCAPED)}"\n')
    except (UnclearError, UnicodeDecodeError):
        return None
    return "".join(lines).encode()


def _quoted(subsection: str) -> str:
    return subsection.replace("\\", "\\\\").replace('"', '\\"')


def _absolute(path: str, folder: str, home: str) -> str:
    """Return where git finds an included file; empty for a place that only git itself knows."""
    if path.startswith("~"):
        return home + path[1:] if path.startswith("~/") and home else ""
    if path.startswith("%(prefix)"):
        return ""
    return posixpath.join(folder, path) if path else ""


def _condition(subsection: str, home: str) -> str:
    for kind in _OF_FOLDERS:
        if home and subsection.startswith(f"{kind}~/"):
            return f"{kind}{home}{subsection[len(kind) + 1 :]}"
    return subsection
