"""Collects every path that a run has asked for, as it was asked for, whatever came of it.

A recording has where a path led, and not what it is called or which links it went through; and of
looks only those at what is hidden. Whoever wants to know whether a run would do the same again has
to look at all of them. The inner loop notes them likewise for the calls that it answers by itself,
but for those of `/proc` and `/dev`: see `stops/asked.c`.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from buildperm.tracer.recorder import location, memory, program_interpreter
from buildperm.tracer.recorder.location import AT_FDCWD
from buildperm.tracer.syscall_table import (
    NAMING,
    NONE,
    ChangeLayout,
    ExecutionLayout,
    LookLayout,
    OpenLayout,
    of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import Decoded, Handler, Observer, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

_UNREADABLE = "it named something by what nobody but the kernel could read"
"""Mostly nothing is there, for the kernel neither: proc(5), proc_mem.force_override."""

_RELATIVE = "it ran a program that names another one by a relative path"

_WITH_FLAGS, _EXCHANGE = "renameat2", 2  # RENAME_EXCHANGE: what is where then, no event says.

_RESOLVE_AT = 16  # openat2(2): struct open_how
_ELSEWHERE = 0x10 | 0x20  # RESOLVE_IN_ROOT and RESOLVE_CACHED: no path says what the answer is.


_NAMES = (b"/proc/sys/kernel/hostname", b"/proc/sys/kernel/domainname")  # As uname(2) says them.


class AskedPaths:
    """What one run has asked for: absolute paths, links and `..` kept."""

    def __init__(self) -> None:
        self.opened: set[bytes] = set()  # At least once with success.
        self.looked: set[bytes] = set()  # All that was opened in vain, or only looked at.
        self.read_links: set[bytes] = set()  # What may be a link: readlink(2).
        self.executed: set[bytes] = set()  # Programs, those that are not there among them.
        self.reason = ""  # Why nobody can say all of that, as a clause about the run.

    def watch(self, observer: Observer, calls: dict[int, str]) -> None:
        """Have the handlers of `observer` tell."""
        opens, looks, executions = of(OpenLayout), of(LookLayout), of(ExecutionLayout)
        changes = of(ChangeLayout)
        for number, name in calls.items():
            if name == NAMING:
                observer.handlers[number] = self._name, lambda *_: None
            handler = observer.handlers.get(number)
            if handler is None:
                continue
            if name in opens:
                observer.handlers[number] = self._opening(handler, opens[name])
            elif name in looks:
                observer.handlers[number] = self._looking(
                    observer, handler, looks[name].path, reads_link=looks[name].reads_link
                )
            elif name in changes:
                # What comes of it says what is there, and a recording has no links to that.
                layout = changes[name]
                handler = self._looking(observer, handler, layout.path)
                if layout.change != "symlinked":
                    handler = self._looking(observer, handler, layout.other)
                if name == _WITH_FLAGS:
                    handler = self._exchanging(handler)
                observer.handlers[number] = handler
            elif name in executions:
                observer.handlers[number] = self._executing(handler, executions[name])

    def _opening(self, handler: Handler, layout: OpenLayout) -> Handler:
        begin, end = handler
        path_at = layout.path[1] + 1
        how_at = layout.flags + 1 if layout.has_open_how else 0
        wanted: dict[int, bytes] = {}  # By thread, until the exit of its call.

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            decoded = begin(tid, process, syscall)
            if how_at and _resolves_elsewhere(tid, syscall[how_at]):
                self.reason = "it opened a path that leads where others do not"
            if decoded is not None:
                path, start, _ = decoded
                wanted[tid] = location.absolute(process.pid, tid, start, path)
            if _is_unreadable(tid, syscall[path_at]):
                self.reason = _UNREADABLE
            return decoded

        def on_exit(
            tid: int, process: Process, decoded: Decoded, result: int, refused: bool
        ) -> None:
            path = wanted.pop(tid, b"")
            if path:
                (self.opened if result >= 0 else self.looked).add(path)
            end(tid, process, decoded, result, refused)

        return on_entry, on_exit

    def _looking(
        self,
        observer: Observer,
        handler: Handler,
        place: tuple[int, int],
        *,
        reads_link: bool = False,
    ) -> Handler:
        begin, end = handler
        noted = self.read_links if reads_link else self.looked
        start_at, path_at = (index + 1 for index in place)
        if place[1] == NONE:
            return handler  # It is about a descriptor.

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            if _is_unreadable(tid, syscall[path_at]):
                self.reason = _UNREADABLE
            path = observer.host_path(memory.c_string(tid, syscall[path_at]) or b"")
            if path:  # Else it is about a descriptor, which has been opened: AT_EMPTY_PATH.
                start = syscall[start_at] if start_at else AT_FDCWD
                noted.add(location.absolute(process.pid, tid, start, path))
            return begin(tid, process, syscall)

        return on_entry, end

    def _exchanging(self, handler: Handler) -> Handler:
        begin, end = handler

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            if syscall[5] & _EXCHANGE:
                self.reason = "it exchanged two files"
            return begin(tid, process, syscall)

        return on_entry, end

    def _name(self, _tid: int, _process: Process, _syscall: SyscallInfo) -> None:
        self.opened.update(_NAMES)

    def _executing(self, handler: Handler, layout: ExecutionLayout) -> Handler:
        begin, end = handler
        path_at = layout.path[1] + 1

        def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
            decoded = begin(tid, process, syscall)
            if decoded is not None:
                self._add_program(process.pid, decoded[0])
            if _is_unreadable(tid, syscall[path_at]):
                self.reason = _UNREADABLE
            return decoded

        return on_entry, end

    def _add_program(self, pid: int, path: bytes) -> None:
        """Add a program, and what it is started with: it may be gone when the run has ended."""
        for _ in range(5):  # execve(2): interpreters of interpreters, four at most.
            self.executed.add(path)
            path = program_interpreter.of(b"/proc/%d/root%b" % (pid, path))
            if not path.startswith(b"/"):
                if path:
                    self.reason = _RELATIVE
                return


def _is_unreadable(tid: int, address: int) -> bool:
    """Tell whether there is a text that cannot be read: at 0 the kernel reads none either."""
    return bool(address) and memory.c_string(tid, address) is None


def _resolves_elsewhere(tid: int, how: int) -> bool:
    return bool(int.from_bytes(memory.read(tid, how + _RESOLVE_AT, 8), "little") & _ELSEWHERE)
