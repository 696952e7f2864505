"""One result of a build script as it is kept: what the run depended on, and what came of it.

It is written as JSON and read back as if an enemy had written it: whoever can write to the store is
not who runs the build.

Part of the supervisor: `json` is only imported where results are asked for.
"""

from __future__ import annotations

import json
import time

from buildperm.cache import digest
from buildperm.cache.input_kind import FIELDS
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from buildperm.cache.input_kind import Input

    Left: TypeAlias = list[str | int]
    """What lay in OUT_DIR: kind, path from there, permissions, then what is in it; see below."""

    Said: TypeAlias = list[str | int]
    """A blob: its digest, how long it is, and 1 if it has tokens in the place of paths."""

VERSION = 1

_MOST_BLOB = 1 << 29  # Bytes; a recording is smaller, and so is what is kept of OUT_DIR.

CANDIDATE, CONFIRMED, UNSTABLE = "candidate", "confirmed", "unstable"
"""Seen once; seen twice, with another number of processors and later; or not the same twice."""

TIMES_OF_FILES, TIMES_OF_FOLDERS = 1, 2
"""Bits: when files were written, and when what folders list was changed."""

FILE, FOLDER, LINK = "file", "folder", "link"
"""    file    path, permissions, digest, size, 1 if it has tokens
    folder  path, permissions
    link    path, its text, with tokens, in notation
"""

_DATES = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
_LAST_S = 1 << 35  # Some thousand years: no clock says more, and every calendar knows it.
_ARCHIVES = (".a", ".lib")
_LEFT_FIELDS = {FILE: 6, FOLDER: 3, LINK: 3}
_TEXTS = ("crate", "name", "version", "source", "state", "why", "by")
_NUMBERS = ("made_s", "took_ns", "jobs", "times_free")


class KeptResult:
    """What is kept of one run."""

    __slots__ = (
        *("crate", "name", "version", "source", "state", "why", "by"),
        *("made_s", "took_ns", "jobs", "times_free"),
        *("key", "places", "free", "bound", "seen_s"),
        *("inputs", "left", "stdout", "stderr", "recording"),
    )

    def __init__(self) -> None:
        self.crate = ""  # Its key in Cargo.toml.
        self.name = ""
        self.version = ""
        self.source = ""  # Cargo's source string; empty for a path.
        self.state = CANDIDATE
        self.why = ""  # What differed between two runs of one that is unstable.
        self.by = ""  # Who has recorded it.
        self.made_s = 0  # When: time.time.
        self.took_ns = 0  # How long the run took.
        self.jobs = 0  # NUM_JOBS of the run.
        self.times_free = 0  # The same came of it at other times, of files or folders: bits.
        self.key: dict[str, str] = {}  # The parts of its static key: see static_key.
        self.places: dict[str, str] = {}  # Where it was made, in notation.
        self.free: list[str] = []  # Places that were elsewhere when the same came of it.
        self.bound: list[str] = []  # Places that stand in its binaries.
        self.seen_s: list[int] = []  # When the same came of it, on days that are others: time.time.
        self.inputs: list[Input] = []
        self.left: list[Left] = []  # Folders before what is in them.
        self.stdout: Said = []  # Each line with its newline.
        self.stderr: Said = []
        self.recording: Said = []  # Processes and events, and the last line.

    def is_dated(self, now_s: int) -> str:
        """Name what of today's date is new to it, as it has seen but one: nothing, a day, a year.

        A script may write the date. Nobody sees that it asks for it.

        Args:
            now_s: When it is to be restored: time.time.
        """
        for name, form in _DATES.items():
            for calendar in (time.gmtime, time.localtime):
                seen = {time.strftime(form, calendar(seen_s)) for seen_s in self.seen_s}
                if len(seen) < 2 and time.strftime(form, calendar(now_s)) not in seen:
                    return name
        return ""

    def content(self) -> str:
        """Return a digest of what came of the run, by which two runs are the same."""
        told = json.dumps([self.left, self.stdout, self.stderr], ensure_ascii=True)
        return digest.of(told.encode())

    def day(self) -> str:
        """Return the day on which it was made, in UTC: YYYY-MM-DD."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.made_s))

    def difference(self, now: KeptResult) -> str:
        """Name the first thing in which what came of a later run is something else."""
        old = {str(each[1]): each for each in self.left}
        new = {str(each[1]): each for each in now.left}
        for path in sorted({*old, *new}):
            if old.get(path) != new.get(path):
                return f"$OUT_DIR/{path}"
        return "what it printed for Cargo" if self.stdout != now.stdout else "what it said"

    def blobs(self) -> list[Said]:
        """List what of it is kept apart, in the order in which a store takes it best."""
        files = [each[3:] for each in files_in_order(self.left)]
        return [*files, self.stdout, self.stderr, self.recording]

    def dump(self) -> bytes:
        """Write it for `load`."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"format": VERSION, **told}, separators=(",", ":")).encode()


def files_in_order(left: Iterable[Left]) -> list[Left]:
    """Return the files among what was left: archives after what they were made of."""
    files = [each for each in left if each[0] == FILE]
    return sorted(files, key=lambda each: str(each[1]).endswith(_ARCHIVES))


def load(content: bytes) -> KeptResult:
    """Read what `dump` has written.

    Raises:
        ValueError: It is something else.
    """
    try:
        told = json.loads(content)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(told, dict) or told.get("format") != VERSION:
        raise ValueError("not a result of this format")
    made = KeptResult()
    for name in _TEXTS:
        setattr(made, name, _of(str, told.get(name)))
    for name in _NUMBERS:
        setattr(made, name, _number(told.get(name)))
    for name in ("key", "places"):
        given = _of(dict, told.get(name))
        setattr(made, name, {key: _of(str, value) for key, value in given.items()})
    for place in made.places.values():
        decode(place)  # It is one in notation.
    for name in ("free", "bound"):
        setattr(made, name, [_of(str, each) for each in _of(list, told.get(name))])
    made.seen_s = [_number(each) for each in _of(list, told.get("seen_s"))]
    if not all(0 <= each < _LAST_S for each in (made.made_s, *made.seen_s)):
        raise ValueError("a time that no clock says")
    made.inputs = [_input(each) for each in _of(list, told.get("inputs"))]
    made.left = [_left(each) for each in _of(list, told.get("left"))]
    for name in ("stdout", "stderr", "recording"):
        setattr(made, name, _said(told.get(name)))
    if made.state not in (CANDIDATE, CONFIRMED, UNSTABLE):
        raise ValueError("no state that a result can have")
    _check_order(made.left)
    return made


def _of(kind: type, value: object) -> Any:  # noqa: ANN401 - of this kind
    if type(value) is not kind:
        raise ValueError(f"not a {kind.__name__}")
    return value


def _number(value: object) -> int:
    if type(value) is not int or abs(value) >= 1 << 63:
        raise ValueError("not a number")
    return value


def _row(value: object, lengths: Mapping[str, int], otherwise: str) -> list[Any]:
    """Return a list that begins with its kind and a text, as long as such a one has to be."""
    each: list[Any] = value if type(value) is list and value else [None]
    if not isinstance(each[0], str) or lengths.get(each[0]) != len(each):
        raise ValueError(otherwise)
    _of(str, each[1])
    return each


def _input(value: object) -> Input:
    each = _row(value, FIELDS, "not an input")
    texts = {"file": (3,), "listing": (3,), "link": (2,), "kernel": (2,)}.get(each[0], ())
    for at, part in enumerate(each[2:], 2):
        _of(str if at in texts else int, part)
    return each


def _left(value: object) -> Left:
    each = _row(value, _LEFT_FIELDS, "not a file, a folder or a link")
    if each[0] == LINK:
        _of(str, each[2])
    elif not 0 <= _number(each[2]) <= 0o777:
        raise ValueError("not permissions that a result can have")
    if each[0] == FILE:
        _said(each[3:])
    return each


def _said(value: object) -> Said:
    if type(value) is not list or len(value) != 3 or not digest.is_one(value[0]):
        raise ValueError("not a blob")
    if not 0 <= _number(value[1]) <= _MOST_BLOB or value[2] not in (0, 1):
        raise ValueError("not a blob")
    return value


def _check_order(left: list[Left]) -> None:
    """Make sure that each thing lies in a folder that is made before it, and is there once.

    Raises:
        ValueError: It is not so: a link, or nothing, would be in the way.
    """
    folders, seen = {""}, set[str]()
    for kind, path, *_ in left:
        above, _, name = str(path).rpartition("/")
        if above not in folders or path in seen or not _is_name(name):
            raise ValueError(f"`{path}` is not in a folder of the result")
        seen.add(str(path))
        if kind == FOLDER:
            folders.add(str(path))


def _is_name(text: str) -> bool:
    """Tell whether it is in notation what a file can be called, and the only way to write that."""
    raw = decode(text)
    is_plain = raw not in (b"", b".", b"..") and b"/" not in raw and b"\0" not in raw
    return is_plain and encode(raw) == text
