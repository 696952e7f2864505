"""Runs a program as a container does: `in_container.py [--refuse CALL,…] PROGRAM ARGS…`.

It is for root of a user namespace or of the machine. The program gets namespaces of its own, the
capabilities and the masked and read-only places of /proc that Docker leaves (the OCI runtime
specification, "Linux Container Configuration"; moby, `oci/defaults.go`), and a filter that answers
the calls that Docker's profile has no rule for (moby, `profiles/seccomp/default.json`).
All of it is the kernel's own, and holds for everything that is started.

`--refuse` names further calls: what older kernels or older profiles refuse.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import subprocess
import sys

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 24, 38, 22, 2  # prctl(2)
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # SECCOMP_RET_…
_NAMESPACES = 0x7E020000  # The flags of clone(2) that make namespaces.

# Docker's default set by number: capabilities(7).
_KEPT = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
_LAST_CAPABILITY = 40

_EVERYWHERE = {  # The same number on every architecture: asm-generic/unistd.h.
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_CALLS = {  # Elsewhere: syscalls(2).
    "x86_64": {
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "pivot_root": 155,
        "mount": 165,
        "umount2": 166,
        "swapon": 167,
        "reboot": 169,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "unshare": 272,
        "perf_event_open": 298,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "setns": 308,
        "kcmp": 312,
        "bpf": 321,
        "userfaultfd": 323,
        "clone": 56,
        "clone3": 435,
    },
    "aarch64": {
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "pivot_root": 41,
        "mount": 40,
        "umount2": 39,
        "swapon": 224,
        "reboot": 142,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "unshare": 97,
        "perf_event_open": 241,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "setns": 268,
        "kcmp": 272,
        "bpf": 280,
        "userfaultfd": 282,
        "clone": 220,
        "clone3": 435,
    },
}
_REFUSED = (
    *("pidfd_getfd", "process_madvise", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
    *("pivot_root", "mount", "umount2", "swapon", "reboot", "add_key", "request_key", "keyctl"),
    *("unshare", "perf_event_open", "open_by_handle_at", "setns", "kcmp", "bpf", "userfaultfd"),
)
_MASKED = """
cd /proc
for each in acpi asound scsi; do
    [ ! -d $each ] || mount -t tmpfs -o ro,size=0 none $each
done
for each in kcore keys latency_stats timer_list sched_debug interrupts; do
    [ ! -e $each ] || mount --bind /dev/null $each
done
for each in bus fs irq sys sysrq-trigger; do
    [ ! -e $each ] || mount --bind $each $each
    [ ! -e $each ] || mount -o remount,bind,ro $each
done
cd "$OLDPWD"
exec "$@"
"""
_INSIDE = "--inside"


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.c_char_p))


def _instructions(refused: list[str]) -> bytes:
    numbers = _EVERYWHERE | _CALLS[os.uname().machine]
    filtered = [
        (0x20, 0, 0, 0),  # Load seccomp_data.nr: seccomp(2).
        (0x15, 0, 1, numbers["clone3"]),  # So that libc takes clone, of which the flags are seen.
        (0x06, 0, 0, _ERRNO | errno.ENOSYS),
        (0x15, 0, 3, numbers["clone"]),
        (0x20, 0, 0, 16),  # The lower half of seccomp_data.args[0].
        (0x45, 0, 1, _NAMESPACES),  # BPF_JSET
        (0x06, 0, 0, _ERRNO | errno.EPERM),
        (0x20, 0, 0, 0),
    ]
    for name in refused:
        filtered += [(0x15, 0, 1, numbers[name]), (0x06, 0, 0, _ERRNO | errno.EPERM)]
    filtered.append((0x06, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *each) for each in filtered)


def _confine(refused: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in _KEPT:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    text = _instructions(refused)
    program = _Program(len(text) // 8, text)
    # Docker sets no_new_privs only where it is told to. Here it makes no difference: nothing is
    # setuid, and whoever is root in a user namespace has CAP_SYS_ADMIN until the next exec.
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


def main(words: list[str]) -> None:
    """Become the program."""
    further: list[str] = []
    if words[0] == "--refuse":
        further, words = words[1].split(","), words[2:]
    if words[0] == _INSIDE:
        _confine([*_REFUSED, *further])
        os.execvp(words[1], words[1:])
    told = ("--refuse", ",".join(further)) if further else ()
    itself = (sys.executable, __file__, *told, _INSIDE, *words)
    namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        namespaces += ["--user", "--map-root-user"]
    ended = subprocess.run(
        ["unshare", *namespaces, "sh", "-ec", _MASKED, "sh", *itself], check=False
    )
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
