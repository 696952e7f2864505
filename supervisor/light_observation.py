"""Light observation of one run: whether it is possible, its key, and its filter.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import struct

from buildperm.rules import baseline, limits
from buildperm.rules.pattern import covers
from buildperm.supervisor import landlock, landlock_rules
from buildperm.tracer.syscall_table import FOLDERS_KEY, FOLDERS_MOST, LIGHT_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.run import Run
    from buildperm.tracer.recorder.asked_paths import AskedPaths
    from buildperm.tracer.recorder.folder_reads import FolderReads
    from buildperm.tracer.recorder.light_opens import LightOpens
    from buildperm.tracer.recorder.listed_opens import ListedOpens

_HALF = struct.Struct("=I")
_MEMORY = (b"/", b"/proc", b"/sys", b"/sys/kernel")
_TRACING = (b"/sys/kernel/debug", b"/sys/kernel/tracing")


class LightObservation:
    """What one run needs in which not all that tools do is observed."""

    __slots__ = ("filter", "is_light", "listed", "opens", "reads")

    def __init__(
        self,
        seccomp: bytes,
        opens: LightOpens,
        reads: FolderReads | None,
        *,
        is_light: bool,
        listed: ListedOpens | None = None,
    ) -> None:
        self.filter = seccomp  # With the key, if there is one.
        self.opens = opens
        self.listed = listed  # The same, where tools list what they open.
        self.reads = reads  # None where all that the script opens is observed.
        self.is_light = is_light  # Else only looks are not: `recorder.look_calls`.

    @property
    def unlisted(self) -> list[bytes]:
        """Folders of which nobody has seen what the script itself has read."""
        return [] if self.reads is None else self.reads.used


def prepared(run: Run, rights: Mapping[bytes, int]) -> LightObservation | None:
    """Make what goes unseen in a run, and a key for it; None where everything is to be observed.

    Args:
        run: Of a build script.
        rights: Its Landlock rights by path.
    """
    template = run.session.get("light_filter", b"")
    if run.has_own_folders:
        return None  # Whatever a tool opens or looks at there is moved, so it has to stop.
    if run.asked is not None:
        return _listing(run, run.asked, rights)  # Nothing is to go unseen.
    is_heavy = run.learning or run.observes_all or _reads_memory(rights)
    is_light = bool(template) and not is_heavy
    looks = run.session.get("looks", False) and os.uname().machine == "x86_64"
    if not is_light and not looks:
        return None
    from buildperm.tracer.recorder.light_opens import LightOpens  # Not needed otherwise.

    # Not 0, which registers may hold.
    key = int.from_bytes(os.urandom(8), "little") | 1 if is_light else 0
    reads, filter_ = None, run.session["filter"]
    if is_light:
        from buildperm.tracer.recorder import folder_reads

        folders = whole_folders(run, rights) if folder_reads.is_possible() else []
        reads = folder_reads.FolderReads(folders, run.places["MANIFEST_DIR"], key)
        filter_ = with_key(template, key, folder_reads.FIRST if folders else folder_reads.NOWHERE)
    return LightObservation(
        filter_,
        LightOpens(
            key,
            lambda path: landlock_rules.is_granted(rights, path, landlock.READ_FILE),
            lambda path: landlock_rules.is_granted(rights, path, landlock_rules.WRITE),
            _searched(run, rights) if is_light else b"",
            looks=looks,
        ),
        reads,
        is_light=is_light,
    )


def _listing(run: Run, asked: AskedPaths, rights: Mapping[bytes, int]) -> LightObservation | None:
    """Have tools list what they ask for, where that need not be in the recording."""
    template = run.session.get("listed_filter", b"")
    is_full = not run.is_light or run.observes_all or _reads_memory(rights)
    if not template or is_full:
        return None
    from buildperm.tracer.recorder.listed_opens import ListedOpens  # Not needed otherwise.

    key = int.from_bytes(os.urandom(8), "little") | 1
    opens = ListedOpens(
        key,
        lambda path: landlock_rules.is_granted(rights, path, landlock.READ_FILE),
        lambda path: landlock_rules.is_granted(rights, path, landlock_rules.WRITE),
        _searched(run, rights),
        asked,
    )
    filter_ = _replaced(_replaced(template, LIGHT_KEY, key), LIGHT_KEY >> 32, key >> 32)
    return LightObservation(filter_, opens, None, is_light=True, listed=opens)


def whole_folders(run: Run, rights: Mapping[bytes, int]) -> list[bytes]:
    """Return the folders of the package, and the one for output, that may be read as a whole.

    Landlock has a rule for each, so nothing that lies in it can be refused. The script may not put
    another folder in the place of one, or its path would lead elsewhere. There are none where a
    person has said how many files it may open at a time.
    """
    limit = run.limits.get("open_files", limits.DEFAULTS["open_files"])
    if limit != limits.DEFAULTS["open_files"] or run.subject.consumer is not None:
        return []
    package = run.places["MANIFEST_DIR"]
    found = []
    for path, given in rights.items():
        if given & landlock_rules.READ != landlock_rules.READ:
            continue
        if not covers(package, path) and path != run.places["OUT_DIR"]:
            continue
        if landlock_rules.is_granted(rights, os.path.dirname(path), landlock_rules.WRITE):
            continue
        if _is_folder(path):
            found.append(path)
    return sorted(found)[:FOLDERS_MOST]


def _is_folder(path: bytes) -> bool:
    return os.path.isdir(path) and os.path.realpath(path) == path


def with_key(template: bytes, key: int, first: int) -> bytes:
    """Return the filter `template` with `key` in place of `LIGHT_KEY`.

    `first` goes in the place of `FOLDERS_KEY`: the first of the descriptors of folders.

    Raises:
        ValueError: It has no place for one.
    """
    made = _replaced(template, FOLDERS_KEY, first)
    return _replaced(_replaced(made, LIGHT_KEY, key), LIGHT_KEY >> 32, key >> 32)


def _replaced(template: bytes, word: int, value: int) -> bytes:
    """Return a filter with another value in the place of `word`; 32 bits of both count.

    Raises:
        ValueError: It has no place for it.
    """
    made, place = bytearray(template), _HALF.pack(word & 0xFFFFFFFF)
    at = template.find(place)
    if at < 0:
        raise ValueError("a filter without a place for a key")
    while at >= 0:
        # struct sock_filter: eight bytes, the last four of which are the value.
        if at % 8 != 4:
            raise ValueError("a filter with a key in the wrong place")
        _HALF.pack_into(made, at, value & 0xFFFFFFFF)
        at = template.find(place, at + len(place))
    return bytes(made)


def _searched(run: Run, rights: Mapping[bytes, int]) -> bytes:
    """Return the value of LD_LIBRARY_PATH if no script can put anything there; else nothing.

    Code of a library that a loader has found runs before the trap at the entry point, and can read
    the key in the loader: so another script's library is as bad as one of its own. A loader also
    looks in folders below: ld.so(8), "hwcaps". An empty part is the current folder, and `$ORIGIN`
    is the program's.
    """
    value = run.environ.get(b"LD_LIBRARY_PATH", b"")
    written = [path for path, given in rights.items() if given & landlock_rules.WRITE]
    for folder in value.split(b":"):
        real = os.path.realpath(folder)
        if (
            not folder.startswith(b"/")
            or b"$" in folder
            or b";" in folder
            or baseline.output_of(real, run.places)
            or landlock_rules.is_granted(rights, real, landlock_rules.WRITE)
            or any(_is_near(real, path) for path in (*written, *run.filled))
            or any(covers(tree, real) and not _is_cut_out(run, tree, real) for tree in run.filled)
        ):
            return b""
    return value


def _is_near(folder: bytes, path: bytes) -> bool:
    """Tell whether a path is in a folder, other than where Cargo keeps what build scripts make.

    Cargo names the folder above that, `target/debug`. A loader looks in no `build` below a folder.
    """
    return covers(folder, path) and not covers(folder.rstrip(b"/") + b"/build", path)


def _is_cut_out(run: Run, tree: bytes, folder: bytes) -> bool:
    """Tell whether grants to write a tree leave a folder of it out, as it is one of Cargo's own."""
    own = (run.places.get(token, b"") for token in ("TARGET_DIR", "SYSROOT"))
    return any(
        place and place != tree and covers(place, folder) and covers(tree, place) for place in own
    )


def _reads_memory(rights: Mapping[bytes, int]) -> bool:
    """Tell whether a run may look into compilers that it starts: proc_pid_mem(5), tracefs.

    Files of the baseline there say nothing about processes.
    """
    return any(
        path in _MEMORY
        or path.startswith(_TRACING)
        or (path.startswith(b"/proc/") and path[6:7].isdigit())
        for path in rights
    )
