"""Links that a run has made in its own folders, wherever they were at any time.

What was looked at through such a link is an input, and the link may be gone at the end, or lead
somewhere else. Events say what was made and moved, and not when. So each link counts wherever it
can have been.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOVES = ("renamed", "linked")
_MOST = 1 << 14  # Places.
_LONGEST = 4096  # Bytes of a path: path_resolution(7), PATH_MAX.


def of(events: Iterable[tuple[object, ...]]) -> dict[bytes, set[bytes]] | None:
    """Return the texts of links by place; None where there are too many to follow.

    An empty text stands for a folder that was there before or since.

    Args:
        events: See `Writer.events`.
    """
    made: dict[bytes, set[bytes]] = {}
    folders: dict[bytes, set[bytes]] = {}
    moves: dict[bytes, set[bytes]] = {}
    for key in events:
        match key:
            case ("changed", _, "symlinked", bytes(path), bytes(text), 0, *_):
                made.setdefault(path, set()).add(text)
            case ("changed", _, "directory-made", bytes(path), _, 0, *_):
                folders[path] = {b""}
            case ("changed", _, str(change), bytes(path), bytes(former), 0, *_) if change in _MOVES:
                moves.setdefault(former, set()).add(path)
            case _:
                pass
    if not made:
        return made
    if not (_spread(made, moves) and _spread(folders, moves)):
        return None
    for place in made.keys() & folders.keys():
        made[place].add(b"")
    return made


def _spread(made: dict[bytes, set[bytes]], moves: dict[bytes, set[bytes]]) -> bool:
    """Add the places where what was made can have been moved to; False if there are too many."""
    pending = list(made) if moves else []
    while pending:
        place = pending.pop()
        for other in _moved(place, moves):
            texts = made.setdefault(other, set())
            if not made[place] <= texts:
                texts |= made[place]
                pending.append(other)
        if len(made) > _MOST or len(place) > _LONGEST:
            return False
    return True


def lead_out(texts: Iterable[bytes], own: tuple[bytes, ...]) -> bool:
    """Tell whether one of these links may lead out of its folders: by itself, others none.

    What was looked at through a folder in its place may have been anywhere.
    """
    return any(
        not text
        or b".." in text.split(b"/")
        or (text.startswith(b"/") and not any((text + b"/").startswith(o + b"/") for o in own))
        for text in texts
    )


def _moved(place: bytes, moves: dict[bytes, set[bytes]]) -> Iterator[bytes]:
    """Yield where a place was moved to: itself, or a folder above it."""
    end = len(place)
    while end > 0:
        for to in moves.get(place[:end], ()):
            yield to + place[end:]
        end = place.rfind(b"/", 0, end)
