"""Who last changed a line of a file, and when, as far as git knows."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from difflib import SequenceMatcher
from pathlib import Path

from buildperm.printable import printable
from buildperm.workflow import untrusted_git

_AUTHOR_MOST = 80  # Characters.
_COMPARED_MOST = 1_000_000  # Lines that differ in the commit, times those in the folder.
_HEAD = re.compile(r"([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?")  # git-blame(1), "The Porcelain Format".
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class LineChange:
    """The commit that last changed a line."""

    commit: str  # Hexadecimal digits; empty where the line is not committed yet.
    date: str  # By its author's clock: `2026-11-22`.
    author: str  # Printable, whatever the author's name is.

    def __str__(self) -> str:
        return f"{self.date} by {self.author}" if self.commit else "not committed yet"


def blame(path: Path, lines: Iterable[int]) -> dict[int, LineChange]:
    """Return the last change of each of `lines`, which count from 1, in the file at `path`.

    Lines that git cannot tell about are left out; without git, without a repository, or if the file
    is not in it, that is all of them. In a shallow clone the oldest commit tells nothing.
    """
    wanted = {line for line in lines if line > 0}
    real = Path(os.path.realpath(path))
    committed = _git(real.parent, "cat-file", "blob", f"HEAD:./{real.name}") if wanted else b""
    if not committed:
        return {}
    try:
        now = real.read_bytes().splitlines()
    except OSError:
        return {}
    if max(wanted) > len(now):
        return {}
    places = _places(committed.splitlines(), now)
    if places is None:
        return {}
    found = {line: LineChange("", "", "") for line in wanted if line not in places}
    ranges = [
        f"-L{place},{place}" for place in sorted(places[line] for line in wanted - set(found))
    ]
    if not ranges:
        return found
    # Of a commit: on the working tree git would run the filters of the repository.
    said = _git(
        real.parent,
        "blame",
        "--porcelain",
        "--encoding=UTF-8",
        "--no-textconv",
        *ranges,
        "HEAD",
        "--",
        real.name,
    )
    if not said:
        return {}
    changes, ends = _read(said.decode("utf-8", "surrogateescape"))
    if ends and _git(real.parent, "rev-parse", "--is-shallow-repository").strip() != b"false":
        changes = {line: change for line, change in changes.items() if change.commit not in ends}
    at_place = {line: changes.get(place) for line, place in places.items() if line in wanted}
    return found | {line: change for line, change in at_place.items() if change is not None}


def _places(committed: Sequence[bytes], now: Sequence[bytes]) -> dict[int, int] | None:
    """Return where each line that is unchanged stands in the commit, both counted from 1.

    None if they differ too much to be compared quickly.
    """
    start = 0
    for one, other in zip(committed, now, strict=False):
        if one != other:
            break
        start += 1
    end = 0
    most = min(len(committed), len(now)) - start
    while end < most and committed[-1 - end] == now[-1 - end]:
        end += 1
    old, new = committed[start : len(committed) - end], now[start : len(now) - end]
    if len(old) * len(new) > _COMPARED_MOST:
        return None
    places = {line: line for line in range(1, start + 1)}
    shift = len(committed) - len(now)
    places |= {line: line + shift for line in range(len(now) - end + 1, len(now) + 1)}
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for at, its, size in matcher.get_matching_blocks():
        places |= {start + its + each: start + at + each for each in range(1, size + 1)}
    return places


def _git(folder: Path, *words: str) -> bytes:
    """Return what git prints; empty if it fails."""
    answer = untrusted_git.run_git(folder, "-c", "blame.showRoot=false", *words)
    return answer.stdout if answer.succeeded else b""


def _read(said: str) -> tuple[dict[int, LineChange], Collection[str]]:
    """Read the porcelain format; also return the commits at which the history is cut off."""
    commits: dict[str, dict[str, str]] = {}
    lines: dict[int, str] = {}
    for commit, line, fields in _entries(said):
        lines[line] = commit
        commits.setdefault(commit, {}).update(fields)
    known = {commit: _change(commit, fields) for commit, fields in commits.items()}
    found = {line: change for line, commit in lines.items() if (change := known[commit])}
    return found, {commit for commit, fields in commits.items() if "boundary" in fields}


def _entries(said: str) -> Iterator[tuple[str, int, dict[str, str]]]:
    commit, line = "", 0
    fields: dict[str, str] = {}
    for each in said.split("\n"):
        head = None if commit else _HEAD.fullmatch(each)
        if head:
            commit, line, fields = head[1], int(head[2]), {}
        elif each.startswith("\t"):
            yield commit, line, fields
            commit = ""
        else:
            key, _, value = each.partition(" ")
            fields[key] = value


def _change(commit: str, fields: dict[str, str]) -> LineChange | None:
    if not commit.strip("0"):
        return LineChange("", "", "")
    date = _date(fields.get("author-time", ""), fields.get("author-tz", ""))
    author = printable(fields.get("author", ""))
    if len(author) > _AUTHOR_MOST:
        author = f"{author[: _AUTHOR_MOST - 1]}…"
    return LineChange(commit, date, author or "nobody") if date else None


def _date(seconds: str, zone: str) -> str:
    """Write a moment as a day; empty if it is none: a commit can say anything."""
    offset = _ZONE.fullmatch(zone)
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
        if offset:
            ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            moment = moment.astimezone(timezone(-ahead if offset[1] == "-" else ahead))
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.date().isoformat()
