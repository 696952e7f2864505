"""Folders of everybody for temporary files, in whose place a script may have one of its own.

Many programs make files in `/tmp`, whatever TMPDIR says, with names that only one run gives them. A
grant to write `/tmp/**` opens nothing there. It gives the script an empty folder in its place, for
one run: `tracer.recorder.own_folders`.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDERS = {"/tmp": "slash-tmp", "/var/tmp": "slash-var-tmp"}  # noqa: S108
"""The folders, and what they are called in the scratch folder of a run."""

PATTERNS = tuple(f"{folder}/**" for folder in FOLDERS)


def is_own(pattern: str) -> bool:
    """Tell whether a grant to write `pattern` is for a folder of the script's own."""
    return pattern in PATTERNS


def granted(patterns: Iterable[str]) -> list[bytes]:
    """Return the folders that patterns give to a script, of those that everybody uses."""
    written = set(patterns)
    return [folder.encode() for folder in FOLDERS if f"{folder}/**" in written]


def known_as(target: str) -> str:
    """Return the pattern for a target in the folder that a script has had; empty for others."""
    head, _, rest = target.partition("/")
    name = rest.partition("/")[0]
    if head != "$TMP":
        return ""
    return next((f"{folder}/**" for folder, own in FOLDERS.items() if own == name), "")


def around(target: str) -> str:
    """Return the pattern for a target directly or deeper in such a folder; empty for others."""
    return next((f"{each}/**" for each in FOLDERS if target.startswith(f"{each}/")), "")
