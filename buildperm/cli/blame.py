"""Who last changed a line of a file, and when, as far as git knows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from buildperm.tui.wording import printable

_TIMEOUT_S = 20
_AUTHOR_MOST = 80  # Characters.
_HEAD = re.compile(r"([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?")  # git-blame(1), "The Porcelain Format".
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")
# Settings of a repository are no reason to run programs, to fetch, or to leave out what is asked.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "blame.showRoot=false")
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


@dataclass(frozen=True, slots=True)
class Change:
    """The commit that last changed a line."""

    commit: str  # Hexadecimal digits; empty where the line is not committed yet.
    date: str  # As its author's clock had it: `2026-11-22`.
    author: str  # Printable, whatever they call themselves.

    def __str__(self) -> str:
        return f"{self.date} by {self.author}" if self.commit else "not committed yet"


def blame(path: Path, lines: Iterable[int]) -> dict[int, Change]:
    """Return the last change of each of `lines`, which count from 1, in the file at `path`.

    What git cannot tell is left out, and so is everything where there is no git, no repository, or
    the file is not in it. Where history was cut off, the oldest commit there says nothing.
    """
    wanted = sorted({line for line in lines if line > 0})
    if not wanted:
        return {}
    real = Path(os.path.realpath(path))
    ranges = [f"-L{line},{line}" for line in wanted]
    said = _git(
        real.parent,
        "blame",
        "--porcelain",
        "--encoding=UTF-8",
        "--no-textconv",
        *ranges,
        "--",
        real.name,
    )
    if not said:
        return {}
    found, ends = _read(said)
    if ends and _git(real.parent, "rev-parse", "--is-shallow-repository").strip() != "false":
        found = {line: change for line, change in found.items() if change.commit not in ends}
    return found


def _git(folder: Path, *words: str) -> str:
    """Return what git says; empty if it cannot."""
    try:
        ended = subprocess.run(
            [*_GIT, *words],
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if ended.returncode else ended.stdout.decode("utf-8", "surrogateescape")


def _read(said: str) -> tuple[dict[int, Change], Collection[str]]:
    """Read the porcelain format; also return the commits beyond which git has not looked."""
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


def _change(commit: str, fields: dict[str, str]) -> Change | None:
    if not commit.strip("0"):
        return Change("", "", "")
    date = _date(fields.get("author-time", ""), fields.get("author-tz", ""))
    author = printable(fields.get("author", ""))
    if len(author) > _AUTHOR_MOST:
        author = f"{author[: _AUTHOR_MOST - 1]}…"
    return Change(commit, date, author or "nobody") if date else None


def _date(seconds: str, zone: str) -> str:
    """Write a moment as a day; empty if it is none, as anybody can write anything into a commit."""
    offset = _ZONE.fullmatch(zone)
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
        if offset:
            ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            moment = moment.astimezone(timezone(-ahead if offset[1] == "-" else ahead))
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.date().isoformat()
