"""Makes the files and folders that write grants name, as Landlock rules need something to refer to.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules import profile_output, root_layout, shared_output
from buildperm.rules.containment import Containment
from buildperm.rules.pattern import absolute, folder, is_literal, leads
from buildperm.tracer.notation import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def make_missing(
    patterns: Iterable[str],
    places: Mapping[str, bytes],
    filled: Iterable[bytes] = (),
    *,
    is_in_root: bool = False,
) -> list[bytes]:
    """Make the files and folders that exact write grants name and that do not exist yet.

    A Landlock rule refers to an existing file or folder, and the right to make a file holds for a
    whole folder. `FILE` is made as an empty file, `FOLDER/**` as an empty folder, if the folder
    above may be granted; `filled` and `is_in_root` are as for `LandlockRights`. Below the folder of
    a token, folders above that are missing are made as well: a clean checkout lacks what the script
    made before.
    Returns what was made; see `remove_unused`.
    """
    containment = Containment(places, filled, root_layout.covers if is_in_root else None)
    made: list[bytes] = []
    # The longest first: what another one lies in is a folder, whatever it is called.
    for pattern in sorted(patterns, key=len, reverse=True):
        if profile_output.is_pattern(pattern):
            continue  # Made in a folder of the script's own, and put there later.
        is_folder = pattern.endswith("/**")
        for each in shared_output.concrete(pattern, places) if shared_output.root(pattern) else ():
            _make_shared(shared_output.root(each), places, containment)
        path = folder(pattern, places) if is_folder else None
        if not is_folder and is_literal(pattern):
            path = absolute(pattern, places)
        if not path or os.path.lexists(path):
            continue
        above, name = os.path.split(path)
        missing = [name]
        while pattern.startswith("$") and not os.path.lexists(above):
            above, name = os.path.split(above)
            missing.append(name)
        parent = os.path.realpath(above)
        if containment.holds(pattern, above, parent):
            made += _make(parent, missing[::-1], is_folder=is_folder)
    return made


def _make_shared(place: str, places: Mapping[str, bytes], containment: Containment) -> None:
    """Make a place that crates share; it stays, as another script may have found it already."""
    above, _, name = place.rpartition("/")
    for named, real, _ in list(leads(above, places)):
        if containment.holds(above, named, real):
            _make(real, [decode(name)], is_folder=True)


def _make(parent: bytes, names: list[bytes], *, is_folder: bool) -> list[bytes]:
    """Make folders in one another below `parent`, and the last one as `is_folder` says.

    By descriptors: another script may put links there meanwhile.
    """
    made: list[bytes] = []
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    opened: list[int] = []
    try:
        opened.append(os.open(parent, flags))
        if os.readlink(b"/proc/self/fd/%d" % opened[0]) != parent:
            return []  # A link has been put on the way since this was judged.
        for left, name in enumerate(names, 1 - len(names)):
            parent = parent.rstrip(b"/") + b"/" + name
            if left or is_folder:
                os.mkdir(name, dir_fd=opened[-1])
                made.append(parent)
                opened.append(os.open(name, flags, dir_fd=opened[-1]))
            else:
                making = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, making, 0o666, dir_fd=opened[-1]))
                made.append(parent)
    except OSError:
        pass  # Not possible for this user either: the script will see the same.
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return made


def remove_unused(made: Sequence[bytes]) -> None:
    """Remove what `make_missing` made and the script left empty."""
    for path in reversed(made):  # What is in a folder before the folder.
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
