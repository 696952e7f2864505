"""Finds files whose names a linker, a loader or rustc takes for something else.

Cargo has them search folders that build scripts have filled. A `libc.so` there is linked in the
place of the system's.

Part of the supervisor: os only.
"""

from __future__ import annotations

import os

from buildperm.supervisor.hwcaps import is_searched
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# What gcc and rustc link into every program: glibc, musl, libgcc, C++. And the libraries of shells,
# which run stubs: Cargo has a shell search these folders first.
_SYSTEM_STEMS = frozenset(
    b"c m mvec pthread dl rt util resolv nsl crypt anl BrokenLocale c_nonshared pthread_nonshared "
    b"gcc gcc_s gcc_eh unwind atomic stdc++ supc++ c++ c++abi compiler_rt ssp ssp_nonshared "
    b"tinfo tinfow ncurses ncursesw readline history".split()
)
# What a shell loads at its start beside what it is linked with: to find out who its user is, where
# systemd knows users and SHELL is not set, and to read the character sets of East Asia: gconv(5).
_LOADED_STEMS = frozenset(b"cap CNS GB ISOIR165 JIS JISX0213 KSC".split())
_NAME_SERVICE = b"libnss_"  # nss(5): any program may load these to find out who its user is.
_HARDWARE_MOST = 1000  # Folders that a loader searches; nobody needs more.
_EXTRA = 16  # Hexadecimal digits by which Cargo tells the files of crates apart.
_HEXADECIMAL = frozenset(b"0123456789abcdef")


def system_libraries(folder: bytes) -> list[str]:
    """Name what a linker that searches `folder` takes for libraries of the system."""
    return _searched(folder, _is_system_library)


def named_libraries(folder: bytes, names: Collection[bytes]) -> list[str]:
    """Name what a loader that searches `folder` takes for libraries among `names`."""
    return _searched(folder, names.__contains__)


def crate_files(folder: bytes) -> list[str]:
    """Name what rustc, searching in `folder`, may take for crates that Cargo has compiled.

    Among several files that look like the same crate, rustc takes the last one it finds, and loads
    it into itself if the crate is a procedural macro.
    """
    return sorted(encode(name) for name in _names(folder) if _is_called_like_crate(name))


def _searched(folder: bytes, is_found: Callable[[bytes], bool]) -> list[str]:
    """Name what is found in `folder` and in the folders below that a loader searches: ld.so(8)."""
    found: list[str] = []
    pending = [b""]
    for _ in range(_HARDWARE_MOST):
        if not pending:
            break
        below = pending.pop()
        for name in _names(folder + b"/" + below):
            if is_found(name):
                found.append(encode(below + name))
            elif is_searched(name, below):
                pending.append(below + name + b"/")
    else:
        found += (encode(each) for each in pending)
    return sorted(found)


def _names(folder: bytes) -> list[bytes]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_called_like_crate(name: bytes) -> bool:
    """Tell whether a name is one that Cargo has rustc give to its output: `libserde-0123….rlib`.

    The name ends in the kind of file that rustc looks for; anything may stand before that.
    """
    if not name.startswith(b"lib") or not name.endswith((b".so", b".rlib", b".rmeta")):
        return False
    return any(
        len(piece) >= _EXTRA and _HEXADECIMAL.issuperset(piece[:_EXTRA])
        for piece in name.split(b"-")[1:]
    )


def _is_system_library(name: bytes) -> bool:
    """Tell whether a name is one of a library that nearly every program is linked with."""
    if name.startswith((b"ld-linux", b"ld-musl-", b"ld.so", b"ld64.so")):
        return True
    if name.startswith(_NAME_SERVICE) and b".so" in name:
        return True
    if not name.startswith(b"lib"):
        return False
    stem, dot, kind = name[3:].partition(b".")
    kind = kind.partition(b".")[0] if dot else b""
    if stem in _LOADED_STEMS:
        return kind == b"so"
    return stem in _SYSTEM_STEMS and kind in (b"so", b"a")
