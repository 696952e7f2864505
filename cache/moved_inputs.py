"""What a run depended on beside its places: it may go by where a place lies, as `../.git` does.

Such a path has no token. Two runs at different places tell: what both have asked for by the same
path is that path, and what each has asked for at the same distance from a place goes by the place.
It is written from there then, as `$WORKSPACE/../.git`. Where both may be true, both count.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat
import string

from buildperm.cache.input_kind import FOLDER, LOOK
from buildperm.cache.kept_result import TIMES_OF_FILES, TIMES_OF_FOLDERS
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from buildperm.cache.input_kind import Input

    Placement: TypeAlias = Mapping[str, tuple[bytes, bytes]]
    """Places by name: where each was, and where it is now."""

_UP = "/.."
_PLAIN = frozenset((string.ascii_letters + string.digits + "/._-+").encode())
_KIND = 0o170000  # S_IFMT: inode(7)


class MovedInputs:
    """Inputs of two runs at different places, joined."""

    __slots__ = ("inputs", "times", "unexplained")

    def __init__(self, before: Iterable[Input], now: Iterable[Input], moved: Placement) -> None:
        """Join them.

        Args:
            before: Those of the run that is known.
            now: Those of the run that has come to the same.
            moved: The places that are others now.
        """
        self.times = 0  # Of what the times were others: bits of `KeptResult.times_free`.
        self.unexplained = ""  # A path that only one of them has asked for; empty: there is none.
        old, new = _by_path(before), _by_path(now)
        joined = {key: each for key, each in {**old, **new}.items() if key[1][:1] == "$"}
        explained: set[tuple[str, str]] = set()
        for key, each in old.items():
            if key[1][:1] == "$":
                continue
            if key in new:
                joined[key] = new[key]
            for name, (then, here) in moved.items():
                distance = _distance(decode(key[1]), then)
                there = os.path.normpath(here + b"/" + distance) if distance else b""
                other = (key[0], encode(there))
                if not there or other not in new or not self._is_alike(each, new[other]):
                    continue
                written = f"${name}/{encode(distance)}"
                joined[key[0], written] = [each[0], written, *each[2:]]
                explained |= {key, other}
        for key in new:  # What was written so by an earlier run.
            for name, (_, here) in moved.items():
                distance = _distance(decode(key[1]), here) if key[1][:1] != "$" else b""
                if distance and (key[0], f"${name}/{encode(distance)}") in old:
                    explained.add(key)
        for key, each in sorted({**old, **new}.items()):
            is_one = key[1][:1] == "$" or key in explained or (key in old and key in new)
            if not is_one and not _is_above(each, moved):
                self.unexplained = self.unexplained or key[1]
                joined[key] = each
        self.inputs = [joined[key] for key in sorted(joined)]

    def _is_alike(self, one: Input, other: Input) -> bool:
        """Tell whether the same was found at two paths, but for times."""
        is_folder = _is_look_at_folder(one)
        same, times = len(one), slice(0)
        match one[0]:
            case "look":
                same = 3 if is_folder else 4
                times = slice(same, 5)
            case "file":
                same, times = 4, slice(5, 6)
            case "listing":
                same = 4
            case _:
                pass
        if one[2:same] != other[2:same]:
            return False
        if one[times] != other[times]:
            self.times |= TIMES_OF_FOLDERS if is_folder else TIMES_OF_FILES
        return True


def goes_by(inputs: Iterable[Input], name: str) -> bool:
    """Tell whether inputs lie beside a place; how deep the place lies may matter then, too."""
    above = f"${name}{_UP}"
    return any(str(each[1]).startswith(above) and not str(each[1]).endswith(_UP) for each in inputs)


def is_as_deep(one: bytes, other: bytes) -> bool:
    """Tell whether as many folders lie above both."""
    return os.path.normpath(one).count(b"/") == os.path.normpath(other).count(b"/")


def is_as_plain(then: bytes, here: bytes) -> bool:
    """Tell whether a path has no characters here, such as blanks, that it had not there.

    Whoever writes it may have to escape these, and where it was kept there was nothing to escape.
    """
    return set(here) - _PLAIN <= set(then)


def _by_path(inputs: Iterable[Input]) -> dict[tuple[str, str], Input]:
    return {(str(each[0]), str(each[1])): each for each in inputs}


def _distance(path: bytes, place: bytes) -> bytes:
    """Return the way from a place to a path; nothing where they have but the root in common."""
    if path.split(b"/")[1:2] != place.split(b"/")[1:2]:
        return b""
    way = os.path.relpath(path, place)
    return way if way.startswith(b"..") else b""


def _is_look_at_folder(each: Input) -> bool:
    return each[0] == LOOK and int(each[2]) & _KIND == stat.S_IFDIR


def _is_above(each: Input, moved: Placement) -> bool:
    """Tell whether it is a folder above a place, of which there are more where that lies deeper."""
    above = decode(str(each[1])).rstrip(b"/") + b"/"
    return (each[0] == FOLDER or _is_look_at_folder(each)) and any(
        place.startswith(above) for places in moved.values() for place in places
    )
