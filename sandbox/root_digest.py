"""The digest of a root: of all that build scripts see in the place of the machine's system.

Names, kinds, permissions, contents and what links say go in; owners, times and what lies beside the
system's own folders do not. So the same archive unpacked elsewhere has the same digest.

To read a system takes seconds, and a look at all that is there a fraction of one. So the digest is
kept beside a *signature* of inodes, sizes and times, and counts as long as that is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from buildperm.errors import CannotEnforceError
from buildperm.policy.root_paths import real_path
from buildperm.printable import printable
from buildperm.rules import root_layout, root_tree
from buildperm.rules.root_tree import RootEntry
from buildperm.sandbox import private_cache
from buildperm.tracer.notation import encode

_FORMAT = b"buildperm root 1\n"
_CHUNK = 1 << 20
_TIMED = frozenset(b"bcachefs btrfs ext2 ext3 ext4 f2fs jfs overlay xfs zfs".split())
"""File systems on which the kernel sets a file's time of change, and nobody else does."""
_STILL_NS = 2_000_000_000  # What was changed so shortly before may change again unnoticed.

_ELSEWHERE = (b"proc", b"sys", b"dev", b"run", b"var")
"""Where links of a system lead besides, to what is not there in a build, or the build's own."""
_WRITTEN = ((b"var", b"tmp"), (b"run", b"user"), (b"run", b"lock"), (b"dev", b"shm"))
"""Of these, what everybody may fill."""
_OF_THE_MACHINE: dict[tuple[bytes, ...], tuple[bytes, ...]] = {
    (b"var", b"run"): (b"run",),
    (b"var", b"lock"): (b"run", b"lock"),
}
"""Its own links among these: hier(7)."""
_OWN_PROCESS = ((b"self",), (b"thread-self",))
_PROCESS_FILES = (
    *((), (b"mounts",), (b"mountinfo",), (b"fd",)),
    *((b"fd", b"0"), (b"fd", b"1"), (b"fd", b"2")),
)


@dataclass(frozen=True, slots=True)
class RootState:
    """What a root is, and how it was found."""

    digest: str  # `sha256:` and 64 digits.
    signature: str  # Changes with whatever is changed in it.
    top: bytes  # See `root_tree.top`.


def state_of(root: Path) -> RootState:
    """Return the digest of `root`; it is read only where it has changed since.

    Raises:
        CannotEnforceError: It is no root, cannot be read, or changes meanwhile.
    """
    began_ns = time.time_ns()
    entries = _entries(root)
    signature = root_tree.signature(os.fsencode(root), entries)
    kept = _kept_file(root)
    top = root_tree.top((each.path, each.about) for each in entries if b"/" not in each.path)
    if kept is not None and (known := _known(kept, signature)):
        return RootState(known, signature, top)
    for each in entries:
        if each.target:
            _check_link(root, each)
    digest = _digest(root, entries)
    if signature_of(root) != signature:
        raise _unfit(root, "it changes while it is read")
    newest_ns = max(max(each.about.st_mtime_ns, each.about.st_ctime_ns) for each in entries)
    is_still = newest_ns < began_ns - _STILL_NS
    if kept is not None and is_still and not _has_doubtful_times(entries):
        text = json.dumps({"signature": signature, "digest": digest})
        try:
            new = kept.with_suffix(f".{os.getpid()}")
            new.write_text(text)
            os.replace(new, kept)
        except OSError:
            pass  # It is read once more next time.
    return RootState(digest, signature, top)


def signature_of(root: Path) -> str:
    """Return what tells this root from any change of it, without reading its files.

    Raises:
        CannotEnforceError: It is no root any more.
    """
    return root_tree.signature(os.fsencode(root), _entries(root))


def _entries(root: Path) -> list[RootEntry]:
    try:
        return root_tree.entries(os.fsencode(root))
    except OSError as error:
        if not root.is_dir():
            raise _unfit(root, "it is no folder") from error
        raise _unreadable(root, error) from error
    except root_tree.NoRootError as error:
        raise _unfit(root, str(error)) from error


def _digest(root: Path, entries: list[RootEntry]) -> str:
    told = hashlib.sha256(_FORMAT)
    for each in entries:
        mode = stat.S_IMODE(each.about.st_mode)
        if each.target:
            told.update(b"l\0%s\0%s\0" % (each.path, each.target))
        elif stat.S_ISDIR(each.about.st_mode):
            told.update(b"d %o\0%s\0" % (mode, each.path))
        else:
            told.update(b"f %o\0%s\0%s\0" % (mode, each.path, _content(root, each)))
    return f"sha256:{told.hexdigest()}"


def _content(root: Path, entry: RootEntry) -> bytes:
    path = os.fsencode(root) + b"/" + entry.path
    told = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not os.path.samestat(os.fstat(file), entry.about):
                raise _unfit(root, "it changes while it is read")
            while piece := os.read(file, _CHUNK):
                told.update(piece)
        finally:
            os.close(file)
    except OSError as error:
        raise _unreadable(root, error) from error
    return told.hexdigest().encode()


def _check_link(root: Path, link: RootEntry) -> None:
    """Refuse a link that leads out of the root, to where the digest says nothing.

    Raises:
        CannotEnforceError: It is one.
    """
    end = real_path(os.fsencode(root), b"/" + link.path, follows_outside=False)
    parts = tuple(end.split(b"/")[1:])
    is_inside = root_layout.is_replaced(parts[0])
    # What lies at the top is a folder of the system for whoever builds: never the machine's.
    if not is_inside and (b"/" not in link.path or not _is_elsewhere(parts)):
        raise _unfit(root, f"the link `{encode(link.path)}` leads out of it, to `{encode(end)}`")


def _is_elsewhere(parts: tuple[bytes, ...]) -> bool:
    """Tell whether a path leads to what is none of a root's, and from there nowhere else.

    In `/proc` are links to everything: proc(5).
    """
    parts = (*_OF_THE_MACHINE.get(parts[:2], parts[:2]), *parts[2:])
    process, within = parts[1:2], parts[2:]
    if parts[0] == b"proc" and (process in _OWN_PROCESS or b"".join(process).isdigit()):
        return within in _PROCESS_FILES
    return parts[0] in _ELSEWHERE and parts[:2] not in _WRITTEN and b".." not in parts


def _kept_file(root: Path) -> Path | None:
    folder = private_cache.folder("roots")
    name = hashlib.sha256(os.fsencode(root)).hexdigest()
    return None if folder is None else folder / f"{name}.json"


def _known(path: Path, signature: str) -> str:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""
    fits = isinstance(told, dict) and told.get("signature") == signature
    found = told.get("digest") if fits else None
    return found if isinstance(found, str) and found.startswith("sha256:") else ""


def _has_doubtful_times(entries: list[RootEntry]) -> bool:
    """Tell whether files may hold something else while inode, size and times are as they were.

    In memory, who has mapped one changes it: tmpfs(5). An image is made with whatever times one
    likes, and the next one is mounted as the same device; likewise what comes from a server.
    """
    devices = {each.about.st_dev for each in entries}
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return True
    for line in lines:  # proc_pid_mountinfo(5). A subvolume of btrfs has a device of its own.
        fields, _, rest = line.partition(b" - ")
        major, _, minor = fields.split()[2].partition(b":")
        if os.makedev(int(major), int(minor)) in devices and rest.split(b" ")[0] not in _TIMED:
            return True
    return False


def _unfit(root: Path, why: str) -> CannotEnforceError:
    return CannotEnforceError(
        f"the root `{printable(str(root))}` cannot be used: {printable(why)}",
        hint="A root is a folder with `usr` and `etc`, unpacked and left alone: docs/root.md.",
    )


def _unreadable(root: Path, error: OSError) -> CannotEnforceError:
    named = error.filename
    path = encode(named) if isinstance(named, bytes) else str(named)
    return CannotEnforceError(
        f"the root `{printable(str(root))}` cannot be used: `{printable(path)}` cannot be read: "
        f"{error.strerror}",
        hint="Make all of it readable, as by `chmod -R a+rX`, or unpack it as yourself.",
    )
