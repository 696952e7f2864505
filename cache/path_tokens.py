"""Writes places of this machine as tokens, in paths and in text, and puts them back.

What is kept of a run can then be compared with a run elsewhere. A token in text is its name between
NUL characters, so only text that has none of its own is changed: in a program a path has an offset.

Part of the supervisor: imports nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = b"\0"


class PathTokens:
    """The places of one run by their names, the deepest first."""

    def __init__(self, places: Mapping[str, bytes]) -> None:
        named = sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))
        self.places: dict[str, bytes] = {}
        seen: set[bytes] = set()
        for name, place in named:
            if place.startswith(b"/") and place != b"/" and place not in seen:
                self.places[name] = place
                seen.add(place)
        self.every = {name: place for name, place in places.items() if place.startswith(b"/")}
        self._marks = [(place, _mark(name)) for name, place in self.places.items()]

    def portable(self, path: bytes) -> str:
        """Write an absolute path in notation, with a token for the deepest place that it is in."""
        for name, place in self.places.items():
            if path.startswith(place) and path[len(place) : len(place) + 1] in (b"", b"/"):
                return f"${name}{encode(path[len(place) :])}"
        return encode(path)

    def real(self, text: str) -> bytes:
        """Return the path that `portable` has written, as it is here.

        Raises:
            ValueError: It is no absolute path, or of a place that there is not here.
        """
        if not text.startswith("$"):
            path = decode(text)
            if not path.startswith(b"/"):
                raise ValueError("not an absolute path")
            return path
        name, slash, rest = text[1:].partition("/")
        place = self.every.get(name)
        if place is None:
            raise ValueError(f"no place is called `{name}` here")
        return place + slash.encode() + decode(rest)

    def tokens_for(self, content: bytes) -> bytes:
        """Write the places in a text as tokens; what holds a NUL character stays as it is."""
        if _MARK in content:
            return content
        for place, mark in self._marks:
            content = content.replace(place, mark)
        return content

    def places_for(self, content: bytes) -> bytes:
        """Put the places of here in the place of tokens.

        Raises:
            ValueError: There is a token for which there is no place here.
        """
        first, *rest = content.split(_MARK)
        if len(rest) % 2:
            raise ValueError("half a token")
        made = [first]
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            place = self.every.get(name[1:].decode("ascii", "replace"))
            if place is None or not name.startswith(b"$"):
                raise ValueError("a token without a place")
            made += (place, text)
        return b"".join(made)

    def found_in(self, content: bytes) -> list[str]:
        """Name the places that stand in `content` as they are."""
        return [name for name, place in self.places.items() if place in content]

    def shape(self) -> str:
        """Say which places are the same, and which lie in which: what tokens alone do not tell."""
        names = sorted(self.every)
        pairs = [
            f"{inner}{'=' if self.every[inner] == self.every[outer] else '<'}{outer}"
            for inner in names
            for outer in names
            if inner != outer and (self.every[inner] + b"/").startswith(self.every[outer] + b"/")
        ]
        return " ".join([*names, *pairs])


def _mark(name: str) -> bytes:
    return _MARK + b"$" + name.encode() + _MARK
