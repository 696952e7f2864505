"""Becomes another system, as far as Python sees it: takes away what only Linux, or POSIX, has.

Run as `python other_system.py darwin|win32 import MODULE...` it imports these modules and says
which could not be; as `python other_system.py darwin run WORD...` it is `buildperm WORD...`.
"""

from __future__ import annotations

import importlib
import os
import posix
import select
import signal
import socket
import sys
import traceback

_LINUX = (
    "O_PATH O_TMPFILE P_PIDFD SCHED_BATCH copy_file_range eventfd getrandom getxattr listxattr "
    "memfd_create pidfd_open pipe2 posix_fadvise removexattr sched_getaffinity sched_param "
    "sched_setaffinity sched_setscheduler setns setxattr splice unshare"
)
_POSIX = (
    "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK RTLD_NOW WEXITSTATUS WIFEXITED WIFSIGNALED "
    "WIFSTOPPED WNOHANG WSTOPSIG WTERMSIG chown chroot ctermid environb fchmod fchown fork getegid "
    "geteuid getgid getgroups getpgid getpriority getuid killpg lchown mkfifo mknod nice openpty "
    "posix_spawn setpgid setpriority setsid statvfs sysconf tcgetpgrp tcsetpgrp ttyname uname"
)
_SIGNALS = (
    "ITIMER_REAL SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGTTIN "
    "SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH SIGXFSZ pthread_sigmask setitimer sigwait"
)
_MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "termios", "tty")
_FUNCTIONS = (
    "capget capset personality prctl process_vm_readv ptrace sched_getaffinity sched_getcpu "
    "sched_setaffinity syscall unshare"
)


def _load_libraries() -> None:
    """Import what others have written: it chooses by the system that it finds."""
    for name in (
        *("asyncio", "concurrent.futures", "ctypes", "http.client", "logging", "multiprocessing"),
        *("pathlib", "platform", "shutil", "ssl", "subprocess", "tempfile", "threading"),
        *("click", "jinja2", "rich.console", "rich.table", "textual.app", "textual.containers"),
        *("textual.screen", "textual.widgets", "tomlkit", "urllib.request", "watchdog.observers"),
        "buildperm",  # Where it is installed in place, a finder makes paths.
    ):
        importlib.import_module(name)


def _take(module: object, names: str) -> None:
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


def become(system: str) -> None:
    """Take away from this process what `system` does not have."""
    import _ctypes
    import ctypes

    _load_libraries()
    _take(os, _LINUX)
    _take(select, "epoll")

    class OtherFunction(_ctypes.CFuncPtr):
        """A function of the C library, unless only Linux has it."""

        _flags_ = _ctypes.FUNCFLAG_CDECL

        def __new__(cls, *given: object) -> OtherFunction:
            name = given[0][0] if given and isinstance(given[0], tuple) else ""
            if name in _FUNCTIONS.split():
                raise AttributeError(name)
            made: OtherFunction = super().__new__(cls, *given)
            return made

    _ctypes.CFuncPtr = OtherFunction  # type: ignore[misc]
    loaded = ctypes.CDLL

    class OtherLibrary(loaded):  # type: ignore[misc,valid-type]
        """The C library likewise."""

        def __getattr__(self, name: str) -> object:
            if name in _FUNCTIONS.split():
                raise AttributeError(name)
            return super().__getattr__(name)

    ctypes.CDLL = OtherLibrary  # type: ignore[misc]
    posix.uname = os.uname = lambda: os.uname_result(("Darwin", "mac", "24.0", "", "arm64"))
    if system == "win32":
        import _signal  # type: ignore[import-not-found]

        _take(os, _POSIX)
        _take(select, "poll POLLIN")
        for each in (signal, _signal):
            _take(each, _SIGNALS)
        _take(socket, "AF_UNIX")
        _take(_ctypes, "dlopen")
        for name in _MODULES:
            sys.modules[name] = None  # type: ignore[assignment]
        os.name = "nt"  # No `Path` can be made any more: neither does importing need one.
    sys.platform = system


def _import(names: list[str]) -> int:
    failed = 0
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{name}: {error!r} in {last.filename}:{last.lineno}")
            failed = 1
    return failed


if __name__ == "__main__":
    become(sys.argv[1])
    if sys.argv[2] == "import":
        sys.exit(_import(sys.argv[3:]))
    sys.argv = ["buildperm", *sys.argv[3:]]
    importlib.import_module("buildperm.cli").main()
