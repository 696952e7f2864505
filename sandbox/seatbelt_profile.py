"""Writes the rights of a build script as a profile for macOS: prepared, and not proven on a Mac.

Landlock can only add rights, folder by folder. In a profile of Seatbelt (`sandbox-exec -f`) the
last rule that matches decides. So all is denied first, and each right is allowed after that. What
the baseline holds is what scripts on Linux need, and a Mac will need more.

The forms: (deny default), (allow OPERATION FILTER), subpath, literal, require-all, vnode-type, as
the profiles in /System/Library/Sandbox/Profiles have them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildperm.printable import is_nameable
from buildperm.supervisor import landlock, landlock_rules
from buildperm.supervisor.ownership import of_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from buildperm.supervisor.session import Session, SessionPackage

_HEAD = (
    "(version 1)",
    "; Written by buildperm from the grants. Nobody has proven on a Mac that it holds.",
    "(deny default)",
    "(allow process-fork)",
    "(allow signal (target same-sandbox))",
    "(allow sysctl-read)",
    "(allow file-read-metadata)",
)
_PARAMETERS = {"OUT_DIR": b"/OUT_DIR of the run", "TMP": b"/TMP of the run"}
"""By token, names that no path has: without links, they are absolute and not there."""

_OPERATIONS = (
    (landlock.READ_FILE, "file-read*"),
    (landlock_rules.MODIFY, "file-write*"),
    (landlock.EXECUTE, "process-exec*"),
)


def of_package(session: Session, package: SessionPackage, folder: bytes) -> str:
    """Return the profile for the build script of `package`, which lies in `folder`.

    Where its OUT_DIR and its temporary folder are is said when it is run: `sandbox-exec -D`.
    """
    places = {**session["places"], "MANIFEST_DIR": folder, **_PARAMETERS}
    rights = landlock_rules.LandlockRights(
        package,
        places,
        session["path"],
        session.get("found"),
        found_tier=session.get("tier"),
        ownership=of_session(session, places),
    )
    rights.add_baseline()
    rights.add_package()
    rights.add_program_folders(session["path"].split(b":"))
    return profile(rights.rights, lambda path: path in _PARAMETERS.values() or os.path.isdir(path))


def profile(rights: Mapping[bytes, int], is_folder: Callable[[bytes], bool]) -> str:
    """Return a profile that allows `rights`, by path as Landlock has them, and nothing else.

    A path that cannot be written into it for certain is left out, which closes it.

    Args:
        rights: Masks of `supervisor.landlock` by absolute path, without links.
        is_folder: Tells whether a right holds for all that is below a path.
    """
    return "".join(line + "\n" for line in (*_HEAD, *_rules(rights, is_folder)))


def _rules(rights: Mapping[bytes, int], is_folder: Callable[[bytes], bool]) -> Iterator[str]:
    for path, mask in sorted(rights.items()):
        quoted = _quoted(path)
        below = is_folder(path)
        if not quoted:
            yield "; A path is left out whose name cannot be written here."
            continue
        which = f"({'subpath' if below else 'literal'} {quoted})"
        for right, operation in _OPERATIONS:
            if mask & right == right:
                yield f"(allow {operation} {which})"
        if below and mask & landlock.READ_DIR and not mask & landlock.READ_FILE:
            yield f"(allow file-read-data (require-all {which} (vnode-type DIRECTORY)))"


def _quoted(path: bytes) -> str:
    """Return `path` as a text of a profile; empty where it holds more than plain characters."""
    for token, place in _PARAMETERS.items():
        if path == place:
            return f'(param "{token}")'
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return ""
    if not is_nameable(text) or text != text.strip():
        return ""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
