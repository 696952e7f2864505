"""Finds the members of a static archive, which mostly stand beside it as object files as well.

Any bytes may be asked about: what is not such an archive to its end has no members.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.cache import blob_form, digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.cache.blob_form import Piece

MAGIC = b"!<arch>\n"
"""With which an archive begins: ar(5). A thin one, which only names its members, does not."""

_HEAD = 60
_SIZE = slice(48, 58)  # Decimal digits, then spaces.
_END = b"`\n"


def pieces(content: bytes, is_kept: Callable[[str], bool]) -> list[Piece]:
    """Return an archive in pieces; none where no member of it is kept.

    Args:
        content: Whatever it is.
        is_kept: Tells by its digest whether a blob is kept.
    """
    found: list[Piece] = []
    at = 0
    for begin, end in spans(content):
        named = digest.of(content[begin:end])
        if is_kept(named):
            found += (content[at:begin], (named, end - begin))
            at = end
    return [*found, content[at:]] if found and at < len(content) else found


def spans(content: bytes) -> list[tuple[int, int]]:
    """Return where members begin and end, in order: large ones that are no archives themselves."""
    if not content.startswith(MAGIC):
        return []
    found = []
    at = len(MAGIC)
    while at < len(content):
        head = content[at : at + _HEAD]
        digits = head[_SIZE].rstrip(b" ")
        if len(head) < _HEAD or not head.endswith(_END) or not digits.isdigit():
            return []
        begin = at + _HEAD
        end = begin + int(digits)
        if end > len(content):
            return []
        if end - begin >= blob_form.LEAST_PART and not content.startswith(MAGIC, begin, end):
            found.append((begin, end))
        at = end + end % 2  # Members begin at even places.
    return found
