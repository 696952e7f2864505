"""What a compiler loads or writes by its flags that is only asked: `rustc - --print=…`.

Cargo asks before it builds anything, with the flags that a workspace's configuration names, and so
does whoever only looks at a workspace. So all that could be meant is found here, whatever comes
before it: options are grouped (`-gZ…`), one's value may look like another option, and Cargo joins
the lists of several files. It takes no shell: a word is what rustc gets.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# After `-Z`, or after other letters of options without a value: rustc takes `_` for `-`. A name
# without a dot is one of the tool chain's own: rustc_interface, `get_codegen_backend`.
_BACKEND = re.compile(r"(?:-[A-Za-z]*Z)?codegen[-_]backend=(.*\..*)", re.DOTALL)
_PROFILE = re.compile(r"(?:-[A-Za-z]*Z)?self[-_]profile(?:=.*)?", re.DOTALL)
_SYSROOT, _PRINT = "--sysroot", "--print"


def loaded(flags: Sequence[str]) -> list[str]:
    """Return what has rustc load code: a code generator by its path, or what may name one.

    In another sysroot lie other code generators of the same names, and a file of arguments may say
    anything: the rustc book, "Command-line Arguments".
    """
    found: dict[str, None] = {}
    for word in flags:
        backend = _BACKEND.fullmatch(word)
        if backend:
            found[backend[1]] = None
        elif word.startswith(("@", f"{_SYSROOT}=")) or word == _SYSROOT:
            found[word] = None
    return [*found]


def written(flags: Sequence[str]) -> list[str]:
    """Return what has rustc write a file: `--print=cfg=PATH`, or a profile of itself."""
    return [*dict.fromkeys(_written(flags))]


def _written(flags: Sequence[str]) -> Iterator[str]:
    for word, following in pairwise((*flags, "")):
        if word.startswith(f"{_PRINT}=") and "=" in word.removeprefix(f"{_PRINT}="):
            yield word
        elif word == _PRINT and (not following or "=" in following):  # The rest is in another file.
            yield f"{word} {following}"
        elif _PROFILE.fullmatch(word):
            yield word


def targets(flags: Sequence[str]) -> list[str]:
    """Return the targets in flags; a file's name alone may belong to `--target` of another list."""
    joined = [each.removeprefix("--target=") for each in flags if each.startswith("--target=")]
    behind = [value for option, value in pairwise(flags) if option == "--target"]
    alone = [each for each in flags if each.endswith(".json") and not each.startswith("-")]
    return [*dict.fromkeys((*joined, *behind, *alone))]
