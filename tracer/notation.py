"""The notation for bytes that a build script chose: printable, unambiguous, reversible.

To the kernel, paths, names and arguments are bytes. Outside the recorder they are always written in
this notation. So nothing in them can forge a line on a screen or a key in a file: no newline, no
escape sequence, no bidirectional override, no invalid UTF-8, no character with a meaning in rules.
`%` and two upper-case hexadecimal digits stand for one byte, as in a URL.

Part of the supervisor: imports nothing but what defines which characters are visible.
"""

from __future__ import annotations

from buildperm.printable import escaped, is_nameable, is_visible, printable

_SPECIAL = frozenset("%*?[]{}$\\\"'`")  # A meaning in rules, shells, TOML or JSON strings.
PLAIN = bytes({*range(0x20, 0x7F)} - {*map(ord, _SPECIAL)})
"""Bytes that the notation writes as they are."""


def encode(raw: bytes) -> str:
    """Write `raw` in the notation; `decode` is the inverse."""
    if not raw.translate(None, PLAIN):  # To ask a set takes ten times as long.
        return raw.decode("ascii")
    text = raw.decode("utf-8", "surrogateescape")
    if is_visible(text) and _SPECIAL.isdisjoint(text):
        return text
    return "".join(map(_encode_character, text))


def decode(text: str) -> bytes:
    """Read the notation back.

    Raises:
        ValueError: A `%` is not followed by two hexadecimal digits.
    """
    head, *rest = text.split("%")
    raw = bytearray(head.encode("utf-8", "surrogateescape"))
    for part in rest:
        digits = part[:2]
        if len(digits) != 2 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            raise ValueError(f"`%` without two hexadecimal digits in `{text}`")
        raw.append(int(digits, 16))
        raw += part[2:].encode("utf-8", "surrogateescape")
    return bytes(raw)


def renewed(text: str) -> str:
    """Write as `encode` does now what an earlier version wrote in this notation.

    Files outlive a version. Earlier ones left alone what a renderer ignores.
    """
    return printable(text) if is_nameable(text) else text


def _encode_character(character: str) -> str:
    if character in _SPECIAL or not is_visible(character):
        return escaped(character)
    return character
