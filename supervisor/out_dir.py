"""The scan of OUT_DIR after a run, and the private folders: both walk a tree that is hostile.

Cargo, rustc and the linker use what lies in OUT_DIR without any sandbox. `include_str!` of a link
that leaves it would embed a credential in the program; a `libc.so` there is linked in the place of
the system's, where the script has Cargo search that folder.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat

from buildperm.rules.containment import links
from buildperm.rules.pattern import covers
from buildperm.supervisor.hwcaps import is_searched
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

DEEPEST = 200
"""Folders inside folders beyond this are not looked into but reported: PATH_MAX is near."""

MOST_NAMED = 20
"""Findings beyond this are not listed."""

MOST_PROGRAMS = 100
"""Programs beyond this are counted and not listed."""

_KINDS = (
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_BLOCK = 512  # Of st_blocks: inode(7).
_ANY_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
# What gcc and rustc link programs with without being told: glibc, musl, libgcc, C++. And what a
# shell is made of, which runs stubs: Cargo has it look for its libraries in these folders first.
_SYSTEM_STEMS = frozenset(
    b"c m mvec pthread dl rt util resolv nsl crypt anl BrokenLocale c_nonshared pthread_nonshared "
    b"gcc gcc_s gcc_eh unwind atomic stdc++ supc++ c++ c++abi compiler_rt ssp ssp_nonshared "
    b"tinfo tinfow ncurses ncursesw readline history".split()
)
# What a shell loads as it starts beyond what it is linked with: to find out who its user is, where
# systemd knows users and SHELL is not set, and to read the character sets of East Asia: gconv(5).
_LOADED_STEMS = frozenset(b"cap CNS GB ISOIR165 JIS JISX0213 KSC".split())
_NAME_SERVICE = b"libnss_"  # nss(5): any program may load these to find out who its user is.
_HARDWARE_MOST = 1000  # Folders that a loader searches; more are none that anybody needs.
_EXTRA = 16  # Hexadecimal digits with which Cargo tells the files of crates apart.
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_SETUID = stat.S_ISUID | stat.S_ISGID
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Left:
    """What a script has left in OUT_DIR."""

    def __init__(self) -> None:
        self.found: list[str] = []  # What must not be there, and why; empty if it is clean.
        self.programs: list[str] = []  # What the kernel would run, relative, in notation.
        self.unlisted = 0  # Programs beyond MOST_PROGRAMS.
        self.size = Size()


class Size:
    """What files take on the disk; one with several names counts once."""

    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self._known: set[tuple[int, int]] = set()

    def add(self, about: os.stat_result) -> None:
        """Count one entry of a folder."""
        self.files += 1
        if about.st_nlink > 1 and not stat.S_ISDIR(about.st_mode):
            identity = about.st_dev, about.st_ino
            if identity in self._known:
                return
            self._known.add(identity)
        self.bytes += about.st_blocks * _BLOCK

    def beyond(self, most_bytes: int, most_files: int) -> str:
        """Name the limit that is exceeded; empty if none is. 0 is no limit."""
        if 0 < most_bytes < self.bytes:
            return "output_bytes"
        return "output_files" if 0 < most_files < self.files else ""


def scan(out_dir: bytes) -> Left:
    """Look through `out_dir`, which has to be without links, after all has ended."""
    left = Left()
    for path, about in _walk(out_dir):
        why = about if isinstance(about, str) else _why(out_dir, path, about)
        if why and len(left.found) < MOST_NAMED:
            left.found.append(f"$OUT_DIR{encode(path[len(out_dir) :])}: {why}")
        if isinstance(about, str):
            continue
        left.size.add(about)
        if about.st_mode & _ANY_EXECUTE and stat.S_ISREG(about.st_mode) and _is_program(path):
            if len(left.programs) < MOST_PROGRAMS:
                left.programs.append(encode(path[len(out_dir) + 1 :]))
            else:
                left.unlisted += 1
    left.programs.sort()
    return left


def beyond(folders: Iterable[bytes], most_bytes: int, most_files: int) -> str:
    """Name the limit that exceeds what lies in `folders` by now; empty if none does.

    The tree changes meanwhile, so that this is no more than an estimate; `scan` has the last word.
    """
    size = Size()
    for folder in folders:
        for _, about in _walk(folder):
            if not isinstance(about, str):
                size.add(about)
                found = size.beyond(most_bytes, most_files)
                if found:
                    return found
    return ""


def shadows(folder: bytes) -> list[str]:
    """Name what in `folder` a linker that searches there takes for a library of the system."""
    return _searched(folder, _is_system_library)


def holding(folder: bytes, names: Collection[bytes]) -> list[str]:
    """Name what in `folder` a loader that searches there takes for one of the libraries `names`."""
    return _searched(folder, names.__contains__)


def _searched(folder: bytes, is_found: Callable[[bytes], bool]) -> list[str]:
    """Name what is found in `folder` and where a loader looks first: ld.so(8)."""
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


def posing(folder: bytes) -> list[str]:
    """Name what in `folder` rustc, searching there, may take for a crate that Cargo has compiled.

    Of several files that seem to be the same crate it takes the last that it finds, and loads it
    into itself where it is one of procedural macros.
    """
    return sorted(encode(name) for name in _names(folder) if _is_called_like_crate(name))


def _names(folder: bytes) -> list[bytes]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_called_like_crate(name: bytes) -> bool:
    """Tell whether a file is called as Cargo has rustc call what it makes: `libserde-0123….rlib`.

    The kind of file that rustc looks for ends the name; between it and the digits anything may be.
    """
    if not name.startswith(b"lib") or not name.endswith((b".so", b".rlib", b".rmeta")):
        return False
    return any(
        len(piece) >= _EXTRA and _HEXADECIMAL.issuperset(piece[:_EXTRA])
        for piece in name.split(b"-")[1:]
    )


def _is_system_library(name: bytes) -> bool:
    """Tell whether a file is called like a library that nearly every program is linked with."""
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


def _is_program(path: bytes) -> bool:
    """Tell whether the kernel would execute a file: execve(2), ELF and interpreter scripts."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True  # It may be executed and not be read.
    try:
        return os.read(descriptor, 4).startswith((b"\x7fELF", b"#!"))
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _why(out_dir: bytes, path: bytes, about: os.stat_result) -> str:
    mode = about.st_mode
    if stat.S_ISLNK(mode):
        # Of what is in /proc, the same name leads every process somewhere else.
        if any(covers(b"/proc", link) for link in links(path)):
            return "a link through /proc"
        target = os.path.realpath(path)
        if covers(out_dir, target):
            return ""
        return f"a link that leaves it, to {encode(target)}"
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return name
    if stat.S_ISREG(mode) and mode & _SETUID:
        return "a setuid or setgid program"
    return ""


def _walk(top: bytes) -> Iterator[tuple[bytes, os.stat_result | str]]:
    """Yield everything below `top` with its lstat(2), or with what is wrong with a folder."""
    pending = [(top, 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        about = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield entry.path, about
                    if stat.S_ISDIR(about.st_mode) and depth < DEEPEST:
                        pending.append((entry.path, depth + 1))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield folder, f"a folder that cannot be looked into ({error.strerror})"
            continue
        if depth >= DEEPEST:
            yield folder, "too many folders inside each other"


def empty(path: bytes) -> None:
    """Make `path` an empty folder that only its owner may enter.

    Raises:
        OSError: It cannot be removed or made.
    """
    remove(path)
    os.mkdir(path, 0o700)


def remove(path: bytes) -> None:
    """Remove `path` and all below it; links are removed, not followed.

    Folders that forbid entering are opened up, and what lies deeper than descriptors or PATH_MAX
    allow is first moved up.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        parent = os.open(os.path.dirname(path), _FOLDER_FLAGS)
    except FileNotFoundError:
        return
    try:
        _remove_in(parent, os.path.basename(path), 0, parent)
        # What was moved up carries names of ours.
        while _moved:
            _remove_in(parent, _moved.pop(), 0, parent)
    finally:
        os.close(parent)


_moved: list[bytes] = []


def _remove_in(folder: int, name: bytes, depth: int, top: int) -> None:
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(about.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    if about.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, 0o700, dir_fd=folder)
    if depth >= DEEPEST:
        away = b".deep-%d-%d" % (os.getpid(), about.st_ino)
        os.rename(name, away, src_dir_fd=folder, dst_dir_fd=top)
        _moved.append(away)
        return
    inside = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    try:
        for child in os.listdir(inside):
            _remove_in(inside, os.fsencode(child), depth + 1, top)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=folder)
