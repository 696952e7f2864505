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
from errno import ENOTDIR

from buildperm.cache.file_times import TICK_NS, keeps_times
from buildperm.cache.found_content import (
    NOT_THERE,
    content,
    listing,
    looked_mode,
    said_by_kernel,
    signature,
)
from buildperm.cache.input_kind import ABSENT, FILE, FOLDER, KERNEL, LINK, LISTING, LOOK
from buildperm.cache.known_digests import LEAST_BYTES
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder import program_interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from buildperm.cache.input_kind import Input
    from buildperm.cache.known_digests import KnownDigests
    from buildperm.cache.path_tokens import PathTokens

_LINKS_MOST = 40  # path_resolution(7)

# What of these stays the same is part of the key: processors and memory. The rest is a gauge.
_GAUGES = frozenset((b"cpuinfo", b"meminfo"))
# These say what else the machine is doing, as a clock does: something else each time.
_CLOCKS = frozenset(
    b"diskstats interrupts loadavg pressure schedstat slabinfo softirqs stat uptime vmstat "
    b"zoneinfo".split()
)
# Of the process itself: what it has made of itself, and what else is part of the key.
_OF_ITSELF = frozenset(
    b"attr auxv cmdline comm coredump_filter environ exe fd fdinfo limits maps personality smaps "
    b"smaps_rollup stat statm status syscall task timerslack_ns wchan".split()
)
_AS_SUPERVISOR = frozenset((b"cgroup", b"mountinfo", b"mounts"))  # It is where its script is.
_DEVICES = frozenset(b"fd full null ptmx pts random stderr stdin stdout tty urandom zero".split())


def is_plain_device(real: bytes) -> bool:
    """Tell whether a path is that of a device, or terminal, that keeps nothing for others.

    `/dev/shm` and `/dev/mqueue` are no such thing.
    """
    parts = real.split(b"/")
    return parts[:2] == [b"", b"dev"] and len(parts) > 2 and parts[2] in _DEVICES


class RunInputs:
    """Finds out what is at the paths of a run; `reason` says why the run cannot be kept."""

    def __init__(
        self,
        tokens: PathTokens,
        own: Iterable[bytes],
        began_ns: int,
        known: KnownDigests | None = None,
        *,
        is_staged: bool = False,
        made: Mapping[bytes, Set[bytes]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            tokens: The places of the run.
            own: Folders that were empty when it began: what is in them is its own.
            began_ns: When it began: time.time_ns.
            known: Of files that need not be read.
            is_staged: They were put there for this run alone, a moment ago and in any order.
            made: The texts of links that were in its own folders at any time, by place. Where it
                is not known which of several counted, none of them may lead out.
        """
        self.reason = ""
        self._made = made or {}
        self._above_made = {above for place in self._made for above in _folders_above(place)}
        self._is_staged = is_staged
        self._tokens = tokens
        self._own = tuple(own)
        self._began_ns = began_ns
        self._known = known
        self._found: dict[tuple[str, str], Input] = {}  # By kind and path.
        self._walked: dict[bytes, bytes] = {}  # Where each leads; empty: nowhere, or to its own.
        self._links: dict[bytes, bytes] = {}  # Components that were looked at; b"" is no link.
        self._heads: dict[bytes, tuple[bytes, int]] = {}  # Where folders lead; through how many.

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
            self._add(KERNEL, real, said_by_kernel(real))
        elif stat.S_ISDIR(about.st_mode):
            found = listing(real, is_ordered=not self._is_staged)
            self._add_signed(LISTING, real, about, found)
        elif stat.S_ISREG(about.st_mode):
            self._add_file(real, about)
        elif stat.S_ISCHR(about.st_mode) and is_plain_device(real):
            self._add(LOOK, real, looked_mode(about), 0, 0)
        else:
            self._refuse(path, "is neither a file nor a folder")

    def add_looked(self, path: bytes) -> None:
        """Add what was asked about, or was not there."""
        real = self._led(path)
        about = self._about(real) if real and not self.reason else None
        if about is not None:
            self._add_look(real, about)

    def add_read_link(self, path: bytes) -> None:
        """Add what was asked for the text of a link: of a folder, that it is none.

        So the folders above a place are not asked for their permissions by `realpath`.
        """
        real = self._led(path)
        about = self._about(real) if real and not self.reason else None
        if about is None:
            return
        if stat.S_ISDIR(about.st_mode):
            self._add(FOLDER, real)
        else:
            self._add_look(real, about)

    def add_executed(self, path: bytes) -> None:
        """Add a program, and what the kernel starts it with: execve(2), "#!" and PT_INTERP."""
        for _ in range(5):  # execve(2): interpreters of interpreters, four at most.
            real = self._led(path)
            about = self._about(real) if real and not self.reason else None
            if about is None:
                return
            if stat.S_ISDIR(about.st_mode):
                self._add(FOLDER, real)  # No program; whoever searches PATH goes on.
                return
            if not stat.S_ISREG(about.st_mode):
                self._add_look(real, about)
                return
            self._add_file(real, about)
            path = program_interpreter.of(real)
            if not path.startswith(b"/"):
                if path:
                    self._refuse(real, "names a program by a relative path")
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
        head, _, last = path.rpartition(b"/")
        current, links = self._heads.get(head, (b"", 0)) if last != b".." else (b"", 0)
        is_head_known = bool(current)
        pending = [last] if is_head_known else path.split(b"/")[::-1]
        steps: list[tuple[bytes, tuple[bytes, ...]]] = []  # Each link, and what came behind it.
        while pending:
            if len(pending) == 1 and not is_head_known:  # All but the last is done.
                is_head_known = True
                # Below /proc, and where it is gone and led out of, the rest decides.
                if last != b".." and current != b"/proc" and not current.startswith(b"/proc/"):
                    self._heads[head] = current, links
            name = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                if current and not self._is_folder(current):
                    return b""
                current = current.rpartition(b"/")[0]
                continue
            place = current + b"/" + name
            target = self._link(place)
            if target is None:
                if self._is_own(place) and (b".." in pending or place in self._above_made):
                    current = place  # A folder of its own that is gone, and led out of it.
                    continue
                return b""
            if not target:
                current = place
                continue
            links += 1
            steps.append((place, tuple(pending)))
            if links > _LINKS_MOST:
                if not self._is_own_circle(steps):
                    self._refuse(path, "leads through too many links")
                return b""
            if target.startswith(b"/"):
                current = b""
                if self._is_of_process(b"/".join([target, *reversed(pending)])):
                    return b""
            pending += target.split(b"/")[::-1]
        current = current or b"/"
        return b"" if self._is_own(current) else current

    def _is_own_circle(self, steps: list[tuple[bytes, tuple[bytes, ...]]]) -> bool:
        """Tell whether links of its own lead in a circle, so that nothing else was looked at.

        Each `configure` makes one, when it tries what `ln -s` does.
        """
        begin = steps.index(steps[-1])
        return begin < len(steps) - 1 and all(self._is_own(place) for place, _ in steps[begin:])

    def _link(self, place: bytes) -> bytes | None:
        """Return the text of a link, nothing for what is none; None where the way ends here."""
        known = self._links.get(place)
        if known is not None:
            return known
        own = self._is_own(place)
        made = self._made.get(place) if own else None
        if made:
            return self._made_link(place, made)
        try:
            about = os.lstat(place)
            text = os.readlink(place) if stat.S_ISLNK(about.st_mode) else b""
        except OSError as error:
            if error.errno == ENOTDIR and not own:  # What is in the way decides what is said.
                above = place.rpartition(b"/")[0]
                about_above = self._about(above)
                if about_above is not None:
                    self._add_look(above, about_above)
            elif error.errno in NOT_THERE:
                if not own:
                    self._add(ABSENT, place)
            else:
                self._refuse(place, f"cannot be looked at: {error.strerror}")
            return None
        if text and not own:
            if not _is_fixed(place):
                self._check_age(place, about)
            shown = encode(self._tokens.tokens_for(text))
            self._add(LINK, place, shown)
        self._links[place] = text
        return text

    def _made_link(self, place: bytes, made: Set[bytes]) -> bytes:
        """Return the text of a link that was there when somebody went through it."""
        try:
            found = {os.readlink(place)}
        except OSError:
            found = {b""} if os.path.lexists(place) else set()
        if len(found | made) > 1:
            self._refuse(place, "was a link, and something else before or since")
        (text,) = made if len(made) == 1 else (b"",)
        self._links[place] = text
        return text

    def _is_own(self, path: bytes) -> bool:
        return any(path == own or path.startswith(own + b"/") for own in self._own)

    def _is_folder(self, place: bytes) -> bool:
        """Add that `place`, which is no link, is a folder; else what it is, where the way ends."""
        if self._is_own(place):
            return True
        about = self._about(place)
        if about is None:
            return False
        if not stat.S_ISDIR(about.st_mode):
            self._add_look(place, about)
            return False
        self._add(FOLDER, place)
        return True

    def _is_of_process(self, path: bytes) -> bool:
        """Tell whether a path is about the process itself, or says how the machine is doing.

        Where it leads from there, the kernel says of each file that was opened; of what was looked
        at through there, nobody does.
        """
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        if parts[:1] != [b"proc"] or len(parts) < 2:
            return False
        first, rest = parts[1], parts[2:]
        if first in _CLOCKS:
            self._refuse(path, "says what the machine is doing")
            return True
        if first not in (b"self", b"thread-self") and not first.isdigit():
            return first in _GAUGES
        if rest[:1] == [b"task"]:
            rest = rest[2:]  # Each thread has the same again.
        if rest in ([each] for each in _AS_SUPERVISOR):
            place = b"/proc/self/" + rest[0]
            self._add(KERNEL, place, said_by_kernel(place))
        elif rest and (rest[0] not in _OF_ITSELF or len(rest) > 2 or b".." in rest):
            self._refuse(path, "leads through a process, or tells of more than itself")
        return True

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
        elif stat.S_ISDIR(about.st_mode):
            self._add(LOOK, real, about.st_mode, about.st_nlink, about.st_mtime_ns)
        else:
            self._add(LOOK, real, looked_mode(about), 0, 0)

    def _add_file(self, real: bytes, about: os.stat_result) -> None:
        is_known = about.st_size >= LEAST_BYTES and keeps_times(about.st_dev)
        known = self._known if is_known else None
        found = (known.found(real, signature(about)) if known else "") or content(real)
        self._add_signed(FILE, real, about, found)
        if known is not None and isinstance(found, str) and not self.reason:
            known.note(real, signature(about), found)

    def _add_signed(
        self, kind: str, real: bytes, about: os.stat_result, found: str | OSError
    ) -> None:
        if isinstance(found, OSError):
            self._refuse(real, f"cannot be read: {found.strerror}")
            return
        self._check_age(real, about)
        after = self._about(real)
        if after is None or signature(after) != signature(about):
            self._refuse(real, "was changed meanwhile")
            return
        self._add(kind, real, stat.S_IMODE(about.st_mode), found, *signature(about))

    def _check_age(self, path: bytes, about: os.stat_result) -> None:
        if not self._is_staged and about.st_ctime_ns > self._began_ns - TICK_NS:
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


def _folders_above(place: bytes) -> Iterator[bytes]:
    while place:
        place = place.rpartition(b"/")[0]
        yield place


def _is_fixed(link: bytes) -> bool:
    """Tell whether nobody can change a link: one in `/` in a root has been made for this run."""
    return not link.rpartition(b"/")[0] and bool(os.statvfs(b"/").f_flag & os.ST_RDONLY)
