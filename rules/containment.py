"""Containment: a granted path opens nothing outside its folder, wherever links in it lead.

Whoever fills a folder may put a link there: a package's next commit, a build script in an earlier
run. So what a pattern leads to has to lie, after all links are followed, in the folder that its
token stands for. A pattern without a token means a path of this machine, whose own links are
followed, as `/bin` is one nearly everywhere; not so a link in a tree that packages or build scripts
fill. A root is such a tree as well, by all of its folders together (docs/root.md). Denials are not
held to this: they are about whatever links lead to.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import shared_output
from buildperm.rules.pattern import (
    absolute,
    covers,
    exec_leads,
    is_literal,
    leads,
    locate,
    without_token,
)
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

LINKS_MOST = 40
"""Links on the way of one path that the kernel follows: path_resolution(7)."""


def links(path: bytes) -> Iterator[bytes]:
    """Yield where the links lie that the absolute `path` leads through, as the kernel walks it."""
    return iter(_walk(path)[0])


def way(path: bytes) -> tuple[list[bytes], bytes]:
    """Return what `links` yields, and where the path ends, be there anything or not.

    After `LINKS_MOST` links it ends at the next one: the kernel goes no further either.
    """
    return _walk(path)


def token_folder(pattern: str, places: Mapping[str, bytes]) -> bytes | None:
    """Return the folder, without links, that a pattern's token stands for; None without one."""
    if not pattern.startswith("$"):
        return None
    place = places.get(pattern[1:].partition("/")[0])
    return None if place is None else os.path.realpath(place)


class Containment:
    """Decides how much of what patterns lead to may be granted."""

    def __init__(
        self,
        places: Mapping[str, bytes],
        filled: Iterable[bytes],
        of_root: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Prepare.

        Args:
            places: Folders by token.
            filled: Trees, without links, that somebody else than the user fills: packages from
                elsewhere, and what build scripts may write.
            of_root: Tells what a root has in the place of the machine's; None where there is none.
        """
        self.left_out: dict[tuple[str, str], bytes] = {}
        """Where links lead to by kind and pattern of what was left out."""
        self._places = places
        self._filled = [*filled]
        self._of_root = of_root
        target = places.get("TARGET_DIR")
        if target:
            self._filled.append(target)

    def within(
        self, kind: str, pattern: str, path_variable: bytes | None = None
    ) -> list[tuple[bytes, bool]]:
        """Find what a pattern may open, as `pattern.resolve` does, and note what it may not.

        Args:
            kind: Of the grant, for `left_out`.
            pattern: Of paths, or, with a PATH, of programs.
            path_variable: PATH; None if the pattern is one of paths.

        Raises:
            ValueError: The pattern holds a `%` without two hexadecimal digits.
        """
        found: dict[tuple[bytes, bool], None] = {}
        led: Iterator[tuple[bytes, bytes, bool]]
        if path_variable is None:
            led = (
                found
                for each in shared_output.concrete(pattern, self._places)
                for found in leads(each, self._places)
            )
        else:
            led = exec_leads(pattern, path_variable, self._places)
        for named, real, below in led:
            if self.holds(pattern, named, real):
                found[real, below] = None
            else:
                self.left_out[kind, pattern] = real
        if not found and pattern.startswith("$"):
            self._note_missing(kind, pattern)
        return list(found)

    def _note_missing(self, kind: str, pattern: str) -> None:
        """Note a pattern of one path where that is not there, and would be made elsewhere."""
        base = pattern.removesuffix("/**")
        path = absolute(base, self._places) if is_literal(base) else None
        if path:
            real = os.path.realpath(path)
            if not self.holds(pattern, path, real):
                self.left_out[kind, pattern] = real

    def holds(self, pattern: str, named: bytes, real: bytes) -> bool:
        """Tell whether what a pattern names may be opened where it really lies.

        Args:
            pattern: As granted.
            named: An absolute path that it is about.
            real: The same, links followed.
        """
        place = token_folder(pattern, self._places)
        if place is not None and not covers(place, real):
            return False
        if named == real:
            return True
        passed, end = _walk(named)
        if end != real:
            return False  # Somebody is changing the links on the way just now.
        if pattern.startswith("$TARGET_DIR") and place is not None and self._is_led_on(passed, end):
            return False
        if self._leaves_root(passed, end):
            return False
        filled = self._filled
        if place is None and "/" in pattern and "WORKSPACE" in self._places:
            filled = [*filled, self._places["WORKSPACE"]]
        return not any(
            covers(tree, link) and not covers(tree, real) for link in passed for tree in filled
        )

    def leaves_root(self, named: bytes, real: bytes) -> bool:
        """Tell whether a link of the root leads from what is named to the machine's own files."""
        return self._of_root is not None and self._leaves_root(_walk(named)[0], real)

    def _leaves_root(self, passed: Iterable[bytes], real: bytes) -> bool:
        of_root = self._of_root
        return of_root is not None and not of_root(real) and any(map(of_root, passed))

    def _is_led_on(self, passed: Iterable[bytes], end: bytes) -> bool:
        """Tell whether a link in a shared place of the target directory leads out of that place.

        Whoever may write in it could name what Cargo has compiled by a link.
        """
        target = {"TARGET_DIR": os.path.realpath(self._places["TARGET_DIR"])}
        here = shared_output.root(locate(end, target))
        return any(
            place and place != here
            for place in (shared_output.root(locate(link, target)) for link in passed)
        )


def contained(path: bytes, places: Mapping[str, bytes]) -> str:
    """Write an absolute path portably: with its token only if links do not lead out of its folder.

    So that a rule about the text is one about what is really there.
    """
    text = locate(path, places)
    place = token_folder(text, places)
    if place is None or b"\0" in path:
        return text
    real = os.path.realpath(path)
    return text if covers(place, real) else locate(real, places)


def followed(pattern: str, places: Mapping[str, bytes]) -> list[str]:
    """Write what a denial of paths is about: with the folder of its token, and where links lead.

    What is denied need not be there yet; links are followed up to the first wildcard.
    """
    text = without_token(pattern, places)
    if text is None:
        return []
    components = text.split("/")
    literal = 0
    while literal < len(components) and is_literal(components[literal]):
        literal += 1
    head = decode("/".join(components[:literal]))
    if not head.startswith(b"/") or b"\0" in head:
        return [text]
    real = encode(os.path.realpath(head)).rstrip("/")
    return list(dict.fromkeys((text, "/".join((real, *components[literal:])))))


def report_line(left_out: Mapping[tuple[str, str], bytes]) -> dict[str, object]:
    """Write what was left out as a recording does: `KIND PATTERN` to where links lead."""
    return {f"{kind} {pattern}": encode(real) for (kind, pattern), real in sorted(left_out.items())}


def _walk(path: bytes) -> tuple[list[bytes], bytes]:
    """Return where links lie on the way of an absolute path, and where it ends."""
    passed: list[bytes] = []
    walked, pending = b"", path.split(b"/")[::-1]
    while pending:
        name = pending.pop()
        if name in (b"", b".", b".."):
            walked = walked.rpartition(b"/")[0] if name == b".." else walked
            continue
        step = walked + b"/" + name
        target = _target(step) if len(passed) < LINKS_MOST else b""
        if not target:
            walked = step
            continue
        passed.append(step)
        walked = b"" if target.startswith(b"/") else walked
        pending += target.split(b"/")[::-1]
    return passed, walked or b"/"


def _target(path: bytes) -> bytes:
    """Return what a link says; empty if it is none."""
    try:
        return os.readlink(path)
    except OSError:
        return b""
