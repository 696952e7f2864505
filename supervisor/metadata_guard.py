"""The metadata guard: mode, owner, dates and extended attributes, which Landlock does not cover.

The filter stops each call that changes them, and this process makes it in the script's place
(seccomp(2), SECCOMP_RET_TRACE; the call itself is skipped): the arguments are copied once, the path
is followed to a descriptor that only names the file (open(2), O_PATH), where that is is asked of
the kernel, and the change is made through that very descriptor. Nothing that another thread does
meanwhile, to the text or to a link, leads elsewhere.

A file may be changed if Landlock's own rules for the run let the script write there. No setuid or
setgid bit is ever set. Of the extended attributes only `user.*` and access control lists are there.

What lies elsewhere is refused, unless the kernel would have refused it to anybody with the rights
of this user: then that is the answer, and nobody is asked about it.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EBADF,
    EFAULT,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
    EROFS,
)

from buildperm.supervisor import hardening, landlock, syscalls
from buildperm.tracer.recorder import location, memory
from buildperm.tracer.recorder.brokered import Refused, Result
from buildperm.tracer.recorder.change_calls import changed
from buildperm.tracer.recorder.location import AT_FDCWD
from buildperm.tracer.recorder.ptrace import libc
from buildperm.tracer.syscall_table import ChangeLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from buildperm.tracer.recorder.brokered import Broker
    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

_WRITING = landlock.WRITE_FILE | landlock.MAKE_REG

_NOFOLLOW, _EMPTY_PATH = 0x100, 0x1000  # AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
_OPENAT2 = 437  # On every architecture.
_NO_MAGICLINKS, _NO_SYMLINKS, _IN_ROOT = 0x02, 0x04, 0x10  # openat2(2), "resolve"
_KNOWN = 8192  # Threads to remember.
_ATTEMPTS = 100  # openat2(2), EAGAIN: `..` while anything anywhere is being renamed.

_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_SECOND = 1_000_000_000

_NAME_MAX, _SIZE_MAX = 255, 65_536  # limits.h: XATTR_NAME_MAX, XATTR_SIZE_MAX
_LISTS = (b"system.posix_acl_access", b"system.posix_acl_default")

_UNCHANGED = 0xFFFFFFFF  # chown(2): an owner or group of -1
_SETUID = stat.S_ISUID | stat.S_ISGID

_utimensat = libc.utimensat
_utimensat.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)


class FailedError(Exception):
    """The call fails as it would have without a guard."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Caller:
    """Whose rights a call is made with, as far as they matter for one's own files."""

    def __init__(self, user: int, groups: frozenset[int], *, privileged: bool) -> None:
        self.user = user
        self.groups = groups
        self.privileged = privileged  # CAP_FOWNER, CAP_DAC_OVERRIDE and CAP_CHOWN.

    def owns(self, about: os.stat_result) -> bool:
        """Tell whether it counts as the owner."""
        return self.privileged or self.user == about.st_uid


class Mode:
    """A change by chmod(2)."""

    def __init__(self, tid: int, arguments: SyscallInfo, at: int) -> None:
        self._mode = arguments[at] & 0o7777

    def fails(self, caller: Caller, _link: bytes, about: os.stat_result) -> int:
        """Return the errno that the kernel would answer; 0 for none."""
        return 0 if caller.owns(about) else EPERM

    def make(self, link: bytes, about: os.stat_result) -> None:
        """Make the change through the descriptor behind `link`."""
        if stat.S_ISLNK(about.st_mode):
            raise FailedError(EOPNOTSUPP)  # Older kernels change it all the same.
        kept = 0
        if stat.S_ISDIR(about.st_mode):  # A folder may stay setgid, which it inherits.
            kept = about.st_mode & stat.S_ISGID
        os.chmod(link, self._mode & ~_SETUID | self._mode & kept)


class Owner:
    """A change by chown(2)."""

    def __init__(self, tid: int, arguments: SyscallInfo, at: int) -> None:
        self._user, self._group = (number & 0xFFFFFFFF for number in arguments[at : at + 2])

    def fails(self, caller: Caller, _link: bytes, about: os.stat_result) -> int:
        """Return the errno that the kernel would answer; 0 for none."""
        if caller.privileged or self._user == self._group == _UNCHANGED:
            return 0
        is_own = (
            caller.user == about.st_uid
            and self._user in (_UNCHANGED, about.st_uid)
            and self._group in (_UNCHANGED, about.st_gid, *caller.groups)
        )
        return 0 if is_own else EPERM

    def make(self, link: bytes, _about: os.stat_result) -> None:
        """Make the change through the descriptor behind `link`."""
        user, group = (-1 if i == _UNCHANGED else i for i in (self._user, self._group))
        os.chown(link, user, group)


class Times:
    """A change by utimensat(2) or one of its older forms."""

    def __init__(self, tid: int, arguments: SyscallInfo, at: int, name: str) -> None:
        self._times: bytes | None = None
        self._is_now = True
        self.is_nothing = False
        if not arguments[at]:
            return
        first, first_part, second, second_part = _times(tid, arguments[at], name)
        parts = (first_part, second_part)
        if name == "utimensat" and parts == (_UTIME_OMIT, _UTIME_OMIT):
            self.is_nothing = True
            return
        if any(not 0 <= p < _SECOND and p not in (_UTIME_NOW, _UTIME_OMIT) for p in parts):
            raise FailedError(EINVAL)
        self._is_now = parts == (_UTIME_NOW, _UTIME_NOW)
        self._times = struct.pack("=4q", first, first_part, second, second_part)

    def fails(self, caller: Caller, link: bytes, about: os.stat_result) -> int:
        """Return the errno that the kernel would answer; 0 for none."""
        if caller.owns(about):
            return 0
        if self._is_now:
            return 0 if _may_write(caller, link, about) else EACCES
        return EPERM

    def make(self, link: bytes, _about: os.stat_result) -> None:
        """Make the change through the descriptor behind `link`."""
        if _utimensat(AT_FDCWD, link, self._times, 0) != 0:
            raise FailedError(ctypes.get_errno())


class Attribute:
    """A change by setxattr(2) or removexattr(2)."""

    def __init__(self, tid: int, arguments: SyscallInfo, at: int, call: str) -> None:
        self._value: bytes | None = None  # None: removed.
        self._flags = 0
        pointer = size = 0
        if call == "setxattrat":
            pointer, size, self._flags = _attribute_arguments(tid, arguments[at + 1 : at + 3])
        elif "remove" not in call:
            pointer, size = arguments[at + 1 : at + 3]
            self._flags = arguments[at + 3] & 0xFFFFFFFF
        if self._flags & ~(os.XATTR_CREATE | os.XATTR_REPLACE):
            raise FailedError(EINVAL)
        name = memory.c_string(tid, arguments[at], _NAME_MAX + 1)
        if name is None:
            raise FailedError(EFAULT)
        if not 0 < len(name) <= _NAME_MAX:
            raise FailedError(ERANGE)
        self._name = name
        if "remove" not in call:
            if size > _SIZE_MAX:
                raise FailedError(E2BIG)
            self._value = _block(tid, pointer, size)

    def fails(self, caller: Caller, link: bytes, about: os.stat_result) -> int:
        """Return the errno that the kernel would answer; 0 for none."""
        if self._name.startswith(b"user."):
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
                return EPERM
            return 0 if _may_write(caller, link, about) else EACCES
        if self._name in _LISTS:
            return 0 if caller.owns(about) else EPERM
        return 0 if caller.privileged else EPERM

    def make(self, link: bytes, _about: os.stat_result) -> None:
        """Make the change through the descriptor behind `link`.

        To tools the others are something that this file system lacks: what they mean (rights of
        programs, labels, layers of containers) is not the script's to say.
        """
        if not self._name.startswith(b"user.") and self._name not in _LISTS:
            raise FailedError(EOPNOTSUPP)
        if self._value is None:
            os.removexattr(link, self._name)
        else:
            os.setxattr(link, self._name, self._value, self._flags)


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
            privileged=os.geteuid() == 0,
        )
        # What a script is started with: see `supervisor.launch`.
        self._identity = _identity(b"/proc/self", hardening.CAPABILITIES)
        self._root = _root(b"/proc/self")
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

        def read(tid: int, arguments: SyscallInfo) -> Mode | Owner | Times | Attribute:
            if by_times:
                return Times(tid, arguments, values_at, name)
            if by_attribute:
                return Attribute(tid, arguments, values_at, name)
            kind = Mode if change_kind == "mode-changed" else Owner
            return kind(tid, arguments, values_at)

        def find(tid: int, process: Process, arguments: SyscallInfo, *, is_ours: bool) -> int:
            start = location.signed(arguments[start_at]) if start_at >= 0 else AT_FDCWD
            flags = arguments[flags_at] & 0xFFFFFFFF if flags_at >= 0 else 0
            is_followed = follows or (flags_at >= 0 and not flags & _NOFOLLOW)
            if path_at < 0:
                return _descriptor(tid, start, is_plain=True)
            if takes_null and not arguments[path_at] and start != AT_FDCWD:
                if flags:
                    raise FailedError(EINVAL)
                return _descriptor(tid, start, is_plain=True)
            if flags & ~(_NOFOLLOW | _EMPTY_PATH):
                raise FailedError(EINVAL)
            is_optional = by_attribute and flags & _EMPTY_PATH and not arguments[path_at]
            path = b"" if is_optional else memory.c_string(tid, arguments[path_at])
            if path is None:
                raise FailedError(EFAULT)
            if len(path) >= memory.PATH_MAX:
                raise FailedError(ENAMETOOLONG)
            if not path and flags & _EMPTY_PATH:
                return _descriptor(tid, start, is_plain=by_attribute and start != AT_FDCWD)
            if not path:
                raise FailedError(ENOENT)
            pids = process.pid, tid
            return _find(pids, start, path, is_followed=is_followed, is_ours=is_ours)

        def broker(
            tid: int, process: Process, syscall: SyscallInfo, decoded: Decoded | None
        ) -> Result | Refused:
            try:
                change = read(tid, syscall[1:7])
                if isinstance(change, Times) and change.is_nothing:
                    return Result(0, decoded)
                caller, is_ours = self._look(tid)
                file = find(tid, process, syscall[1:7], is_ours=is_ours)
                try:
                    name = _name(tid, file, is_ours=is_ours)
                    result = self._make(tid, file, change, caller, is_ours=is_ours)
                finally:
                    os.close(file)
                # The path may lead elsewhere by now; this is what the change was about.
                decoded = changed(name)
                return Refused(EACCES, decoded) if result is None else Result(result, decoded)
            except FailedError as failed:
                return Result(-failed.code, decoded) if failed.code else Refused(EACCES, decoded)
            except ProcessLookupError:
                raise
            except OSError:
                return Refused(EACCES, decoded)  # The process cannot be looked into, or is gone.

        return broker

    def _make(
        self,
        tid: int,
        file: int,
        change: Mode | Owner | Times | Attribute,
        caller: Caller,
        *,
        is_ours: bool,
    ) -> int | None:
        """Make `change` to the file behind a descriptor; its result, None where it is refused."""
        about = os.fstat(file)
        link = b"/proc/self/fd/%d" % file
        is_writable = self._is_writable(tid, link, about, is_ours=is_ours)
        if not is_writable or caller is not self._us:
            code = change.fails(caller, link, about)
            if not code and not is_writable and os.fstatvfs(file).f_flag & os.ST_RDONLY:
                code = EROFS
            if code:
                return -code
        if not is_writable:
            return None
        try:
            change.make(link, about)
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
            raise FailedError(error.errno or EACCES) from error  # Deeper than PATH_MAX.
        if path.startswith(b"/memfd:") and not about.st_nlink:
            return True  # memfd_create(2): it is the script's own, and nowhere.
        if is_ours:
            return self._covers(path, about, os.lstat)
        root = _open(b"/proc/%d/root" % tid)
        try:

            def look(name: bytes) -> os.stat_result:
                file = _walk(root, name, _IN_ROOT | _NO_SYMLINKS, is_followed=False)
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
        for folder in _upwards(path):
            identity = self._folders.get(folder)
            if identity is None:
                continue
            try:
                found = look(folder)
            except (OSError, FailedError):
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
        identity, caller = _identity(b"/proc/%d" % tid), self._us
        if identity != self._identity:
            users = next((line for line in identity if line.startswith(b"Uid:")), b"").split()
            if len(users) != 5:
                raise FailedError(0)
            caller = Caller(int(users[4]), frozenset(), privileged=False)
        seen = caller, _root(b"/proc/%d" % tid) == self._root
        if caller is self._us and not caller.privileged:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[tid] = seen
        return seen


def _find(
    pids: tuple[int, int], start: int, path: bytes, *, is_followed: bool, is_ours: bool
) -> int:
    """Follow `path` as a thread would, and return a descriptor of what it leads to.

    Links of /proc that are no text (proc(5), "magic links") mean something else for everybody
    who follows them; only a process's own descriptors are understood.
    """
    tid = pids[1]
    number = _own_descriptor(path, pids) if is_followed else None
    if number is not None:
        try:
            return _descriptor(tid, number, is_plain=False)
        except FailedError:
            raise FailedError(ENOENT) from None
    opened = [AT_FDCWD]
    resolve = _NO_MAGICLINKS
    try:
        if not path.startswith(b"/"):
            opened.append(_descriptor(tid, start, is_plain=False))
        if not is_ours:
            path = _in_its_root(tid, path, opened)
            resolve |= _IN_ROOT
        try:
            return _walk(opened[-1], path, resolve, is_followed=is_followed)
        except FailedError as failed:
            if failed.code == ELOOP and not _is_loop(opened[-1], path, is_followed=is_followed):
                raise FailedError(0) from None
            raise
    finally:
        for file in opened[1:]:
            os.close(file)


def _in_its_root(tid: int, path: bytes, opened: list[int]) -> bytes:
    """Say `path` from the root of `tid`, which is not ours, and open that.

    What a relative path begins with is named, and has to be what that name leads to.
    """
    root = _open(b"/proc/%d/root" % tid)
    if not path.startswith(b"/"):
        start = opened[-1]
        begin = os.readlink(b"/proc/self/fd/%d" % start)
        top = os.readlink(b"/proc/self/fd/%d" % root).rstrip(b"/")
        opened.append(root)
        if not (begin + b"/").startswith(top + b"/"):
            raise FailedError(0)
        begin = begin[len(top) :] or b"/"
        there = _walk(root, begin, _IN_ROOT | _NO_SYMLINKS, is_followed=False)
        try:
            is_same = os.path.sameopenfile(there, start)
        finally:
            os.close(there)
        if not is_same:
            raise FailedError(0)
        return begin + b"/" + path
    opened.append(root)
    return path


def _times(tid: int, pointer: int, name: str) -> tuple[int, ...]:
    """Read two dates as seconds and nanoseconds, whatever structure `name` takes them in."""
    size = 16 if name == "utime" else 32
    raw = memory.read(tid, pointer, size)
    if len(raw) < size:
        raise FailedError(EFAULT)
    if name == "utime":
        first, second = struct.unpack("=2q", raw)
        return first, 0, second, 0
    first, first_part, second, second_part = struct.unpack("=4q", raw)
    if name != "utimensat":
        if not (0 <= first_part < 1_000_000 and 0 <= second_part < 1_000_000):
            raise FailedError(EINVAL)
        return first, first_part * 1000, second, second_part * 1000
    return first, first_part, second, second_part


def _attribute_arguments(tid: int, where: tuple[int, ...]) -> tuple[int, int, int]:
    """Read `struct xattr_args`: setxattrat(2); what a newer kernel knows beyond has to be 0."""
    pointer, size = where
    if size < 16:
        raise FailedError(EINVAL)
    if size > memory.PAGE:
        raise FailedError(E2BIG)
    raw = _block(tid, pointer, size)
    if raw[16:].strip(b"\0"):
        raise FailedError(E2BIG)
    value, length, flags = struct.unpack("=QII", raw[:16])
    return value, length, flags


def _block(tid: int, pointer: int, size: int) -> bytes:
    """Read exactly `size` bytes."""
    found = bytearray()
    while len(found) < size:
        piece = memory.read(tid, pointer + len(found), min(memory.PAGE, size - len(found)))
        if not piece:
            raise FailedError(EFAULT)
        found += piece
    return bytes(found)


def _may_write(caller: Caller, link: bytes, about: os.stat_result) -> bool:
    if caller.privileged or not caller.groups:  # Without groups: one that has given up rights.
        return caller.owns(about) and bool(caller.privileged or about.st_mode & stat.S_IWUSR)
    return os.access(link, os.W_OK, effective_ids=True)


def _descriptor(tid: int, number: int, *, is_plain: bool) -> int:
    """Open what the descriptor `number` of `tid`, or its working directory, refers to.

    Args:
        tid: The thread.
        number: The descriptor, or AT_FDCWD.
        is_plain: One that itself only names a file will not do: open(2), O_PATH.
    """
    if number == AT_FDCWD:
        return _open(b"/proc/%d/cwd" % tid)
    if number < 0:
        raise FailedError(EBADF)
    try:
        if is_plain:
            with open(b"/proc/%d/fdinfo/%d" % (tid, number), "rb", buffering=0) as details:
                flags = details.read().partition(b"flags:\t")[2].partition(b"\n")[0]
            if not flags or int(flags, 8) & os.O_PATH:
                raise FailedError(EBADF)
        return _open(b"/proc/%d/fd/%d" % (tid, number))
    except FileNotFoundError:
        raise FailedError(EBADF) from None


def _own_descriptor(path: bytes, pids: tuple[int, int]) -> int | None:
    """Return which descriptor of its own a process means by `path`, as chmod(3) does."""
    head, _, number = path.rpartition(b"/")
    if head in (b"/proc/self/fd", b"/dev/fd", b"/proc/thread-self/fd"):
        pass
    elif head == b"/dev" and number in _STREAMS:
        return _STREAMS[number]
    elif head not in (b"/proc/%d/fd" % pid for pid in pids):
        return None
    return int(number) if number.isdigit() and len(number) < 10 else None


_STREAMS = {b"stdin": 0, b"stdout": 1, b"stderr": 2}


def _open(path: bytes) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _walk(start: int, path: bytes, resolve: int, *, is_followed: bool) -> int:
    """Open `path` by openat2(2) without opening what is there."""
    flags = os.O_PATH | os.O_CLOEXEC | (0 if is_followed else os.O_NOFOLLOW)
    how = struct.pack("=3Q", flags, 0, resolve)
    for _ in range(_ATTEMPTS):
        file = syscalls.call(_OPENAT2, start, path, how, len(how))
        if file >= 0:
            return file
        code = ctypes.get_errno()
        if code != EAGAIN:
            raise FailedError(code)
    raise FailedError(EAGAIN)


def _is_loop(start: int, path: bytes, *, is_followed: bool) -> bool:
    """Tell whether it was too many links that led nowhere, rather than one of /proc's."""
    try:
        os.close(_walk(start, path, 0, is_followed=is_followed))
    except FailedError as failed:
        return failed.code == ELOOP
    return False


def _root(process: bytes) -> tuple[object, ...]:
    """Tell what a process has for a root: the mounts that it sees and where in them it begins."""
    about = os.stat(process + b"/root")
    return os.readlink(process + b"/ns/mnt"), about.st_dev, about.st_ino


def _identity(process: bytes, capabilities: int = -1) -> tuple[bytes, ...]:
    """Tell what a process may do: its user namespace, users, groups, and its `capabilities`."""
    with open(process + b"/status", "rb", buffering=0) as file:
        lines = file.read().split(b"\n")
    found = [os.readlink(process + b"/ns/user")]
    for line in lines:
        if line.startswith((b"Uid:", b"Gid:", b"Groups:")):
            found.append(line)
        elif line.startswith(b"CapEff:"):
            found.append(b"%x" % (int(line[7:], 16) & capabilities))
    return tuple(found)


def _name(tid: int, file: int, *, is_ours: bool) -> bytes:
    """Return the path of what a descriptor names, as the thread `tid` would say it."""
    name = location.descriptor(os.getpid(), file)
    if is_ours:
        return name
    top = os.readlink(b"/proc/%d/root" % tid).rstrip(b"/")
    return name[len(top) :] if name.startswith(top + b"/") else name


def _upwards(path: bytes) -> Iterator[bytes]:
    """Yield `path` and every folder above it."""
    while path.startswith(b"/"):
        yield path
        if path == b"/":
            return
        path = path.rpartition(b"/")[0] or b"/"
