"""Gives a script folders of its own in the place of those that everybody shares.

`/dev/shm`: libc makes semaphores and shared memory there by name (sem_overview(7),
shm_overview(7)), whatever TMPDIR says. `/tmp` and `/var/tmp`: many programs make temporary files
there, whatever TMPDIR says, with names that only one run gives them. All users share these folders,
so no rule opens them. Where a process of the tree names something in them, its call is made with a
path in a folder that the script may write anyhow:

    open("/tmp/x") ──▶ entry stop ──▶ open("$TMP/slash-tmp/x") ──▶ exit stop ──▶ as if nothing

The kernel judges the path that it then reads, so nobody gets more rights, whatever another thread
makes of the text meanwhile, or puts in the place of that folder. So a call is recorded by where its
path leads when it is over.

A script leaves files beside programs in the same way: `supervisor.profile_delivery` says why.

What somebody else has in `/dev/shm` is not there for the script. In `/tmp` there may be what it
was granted, the workspace among it: a name that exists on the machine means that, unless the script
has one of that name. A name that does not is the script's own. Some tools enter `/tmp` first, and
go on from there, as install(1) does: so links in the script's own lead to what it was granted.

Memory below the stack may belong to somebody else where stacks are small and signals have one of
their own (sigaltstack(2)), as with Go. So what was there is put back.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder import memory, registers
from buildperm.tracer.syscall_table import (
    WRITING_FLAGS,
    ChangeLayout,
    ExecutionLayout,
    LookLayout,
    OpenLayout,
    of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildperm.tracer.recorder.observation import SyscallInfo

_MEMORY = b"/dev/shm"
_RED_ZONE = 128  # Bytes below the stack pointer that belong to the function: System V ABI.
_IN_MEMORY = frozenset(
    (
        *("open", "openat", "unlink", "unlinkat", "link", "linkat"),
        *("rename", "renameat", "renameat2"),
    )
)
"""What libc calls for a name of shared memory."""

_NAME_MOST = 255  # NAME_MAX
_SEEN_MOST = 64  # Names of the machine to remember.
_LINKS_MOST = 1_000  # Learning, nearly every name in /tmp is granted on its own.


class OwnFolders:
    """Knows the calls that name something in a shared folder, and moves them to a private one."""

    def __init__(
        self,
        calls: dict[int, str],
        folder: bytes,
        is_granted: Callable[[bytes], bool],
        hides: Callable[[bytes], bool] | None,
        temporary: Mapping[bytes, bytes],
        beside: tuple[bytes, bytes, Callable[..., bool]] | None = None,
        given: Iterable[bytes] = (),
        places: Iterable[bytes] = (),
    ) -> None:
        """Prepare.

        Args:
            calls: Name by number of each call that the filter may stop.
            folder: The scratch folder of the run, without links: `PRIVATE` are in it.
            is_granted: Tells whether a path in a shared folder itself is open to the script.
            hides: See `Recorder.expect_wrapper`.
            temporary: Folders of everybody for temporary files, and what is in their place.
            beside: The folder of the profile, what is in its place, and what tells of a name from
                there on whether the script's own is meant: `supervisor.profile_delivery`.
            given: Paths that were granted, some of them in such folders.
            places: Where the build is at work, which is linked before all else.
        """
        self._memory = folder + b"/shm"
        self._temporary = dict(temporary)
        self._beside = beside
        self.shared = (_MEMORY, *self._temporary, *((beside[0],) if beside else ()))
        """The folders in whose place there are others."""

        self.on_seen: Callable[[bytes], None] = lambda _: None
        """Gets each path directly in a shared folder that is the machine's for all of the run."""

        self._apart = (beside[0] + b"/build",) if beside else ()
        self._seen: set[bytes] = set()
        self._used: set[bytes] = set()  # Shared folders in whose place something may be.
        self._is_granted = is_granted
        self._hides = hides
        self._executing: dict[int, tuple[int, list[_NamePlace]]] = {}  # Parent and places.
        self._opens: dict[int, OpenLayout] = {}
        self._paths: dict[int, tuple[int, ...]] = {}  # By call, which arguments are paths.
        self._folders: set[int] = set()  # Calls that may mean the shared folder itself.
        self._in_memory: set[int] = set()
        self._executions: set[int] = set()
        opens, changes, executions = of(OpenLayout), of(ChangeLayout), of(ExecutionLayout)
        looks = of(LookLayout)
        for number, name in calls.items():
            if name in _IN_MEMORY:
                self._in_memory.add(number)
            elif not self._temporary and beside is None:
                continue
            if name in opens:
                self._opens[number] = opens[name]
                self._paths[number] = (opens[name].path[1],)
            elif name in changes:
                change = changes[name]
                other = change.other[1] if change.change != "symlinked" else -1
                self._paths[number] = tuple(at for at in (change.path[1], other) if at >= 0)
            elif name in executions:
                self._executions.add(number)
                self._paths[number] = (executions[name].path[1],)
            elif name in looks:
                self._paths[number] = (looks[name].path[1],)
                if name == "chdir":
                    self._folders.add(number)
        self._changing = {number for number, name in calls.items() if name in opens | changes}
        self._numbers = {number for number, where in self._paths.items() if where}
        self._linked: set[bytes] = set()
        for paths in (places, given):  # What one folder holds takes no room from the build.
            for shared, own in self._temporary.items():
                for entry in _first_names(shared, paths):
                    self._link(shared + b"/" + entry, own + b"/" + entry)

    @property
    def apart(self) -> tuple[bytes, ...]:
        """What in such a folder is never the script's own, as far as is known."""
        return (*self._apart, *self._seen)

    def moved(self, tid: int, syscall: SyscallInfo) -> MovedCall | None:
        """Return a call that is about files of the script's own, with paths that lead there.

        None if it is not, or if it cannot be changed: then it is refused as any other there.

        Raises:
            PermissionError: The process cannot be read.
            ProcessLookupError: It is gone.
        """
        number = syscall[0]
        if number not in self._numbers:
            return None
        layout = self._opens.get(number)
        where: list[int] = []
        paths: list[bytes] = []
        given = [at for at in self._paths[number] if syscall[at + 1]]
        for at in given:
            text = memory.c_string(tid, syscall[at + 1]) or b""
            if not text.startswith(b"/"):
                continue
            is_folder, flags = number in self._folders, 0
            if layout is not None and not layout.has_open_how:
                flags = syscall[layout.flags + 1] if layout.flags >= 0 else layout.fixed_flags
                is_folder = bool(flags & os.O_DIRECTORY)  # O_TMPFILE has it, too.
            elif layout is not None:
                flags = int.from_bytes(memory.read(tid, syscall[layout.flags + 1], 8), "little")
            own = self._own(number, text, flags, is_folder=is_folder)
            if own:
                where.append(at)
                paths.append(own)
        in_memory = any(path.startswith(self._memory + b"/") for path in paths)
        if not paths or (in_memory and len(paths) != len(given)):
            return None  # What is not memory does not become memory, nor the other way round.
        places = _put(tid, paths)
        if places is None:
            return None
        changed = list(syscall)
        for at, place in zip(where, places, strict=True):
            changed[at + 1] = place.at
        if number in self._executions:
            self._executing[tid] = _parent(tid), places
        return MovedCall(tuple(changed), places)

    def at_exec(self, tid: int) -> None:
        """Put back what was below the stack of a thread that has executed something.

        Its memory is gone, unless it is its parent's, which waits in vfork(2), or stands at the
        stop at the end of it.
        """
        parent, places = self._executing.pop(tid, (0, []))
        if places:
            MovedCall((), places).put_back(parent)

    def at_vfork_done(self, tid: int, pid: int) -> None:
        """Put it back in the memory of a process one of whose threads goes on now."""
        for child, (parent, places) in list(self._executing.items()):
            if parent == pid:
                MovedCall((), places).put_back(tid)
                del self._executing[child]

    def forget(self, tid: int) -> None:
        """Note that a thread has not executed anything, or has ended."""
        self._executing.pop(tid, None)

    def _own(self, number: int, path: bytes, flags: int, *, is_folder: bool) -> bytes:
        """Return where a path in a shared folder is kept; empty for any other path."""
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            last = len(parts) - parts[::-1].index(b"..")
            head = os.path.realpath(b"/" + b"/".join(parts[:last]))
            parts = [part for part in (*head.split(b"/"), *parts[last:]) if part]
        if number in self._in_memory and parts[:2] == [b"dev", b"shm"]:
            name = parts[-1]
            if len(parts) != 3 or path != _MEMORY + b"/" + name or len(name) > _NAME_MOST:
                return b""
            return b"" if self._is_granted(path) else self._memory + b"/" + name
        for shared, own in self._temporary.items():
            depth = shared.count(b"/")
            if b"/" + b"/".join(parts[:depth]) != shared:
                continue
            below = parts[depth:]
            if below:
                is_own = self._is_own(shared, own, below[0])
                if is_own and number in self._changing:
                    self._used.add(shared)
            else:
                is_own = is_folder and not self._is_granted(shared)
                # Before there is anything in it, it is as closed as the machine's.
                is_own = is_own and (number in self._folders or shared in self._used)
            end = b"/" if path.endswith((b"/", b"/.")) else b""
            if is_own:
                return b"/".join((own, *below)) + end
        if self._beside is not None:
            profile, own, is_meant = self._beside
            plain = b"/" + b"/".join(parts)
            if plain.startswith(profile + b"/"):
                name = plain[len(profile) + 1 :]
                end = b"/" if path.endswith(b"/") else b""
                if is_meant(name, changes=self._is_change(number, flags)):
                    return own + b"/" + name + end
        return b""

    def _link(self, there: bytes, own: bytes) -> None:
        """Lead from the script's own folder to what is in the shared one, and was granted."""
        if there in self._linked or len(self._linked) >= _LINKS_MOST or not os.path.lexists(there):
            return
        try:
            os.symlink(there, own)
        except OSError:
            return  # Whoever names it by its whole path finds it.
        self._linked.add(there)
        if len(self._seen) < _SEEN_MOST:
            self._seen.add(there)

    def _is_change(self, number: int, flags: int) -> bool:
        return number in self._changing and (
            number not in self._opens or flags & WRITING_FLAGS != 0
        )

    def _is_own(self, shared: bytes, own: bytes, name: bytes) -> bool:
        """Tell whether a name directly in a shared folder is the script's own."""
        there = shared + b"/" + name
        if there in self._seen or there in self._linked:
            return False
        if os.path.lexists(own + b"/" + name) or not os.path.lexists(there):
            return True
        if self._hides is not None and self._hides(there):
            return True
        if len(self._seen) < _SEEN_MOST:
            self._seen.add(there)
            self.on_seen(there)
        return False


class MovedCall:
    """A call with other paths in it than the thread has given."""

    __slots__ = ("_places", "syscall")

    def __init__(self, syscall: SyscallInfo, places: list[_NamePlace]) -> None:
        self.syscall = syscall  # With the addresses of these paths in it.
        self._places = places

    def put_back(self, tid: int) -> None:
        """Put back what was below the stack, unless the thread has put something there since."""
        try:
            mine = [each for each in self._places if memory.c_string(tid, each.at) == each.path]
        except OSError:
            return  # It is gone.
        _put_back(tid, mine)


class _NamePlace:
    """Where a path has been put, and what was there."""

    __slots__ = ("at", "before", "path")

    def __init__(self, at: int, before: bytes, path: bytes) -> None:
        self.at = at
        self.before = before
        self.path = path


def _first_names(shared: bytes, paths: Iterable[bytes]) -> list[bytes]:
    """Return the names directly in a folder that paths lead through, sorted."""
    below = (each[len(shared) + 1 :] for each in paths if each.startswith(shared + b"/"))
    return sorted({each.partition(b"/")[0] for each in below} - {b""})


def _parent(tid: int) -> int:
    """Return the ID of the process that has made the one of `tid`: proc_pid_stat(5); 0: unknown."""
    try:
        with open(b"/proc/%d/stat" % tid, "rb", 0) as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0  # It is gone.
    return int(words[1]) if words[1:2] and words[1].isdigit() else 0


def _put(tid: int, paths: list[bytes]) -> list[_NamePlace] | None:
    """Write paths below the stack of a stopped thread; return where, None if that fails."""
    values = registers.load(tid)
    if values is None:
        return None
    at = registers.stack_pointer(values) - _RED_ZONE
    places: list[_NamePlace] = []
    try:
        file = os.open(b"/proc/%d/mem" % tid, os.O_RDWR | os.O_CLOEXEC)
        try:
            for path in paths:
                at = (at - len(path) - 1) & ~15
                before = os.pread(file, len(path) + 1, at) if at > 0 else b""
                if not before or os.pwrite(file, path + b"\0", at) != len(path) + 1:
                    return None
                places.append(_NamePlace(at, before, path))
        finally:
            os.close(file)
    except (OSError, OverflowError):
        return None  # It is gone, or has no room: the call is refused as any other there.
    return places


def _put_back(tid: int, places: list[_NamePlace]) -> None:
    try:
        file = os.open(b"/proc/%d/mem" % tid, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # It is gone.
    try:
        for place in places:
            os.pwrite(file, place.before, place.at)
    except (OSError, OverflowError):
        pass
    finally:
        os.close(file)
