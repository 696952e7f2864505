"""The metadata guard: mode, owner, times and extended attributes, which Landlock does not cover.

The filter stops each call that changes them, and this process brokers it (seccomp(2),
SECCOMP_RET_TRACE; the call itself is skipped). The arguments are copied once, the path is followed
to a descriptor that only names the file (open(2), O_PATH), the kernel is asked where that file is,
and the change is made through that very descriptor.

A file may be changed if the run's own Landlock rules let the script write there. No setuid or
setgid bit is ever set. Only `user.*` and access control lists exist as extended attributes.

A change elsewhere is refused, unless the kernel would have denied it to anybody with the rights of
this user: then that is the answer, and no grant is proposed for it.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat
from errno import EACCES, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, EPERM, EROFS

from buildperm.supervisor import caller_rights, hardening, landlock, path_walk
from buildperm.supervisor.caller_rights import Caller, CallFailedError
from buildperm.tracer.recorder import location, memory
from buildperm.tracer.recorder.brokered import Refused, Result
from buildperm.tracer.recorder.change_calls import changed
from buildperm.tracer.recorder.location import AT_FDCWD
from buildperm.tracer.syscall_table import ChangeLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.supervisor.metadata_change import MetadataChange
    from buildperm.tracer.recorder.brokered import Broker
    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

_WRITING = landlock.WRITE_FILE | landlock.MAKE_REG
_NOFOLLOW, _EMPTY_PATH = 0x100, 0x1000  # AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
_KNOWN = 8192  # Threads to remember.


class MetadataGuard:
    """Makes changes of metadata for the scripts of one run, within what they may write."""

    def __init__(self, rights: Mapping[bytes, int]) -> None:
        """Take the Landlock rights of the run by path: the paths are without links."""
        self._folders: dict[bytes, tuple[int, int]] = {}  # Device and inode by path.
        self._files: dict[bytes, tuple[int, int]] = {}
        for path, allowed in rights.items():
            if not allowed & _WRITING:
                continue
            try:
                about = os.lstat(path)
            except OSError:
                continue  # Landlock has no rule for it either.
            if stat.S_ISDIR(about.st_mode):
                self._folders[path] = about.st_dev, about.st_ino
            elif stat.S_ISREG(about.st_mode):  # No device, nor the fifo of Cargo's jobserver.
                self._files[path] = about.st_dev, about.st_ino
        self._us = Caller(
            os.geteuid(),
            frozenset((*os.getgroups(), os.getegid())),
            is_privileged=os.geteuid() == 0,
        )
        # What a script is started with: see `supervisor.launch`.
        self._identity = caller_rights.identity(b"/proc/self", hardening.CAPABILITIES)
        self._root = caller_rights.root(b"/proc/self")
        self._known: dict[int, tuple[Caller, bool]] = {}  # By thread.

    def brokers(self, calls: Mapping[int, str]) -> dict[int, Broker]:
        """Return what makes each of those among `calls`, names by number, that are guarded."""
        kinds = {"mode-changed", "owner-changed", "times-changed", "attribute-changed"}
        layouts = of(ChangeLayout)
        return {
            number: self._broker(name, layouts[name])
            for number, name in calls.items()
            if name in layouts and layouts[name].change in kinds
            if name != "file_setattr"  # The filter refuses it: what its flags mean is endless.
        }

    def _broker(self, name: str, layout: ChangeLayout) -> Broker:
        change_kind, (start_at, path_at) = layout.change, layout.path
        flags_at, follows = layout.flags, layout.follows
        values_at = max(start_at, path_at) + 1
        values_at += values_at == flags_at
        by_times = change_kind == "times-changed"
        by_attribute = change_kind == "attribute-changed"
        takes_null = name in ("utimensat", "futimesat")

        def read(tid: int, arguments: SyscallInfo) -> MetadataChange:
            # Only now: every supervisor has a guard, and few scripts make such a call.
            from buildperm.supervisor import metadata_change as changes

            if by_times:
                return changes.TimesChange(tid, arguments, values_at, name)
            if by_attribute:
                return changes.AttributeChange(tid, arguments, values_at, name)
            kind = changes.ModeChange if change_kind == "mode-changed" else changes.OwnerChange
            return kind(tid, arguments, values_at)

        def find(tid: int, process: Process, arguments: SyscallInfo, *, is_ours: bool) -> int:
            start = location.signed(arguments[start_at]) if start_at >= 0 else AT_FDCWD
            flags = arguments[flags_at] & 0xFFFFFFFF if flags_at >= 0 else 0
            is_followed = follows or (flags_at >= 0 and not flags & _NOFOLLOW)
            if path_at < 0:
                return path_walk.open_descriptor(tid, start, is_plain=True)
            if takes_null and not arguments[path_at] and start != AT_FDCWD:
                if flags:
                    raise CallFailedError(EINVAL)
                return path_walk.open_descriptor(tid, start, is_plain=True)
            if flags & ~(_NOFOLLOW | _EMPTY_PATH):
                raise CallFailedError(EINVAL)
            is_optional = by_attribute and flags & _EMPTY_PATH and not arguments[path_at]
            path = b"" if is_optional else memory.c_string(tid, arguments[path_at])
            if path is None:
                raise CallFailedError(EFAULT)
            if len(path) >= memory.PATH_MAX:
                raise CallFailedError(ENAMETOOLONG)
            if not path and flags & _EMPTY_PATH:
                return path_walk.open_descriptor(
                    tid, start, is_plain=by_attribute and start != AT_FDCWD
                )
            if not path:
                raise CallFailedError(ENOENT)
            pids = process.pid, tid
            return path_walk.follow(pids, start, path, is_followed=is_followed, is_ours=is_ours)

        def broker(
            tid: int, process: Process, syscall: SyscallInfo, decoded: Decoded | None
        ) -> Result | Refused:
            try:
                change = read(tid, syscall[1:7])
                if change.is_nothing:
                    return Result(0, decoded)
                caller, is_ours = self._look(tid)
                file = find(tid, process, syscall[1:7], is_ours=is_ours)
                try:
                    name = path_walk.name_of(tid, file, is_ours=is_ours)
                    result = self._apply(tid, file, change, caller, is_ours=is_ours)
                finally:
                    os.close(file)
                # The path may lead elsewhere by now; this is what the change was about.
                decoded = changed(name)
                return Refused(EACCES, decoded) if result is None else Result(result, decoded)
            except CallFailedError as failed:
                return Result(-failed.code, decoded) if failed.code else Refused(EACCES, decoded)
            except ProcessLookupError:
                raise
            except OSError:
                return Refused(EACCES, decoded)  # The process cannot be looked into, or is gone.

        return broker

    def _apply(
        self,
        tid: int,
        file: int,
        change: MetadataChange,
        caller: Caller,
        *,
        is_ours: bool,
    ) -> int | None:
        """Make `change` to the file behind a descriptor; its result, None where it is refused."""
        about = os.fstat(file)
        link = b"/proc/self/fd/%d" % file
        is_writable = self._is_writable(tid, link, about, is_ours=is_ours)
        if not is_writable or caller is not self._us:
            code = change.denial(caller, link, about)
            if not code and not is_writable and os.fstatvfs(file).f_flag & os.ST_RDONLY:
                code = EROFS
            if code:
                return -code
        if not is_writable:
            return None
        try:
            change.apply(link, about)
        except OSError as error:
            return -(error.errno or EPERM)
        return 0

    def _is_writable(self, tid: int, link: bytes, about: os.stat_result, *, is_ours: bool) -> bool:
        """Tell whether the file behind `link` lies where the script may write.

        proc_pid_fd(5): the name of what has been unlinked is its last one with " (deleted)" after
        it. The folders above it are what counts, so that a file that is really called so makes no
        difference.
        """
        if stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode):
            return False
        try:
            path = os.readlink(link)
        except OSError as error:
            raise CallFailedError(error.errno or EACCES) from error  # Deeper than PATH_MAX.
        if path.startswith(b"/memfd:") and not about.st_nlink:
            return True  # memfd_create(2): it is the script's own, and nowhere.
        if is_ours:
            return self._covers(path, about, os.lstat)
        root = path_walk.open_path(b"/proc/%d/root" % tid)
        try:

            def look(name: bytes) -> os.stat_result:
                file = path_walk.walk(
                    root, name, path_walk.IN_ROOT | path_walk.NO_SYMLINKS, is_followed=False
                )
                try:
                    return os.fstat(file)
                finally:
                    os.close(file)

            # Names are told from the root of the mounts: below it if the process is in a chroot(2).
            top = os.readlink(b"/proc/self/fd/%d" % root).rstrip(b"/")
            return path.startswith(top + b"/") and self._covers(path[len(top) :], about, look)
        finally:
            os.close(root)

    def _covers(
        self, path: bytes, about: os.stat_result, look: Callable[[bytes], os.stat_result]
    ) -> bool:
        """Tell whether a rule is for the file at `path` or a folder that it is in.

        What the path of a rule leads to by now has to be what the rule was made for: Landlock's
        belong to files and folders, not to names.
        """
        if self._files.get(path) == (about.st_dev, about.st_ino):
            return True
        for folder in path_walk.upwards(path):
            identity = self._folders.get(folder)
            if identity is None:
                continue
            try:
                found = look(folder)
            except (OSError, CallFailedError):
                continue
            if (found.st_dev, found.st_ino) == identity:
                return True
        return False

    def _look(self, tid: int) -> tuple[Caller, bool]:
        """Return whose rights `tid` acts with, and whether it has the same root as this process.

        A process that has given up some of its rights is only taken for the owner of its files. The
        answer is kept unless this is root's: nobody else has rights to give up, and the filter lets
        nobody take another root.
        """
        known = self._known.get(tid)
        if known is not None:
            return known
        identity, caller = caller_rights.identity(b"/proc/%d" % tid), self._us
        if identity != self._identity:
            users = next((line for line in identity if line.startswith(b"Uid:")), b"").split()
            if len(users) != 5:
                raise CallFailedError(0)
            caller = Caller(int(users[4]), frozenset(), is_privileged=False)
        decoded = caller, caller_rights.root(b"/proc/%d" % tid) == self._root
        if caller is self._us and not caller.is_privileged:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[tid] = decoded
        return decoded
