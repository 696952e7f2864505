"""Looks through folders for what has a sensitive name, or holds keys, within bounds.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import keyfiles
from buildperm.rules.sensitive_table import FILES, FOLDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REASONS = {name.lower(): held for name, held in (*FOLDERS.items(), *FILES.items())}
"""What lies in files and folders of these names, in lower case."""

_NAMES = frozenset(name.encode() for name in REASONS)
_NOT_ENTERED = frozenset((b"node_modules", b".git", b".hg", b".svn", b".jj", b"__pycache__"))
_VENDORED = b".cargo-checksum.json"  # `cargo vendor` puts it into each package.
_MADE = b"CACHEDIR.TAG"  # bford.info/cachedir: Cargo marks target directories with it.
# Endings of most files, none of which is ever a key; they cost the least that way.
_ORDINARY = frozenset(
    f".{ending}".encode()
    for ending in (
        *("rs", "md", "c", "h", "cc", "cpp", "hpp", "cxx", "hh", "s", "asm", "py", "pl", "pm"),
        *("js", "ts", "tsx", "jsx", "mjs", "css", "scss", "html", "svg", "png", "jpg", "gif"),
        *("ico", "o", "a", "d", "so", "rlib", "rmeta", "lock", "go", "java", "kt", "swift", "sh"),
        *("cmake", "in", "am", "ac", "m4", "proto", "fbs", "capnp", "sql", "wasm", "wat", "rst"),
        *("ll", "td", "inc", "def", "map", "ttf", "woff", "woff2", "pdf", "mo", "po", "snap"),
        *("stderr", "stdout", "rb", "lua", "el", "vim", "glsl", "hlsl", "wgsl", "zig", "cs"),
    )
)
_READ_MOST = 4_000  # Files that are looked into; those beyond count as what they are called.


class KeySearch:
    """One look, level by level: what lies deeper is what is left out where there is too much."""

    def __init__(self, budget: int, skipped: Iterable[bytes] = ()) -> None:
        """Look at `budget` entries at most, and not into the folders `skipped`."""
        self.is_short = False  # There was more.
        self._left = budget
        self._reads = _READ_MOST
        self._skipped = frozenset(skipped)

    def keys(self, root: bytes, levels: int = 1_000) -> Iterator[tuple[bytes, str]]:
        """Yield what is sensitive by its name or its content below `root`, and why."""
        level = [root]
        while level and levels:
            levels -= 1
            below: list[bytes] = []
            for folder in level:
                entries = list(_entries(folder))
                self._left -= len(entries)
                if self._left < 0:
                    self.is_short = True
                    return
                names = {entry.name for entry in entries}
                is_made = folder in self._skipped or not names.isdisjoint((_VENDORED, _MADE))
                if is_made and folder != root:
                    continue  # Others published it, or it was built.
                is_settings = os.path.basename(folder).lower() == b".cargo"
                for entry in entries:
                    why = self._why(entry, is_settings=is_settings)
                    if why:
                        yield entry.path, why
                    elif entry.is_dir(follow_symlinks=False) and entry.name not in _NOT_ENTERED:
                        below.append(entry.path)
            level = below

    def _why(self, entry: os.DirEntry[bytes], *, is_settings: bool) -> str:
        raw = entry.name
        if raw[raw.rfind(b".") :] in _ORDINARY:
            return ""
        name = raw.decode("utf-8", "replace")
        is_ordinary = keyfiles.is_ordinary(name)
        known = REASONS.get(name.lower(), "")
        if not (known or is_ordinary):
            known = REASONS.get(keyfiles.plain(name), "")
        if known or entry.is_dir(follow_symlinks=False):
            return known
        if is_settings and keyfiles.plain(name) in ("config", "config.toml"):
            return keyfiles.CARGO_SETTINGS
        known = "" if is_ordinary else keyfiles.by_name(name)
        if known or not keyfiles.is_unsure(name):
            return known
        self._reads -= 1
        if self._reads < 0:
            self.is_short = True
            return keyfiles.KEY if keyfiles.plain(name).endswith((".pem", ".key")) else ""
        path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        return keyfiles.by_content(path)


def named_so(root: bytes, levels: int, budget: int, *, is_ours: bool) -> Iterator[bytes]:
    """Yield what has the name of something sensitive, until `budget` entries were looked at.

    It is cheap enough for every script: it reads no file. In what is not `is_ours`, which others
    published, only files of variables count.
    """
    level = [root]
    for _ in range(levels):
        below: list[bytes] = []
        for entry in (entry for directory in level for entry in _entries(directory)):
            budget -= 1
            if budget < 0:
                return
            name = entry.name
            is_hidden = name.startswith(b".")
            if (is_ours and name.lower() in _NAMES) or (
                is_hidden and keyfiles.is_environment_file(name.decode("utf-8", "replace").lower())
            ):
                yield entry.path
            elif (
                not is_hidden
                and name not in (b"target", b"node_modules")
                and entry.is_dir(follow_symlinks=False)
            ):
                below.append(entry.path)
        level = below


def links(folder: bytes, budget: int) -> Iterator[bytes]:
    """Yield the links below `folder`, level by level, until `budget` entries were looked at."""
    level = [folder]
    while level:
        below: list[bytes] = []
        for entry in (entry for directory in level for entry in _entries(directory)):
            budget -= 1
            if budget < 0:
                return
            if entry.is_symlink():
                yield entry.path
            elif entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
        level = below


def _entries(directory: bytes) -> Iterator[os.DirEntry[bytes]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:
        return
