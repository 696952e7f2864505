"""Compares what a run depended on with how it is now.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat
from errno import ENOENT, ENOTDIR

from buildperm.cache.file_times import TICK_NS, keeps_times, reordered
from buildperm.cache.found_content import (
    NOT_THERE,
    content,
    listing,
    looked_mode,
    said_by_kernel,
    signature,
)
from buildperm.cache.input_kind import FILE, LISTING
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.cache.input_kind import Input
    from buildperm.cache.path_tokens import PathTokens

GONE, THERE_NOW = "is gone", "is there now"
"""Differences of names, whatever is in them."""

_COARSE_NS = 1_000
_KIND = 0o170000  # S_IFMT: inode(7)


class InputComparison:
    """How what a run depended on is now."""

    __slots__ = ("difference", "folder_times", "is_slow", "looked", "times")

    def __init__(self) -> None:
        self.difference = ""  # What is not as it was, in a sentence; empty if nothing is.
        self.times = ""  # The first path of which nothing but the time of its change differs.
        self.folder_times = ""  # The same of folders that were only looked at.
        self.looked: list[tuple[str, int, int]] = []  # Files, with their times then and now.
        self.is_slow = False  # Something had to be read: signatures are of another time or place.


def compare(
    inputs: Iterable[Input], tokens: PathTokens, *, is_staged: bool = False
) -> InputComparison:
    """Compare inputs with what is there now, up to the first one that differs.

    Args:
        inputs: What `RunInputs` has found.
        tokens: The places of here.
        is_staged: They were found among copies: folders have modes and an order of their own there.

    Raises:
        ValueError: An input is none.
    """
    compared = InputComparison()
    for each in inputs:
        path = tokens.real(str(each[1]))
        try:
            why = _compared(each, path, compared, tokens, is_staged=is_staged)
        except OSError as error:
            is_gone = error.errno in NOT_THERE
            why = GONE if is_gone else f"cannot be looked at: {error.strerror}"
        if why:
            compared.difference = f"{each[1]} {why}"
            break
    else:
        compared.difference = reordered(compared.looked)
    return compared


def _compared(
    each: Input, path: bytes, compared: InputComparison, tokens: PathTokens, *, is_staged: bool
) -> str:
    """Say what is different at one path; empty if nothing is.

    Raises:
        OSError: It cannot be looked at.
    """
    match each[0]:
        case "absent":
            try:
                os.lstat(path)
            except OSError as error:
                if error.errno == ENOENT:
                    return ""
                if error.errno == ENOTDIR:
                    return "lies below what is no folder now"
                raise
            return THERE_NOW
        case "link":
            text = encode(tokens.tokens_for(os.readlink(path)))
            return "" if text == each[2] else "leads elsewhere"
        case "kernel":
            return "" if said_by_kernel(path) == each[2] else "says something else"
        case "look":
            about = os.lstat(path)
            is_file, is_folder = stat.S_ISREG(about.st_mode), stat.S_ISDIR(about.st_mode)
            was = int(each[2]) & _KIND  # Somebody else may say any number: stat.S_IFMT takes few.
            if is_staged and is_folder and was == stat.S_IFDIR:
                return ""
            if looked_mode(about) != each[2]:
                return "has another kind or other permissions"
            if is_file and about.st_size != each[3]:
                return "has another size"
            if is_file:
                compared.looked.append((str(each[1]), int(each[4]), about.st_mtime_ns))
                if _differ(about.st_mtime_ns, int(each[4]), is_staged=is_staged):
                    compared.times = compared.times or str(each[1])
            elif is_folder and [about.st_nlink, about.st_mtime_ns] != each[3:]:
                compared.folder_times = compared.folder_times or str(each[1])
            return ""
        case "folder":
            return "" if stat.S_ISDIR(os.lstat(path).st_mode) else "is no folder now"
        case kind:
            return _compared_content(kind == FILE, each, path, compared, is_staged=is_staged)


def _differ(now_ns: int, then_ns: int, *, is_staged: bool) -> bool:
    """Tell whether a time is another one; copies may have theirs in microseconds."""
    return abs(now_ns - then_ns) >= (_COARSE_NS if is_staged else 1)


def _compared_content(
    is_file: bool, each: Input, path: bytes, compared: InputComparison, *, is_staged: bool
) -> str:
    about = os.lstat(path)
    if not (stat.S_ISREG if is_file else stat.S_ISDIR)(about.st_mode):
        return "is something else"
    if stat.S_IMODE(about.st_mode) != each[2] and (is_file or not is_staged):
        return "has other permissions"
    now = signature(about)
    is_signed = list(now) == each[4:]
    if is_signed and keeps_times(about.st_dev):
        return ""
    if is_file and now[0] != each[4]:
        return "holds something else"
    compared.is_slow |= not is_signed
    found = content(path) if is_file else listing(path, is_ordered=not is_staged)
    if isinstance(found, OSError):
        raise found
    if found != each[3]:
        return "holds something else" if is_file else "lists something else"
    if is_file and _differ(now[1], int(each[5]), is_staged=is_staged):
        compared.times = compared.times or str(each[1])
    return ""


def renewed(inputs: Iterable[Input], tokens: PathTokens, began_ns: int) -> list[Input]:
    """Return inputs that `compare` has found the same, with the signatures of now.

    What has changed a moment ago keeps the old one: it may change again within a tick.
    """
    made = []
    for each in inputs:
        if each[0] in (FILE, LISTING):
            try:
                about = os.lstat(tokens.real(str(each[1])))
            except OSError:
                about = None
            if about is not None and about.st_ctime_ns <= began_ns - TICK_NS:
                each = [*each[:4], *signature(about)]
        made.append(each)
    return made
