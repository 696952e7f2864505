"""The numbers of all system calls, by name and architecture: where python-ptrace ends, by hand."""

from __future__ import annotations

import os

SUPPLEMENT: dict[str, int] = {
    # Since Linux 5.0 a new call has the same number everywhere (x86-64 and aarch64 included):
    # Linux, scripts/syscall.tbl. python-ptrace 0.9.9 ends in Linux 5.8.
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "process_madvise": 440,
    "epoll_pwait2": 441,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "futex_waitv": 449,
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}

MACHINES = ("x86_64", "aarch64")

_X32 = 512  # From here to 547 the table of x86-64 holds the calls of the x32 ABI.


def table(machine: str = "") -> dict[str, int]:
    """Return the number of every call by name.

    Args:
        machine: As `uname -m` says; empty for this machine.

    Raises:
        ValueError: There is no table for `machine`.
    """
    machine = machine or os.uname().machine
    if machine == "x86_64":
        from ptrace.syscall.linux.x86_64 import SYSCALL_NAMES
    elif machine == "aarch64":
        from ptrace.syscall.linux.aarch64 import SYSCALL_NAMES
    else:
        raise ValueError(f"no system call table for `{machine}`, only for {', '.join(MACHINES)}")
    known = {name: number for number, name in SYSCALL_NAMES.items() if number < _X32}
    return SUPPLEMENT | known
