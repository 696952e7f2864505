"""Records which signals could not leave the process tree, and which process sent them.

Landlock keeps them in (landlock(7), LANDLOCK_SCOPE_SIGNAL), and in a PID namespace no other process
has a number. A signal within the tree is not recorded. For any other, the kernel's answer is.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from errno import EPERM, ESRCH

from buildperm.tracer.recorder import location
from buildperm.tracer.recorder.brokered import Substitute
from buildperm.tracer.syscall_table import SignalLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.recorder.brokered import Broker
    from buildperm.tracer.recorder.observation import Decoded, Handler, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process, ProcessTree
    from buildperm.tracer.recorder.writer import Writer


def handlers(
    calls: Mapping[int, str],
    writer: Writer,
    tree: ProcessTree,
    is_wrapper: Callable[[int], bool],
    resume: Callable[[int], None],
) -> dict[int, Handler]:
    """Return the handlers of those `calls`, names by number, that send signals.

    Args:
        calls: All that stop.
        writer: Where events go.
        tree: Who belongs to the script.
        is_wrapper: Tells whether a process of the tree only holds the script.
        resume: Resumes a stopped thread.
    """
    layouts = of(SignalLayout)
    return {
        number: _handler(name, layouts[name].target, writer, tree, is_wrapper, resume)
        for number, name in calls.items()
        if name in layouts
    }


def brokers(calls: Mapping[int, str]) -> dict[int, Broker]:
    """Return what lets a signal to everybody pass: only for a tree in a PID namespace of its own.

    Everybody is then the script and the sandbox wrapper, which Landlock guards.
    """

    def broker(
        _tid: int, _process: Process, syscall: SyscallInfo, _seen: Decoded | None
    ) -> Substitute:
        return Substitute(syscall[0], tuple(syscall[1:7]), None)

    return {number: broker for number, name in calls.items() if name == "kill"}


def _handler(
    name: str,
    kind: str,
    writer: Writer,
    tree: ProcessTree,
    is_wrapper: Callable[[int], bool],
    resume: Callable[[int], None],
) -> Handler:
    def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
        target = location.signed(syscall[1])
        if kind == "descriptor":
            target = _pidfd_target(tid, target)
        elif tree.by_namespace_pid is not None:
            target = _host_pid(target, tree.by_namespace_pid)
        own = target in tree.processes if kind == "process" else target in tree.threads
        if kind == "process" and target < 0:  # A process group has the ID of its first member.
            own = -target in tree.processes
        return None if own and not is_wrapper(abs(target)) else (target,)

    def on_exit(tid: int, process: Process, decoded: Decoded, result: int, refused: bool) -> None:
        (target,) = decoded
        if not refused and result == -EPERM:
            refused = not target or _may_signal(target)
        elif result == -ESRCH and kind == "process" and tree.by_namespace_pid is not None:
            # The script has never had a process with that ID: it meant one outside.
            refused = target != -1 and abs(target) not in tree.pids and _may_signal(target)
        resume(tid)
        if refused:
            writer.call(process, name, -result)

    return on_entry, on_exit


def _host_pid(target: int, by_namespace_pid: dict[int, int]) -> int:
    """Return the ID here of what the script knows as `target`; `target` if there is none."""
    outer = by_namespace_pid.get(abs(target), abs(target))
    return -outer if target < 0 else outer


def _pidfd_target(tid: int, number: int) -> int:
    """Return the process that the pidfd `number` of a thread refers to; 0 if that is unknown.

    proc_pid_fdinfo(5), "Pid": as numbered in the PID namespace of /proc, which is ours.
    """
    try:
        with open(b"/proc/%d/fdinfo/%d" % (tid, number), "rb") as file:
            for line in file:
                if line.startswith(b"Pid:"):
                    return max(0, int(line[4:]))
    except (OSError, ValueError):
        pass  # No descriptor, or gone.
    return 0


def _may_signal(target: int) -> bool:
    """Tell whether this process, which is not confined, could: kill(2), signal 0 does nothing."""
    try:
        os.kill(target, 0)
    except OSError:
        return False
    return True
