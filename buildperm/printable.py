"""Text that any report can carry: one line, printable, of a length that was chosen here."""

from __future__ import annotations

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def printable(text: str) -> str:
    """Write what is not printable as the notation does, byte by byte: `%1B`.

    What is left is valid in every format, since line ends, controls, overrides of direction, lone
    surrogates and unassigned characters are not printable. Text in notation stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _bytes(character) for character in text
    )


def shortened(text: str, most: int) -> str:
    """Cut printable `text` to at most `most` characters, with an ellipsis where it was cut."""
    whole = printable(text)
    return whole if len(whole) <= most else whole[: most - 1] + ELLIPSIS


def _bytes(character: str) -> str:
    is_escaped_byte = "\udc80" <= character <= "\udcff"
    raw = character.encode("utf-8", "surrogateescape" if is_escaped_byte else "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in raw)
