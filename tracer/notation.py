"""The one notation for bytes that a build script chose: printable, unambiguous, reversible.

Paths, names and arguments are bytes to the kernel. Everywhere outside the recorder they are written
in this notation, so that a newline, an escape sequence, a bidirectional override, a byte that is no
UTF-8 or a character that a rule gives a meaning can neither forge a line on a screen nor a key in a
file. `%` and two upper-case hexadecimal digits stand for one byte, as in a URL.

Part of the supervisor: imports nothing.
"""

from __future__ import annotations

_SPECIAL = frozenset("%*?[]{}$\\\"'`")  # A meaning in rules, shells, TOML or JSON strings.
_PLAIN = frozenset(range(0x21, 0x7F)) - frozenset(map(ord, _SPECIAL)) | {0x20}


def encode(raw: bytes) -> str:
    """Write `raw` in the notation; `decode` is the exact inverse."""
    if _PLAIN.issuperset(raw):
        return raw.decode("ascii")
    return "".join(map(_encode_character, raw.decode("utf-8", "surrogateescape")))


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


def _encode_character(character: str) -> str:
    if character in _SPECIAL or not character.isprintable():
        encoded = character.encode("utf-8", "surrogateescape")
        return "".join(f"%{byte:02X}" for byte in encoded)
    return character
