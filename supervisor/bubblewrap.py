"""The sandbox wrapper of the runtime `full`: bubblewrap's mounts, made from the Landlock rights.

A starter makes them, too, from the same words: `supervisor/starting/room.c`.

Everything comes from `Run.rights`: path to Landlock rights. What it names exists inside under the
same name; what it lets the script change can be written; nothing else exists. Landlock rules refer
to files, not to names, so rules made outside hold for the same files mounted inside. Only `/proc`
is a different one, and its rules are added inside (`supervisor.wrapper_exec`).

While learning, the rights are "all but the sensitive tier", split around each secret. These are
hundreds of paths, and bubblewrap's time grows with their square (50: 6 ms, 100: 33 ms, 200: 120
ms). So where a folder holds more that is granted than what is not, the whole folder is mounted and
the rest is covered: folders by an empty one, files by `/dev/null`. Their names can be seen, their
content does not exist. Landlock refuses them all the same.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import stat

from buildperm.supervisor import landlock
from buildperm.tracer.recorder.look_calls import CLOSED, ITSELF, WHOLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CHANGES = (
    landlock.WRITE_FILE
    | landlock.TRUNCATE
    | landlock.REMOVE_DIR
    | landlock.REMOVE_FILE
    | landlock.MAKE_CHAR
    | landlock.MAKE_DIR
    | landlock.MAKE_REG
    | landlock.MAKE_SOCK
    | landlock.MAKE_FIFO
    | landlock.MAKE_BLOCK
    | landlock.MAKE_SYM
)

_DEVICES = {  # null(4), proc_pid_fd(5): what every program expects beside the devices.
    b"/dev/fd": b"/proc/self/fd",
    b"/dev/stdin": b"/proc/self/fd/0",
    b"/dev/stdout": b"/proc/self/fd/1",
    b"/dev/stderr": b"/proc/self/fd/2",
}

EVERYWHERE = (
    *(b"/boot", b"/dev/shm", b"/home", b"/media", b"/mnt", b"/opt", b"/root", b"/run", b"/srv"),
    *(b"/tmp", b"/var", b"/var/cache", b"/var/lib", b"/var/log", b"/var/spool", b"/var/tmp"),
)
"""Folders that nearly every machine has, hier(7): that they exist tells nothing."""

NAMESPACES = (
    # Not `--unshare-all`: it goes on without a user namespace where there is none. And it makes a
    # namespace of control groups, in which a script would not find its own limits.
    *(b"--unshare-user", b"--unshare-ipc", b"--unshare-pid", b"--unshare-net", b"--unshare-uts"),
    b"--disable-userns",
    # Root keeps no privilege in its namespace either.
    *(b"--cap-drop", b"ALL", b"--die-with-parent", b"--new-session"),
)
"""The options of bubblewrap for every script."""


SHARED_NETWORK = (
    "It shares the network of the machine, as there is an egress proxy: only Landlock and "
    "seccomp keep it from other ports and from unix sockets without a path."
)
"""What is left open for a script with an egress proxy: see `supervisor.network`.

A brokered connect(2) uses the script's own socket, so it happens in the script's own network.
"""


class Mounts:
    """What exists inside of the sandbox wrapper."""

    def __init__(
        self,
        rights: Mapping[bytes, int],
        needed: Iterable[bytes],
        with_exclusions: Iterable[bytes],
        listed: Mapping[bytes, bool | None] | None = None,
        *,
        coarse: bool,
    ) -> None:
        """Decide what to mount.

        Args:
            rights: Landlock rights by path.
            needed: Paths without links that have to exist although the script has no right to
                them: they are needed to start it.
            with_exclusions: Folders that are granted but for what is excluded. Links in them, for
                which there are no rights, still lead on.
            listed: Folders in which all names are shown, and whether nothing but files is excluded
                there; with None, folders in these of which that is not so. The nearest counts.
            coarse: Cover what is not granted, where that takes fewer mounts.
        """
        self._binds: dict[bytes, bool] = {}  # Path to whether it can be written.
        self._masks: dict[bytes, bool] = {}  # Path to whether it is a folder.
        self._links: dict[bytes, bytes] = {}
        self._folders: set[bytes] = set()  # Only they are shown.
        self._passed: set[bytes] = {b"/"}  # Folders that exist only because of what lies in them.
        self._with_exclusions = frozenset(with_exclusions)
        self._with_names = listed or {}
        self._listed = (
            self._with_exclusions & rights.keys()
        )  # With all that is not granted covered.
        wanted = dict.fromkeys(needed, False)
        for path, granted in rights.items():
            wanted[path] = wanted.get(path, False) or bool(granted & _CHANGES)
        for path in sorted(wanted):
            is_written = wanted[path]
            if path.startswith(b"/proc/") or self._has(path, written=is_written):
                continue
            if path in self._listed:
                self._passed.update((path, *_above(path)))
                continue
            try:
                is_there = not stat.S_ISLNK(os.lstat(path).st_mode)
            except OSError:
                is_there = False  # Its rule is idle as well.
            if is_there:
                self._binds[path] = is_written
        for path in self._binds:
            self._passed.update(_above(path))
        self._add_folders(coarse=coarse)

    def add_links(self, paths: Iterable[bytes]) -> None:
        """Make the links on the way to each of the absolute `paths`."""
        known: set[bytes] = set()
        for path in paths:
            self._follow(path, known, 40)  # path_resolution(7)

    def cover(self, paths: Iterable[bytes]) -> None:
        """Show the files at `paths`, without links, as empty ones."""
        for path in paths:
            if path not in self._binds and not self.hides(path) and os.path.isfile(path):
                self._masks[path] = False

    def show_closed(self, paths: Iterable[bytes]) -> None:
        """Let what exists at `paths`, without links, be seen to exist, and be refused.

        A device on a mount without devices cannot be opened: mount(2), MS_NODEV. Whoever reads
        settings where there are some would go on without them if there seemed to be none.
        """
        for path in paths:
            if os.path.isfile(path) and self.hides(path):
                self._masks[path] = False
                self._passed.update(_above(path))

    def show_folders(self, paths: Iterable[bytes]) -> None:
        """Let folders be seen to exist, with nothing in them but what is shown anyhow."""
        for path in paths:
            if self.hides(path) and os.path.isdir(path) and not os.path.islink(path):
                self._passed.update((path, *_above(path)))
                self._folders.add(path)

    def __len__(self) -> int:
        """Count what is mounted."""
        return len(self._binds) + len(self._masks)

    def hides(self, path: bytes) -> bool:
        """Tell whether `path` exists outside and not inside, if it exists outside.

        It has no links, or is as it was asked for: then a link that is shown shows what is behind.

        The content of a covered folder counts, the cover itself does not.
        """
        if path in self._passed or path in _DEVICES or (path + b"/").startswith(b"/proc/"):
            return False
        if path in self._binds or path in self._links or path in self._masks:
            return False
        for upper in _above(path):
            if upper in self._masks:
                return True
            if upper in self._binds or upper in self._links:  # The latter where it was asked for.
                return False
        return True

    def covers(self, path: bytes) -> bool:
        """Tell whether an empty file is shown in the place of what is at `path`, without links."""
        return self._masks.get(path) is False

    def lacks(self, folder: bytes) -> bool:
        """Tell whether not all that is in `folder`, without links, is shown there."""
        if folder not in self._passed or folder in self._binds:
            return False
        try:
            with os.scandir(folder) as entries:
                return any(self.hides(entry.path) for entry in entries)
        except OSError:
            return True  # Who may not list it is told so outside.

    def shown(self) -> dict[bytes, int]:
        """Return what `hides` decides by, for `recorder.look_calls.Looks`."""
        return {
            **dict.fromkeys(self._passed, ITSELF),
            **dict.fromkeys((*self._binds, *self._links, *_DEVICES, b"/proc"), WHOLE),
            **dict.fromkeys(self._masks, CLOSED),
        }

    def is_written(self, path: bytes) -> bool:
        """Tell whether `path`, without links, lies on a mount that can be written."""
        for upper in (path, *_above(path)):
            if upper in self._masks:
                return False
            if upper in self._binds:
                return self._binds[upper]
        return False

    def words(self) -> list[bytes]:
        """Return the arguments for bubblewrap."""
        words = [b"--proc", b"/proc"]
        for path in sorted({*self._binds, *self._masks, *self._links}):
            if path in self._binds:
                # `-try`: a path may be gone by now, such as somebody's temporary file.
                how = b"--bind-try" if self._binds[path] else b"--ro-bind-try"
                words += [b"--dev-bind-try" if path.startswith(b"/dev/") else how, path, path]
            elif path in self._links:
                words += [b"--symlink", self._links[path], path]
            elif self._masks[path]:
                # What is closed cannot be listed: it would seem to be empty.
                is_closed = path not in self._passed
                words += [b"--perms", b"0000"] if is_closed else []
                words += [b"--tmpfs", path]
            else:
                words += [b"--ro-bind", b"/dev/null", path]
        for path, target in _DEVICES.items():
            words += [b"--symlink", target, path]
        for path in sorted(self._folders):
            words += [b"--dir", path]
        return [*words, b"--remount-ro", b"/"]

    def _has(self, path: bytes, *, written: bool) -> bool:
        """Tell whether a mount above already shows `path`, for writing if `written`."""
        for upper in _above(path):
            if upper in self._binds and upper not in self._masks:
                return self._binds[upper] or not written
        return False

    def _add_folders(self, *, coarse: bool) -> None:
        """Decide for each folder on the way whether to mount it and cover what is not granted.

        A folder that may be listed is always mounted and covered. The root is always made anew.
        """
        within: dict[bytes, list[bytes]] = {}
        for path in self._passed - {b"/"}:
            within.setdefault(os.path.dirname(path), []).append(path)
        whole = frozenset(self._binds)  # In these, everything is granted.
        pending = [(b"/", False)]
        while pending:
            folder, is_shown = pending.pop()
            if folder in (b"/proc", b"/dev") or any(
                up in whole for up in (folder, *_above(folder))
            ):
                continue
            has_exclusions = folder in self._with_exclusions or any(
                up in self._with_exclusions for up in _above(folder)
            )
            around = next((up for up in (folder, *_above(folder)) if up in self._with_names), b"")
            only_files = self._with_names.get(around)
            has_names = only_files is not None
            further = [*within.get(folder, ())]
            granted: list[bytes] = []
            hidden: dict[bytes, bool] = {}
            links: list[bytes] = []
            if has_exclusions or is_shown:
                try:
                    with os.scandir(folder) as entries:
                        for entry in entries:
                            if entry.is_symlink():
                                links.append(entry.path)
                            elif entry.path in self._binds:
                                granted.append(entry.path)
                            elif entry.path not in self._passed:
                                is_folder = entry.is_dir(follow_symlinks=False)
                                if is_folder and only_files:
                                    further.append(entry.path)  # Its files are all that is hidden.
                                else:
                                    hidden[entry.path] = is_folder
                except OSError:
                    pass  # Who may not list it gets nothing of it, however it is split.
            is_whole = folder in self._listed or has_names
            is_whole = is_whole or (coarse and has_exclusions and len(hidden) < len(granted))
            if is_whole and folder != b"/" and not _is_shared(folder):
                if not is_shown:
                    self._binds[folder] = False
                self._masks.update(hidden)
                for path in granted:
                    if not self._binds[path]:
                        del self._binds[path]
                pending += [(path, True) for path in further]
                continue
            if is_shown:
                self._masks[folder] = True
            for link in links:
                self._link(link)
            pending += [(path, False) for path in further]

    def _link(self, path: bytes) -> None:
        try:
            self._links[path] = os.readlink(path)
        except OSError:
            pass  # Gone meanwhile.

    def _follow(self, path: bytes, known: set[bytes], left: int) -> None:
        """Walk `path` as the kernel does; `known` are no links, `left` is how many may follow."""
        walked = b""
        names = path.split(b"/")
        for index, name in enumerate(names):
            if name in (b"", b".", b".."):
                walked = walked.rpartition(b"/")[0] if name == b".." else walked
                continue
            walked += b"/" + name
            if walked in known:
                continue
            try:
                target = os.readlink(walked)
            except OSError:
                known.add(walked)
                continue
            if self.hides(walked):
                self._links[walked] = target
                self._passed.update(_above(walked))
            start = b"" if target.startswith(b"/") else walked.rpartition(b"/")[0] + b"/"
            if left:
                self._follow(b"/".join((start + target, *names[index + 1 :])), known, left - 1)
            return


def _is_shared(folder: bytes) -> bool:
    """Tell whether everybody makes and removes files in `folder`, as in /tmp.

    What is covered has to exist until it is covered.
    """
    try:
        return bool(os.stat(folder).st_mode & stat.S_ISVTX)
    except OSError:
        return False


def _above(path: bytes) -> list[bytes]:
    """List the folders above `path`, the nearest first."""
    found = []
    end = path.rfind(b"/")
    while end > 0:
        found.append(path[:end])
        end = path.rfind(b"/", 0, end)
    found.append(b"/")
    return found
