"""Cleans what a build script prints before anybody else sees it.

Part of the supervisor: imports nothing.
"""

from __future__ import annotations

_CONTROL = bytes(byte for byte in range(0x20) if byte != 0x09) + b"\x7f"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PARAMETERS = bytes(range(0x20, 0x40))  # ECMA-48: parameter and intermediate bytes of a CSI.


def clean(line: bytes) -> bytes:
    """Return one line, without its newline, that can do nothing to a terminal or a log.

    Escape sequences, control characters (a tab stays), invisible and direction-changing characters
    and bytes that are no UTF-8 are left out. Cleaning twice is cleaning once.
    """
    if b"\x1b" in line:
        line = b"".join(_after_escape(part) for part in _parts(line))
    line = line.translate(None, _CONTROL)
    if line.isascii():
        return line
    kept = "".join(map(_visible, line.decode("utf-8", "ignore")))
    return kept.encode("utf-8")


def disarmed(line: bytes) -> bytes:
    """Return a cleaned line that no CI service obeys, for what a person is to read.

    GitHub's runner obeys what begins with `::` behind white space, and `##[` anywhere; others
    `##vso[` and `##teamcity[`. The report is a line of the same log.
    """
    text = line.lstrip()
    if text.startswith(b"::"):
        line = line[: len(line) - len(text)] + b"%3A%3A" + text[2:]
    if b"##" not in line:
        return line
    first, *others = line.split(b"##")
    pieces = [first]
    for piece in others:
        is_command = piece.lstrip(b"#").lstrip(_LETTERS).startswith(b"[")
        pieces += (b"%23%23" if is_command else b"##", piece)
    return b"".join(pieces)


def _parts(line: bytes) -> list[bytes]:
    """Split at escapes; what stood before the first gets a marker that `_after_escape` knows."""
    head, *rest = line.split(b"\x1b")
    return [b"\x00" + head, *rest]


def _after_escape(part: bytes) -> bytes:
    """Drop the escape sequence at the beginning of `part`: ECMA-48, "CSI", "OSC"."""
    if part.startswith(b"\x00"):
        return part[1:]
    if part.startswith(b"["):
        return part[1:].lstrip(_PARAMETERS)[1:]
    if part.startswith((b"]", b"P", b"X", b"^", b"_")):
        # A string: up to BEL, or to the next escape, which is where the part ends.
        return part.partition(b"\x07")[2]
    return part.lstrip(_PARAMETERS[:16])[1:]


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return " " if character.isspace() else ""
