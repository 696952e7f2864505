"""Makes the files and folders that write grants name, as Landlock rules need something to refer to.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules.containment import Containment
from buildperm.rules.pattern import absolute, folder, is_literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def make_missing(
    patterns: Iterable[str], places: Mapping[str, bytes], filled: Iterable[bytes] = ()
) -> list[bytes]:
    """Make the files and folders that exact write grants name and that do not exist yet.

    A Landlock rule refers to an existing file or folder, and the right to make a file holds for a
    whole folder. `FILE` is made as an empty file, `FOLDER/**` as an empty folder, if the folder
    above exists and may be granted; `filled` is as for `LandlockRights`. Returns what was made; see
    `remove_unused`.
    """
    containment = Containment(places, filled)
    made: list[bytes] = []
    for pattern in patterns:
        is_folder = pattern.endswith("/**")
        path = folder(pattern, places) if is_folder else None
        if not is_folder and is_literal(pattern):
            path = absolute(pattern, places)
        if not path or os.path.lexists(path):
            continue
        above, name = os.path.split(path)
        parent = os.path.realpath(above)
        if not containment.holds(pattern, above, parent):
            continue
        path = parent.rstrip(b"/") + b"/" + name
        try:
            if is_folder:
                os.mkdir(path)
            else:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(path, flags, 0o666))
        except OSError:
            continue  # Not possible for this user either: the script will see the same.
        made.append(path)
    return made


def remove_unused(made: Iterable[bytes]) -> None:
    """Remove what `make_missing` made and the script left empty."""
    for path in made:
        parent = os.path.dirname(path)
        if os.path.realpath(parent) != parent:
            continue  # The script has put a link there: what is behind it is not ours.
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif os.lstat(path).st_size == 0:
                os.unlink(path)
        except OSError:
            continue
