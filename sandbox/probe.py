"""Finds out what the kernel lets this user do, by trying; run by `sandbox.machine`.

It is a process of its own: the command has threads, and a fork of it would be no fair test.

Standard library only, like a supervisor.
"""

from __future__ import annotations

import os
import struct
import sys
from errno import ENOENT

from buildperm.supervisor import bubblewrap, landlock, launch, syscalls
from buildperm.tracer.recorder import ptrace

if sys.platform != "win32":
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

_ADDFD_SEND, _NOTIF_ADDFD = 2, 0x40182103  # seccomp_unotify(2), linux/seccomp.h
_ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # BPF_RET, SECCOMP_RET_ALLOW


def main() -> None:
    """Print one fact a line: a name, a space, and a number or a reason."""
    sys.stdout.write(f"landlock {landlock.abi()}\n")
    sys.stdout.write(f"seccomp {_in_child(_install)}\n")
    sys.stdout.write(f"ptrace {_trace()}\n")
    sys.stdout.write(f"notify {_in_child(_ask)}\n")


def wrapper(program: str, starter: str) -> None:
    """Run Python inside bubblewrap like a build script, without the recorder; exit as it did.

    Tracing is tried separately. A traced program gains no privileges from a setuid bit; nor does
    this one, by no_new_privs. With a `starter`, `room` is printed if it does the same by itself.
    """
    works, talk = _run_within(program)
    sys.stderr.write(talk)
    if works and starter and _run_within(program, os.fsencode(starter))[0]:
        sys.stdout.write("room\n")
    sys.exit(not works)


def _run_within(program: str, starter: bytes = b"") -> tuple[bool, str]:
    """Tell whether Python can be run inside bubblewrap or a starter's room; if not, why.

    bubblewrap itself says so on standard error.
    """
    rights = dict.fromkeys((b"/usr", b"/lib", b"/lib64", b"/etc/ld.so.cache"), landlock.READ_FILE)
    rights = {path: landlock.EXECUTE | allowed for path, allowed in rights.items()}
    for path in launch.needed():
        rights[path] = landlock.EXECUTE | landlock.READ_FILE | landlock.READ_DIR
    mounts = bubblewrap.Mounts(rights, (), (), coarse=False)
    mounts.add_links((b"/lib/", b"/lib64/", launch.PYTHON))
    around = launch.SandboxWrapper(
        [os.fsencode(program)],
        [*bubblewrap.NAMESPACES, *mounts.words(), b"--chdir", b"/"],
        own_proc=True,
        is_room=bool(starter),
    )
    begun = launch.Launch(
        launch.PYTHON,
        [launch.PYTHON, b"-IS", b"-c", b"pass"],
        {},
        rights,
        _ALLOW_ALL,
        landlock.abi(),
        {},
        [],
        around,
        starter,
    )
    pid = begun.fork(os.dup(1), os.dup(2))
    begun.release()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    failure = begun.failure()
    return not failure and not status, failure and failure + "\n"


def _install() -> None:
    syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.install(_ALLOW_ALL)


def _ask() -> None:
    """Have calls of this process answered by whoever has the descriptor, as the launcher does.

    It is another's affair where that is so already. Handing over a descriptor together with the
    answer is newer than the rest: the kernel has to look for the call, of which there is none.
    """
    syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    listener = syscalls.install_asking(_ALLOW_ALL)
    handed = struct.pack("=QIIII", 0, _ADDFD_SEND, 2, 0, 0)  # struct seccomp_notif_addfd
    try:
        fcntl.ioctl(listener, _NOTIF_ADDFD, handed)
    except OSError as error:
        if error.errno != ENOENT:
            raise


def _in_child(attempt: Callable[[], None]) -> int:
    """Return the errno with which `attempt` fails in a child, 0 if it does not."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            attempt()
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _trace() -> int:
    """Return the errno with which PTRACE_SEIZE of a child fails, 0 if it does not."""
    waiting, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(waiting, 1)
        os._exit(0)
    try:
        ptrace.seize(pid)
    except OSError as error:
        return error.errno or 255
    else:
        return 0
    finally:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, ptrace.WALL)
