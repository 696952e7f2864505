"""The text of a TOML list of strings: read with its comments, written back sorted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from buildperm.printable import is_visible

WIDTH = 100
"""Columns that a list may take on one line."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SHORT_MOST = 0xFFFF  # The highest code that `\u` writes.

_PLAIN = re.compile(r"[ !#-\[\]-~]*")
"""What stands in a TOML string as it is: visible ASCII but for `"` and the backslash."""

_PART = re.compile(
    r"(?P<comment>#[^\r\n]*)|(?P<comma>,)|(?P<line>\r?\n)"
    r'|(?P<value>"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\')',
    re.DOTALL,
)


@dataclass(slots=True)
class _Element:
    text: str  # As written, quotation marks included.
    above: list[str]  # Comments on lines of their own before it.
    beside: str = ""  # Comment behind it on its line.


def literal(text: str) -> str:
    """Write one string as TOML, with what nobody would see, or see in its place, as an escape.

    A character that changes the direction of a line would make a reviewer read another grant.
    """
    if _PLAIN.fullmatch(text):
        return f'"{text}"'  # Nearly all are so, and long lists are written often.
    return f'"{"".join(map(_toml_character, text))}"'


def _toml_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if is_visible(character):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= _SHORT_MOST else f"\\U{code:08x}"


def written(values: Iterable[str], *, before: int, newline: str, indent: str = "") -> str:
    """Write a list of strings: on one line, or as many elements a line as fit.

    A list that is too long to be read protects nobody.

    Args:
        values: In the order in which they are to stand.
        before: Columns taken by what stands before the list on its line.
        newline: What ends a line in this file.
        indent: White space before the key.
    """
    texts = [literal(value) for value in values]
    line = f"[{', '.join(texts)}]"
    if before + len(line) <= WIDTH:
        return line
    inner = f"{indent}    "
    lines = _filled(texts, WIDTH - len(inner) - 1)
    return newline.join(["[", *(f"{inner}{text}," for text in lines), f"{indent}]"])


def _filled(texts: Iterable[str], width: int) -> list[str]:
    """Put as many texts on each line as fit; one that is longer has a line of its own."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + len(text) + 2 <= width:
            lines[-1] += f", {text}"
        else:
            lines.append(text)
    return lines


def rewritten(old: str, values: list[str], *, before: int, newline: str, indent: str = "") -> str:
    """Write `values` in place of the list `old`; its comments stay, each with its element.

    A comment on a line of its own belongs to the element below it and outlives it; a comment
    behind an element goes when the element goes.
    """
    kept, leading, trailing = _read(old)
    annotated = any(element.above or element.beside for element in kept.values())
    comments = leading or trailing or annotated
    if not comments and ("\n" not in old or _is_filled(old, len(kept))):
        return written(values, before=before, newline=newline, indent=indent)
    inner = _indent(old) or f"{indent}    "
    lines = [f"[{' ' if leading else ''}{leading}"]
    orphaned: list[str] = []
    placed = {value: kept.get(value) or _Element(literal(value), []) for value in values}
    for value, element in kept.items():
        if value not in placed:
            orphaned += element.above
    for element in placed.values():
        lines += [inner + comment for comment in element.above]
        beside = f" {element.beside}" if element.beside else ""
        lines.append(f"{inner}{element.text},{beside}")
    lines += [inner + comment for comment in (*orphaned, *trailing)]
    lines.append(f"{indent}]")
    return newline.join(lines)


def _read(old: str) -> tuple[dict[str, _Element], str, list[str]]:
    """Cut a list up: its elements by value, the comment behind `[`, the comments before `]`."""
    elements: dict[str, _Element] = {}
    leading = ""
    above: list[str] = []
    beside: _Element | None = None  # The last element, while still on its line.
    at_start = True
    for part in _PART.finditer(old):
        match part.lastgroup:
            case "line":
                beside, at_start = None, False
            case "comment":
                comment = part.group()
                if at_start:
                    leading = comment
                elif beside is not None:
                    beside.beside = comment
                else:
                    above.append(comment)
            case "value":
                at_start = False
                import tomlkit

                value = str(tomlkit.parse(f"x = {part.group()}")["x"])
                beside = _Element(part.group(), above)
                above = []
                if value in elements:  # Written twice: the comments of both stay with one.
                    elements[value].above += beside.above
                    beside = elements[value]
                else:
                    elements[value] = beside
            case _:
                pass
    return elements, leading, above


def _is_filled(old: str, count: int) -> bool:
    """Tell whether a list of so many elements has more than one on a line."""
    return old.count("\n") <= count


def _indent(old: str) -> str:
    found = re.search(r"\n([ \t]+)[^\s\]]", old)
    return found[1] if found else ""
