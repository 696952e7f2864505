"""The fixture of a canary run: files, sockets, a process and a terminal made for it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

from buildperm.sandbox.canary_servers import CanaryServers

if sys.platform != "win32":
    import fcntl
    import resource

VARIABLE = "CANARY_TOKEN"
PYTHON = os.path.realpath(sys.executable)  # Not a virtual environment's link to it.

_CHILD = PurePath(__file__).with_name("canary_child.py")
_CALLS = (
    *("ptrace", "process_vm_readv", "io_uring_setup", "unshare", "mount", "umount2", "add_key"),
    *("inotify_init1", "inotify_add_watch"),
)
_FILES = ("secret", "written", "truncated", "moved", "linked", "removed", "mode", "dates")
_CONTENT = "canary"
_HIGH = 200  # Of a descriptor: no program opens so many that it would get the same number.

# Exits with status 0: the number of exit(2) is 60 on x86-64 and 93 on aarch64.
_EXITS = {
    "x86_64": (62, bytes.fromhex("31ffb83c0000000f05")),
    "aarch64": (183, struct.pack("<III", 0xD2800000, 0xD2800BA8, 0xD4000001)),
}
_LOADED_AT = 0x400000

# Makes the pseudo-terminal the controlling one, and becomes the program: tty_ioctl(4).
_LAUNCHER = """\
import fcntl, os, sys, termios
os.setsid()
if sys.argv[1] != "-1":
    fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
os.execv(sys.argv[2], sys.argv[2:])
"""


class CanaryFixture:
    """One fixture for one run; a context that leaves nothing behind."""

    def __init__(self, scratch: Path | None, numbers: dict[str, int]) -> None:
        """Choose the place.

        Args:
            scratch: A folder in which programs may be run; by default the one for temporary files.
            numbers: Of system calls, by name.
        """
        self._scratch = scratch
        self._numbers = numbers
        self._stack = ExitStack()
        self.secret = secrets.token_hex(16)
        self._abstract = f"buildperm-{self.secret}"

    def __enter__(self) -> Self:
        """Make everything.

        Raises:
            OSError: It cannot be made.
        """
        with ExitStack() as stack:
            self.folder = Path(os.path.realpath(_temporary(self._scratch, stack)))
            self._make_files()
            self._servers = CanaryServers(self.outside, self._abstract, stack)
            self._start_neighbour(stack)
            self._terminal = _terminal(stack)
            self._secret = _high(self.outside / "secret", stack)
            self._write_settings()
            stack.callback(self._end_daemon)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove everything."""
        self._stack.close()

    @property
    def package(self) -> Path:
        """The package's folder."""
        return self.folder / "package"

    @property
    def unit(self) -> Path:
        """The folder of the output folder."""
        return self.folder / "unit"

    @property
    def out_dir(self) -> Path:
        """What is OUT_DIR for the child."""
        return self.unit / "out"

    @property
    def outside(self) -> Path:
        """What nobody has granted."""
        return self.folder / "outside"

    @property
    def _key(self) -> Path:
        """A file of the sensitive tier, where `home` is the user's."""
        return self.folder / "home/.ssh/id_ed25519"

    @property
    def child(self) -> Path:
        """The program that makes the attempts."""
        return self.folder / "child"

    def run(
        self, program: Path, variables: dict[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `program` with descriptors and variables that a careless caller would leave open.

        Raises:
            OSError: It cannot be run.
            subprocess.TimeoutExpired: It took longer than `timeout_s`.
        """
        passed = [number for number in (self._terminal, self._secret) if number >= 0]
        common = {
            "PATH": os.defpath,
            "CARGO_MANIFEST_DIR": str(self.package),
            "OUT_DIR": str(self.out_dir),
            VARIABLE: self.secret,
        }
        return subprocess.run(
            [PYTHON, "-IS", "-c", _LAUNCHER, str(self._terminal), str(program)],
            cwd=self.package,
            env=common | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=passed,
            timeout=timeout_s,
            check=False,
        )

    def attempts(self) -> dict[str, int]:
        """Return the errno of each attempt by its ID; with `done` if the child came to its end."""
        try:
            text = (self.out_dir / "attempts").read_text(encoding="ascii")
        except FileNotFoundError:
            return {}
        words = (line.split() for line in text.splitlines())
        return {name: int(code) for name, code in words}

    def effects(self) -> dict[str, bool]:
        """Tell by ID which attempts had an effect, whatever the child reports."""
        outside = self.outside
        about = {name: _about(outside / name) for name in _FILES}
        found = {
            "file-write": (outside / "written").read_text() != _CONTENT,
            "file-make": (outside / "made").exists(),
            "file-truncate": _size(about["truncated"]) == 0,
            "file-move": about["moved"] is None,
            "file-link": about["linked"] is not None and about["linked"].st_nlink > 1,
            "file-remove": about["removed"] is None,
            "file-mode": stat.S_IMODE(about["mode"].st_mode) != 0o600 if about["mode"] else True,
            "file-dates": about["dates"] is None or about["dates"].st_mtime == 1,
            "process-signal": self._neighbour_ended(),
            "link": (self.out_dir / "link").is_symlink(),
            "daemon": self._daemon() > 0,
        }
        return found | self._servers.reached()

    def _make_files(self) -> None:
        for folder in (self.package, self.out_dir, self.out_dir / "mounted", self.outside):
            folder.mkdir(parents=True, mode=0o700)
        for name in _FILES:
            (self.outside / name).write_text(self.secret if name == "secret" else _CONTENT)
            (self.outside / name).chmod(0o600)
        self._key.parent.mkdir(parents=True, mode=0o700)
        for path, content in (
            (self._key, self.secret.encode()),
            (self.outside / "program", _exits()),
            (self.child, b"#!%b -IS\n%b" % (os.fsencode(PYTHON), Path(_CHILD).read_bytes())),
        ):
            path.write_bytes(content)
            path.chmod(0o700)

    def _start_neighbour(self, stack: ExitStack) -> None:
        # It ends when its standard input does, and so with this process.
        self._neighbour = stack.enter_context(
            subprocess.Popen(
                [shutil.which("cat") or "/bin/cat"],
                env={VARIABLE: self.secret},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
            )
        )
        stack.callback(self._neighbour.kill)

    def _neighbour_ended(self) -> bool:
        # A signal is delivered before kill(2) returns, or very soon after.
        was_sent = self.attempts().get("process-signal") == 0
        try:
            self._neighbour.wait(1 if was_sent else 0)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write_settings(self) -> None:
        values: dict[str, str | int] = {
            "package": str(self.package),
            "out_dir": str(self.out_dir),
            "outside": str(self.outside),
            "key": str(self._key),
            "secret": self.secret,
            "variable": VARIABLE,
            "abstract": self._abstract,
            "program": _exits().hex(),
            "neighbour": self._neighbour.pid,
            "address": _stack_of(self._neighbour.pid),
            "descriptor": self._secret,
            **self.ports(),
            **{f"call.{name}": self._numbers[name] for name in _CALLS},
        }
        lines = "".join(f"{name} {value}\n" for name, value in values.items())
        (self.package / "settings").write_bytes(os.fsencode(lines))

    def ports(self) -> dict[str, int]:
        """Return the ports of the servers by the names that the child knows."""
        return self._servers.ports()

    def _daemon(self) -> int:
        """Return the process ID of the daemon if it is alive; 0 if it is not.

        It holds a lock as long as it lives: flock(2).
        """
        try:
            with (self.out_dir / "daemon").open("rb+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or b"0")
        except OSError:
            pass
        return 0

    def _end_daemon(self) -> None:
        pid = self._daemon()
        if pid > 0:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # In a namespace it has another number; it ends by itself.


def _temporary(scratch: Path | None, stack: ExitStack) -> str:
    folder = tempfile.mkdtemp(prefix="buildperm-", dir=scratch)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _exits() -> bytes:
    """Make the smallest program there is: elf(5)."""
    number, code = _EXITS[os.uname().machine]
    size = 64 + 56 + len(code)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    entry = _LOADED_AT + 64 + 56
    header = struct.pack("<HHIQQQIHHHHHH", 2, number, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, 0x10000)
    return identity + header + segment + code


def _high(path: Path, stack: ExitStack) -> int:
    """Open `path` under a number that no other file of the child gets."""
    with path.open("rb") as file:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        high = _HIGH if most == resource.RLIM_INFINITY else min(_HIGH, most // 2)
        descriptor = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, high)
    stack.callback(os.close, descriptor)
    return descriptor


def _terminal(stack: ExitStack) -> int:
    """Return one end of a pseudo-terminal; -1 where there are none."""
    try:
        here, there = os.openpty()
    except OSError:
        return -1
    for descriptor in (here, there):
        stack.callback(os.close, descriptor)
    return there


def _stack_of(pid: int) -> int:
    """Return a readable address in the memory of `pid`; 0 if it is not known."""
    try:
        for line in _lines(Path(f"/proc/{pid}/maps")):
            if line.endswith("[stack]"):
                return int(line.partition("-")[0], 16)
    except OSError:
        pass
    return 0


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            yield line.rstrip()


def _about(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _size(about: os.stat_result | None) -> int:
    return 0 if about is None else about.st_size
