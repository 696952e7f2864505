"""What a run depended on, as it was found when the run had ended, to compare with how it is later.

Each path that was asked for is walked by its links. What is kept is the text of each link on the
way, and what is at its end: the content of a file that was read, the listing of a folder, what a
look tells, or that nothing is there. A file counts as unchanged while inode, times and size are
the same; else its content is compared. So nothing may be kept that has changed since the run began.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat
from errno import ENOENT, ENOTDIR

from buildperm.cache import digest
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.location import open_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from buildperm.cache.path_tokens import PathTokens

    Input: TypeAlias = list[str | int]
    """Kind, path, and what was found there; see below."""

FILE, LISTING, ABSENT, LINK, LOOK, KERNEL = "file", "listing", "absent", "link", "look", "kernel"
"""Kinds, with what follows the path:

    file     permissions, digest, size, modified, device, inode, changed
    listing  permissions, digest, size, modified, device, inode, changed
    absent
    link     its text, with tokens, as encoded
    look     mode, size, modified (both 0 but for files)
    kernel   digest of what a file or folder of /proc or /sys says
"""

FIELDS = {FILE: 9, LISTING: 9, ABSENT: 2, LINK: 3, LOOK: 5, KERNEL: 3}
"""How long an input is, by its kind; all but the first three fields are numbers."""

_TICK_NS = 20_000_000  # Times of files are as coarse as the kernel's clock: two ticks at 100 Hz.
_LINKS_MOST = 40  # path_resolution(7)
_KERNEL_MOST = 1 << 20  # Bytes that are read of a file of the kernel's.
_ABSENT = (ENOENT, ENOTDIR)

# What says how the machine is doing: as a clock does, it says something else each time.
_GAUGES = frozenset(
    b"cpuinfo diskstats interrupts loadavg meminfo pressure schedstat slabinfo softirqs stat "
    b"uptime vmstat zoneinfo".split()
)
_DEVICES = frozenset(
    b"fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
)


class RunInputs:
    """Finds out what is at the paths of a run; `reason` says why the run cannot be kept."""

    def __init__(self, tokens: PathTokens, own: Iterable[bytes], began_ns: int) -> None:
        """Prepare.

        Args:
            tokens: The places of the run.
            own: Folders that were empty when it began: what is in them is its own.
            began_ns: When it began: time.time_ns.
        """
        self.reason = ""
        self._tokens = tokens
        self._own = tuple(own)
        self._began_ns = began_ns
        self._found: dict[tuple[str, str], Input] = {}  # By kind and path.
        self._walked: dict[bytes, bytes] = {}  # Where each leads; empty: nowhere, or to its own.
        self._links: dict[bytes, bytes] = {}  # Components that were looked at; b"" is no link.

    def inputs(self) -> list[Input]:
        """Return what was found, sorted."""
        return [self._found[key] for key in sorted(self._found)]

    def add_opened(self, path: bytes) -> None:
        """Add what was opened: the content of a file, or the listing of a folder."""
        real = self._led(path)
        if not real or self.reason:
            return
        about = self._about(real)
        if about is None:
            self._refuse(path, "is gone")
        elif real.startswith((b"/proc/", b"/sys/")):
            self._add(KERNEL, real, _said_by_kernel(real))
        elif stat.S_ISDIR(about.st_mode):
            self._add_signed(LISTING, real, about, listing(real))
        elif stat.S_ISREG(about.st_mode):
            self._add_signed(FILE, real, about, _content(real))
        elif stat.S_ISCHR(about.st_mode) and self._is_plain_device(real):
            self._add(LOOK, real, _looked_mode(about), 0, 0)
        else:
            self._refuse(path, "is neither a file nor a folder")

    def add_looked(self, path: bytes) -> None:
        """Add what was asked about, or was not there."""
        real = self._led(path)
        about = self._about(real) if real and not self.reason else None
        if about is not None:
            self._add_look(real, about)

    def add_executed(self, path: bytes) -> None:
        """Add a program, and what the kernel starts it with: execve(2), "#!" and PT_INTERP."""
        for _ in range(5):  # execve(2): interpreters of interpreters, four at most.
            real = self._led(path)
            about = self._about(real) if real and not self.reason else None
            if about is None or not stat.S_ISREG(about.st_mode):
                return
            self._add_signed(FILE, real, about, _content(real))
            path = _interpreter(real)
            if not path.startswith(b"/"):
                return

    def _led(self, path: bytes) -> bytes:
        """Walk a path by its links; return where it leads, or nothing if that is of no interest."""
        known = self._walked.get(path)
        if known is None:
            known = self._walked[path] = self._walk(path)
        return known

    def _walk(self, path: bytes) -> bytes:
        if not path.startswith(b"/"):
            return b""  # A pipe or a socket, or a call that has failed whatever is there.
        if self._is_of_process(path):
            return b""
        pending = path.split(b"/")[::-1]
        current, links = b"", 0
        while pending:
            name = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                current = current.rpartition(b"/")[0]
                continue
            place = current + b"/" + name
            target = self._link(place)
            if target is None:
                return b""
            if not target:
                current = place
                continue
            links += 1
            if links > _LINKS_MOST:
                self._refuse(path, "leads through too many links")
                return b""
            if target.startswith(b"/"):
                current = b""
                if self._is_of_process(target):
                    return b""
            pending += target.split(b"/")[::-1]
        current = current or b"/"
        return b"" if self._is_own(current) else current

    def _link(self, place: bytes) -> bytes | None:
        """Return the text of a link, nothing for what is none; None where the way ends here."""
        known = self._links.get(place)
        if known is not None:
            return known
        own = self._is_own(place)
        try:
            about = os.lstat(place)
            text = os.readlink(place) if stat.S_ISLNK(about.st_mode) else b""
        except OSError as error:
            if error.errno in _ABSENT:
                if not own:
                    self._add(ABSENT, place)
            else:
                self._refuse(place, f"cannot be looked at: {error.strerror}")
            return None
        if text and not own:
            self._check_age(place, about)
            shown = encode(self._tokens.tokens_for(text))
            self._add(LINK, place, shown)
        self._links[place] = text
        return text

    def _is_own(self, path: bytes) -> bool:
        return any(path == own or path.startswith(own + b"/") for own in self._own)

    def _is_of_process(self, path: bytes) -> bool:
        """Tell whether a path is about a process, or says how the machine is doing.

        Where it leads from there, the kernel says of each file that was opened.
        """
        if not path.startswith(b"/proc/"):
            return False
        first, _, rest = path[6:].partition(b"/")
        if first in (b"self", b"thread-self") or first.isdigit():
            parts = rest.split(b"/")
            if b"root" in parts[:3] or b"cwd" in parts[:3]:
                self._refuse(path, "leads through a process")
            return True
        return first in _GAUGES

    def _is_plain_device(self, real: bytes) -> bool:
        parts = real.split(b"/")
        return parts[1] == b"dev" and len(parts) > 2 and parts[2] in _DEVICES

    def _about(self, real: bytes) -> os.stat_result | None:
        try:
            return os.lstat(real)
        except OSError as error:
            self._refuse(real, f"cannot be looked at: {error.strerror}")
            return None

    def _add_look(self, real: bytes, about: os.stat_result) -> None:
        if stat.S_ISREG(about.st_mode):
            self._check_age(real, about)
            self._add(LOOK, real, about.st_mode, about.st_size, about.st_mtime_ns)
        else:
            self._add(LOOK, real, _looked_mode(about), 0, 0)

    def _add_signed(
        self, kind: str, real: bytes, about: os.stat_result, found: str | OSError
    ) -> None:
        if isinstance(found, OSError):
            self._refuse(real, f"cannot be read: {found.strerror}")
            return
        self._check_age(real, about)
        after = self._about(real)
        if after is None or _signature(after) != _signature(about):
            self._refuse(real, "was changed meanwhile")
            return
        self._add(kind, real, stat.S_IMODE(about.st_mode), found, *_signature(about))

    def _check_age(self, path: bytes, about: os.stat_result) -> None:
        if about.st_ctime_ns > self._began_ns - _TICK_NS:
            self._refuse(path, "was changed when the run had begun, or right before")

    def _add(self, kind: str, path: bytes, *found: str | int | OSError) -> None:
        named = self._tokens.portable(path)
        if any(isinstance(each, OSError) for each in found):
            self._refuse(path, "cannot be read")
            return
        kept: Input = [kind, named, *(each for each in found if not isinstance(each, OSError))]
        self._found[kind, named] = kept

    def _refuse(self, path: bytes, why: str) -> None:
        self.reason = self.reason or f"{self._tokens.portable(path)} {why}"


class InputComparison:
    """How what a run depended on is now."""

    __slots__ = ("difference", "is_slow", "times")

    def __init__(self) -> None:
        self.difference = ""  # What is not as it was, in a sentence; empty if nothing is.
        self.times = ""  # The first path of which nothing but the time of its change differs.
        self.is_slow = False  # Something had to be read: signatures are of another time or place.


def compare(inputs: Iterable[Input], tokens: PathTokens) -> InputComparison:
    """Compare inputs with what is there now, up to the first one that differs.

    Raises:
        ValueError: An input is none.
    """
    compared = InputComparison()
    for each in inputs:
        path = tokens.real(str(each[1]))
        try:
            why = _compared(each, path, compared, tokens)
        except OSError as error:
            is_gone = error.errno in _ABSENT
            why = "is gone" if is_gone else f"cannot be looked at: {error.strerror}"
        if why:
            compared.difference = f"{each[1]} {why}"
            break
    return compared


def _compared(each: Input, path: bytes, compared: InputComparison, tokens: PathTokens) -> str:
    """Say what is different at one path; empty if nothing is.

    Raises:
        OSError: It cannot be looked at.
    """
    match each[0]:
        case "absent":
            try:
                os.lstat(path)
            except OSError as error:
                if error.errno in _ABSENT:
                    return ""
                raise
            return "is there now"
        case "link":
            text = encode(tokens.tokens_for(os.readlink(path)))
            return "" if text == each[2] else "leads elsewhere"
        case "kernel":
            return "" if _said_by_kernel(path) == each[2] else "says something else"
        case "look":
            about = os.lstat(path)
            is_file = stat.S_ISREG(about.st_mode)
            if _looked_mode(about) != each[2]:
                return "has another kind or other permissions"
            if is_file and about.st_size != each[3]:
                return "has another size"
            if is_file and about.st_mtime_ns != each[4]:
                compared.times = compared.times or str(each[1])
            return ""
        case kind:
            return _compared_content(kind == FILE, each, path, compared)


def _looked_mode(about: os.stat_result) -> int:
    """Return kind and permissions; those of a terminal are another user's after each login."""
    is_device = stat.S_ISCHR(about.st_mode)
    return stat.S_IFMT(about.st_mode) if is_device else about.st_mode


def _compared_content(is_file: bool, each: Input, path: bytes, compared: InputComparison) -> str:
    about = os.lstat(path)
    if not (stat.S_ISREG if is_file else stat.S_ISDIR)(about.st_mode):
        return "is something else"
    if stat.S_IMODE(about.st_mode) != each[2]:
        return "has other permissions"
    now = _signature(about)
    if list(now) == each[4:]:
        return ""
    if is_file and now[0] != each[4]:
        return "holds something else"
    compared.is_slow = True
    found = _content(path) if is_file else listing(path)
    if isinstance(found, OSError):
        raise found
    if found != each[3]:
        return "holds something else" if is_file else "lists something else"
    if is_file and now[1] != each[5]:
        compared.times = compared.times or str(each[1])
    return ""


def renewed(inputs: Iterable[Input], tokens: PathTokens, began_ns: int) -> list[Input]:
    """Return inputs that `compare` has found the same, with the signatures of now.

    What has changed a moment ago keeps the old one: it may change again within a tick.
    """
    made = []
    for each in inputs:
        if each[0] in (FILE, LISTING):
            try:
                about = os.lstat(tokens.real(str(each[1])))
            except OSError:
                about = None
            if about is not None and about.st_ctime_ns <= began_ns - _TICK_NS:
                each = [*each[:4], *_signature(about)]
        made.append(each)
    return made


def _signature(about: os.stat_result) -> tuple[int, ...]:
    return about.st_size, about.st_mtime_ns, about.st_dev, about.st_ino, about.st_ctime_ns


def _content(path: bytes) -> str | OSError:
    try:
        file = open_regular_file(path)
        try:
            return digest.of_descriptor(file)
        finally:
            os.close(file)
    except OSError as error:
        return error


def listing(path: bytes) -> str | OSError:
    """Return the digest of what a folder lists: names, and what kind each is."""
    try:
        with os.scandir(path) as entries:
            names = sorted(
                (each.name, b"l" if each.is_symlink() else b"d" if each.is_dir() else b"f")
                for each in entries
            )
    except OSError as error:
        return error
    return digest.of_parts(part for entry in names for part in entry)


def _said_by_kernel(path: bytes) -> str | OSError:
    """Return the digest of a file or folder of the kernel's, whose size and times say nothing."""
    try:
        about = os.lstat(path)
        if stat.S_ISDIR(about.st_mode):
            return listing(path)
        file = open_regular_file(path)
        try:
            content = bytearray()
            while chunk := os.read(file, _KERNEL_MOST):
                content += chunk
                if len(content) > _KERNEL_MOST:
                    return OSError(0, "it says too much")
        finally:
            os.close(file)
    except OSError as error:
        return error
    return digest.of(bytes(content))


def _interpreter(path: bytes) -> bytes:
    """Return what the kernel starts a program with: after `#!`, or in its ELF header."""
    try:
        file = open_regular_file(path)
        try:
            head = os.read(file, 4096)
            if head.startswith(b"#!"):
                return (head[2:].split(b"\n", 1)[0].split() or [b""])[0]
            return _loader(file, head)
        finally:
            os.close(file)
    except OSError:
        return b""


def _loader(file: int, head: bytes) -> bytes:
    """Return PT_INTERP of a program: elf(5), 64 bits, little-endian."""
    if not head.startswith(b"\x7fELF\x02\x01") or len(head) < 64:
        return b""
    at = int.from_bytes(head[32:40], "little")
    size, number = (int.from_bytes(head[place : place + 2], "little") for place in (54, 56))
    table = os.pread(file, min(size * number, 1 << 16), at)
    for place in range(0, len(table) - 40, max(size, 1)):
        if table[place : place + 4] == b"\x03\0\0\0":
            start, length = (
                int.from_bytes(table[place + off : place + off + 8], "little") for off in (8, 32)
            )
            return os.pread(file, min(length, 4096), start).rstrip(b"\0")
    return b""
