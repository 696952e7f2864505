"""Finds files that make a linker do more than link them, in a folder that it searches.

A linker takes a linker script for a library, whatever its name, and the script names further files.
A thin archive names members elsewhere. From objects with code for link-time optimisation, gcc's
plug-in takes options for the assembler, among them files to write. The linker is not confined.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat

from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_MOST_NAMED = 20
_LINKED = (b"\x7fELF", b"!<arch>\n")
_OPTIMISED_END = b"lto_"  # Quick to search for; nearly no file holds it.
_THIN = b"!<thin>\n"
# Of sections, in objects of whatever format: gcc, lto-streamer.h. These are never compressed.
_OPTIMISED = (b".gnu.lto_", b".gnu.offload_lto_")
# Commands by which a script opens other files, or makes the linker search other folders (ld,
# "Linker Scripts"); they are in upper case only.
_OPENING = (b"INPUT", b"GROUP", b"INCLUDE", b"STARTUP", b"SECTIONS", b"SEARCH_DIR")
_COMMANDS = frozenset(
    b"ASSERT ENTRY EXTERN FLOAT FORCE_COMMON_ALLOCATION FORCE_GROUP_ALLOCATION GROUP HIDDEN HLL "
    b"INCLUDE INHIBIT_COMMON_ALLOCATION INPUT INSERT LD_FEATURE MAP MEMORY NOCROSSREFS "
    b"NOCROSSREFS_TO NOFLOAT OPTION OUTPUT OUTPUT_ARCH OUTPUT_FORMAT OVERWRITE_SECTIONS PHDRS "
    b"PROVIDE PROVIDE_HIDDEN REGION_ALIAS SEARCH_DIR SECTIONS STARTUP SYSLIB TARGET VERSION".split()
)
_WHITE = b" \t\r\n\f\v;"
_ENDS = b" \t\r\n\f\v;({="  # Of the first word; a sign such as `+` may be a part of it.
_ASSIGNMENTS = (b"=", b"+=", b"-=", b"*=", b"/=", b"&=", b"|=", b"<<=", b">>=")


BYTES_MOST = 16 << 30
"""The most that one run looks through; anything beyond counts as found. Files may have holes."""


class LinkerSearch:
    """Looks through the folders of one run."""

    def __init__(self, most: int = BYTES_MOST) -> None:
        self._left = most

    def commanding(self, folder: bytes) -> list[str]:
        """Name the files in `folder` that make a linker do more than link them."""
        found: list[str] = []
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return []
        for name in names:
            if self._commands(folder + b"/" + name):
                found.append(encode(name))
                if len(found) == _MOST_NAMED:
                    break
        return found

    def _commands(self, path: bytes) -> bool:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False  # A linker cannot open it either.
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                return False
            self._left -= about.st_size
            return self._left < 0 or _gives_orders(descriptor)
        except OSError:
            return True
        finally:
            os.close(descriptor)


def _gives_orders(descriptor: int) -> bool:
    start = os.pread(descriptor, _CHUNK, 0)
    if start.startswith(_THIN):
        return True
    if _holds(descriptor, (_OPTIMISED_END,)) and _holds(descriptor, _OPTIMISED):
        return True
    if start.startswith(_LINKED):
        return False
    return _begins_script(start) and _holds(descriptor, _OPENING)


def _holds(descriptor: int, words: tuple[bytes, ...]) -> bool:
    """Tell whether a file holds one of `words`, wherever."""
    overlap = max(map(len, words)) - 1
    return any(any(word in piece for word in words) for piece in _pieces(descriptor, overlap))


def _pieces(descriptor: int, overlap: int) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(descriptor, _CHUNK + overlap, at):
        yield piece
        at += _CHUNK


def _begins_script(start: bytes) -> bool:
    """Tell whether a text may be a linker script: it begins with a command or an assignment."""
    at = _after_space(start, 0)
    if at == len(start):
        return len(start) == _CHUNK  # All of it is a comment so far.
    if start[at : at + 1] == b'"':
        end = _found(start, b'"', at + 1)
        word = start[at + 1 : end - 1]
    else:
        end = at
        while end < len(start) and start[end] not in _ENDS and not start.startswith(b"/*", end):
            end += 1
        word = start[at:end]
    return word in _COMMANDS or start.startswith(_ASSIGNMENTS, _after_space(start, end))


def _after_space(text: bytes, at: int) -> int:
    """Return where the white space and comments at `at` end."""
    while at < len(text):
        if text[at] in _WHITE:
            at += 1
        elif text.startswith(b"/*", at):
            at = _found(text, b"*/", at + 2)
        elif text.startswith(b"#", at):
            at = _found(text, b"\n", at)
        else:
            break
    return at


def _found(text: bytes, word: bytes, at: int) -> int:
    """Return where the next `word` ends; the end of the text if there is none."""
    found = text.find(word, at)
    return len(text) if found < 0 else found + len(word)
