"""A request of a stub to the fork server, read from the kernel; see `supervisor.fork_server`.

Of a request only the process ID is used. What to supervise, where, and with which environment is
read from /proc. A traced or filtered process is a build script or one of its children, and is not
served.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import os
import stat
import sys

from buildperm.supervisor import hardening, jobserver
from buildperm.supervisor.environment import as_given
from buildperm.supervisor.supervision import supervise

if sys.platform != "win32":
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_ACCESS_MODE = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
SERVER = "BUILDPERM_SERVER"
"""The variable by which stubs find the server's folder."""


class ForkRefusedError(Exception):
    """It is not served; the stub starts an interpreter of its own."""


class ForkRequest:
    """A stub that waits to be served."""

    def __init__(
        self,
        pid: int,
        folder: bytes,
        arguments: int | None = None,
        kept: tuple[int, int] = (0, 1),
    ) -> None:
        """Look at the stub.

        Args:
            pid: Its process.
            folder: The server's.
            arguments: How many of its last arguments are from Cargo; None: it is no shell, and all
                of them are.
            kept: Where the stub keeps its standard input and output.

        Raises:
            ForkRefusedError: It must not be served.
            OSError: It is gone, or cannot be looked at.
        """
        self._opened: dict[int, int] = {}  # What it has open, by number, as opened here.
        self.handle = os.pidfd_open(pid)  # First: all that is read later is of this process.
        self.parent_handle = self._folder = -1
        self._kept = kept
        try:
            self._look(pid, folder, arguments)
        except BaseException:
            self.close(with_handles=True)
            raise

    def _look(self, pid: int, folder: bytes, arguments: int | None) -> None:
        status = process_status(b"%d" % pid)
        refuse_held(status)
        self._umask = int(status[b"Umask"], 8)
        self._group = os.getpgid(pid)
        words = _read(b"/proc/%d/cmdline" % pid).split(b"\0")[:-1]
        is_shell = arguments is not None
        if arguments is None:
            arguments = len(words) - 1
        elif arguments + 2 > len(words):  # The shell, its own argument if any, the stub.
            raise ForkRefusedError("it is no stub")
        self._arguments = words[len(words) - arguments - 1 :]
        pairs = _read(b"/proc/%d/environ" % pid).split(b"\0")[:-1]
        self._environ = {
            name: value for name, mark, value in (pair.partition(b"=") for pair in pairs) if mark
        }
        if not is_shell:  # It needs nothing to be kept from it.
            self._environ[b"BUILDPERM_LIBRARIES"] = self._environ.get(b"LD_LIBRARY_PATH", b"")
        if b"BUILDPERM_LIBRARIES" in self._environ:  # Kept from the stub's shell: see there.
            self._environ = as_given(self._environ)
        if self._environ.get(SERVER.encode()) != folder:
            raise ForkRefusedError("it is of another build")
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        self._folder = os.open(b"/proc/%d/cwd" % pid, flags)
        self._open_descriptors(pid)
        self.parent_handle = os.pidfd_open(int(status[b"PPid"]))

    def close(self, *, with_handles: bool = False) -> None:
        """Close all; the handles of the stub and of its parent only if asked for."""
        handles = (self.handle, self.parent_handle) if with_handles else ()
        for descriptor in (self._folder, *self._opened.values(), *handles):
            if descriptor >= 0:
                os.close(descriptor)
        self._folder, self._opened = -1, {}

    @property
    def arguments(self) -> list[bytes]:
        """The stub as Cargo called it, and what it passed to it."""
        return self._arguments

    @property
    def environ(self) -> dict[bytes, bytes]:
        """What Cargo gave."""
        return self._environ

    def become(self, server: int) -> NoReturn:
        """Be the supervisor of the stub, in a child of the process `server`; never returns."""
        try:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
            self.enter(())
            supervise(self._arguments, self._environ, server)
        except OSError as error:
            said = f"buildperm: the supervisor cannot be started: {error.strerror}\n"
            os.write(2, said.encode())  # The server's own, or the stub's already.
        finally:
            os._exit(1)

    def enter(self, own: Iterable[int]) -> list[int]:
        """Take the stub's group, folder, umask and descriptors.

        All others are closed but `own`, whose new numbers are returned.

        Raises:
            OSError: The stub is gone.
        """
        os.setpgid(0, self._group)
        os.fchdir(self._folder)
        os.umask(self._umask)
        above = max(self._opened) + 1  # As low as possible: `ulimit -n` may be low.
        moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, above) for each in own]
        spare = {
            number: fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, above)
            for number, opened in self._opened.items()
        }
        for number, opened in spare.items():
            os.dup2(opened, number)  # Inheritable, as it is in the stub: see `Jobserver`.
        hardening.close_but([*spare, *moved])
        self._folder, self._opened = -1, {}
        return moved

    def _open_descriptors(self, pid: int) -> None:
        """Open what the stub has open: the standard streams and Cargo's jobserver.

        Through /proc, a pipe is the same pipe, and a device the same device. A file would be
        written from its beginning, and a socket cannot be opened, so both are refused.
        """
        for number in {0, 1, 2, *jobserver.numbers(self._environ)}:
            there = self._kept[number] if number < 2 else number
            path = b"/proc/%d/fd/%d" % (pid, there)
            try:
                kind = os.stat(path).st_mode
            except FileNotFoundError:
                if number > 2:
                    continue  # Cargo has not passed it on.
                raise
            if not stat.S_ISFIFO(kind) and not (number <= 2 and stat.S_ISCHR(kind)):
                if number > 2:
                    continue  # Anything else is no jobserver.
                raise ForkRefusedError("it does not write to a pipe")
            told = _read(b"/proc/%d/fdinfo/%d" % (pid, there))  # proc_pid_fdinfo(5)
            flags = int(told.partition(b"flags:")[2].split(None, 1)[0], 8)
            # Opening a pipe waits for its other end: fifo(7).
            mode = flags & _ACCESS_MODE | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._opened[number] = os.open(path, mode)
            os.set_blocking(self._opened[number], not flags & os.O_NONBLOCK)


def refuse_held(status: dict[bytes, bytes]) -> None:
    """Look at what `process_status` says of a process that asks.

    A build script, a compiler, and a child of one is traced or has one filter more than the server.

    Raises:
        ForkRefusedError: It must not be served.
    """
    own = process_status(b"self")
    if status[b"TracerPid"] != b"0" or any(
        status.get(field) != own.get(field) for field in (b"Seccomp", b"Seccomp_filters")
    ):
        raise ForkRefusedError("it is held itself")
    if status[b"Uid"] != own[b"Uid"]:
        raise ForkRefusedError("it is somebody else's")


def process_status(process: bytes) -> dict[bytes, bytes]:
    """Read proc_pid_status(5) of a process, by its ID or `self`."""
    lines = _read(b"/proc/" + process + b"/status").split(b"\n")
    return {name: value.strip() for name, _, value in (line.partition(b":") for line in lines)}


def _read(path: bytes) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
