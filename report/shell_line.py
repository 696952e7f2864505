"""Writes a command line as it would be typed into a shell, in visible characters only."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from buildperm.policy.kinds import Kind
from buildperm.printable import is_visible
from buildperm.tracer.notation import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.policy.access import Access

_CUT = re.compile(r" \[[\d,]+ characters left out\] ")
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e", "\\": "\\\\", "'": "\\'"}


def shell_line(argv: Iterable[bytes]) -> str:
    r"""Quote a command line: `sh -c 'echo $HOME'`, `printf $'\e[2J'`.

    Bash, Zsh and Ksh read it back as what was run. Whatever a terminal would act upon, or nobody
    could see, is written as bytes within `$'…'`.
    """
    return " ".join(map(_word, argv))


def recalled_line(noted: str) -> str:
    """Quote a command line that was kept with each word in notation: see `Access.commands`."""
    if _CUT.search(noted):
        return noted  # It is in visible characters as it is.
    try:
        return shell_line(map(decode, shlex.split(noted)))
    except ValueError:
        return noted


def example_text(access: Access) -> str:
    """Return the example of an access; that of a program is a command line, quoted."""
    return recalled_line(access.example) if access.kind is Kind.EXEC else access.example


def _word(raw: bytes) -> str:
    text = raw.decode("utf-8", "surrogateescape")
    if is_visible(text):
        return shlex.quote(text)
    return "$'" + "".join(map(_character, text)) + "'"


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if is_visible(character):
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
