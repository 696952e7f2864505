"""The only way to put a text that somebody else chose on a screen or into a log.

A build script, a macro, a manifest or a file name may hold anything. The rule, for everyone:

- A character is *visible* if Python calls it printable and Unicode does not let a renderer ignore
  it. So controls, line and paragraph separators, zero-width and direction-changing characters,
  tags, variation selectors, fillers, private use, unassigned characters, every space but the plain
  one, and lone surrogates are not.
- `printable` makes one line: what is not visible is written byte by byte as the notation does it
  (`%1B`). Nothing is left out, so that two names never look the same. What is in notation already
  stays as it is.
- `is_nameable` is for names of others that are taken as they are, and shown with `printable`.
- `shortened` cuts it with an ellipsis, `shown` replaces what nobody would read to its end.
- `drawable` is for whole lines of ours. Where a terminal has no more than ASCII (`use_ascii`), it
  puts letters in place of our own signs, and `shown` writes what others chose in notation.
- `log_line` and `log_text` are for whole lines that may end up in the log of a CI service: they
  also disarm what such a service would obey (`::error::`, `##[group]`, `##vso[…]`).
- `cleaned` is for what a program prints live, as bytes. There, and only there, what is not visible
  vanishes, since programs colour what they print. `disarmed` comes after it.

A format that gives further characters a meaning (Markdown, a workflow command, TOML) escapes them
on top of this. Part of the supervisor: imports nothing.
"""

from __future__ import annotations

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

LONGEST_SHOWN = 10_000
"""Characters: what is longer is not shown, and what is not shown cannot be allowed."""

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt) as far as `isprintable` lets it
# through: a renderer draws nothing for them, so a name with one looks like the name without it.
_IGNORABLE = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F),
            *(0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ),
    )
)
# Symbols that are drawn as blanks. In output they stay: there are pictures made of Braille.
_BLANK = frozenset("\N{BRAILLE PATTERN BLANK}\N{MUSICAL SYMBOL NULL NOTEHEAD}")
_UNSEEN = _IGNORABLE | _BLANK
# They choose between two pictures of the character before them, which a log may leave to a program.
_EMOJI_STYLES = "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}"
# Categories that no file which others read again may hold.
_UNSTORABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")

_OWN_SIGNS = str.maketrans(
    {
        ELLIPSIS: "...",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}": ">",
        "\N{RIGHTWARDS ARROW}": "->",
        "✓": "v", "✗": "x", "↷": ">", "↺": "@", "≈": "=", "∅": "0", "○": "o", "●": "*",
        "◆": "*", "⊘": "#", "▸": "+", "▾": "-", "━": "=", "─": "-", "│": "|", "·": "-",
        "⎿": "`", "├": "|", "└": "`", "█": "#", "▏": "|", "↑": "^", "↓": "v",
    }
)  # fmt: skip
"""What stands for a sign of ours where there is only ASCII."""

_is_ascii_only = False  # Of the terminal; it is the same for all that is written to it.

_CONTROL = bytes(byte for byte in range(0x20) if byte != 0x09) + b"\x7f"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PARAMETERS = bytes(range(0x20, 0x40))  # ECMA-48: parameter and intermediate bytes of a CSI.


def is_visible(text: str) -> bool:
    """Tell whether every character of `text` is visible."""
    return text.isprintable() and (text.isascii() or _UNSEEN.isdisjoint(text))


def is_nameable(text: str) -> bool:
    """Tell whether `text` holds at most what a renderer ignores beside what is visible.

    Names of others may: a branch with an emoji in it has a variation selector.
    """
    return text.isprintable()


def is_storable(text: str) -> bool:
    """Tell whether a committed file may hold `text` as it is.

    Unlike `is_visible`, this has the same answer in every version of Python, whose tables grow:
    a file that was written with one has to be read with another.
    """
    if text.isprintable():
        return True
    from unicodedata import category  # The supervisor never comes here.

    return not any(category(character) in _UNSTORABLE for character in text)


def escaped(text: str) -> str:
    """Write every byte of `text` as the notation does: `%1B`."""
    return "".join(map(_escaped, text))


def printable(text: str) -> str:
    """Write `text` on one line, with what is not visible in notation."""
    if is_visible(text):
        return text
    return "".join(
        character if is_visible(character) else _escaped(character) for character in text
    )


def shortened(text: str, most: int) -> str:
    """Cut printable `text` to at most `most` characters, with an ellipsis where it was cut."""
    whole = printable(text)
    return whole if len(whole) <= most else whole[: most - 1] + ELLIPSIS


def use_ascii(*, only: bool) -> None:
    """Say once, at the start, whether the terminal shows ASCII only."""
    global _is_ascii_only
    _is_ascii_only = only


def shown(text: str) -> str:
    """Write `text` on one line, or what stands in for it where nobody could read it all."""
    if len(text) > LONGEST_SHOWN:
        return f"(not shown: {len(text):,} characters)"
    whole = printable(text)
    return _in_ascii(whole) if _is_ascii_only else whole


def drawable(line: str) -> str:
    """Write a whole line of ours as the terminal can show it, printable in any case."""
    whole = printable(line)
    if not _is_ascii_only or whole.isascii():
        return whole
    return _in_ascii(whole.translate(_OWN_SIGNS))


def log_line(text: str) -> str:
    """Write a whole line of output, which no CI service obeys."""
    return disarmed(drawable(text).encode()).decode()


def log_text(text: str) -> str:
    """Write several lines of output; line ends, of Windows too, and tabs stay as they are."""
    return "\n".join(map(_log_line_with_tabs, text.split("\n")))


def cleaned(line: bytes) -> bytes:
    """Return one printed line, without its newline, that can do nothing to a terminal or a log.

    Escape sequences, what is not visible (a tab stays) and bytes that are no UTF-8 are left out.
    Cleaning twice is cleaning once.
    """
    if b"\x1b" in line:
        line = b"".join(_after_escape(part) for part in _parts(line))
    line = line.translate(None, _CONTROL)
    if line.isascii():
        return line
    return "".join(map(_kept, line.decode("utf-8", "ignore"))).encode()


def disarmed(line: bytes) -> bytes:
    """Return a line that no CI service obeys, for what a person is to read.

    GitHub's runner obeys what begins with `::` behind white space, and `##[` anywhere; others
    `##vso[` and `##teamcity[`.
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


def _log_line_with_tabs(line: str) -> str:
    text = line.removesuffix("\r")
    written = "\t".join(map(drawable, text.split("\t"))) + line[len(text) :]
    return disarmed(written.encode()).decode()


def _escaped(character: str) -> str:
    is_escaped_byte = "\udc80" <= character <= "\udcff"
    raw = character.encode("utf-8", "surrogateescape" if is_escaped_byte else "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in raw)


def _in_ascii(text: str) -> str:
    if text.isascii():
        return text
    return "".join(each if each.isascii() else _escaped(each) for each in text)


def _kept(character: str) -> str:
    is_harmless = character == "\t" or character in _EMOJI_STYLES or character in _BLANK
    if is_harmless or is_visible(character):
        return character
    return " " if character.isspace() else ""


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
