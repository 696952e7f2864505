"""The journal of a review: one line on disk per step, so that no decision is ever lost.

JSON Lines, only ever appended to. Every line is one write followed by fsync(2): a crash leaves
all lines whole but perhaps the last, and that one is ignored. Every line is signed by `machine_key`
for the place where it lies: a journal that came with a checkout answers nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.policy import expiry, machine_key
from buildperm.policy.decision import (
    Answer,
    JournalEntry,
    ReviewAction,
    SavedDecision,
    SavedTerms,
    Terms,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = 1
_PURPOSE = "journal"
_SIGNATURE, _END = b',"signature":"', b'"}'  # The last member of each line.


def append(path: Path, entry: JournalEntry) -> None:
    """Add one step to the journal at `path`, which is made where it does not exist.

    Raises:
        BuildpermError: It cannot be written.
    """
    picked = [
        {
            "id": one.id,
            "crate_version": one.version,
            "answer": str(one.answer),
            "choice": list(one.choice),
            **({"elsewhere": True} if one.elsewhere else {}),
        }
        for one in entry.picked
    ]
    terms = [
        {
            "crate": one.crate,
            "reason": one.terms.reason,
            "expires": str(one.terms.expires or ""),
        }
        for one in entry.terms
    ]
    step = {
        "version": VERSION,
        "act": str(entry.act),
        "picked": picked,
        **({"terms": terms} if terms else {}),
    }
    line = signed(path, step)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # A crash cut the last line short: do not write on it.
            written = os.write(descriptor, line)
            if written != len(line):
                raise OSError(0, "the disk is full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BuildpermError(
            f"write journal {path}: {error.strerror}",
            hint="Make room or make the folder writable; what was decided before is kept.",
        ) from error


def replace_by(path: Path, entry: JournalEntry | None) -> None:
    """Have the journal at `path` hold one step and nothing else; without one there is no journal.

    Raises:
        BuildpermError: It cannot be written.
    """
    path.unlink(missing_ok=True)
    if entry is not None:
        append(path, entry)


def signed(path: Path, step: Mapping[str, object]) -> bytes:
    """Return the line of a step in the journal at `path`."""
    text = json.dumps(step, separators=(",", ":")).encode()
    signature = machine_key.sign(_PURPOSE, path, text).encode()
    return text[:-1] + _SIGNATURE + signature + _END + b"\n"


def read(path: Path) -> list[JournalEntry]:
    """Return the steps in the journal at `path`, oldest first; none where there is no journal.

    A line that was cut short, that was not written here, or that another version wrote, is left
    out.

    Raises:
        BuildpermError: It exists and cannot be read.
    """
    entries = (_entry(text) for text in _lines(path) if text is not None)
    return [entry for entry in entries if entry is not None]


def foreign(path: Path) -> int:
    """Return how many whole lines of the journal at `path` were not written here by this user.

    Raises:
        BuildpermError: It exists and cannot be read.
    """
    return sum(text is None for text in _lines(path))


def _lines(path: Path) -> Iterator[bytes | None]:
    """Yield the text of each whole line that was written here, and None for each other."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BuildpermError(
            f"read journal {path}: {error.strerror}", hint="Remove it to begin anew."
        ) from error
    for line in raw.split(b"\n"):
        step, _, rest = line.rpartition(_SIGNATURE)
        text, own = step + b"}", rest.removesuffix(_END).decode("ascii", "replace")
        if rest.endswith(_END) and machine_key.is_signed(_PURPOSE, path, text, own):
            yield text
        elif _is_whole(line):
            yield None


def _is_whole(line: bytes) -> bool:
    """Tell whether a line is a step, rather than what a crash has left of one."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _entry(line: bytes) -> JournalEntry | None:
    try:
        step = json.loads(line)
        if step["version"] != VERSION:
            return None
        picked = tuple(
            SavedDecision(
                str(one["id"]),
                str(one["crate_version"]),
                Answer(one["answer"]),
                tuple(map(str, one["choice"])),
                bool(one.get("elsewhere", False)),
            )
            for one in step["picked"]
        )
        terms = tuple(
            SavedTerms(
                str(one["crate"]),
                Terms(str(one["reason"]), expiry.parse(one["expires"]) if one["expires"] else None),
            )
            for one in step.get("terms", ())
        )
        return JournalEntry(ReviewAction(step["act"]), picked, terms)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
