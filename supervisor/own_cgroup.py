"""Which limits of its own control group a script may read: how many processors, how much memory.

`std::thread::available_parallelism`, `nproc` and their like multiply what they find there, from the
group of the process up to the root: cgroups(7). Nothing else in these folders is for a script.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

_ROOT = b"/sys/fs/cgroup"
_UNIFIED = (b"cpu.max", b"cpuset.cpus.effective", b"memory.high", b"memory.max", b"pids.max")
_BY_CONTROLLER = {  # Version 1: one hierarchy each.
    b"cpu": (b"cpu.cfs_period_us", b"cpu.cfs_quota_us", b"cpu.shares"),
    b"cpuset": (b"cpuset.cpus", b"cpuset.effective_cpus"),
    b"memory": (b"memory.limit_in_bytes", b"memory.memsw.limit_in_bytes"),
}
_LEVELS_MOST = 32


def limits(groups: bytes | None = None, root: bytes = _ROOT) -> list[bytes]:
    """List the existing files, without links.

    Args:
        groups: What `/proc/PID/cgroup` says; None for this process, whose group a script is in.
        root: Where the hierarchies are mounted.
    """
    if groups is None:
        try:
            with open("/proc/self/cgroup", "rb") as file:
                groups = file.read()
        except OSError:
            return []
    found: dict[bytes, None] = {}
    for line in groups.splitlines():
        _, _, rest = line.partition(b":")
        controllers, _, group = rest.partition(b":")
        if not group.startswith(b"/") or b".." in group.split(b"/"):
            continue  # Above the root of this namespace: nothing there is mounted.
        if not controllers:
            found |= dict.fromkeys(_upwards(root, group, _UNIFIED))
        for controller in controllers.split(b","):
            names = _BY_CONTROLLER.get(controller, ())
            for folder in {controller, controllers} if names else ():
                found |= dict.fromkeys(_upwards(root + b"/" + folder, group, names))
    return list(dict.fromkeys(os.path.realpath(path) for path in found if os.path.isfile(path)))


def _upwards(mounted: bytes, group: bytes, names: tuple[bytes, ...]) -> list[bytes]:
    """Name files in the folder of a group, and in all above it."""
    folders = [mounted]
    for part in group.split(b"/")[:_LEVELS_MOST]:
        if part:
            folders.append(folders[-1] + b"/" + part)
    return [folder + b"/" + name for folder in folders for name in names]
