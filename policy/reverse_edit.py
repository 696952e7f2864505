"""Taking back an edit of a text that may have been edited elsewhere since; pure."""

from __future__ import annotations

from difflib import SequenceMatcher


def reversed_edit(before: bytes, after: bytes, now: bytes) -> bytes | None:
    """Return `now` without what made `after` of `before`; None where that was edited since.

    Lines that changed elsewhere stay as they are now. A line right beside an edit belongs to it:
    where that one has changed, nobody can tell what is meant.
    """
    if now == after:
        return before
    old, new, current = (raw.splitlines(keepends=True) for raw in (before, after, now))
    kept = [
        (block.a, block.b, block.size)
        for block in SequenceMatcher(None, new, current, autojunk=False).get_matching_blocks()
    ]
    result = current[:]
    edits = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for tag, old_from, old_to, new_from, new_to in reversed(edits):
        if tag == "equal":
            continue
        first, last = max(new_from - 1, 0), min(new_to + 1, len(new))
        at = _moved(kept, first, last)
        if at is None:
            return None
        start = at + new_from - first
        result[start : start + new_to - new_from] = old[old_from:old_to]
    return b"".join(result)


def _moved(kept: list[tuple[int, int, int]], first: int, last: int) -> int | None:
    """Return where lines `first` to `last` are now; None where they are not as they were."""
    for new_at, now_at, size in kept:
        if first < last and new_at <= first and last <= new_at + size:
            return now_at + first - new_at
    return None
