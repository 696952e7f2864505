"""What flags of the user's name outside of the build: folders with libraries, linkers, plug-ins.

Only flags that the user has set count, never what a build script prints: see `rules.directive`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SEARCH_KINDS = ("dependency", "crate", "native", "framework", "all")
_LINKING = ("linker", "link-arg", "link-args", "pre-link-arg", "pre-link-args", "linker-plugin-lto")
_BACKEND = "codegen-backend"


def without_kind(value: str) -> str:
    """Return the path in the value of `-L` and of `rustc-link-search`."""
    kind, equals, path = value.partition("=")
    return path if equals and kind in _SEARCH_KINDS else value


def searched(flags: Sequence[str]) -> list[str]:
    """Return the folders behind `-L`, by their absolute paths."""
    values = (without_kind(value) for option, value in _options(flags) if option == "-L")
    return sorted({value for value in values if value.startswith("/")})


def programs(flags: Sequence[str]) -> list[str]:
    """Return what rustc or the linker is to load or run, by its absolute path."""
    found: set[str] = set()
    for option, value in _options(flags):
        name, equals, rest = value.partition("=")
        name = _name(name)
        is_loaded = (option == "-C" and name in _LINKING) or (option == "-Z" and name == _BACKEND)
        if equals and is_loaded:
            found.update(_paths(rest.split(" ") if name.endswith("args") else [rest]))
    return sorted(found)


def _name(option: str) -> str:
    """Return an option as the documentation writes it; rustc takes `_` for `-`."""
    return option.replace("_", "-")


def _options(flags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield `-L`, `-C` and `-Z` with their values."""
    words = iter(flags)
    for word in words:
        word = {"--codegen": "-C"}.get(word, word)
        if word.startswith("--codegen="):
            yield "-C", word.removeprefix("--codegen=")
        elif word[:2] in ("-L", "-C", "-Z"):
            yield word[:2], word[2:] or next(words, "")


def _paths(words: Iterable[str]) -> Iterator[str]:
    """Yield the absolute paths in words for a linker: `/a.o`, `-fuse-ld=/a`, `-L/a`, `-B/a`."""
    for word in words:
        for part in word.split(","):
            path = part.partition("=")[2] if "=" in part else part
            path = path[2:] if path[:1] == "-" and path[2:3] == "/" else path
            if path.startswith("/") and path != "/":
                yield path
