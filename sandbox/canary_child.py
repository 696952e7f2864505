"""The program that makes the attempts; `sandbox.canaries` runs it with and without a sandbox.

It is copied beside its settings and run as `python -IS`, so it imports nothing of buildperm. Each
attempt does what an attacker would do, on files, sockets and a process made for it, and cleans up.
It writes a line for each: the name, and the errno of the failure or 0.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

if sys.platform != "win32":
    import fcntl
    import termios

DAEMON_LIVES_S = 20

if sys.platform == "linux":
    _LIBC = ctypes.CDLL(None, use_errno=True)
    _LIBC.syscall.restype = ctypes.c_long

_PTRACE_SEIZE = 0x4206  # ptrace(2)
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000  # unshare(2)
_PRIVATE = 0x4000 | 0x40000  # mount(2): MS_REC, MS_PRIVATE
_PROCESS_KEYRING = -2  # add_key(2); it ends with the process
_CREATE = 0x100  # inotify(7)
_MPTCP = 262  # IPPROTO_MPTCP
_FASTOPEN = 0x20000000  # tcp(7)
_COUNT_ENTROPY = 0x80045200  # random(4), RNDGETENTCNT: harmless, and no generic ioctl
_LONGEST_ADDRESS = 107  # unix(7), sun_path
_TIMEOUT_S = 1.0
_OTHER = 255  # Something failed that has no errno.


class Settings:
    """What the attempts are made on: one word and its value a line."""

    def __init__(self, path: str) -> None:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            self._values = dict(line.rstrip("\n").split(" ", 1) for line in file)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def number(self, name: str) -> int:
        """Return a value that is a number."""
        return int(self._values[name])

    def outside(self, name: str) -> str:
        """Return the path of something that was not granted."""
        return f"{self._values['outside']}/{name}"

    def own(self, name: str) -> str:
        """Return the path of something in OUT_DIR."""
        return f"{self._values['out_dir']}/{name}"

    def call(self, name: str, *arguments: int) -> int:
        """Make a system call.

        Raises:
            OSError: It fails.
        """
        number = self.number(f"call.{name}")
        result: int = _LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
        if result < 0:
            raise OSError(ctypes.get_errno(), name)
        return result


def _in_child(attempt: Callable[[], None]) -> None:
    """Make an attempt in a process of its own, which the attempt may change.

    Raises:
        OSError: As in the child.
    """
    pid = os.fork()
    if pid == 0:
        code = _OTHER
        try:
            attempt()
            code = 0
        except OSError as error:
            code = error.errno or _OTHER
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code if code > 0 else _OTHER, "in a child")


def _pointer(content: bytes, size: int = 0) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, max(size, len(content) + 1))


def _read_file(given: Settings) -> None:
    os.close(os.open(given.outside("secret"), os.O_RDONLY))


def _read_key(given: Settings) -> None:
    os.close(os.open(given["key"], os.O_RDONLY))


def _list_folder(given: Settings) -> None:
    os.listdir(given["outside"])


def _write_file(given: Settings) -> None:
    descriptor = os.open(given.outside("written"), os.O_WRONLY)
    os.write(descriptor, b"x")
    os.close(descriptor)


def _make_file(given: Settings) -> None:
    os.close(os.open(given.outside("made"), os.O_WRONLY | os.O_CREAT, 0o600))


def _truncate_file(given: Settings) -> None:
    os.truncate(given.outside("truncated"), 0)


def _move_file(given: Settings) -> None:
    os.rename(given.outside("moved"), given.own("moved"))


def _link_file(given: Settings) -> None:
    os.link(given.outside("linked"), given.own("linked"))


def _remove_file(given: Settings) -> None:
    os.unlink(given.outside("removed"))


def _change_mode(given: Settings) -> None:
    os.chmod(given.outside("mode"), 0o644)


def _change_dates(given: Settings) -> None:
    os.utime(given.outside("dates"), (1, 1))


def _see_file(given: Settings) -> None:
    os.stat(given.outside("secret"))


def _run_program(given: Settings) -> None:
    path = given.outside("program")
    _in_child(lambda: os.execv(path, [path]))  # noqa: S606 - no shell


def _run_memory(given: Settings) -> None:
    descriptor = os.memfd_create("canary")
    os.write(descriptor, bytes.fromhex(given["program"]))
    _in_child(lambda: os.execve(descriptor, ["canary"], {}))  # noqa: S606 - no shell
    os.close(descriptor)


def _command_device(_given: Settings) -> None:
    with open("/dev/urandom", "rb", buffering=0) as device:
        fcntl.ioctl(device, _COUNT_ENTROPY, bytes(4))


def _connect(given: Settings, name: str, protocol: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
        client.settimeout(_TIMEOUT_S)
        client.connect(("127.0.0.1", given.number(name)))


def _connect_tcp(given: Settings) -> None:
    _connect(given, "tcp")


def _connect_mptcp(given: Settings) -> None:
    _connect(given, "mptcp", _MPTCP)


def _open_fast(given: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT_S)
        client.sendto(b"x", _FASTOPEN, ("127.0.0.1", given.number("tcp_fast_open")))


def _send_udp(given: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", given.number("udp")))


def _listen(_given: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


def _connect_unix(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT_S)
        client.connect(address)


def _connect_path(given: Settings) -> None:
    path = given.outside("socket")
    if len(os.fsencode(path)) < _LONGEST_ADDRESS:
        _connect_unix(path)
        return
    os.chdir(given["outside"])
    try:
        _connect_unix("socket")
    finally:
        os.chdir(given["package"])


def _connect_abstract(given: Settings) -> None:
    _connect_unix(f"\0{given['abstract']}")


def _ask_kernel(_given: Settings) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def _trace(given: Settings) -> None:
    _in_child(lambda: _ignore(given.call("ptrace", _PTRACE_SEIZE, given.number("neighbour"), 0, 0)))


def _read_memory(given: Settings) -> None:
    buffer = _pointer(b"", 16)
    here = _pointer(struct.pack("=QQ", ctypes.addressof(buffer), 8))
    there = _pointer(struct.pack("=QQ", given.number("address"), 8))
    at = ctypes.addressof(here), ctypes.addressof(there)
    given.call("process_vm_readv", given.number("neighbour"), at[0], 1, at[1], 1, 0)


def _read_environment(given: Settings) -> None:
    with open(f"/proc/{given.number('neighbour')}/environ", "rb") as file:
        if given["secret"].encode() not in file.read():
            raise OSError(errno.ENODATA, "another process")


def _read_parent(_given: Settings) -> None:
    os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY))


def _signal(given: Settings) -> None:
    os.kill(given.number("neighbour"), signal.SIGTERM)


def _set_up_ring(given: Settings) -> None:
    parameters = _pointer(b"", 256)
    os.close(given.call("io_uring_setup", 1, ctypes.addressof(parameters)))


def _make_namespace(given: Settings) -> None:
    _in_child(lambda: _ignore(given.call("unshare", _NEW_USER)))


def _mount(given: Settings) -> None:
    _in_child(lambda: _mount_here(given))


def _mount_here(given: Settings) -> None:
    nothing, root, kind = _pointer(b"none"), _pointer(b"/"), _pointer(b"tmpfs")
    where = _pointer(os.fsencode(given.own("mounted")))
    name, target = ctypes.addressof(nothing), ctypes.addressof(where)
    is_alone = False
    try:
        given.call("unshare", _NEW_MOUNTS | (_NEW_USER if os.geteuid() else 0))
        is_alone = True
    except OSError:
        pass  # The mount is undone below.
    if is_alone:
        given.call("mount", name, ctypes.addressof(root), 0, _PRIVATE, 0)
    given.call("mount", name, target, ctypes.addressof(kind), 0, 0)
    given.call("umount2", target, 2)  # MNT_DETACH


def _add_key(given: Settings) -> None:
    kind, name, content = _pointer(b"user"), _pointer(b"buildperm-canary"), _pointer(b"x")
    where = [ctypes.addressof(text) for text in (kind, name, content)]
    given.call("add_key", *where, 1, _PROCESS_KEYRING)


def _watch(given: Settings) -> None:
    descriptor = given.call("inotify_init1", 0)
    folder = _pointer(os.fsencode(given["outside"]))
    given.call("inotify_add_watch", descriptor, ctypes.addressof(folder), _CREATE)
    os.close(descriptor)


def _read_descriptor(given: Settings) -> None:
    if os.pread(given.number("descriptor"), 100, 0) != given["secret"].encode():
        raise OSError(errno.EBADF, "another file")


def _read_variable(given: Settings) -> None:
    if os.environ.get(given["variable"]) != given["secret"]:
        raise OSError(errno.ENODATA, "no such variable")


def _open_terminal(_given: Settings) -> None:
    os.close(os.open("/dev/tty", os.O_RDWR))


def _type(_given: Settings) -> None:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        terminal = os.dup(1)  # The filter looks at the number alone, before the descriptor.
    try:
        fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
    finally:
        os.close(terminal)


def _steer_compiler(_given: Settings) -> None:
    sys.stdout.write("cargo::rustc-env=LD_PRELOAD=/nowhere/canary.so\n")
    sys.stdout.flush()


def _leave_link(given: Settings) -> None:
    os.symlink(given.outside("secret"), given.own("link"))


def _leave_daemon(given: Settings) -> None:
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            _be_daemon(given, tell)
        os._exit(0)
    os.close(tell)
    os.waitpid(pid, 0)
    if os.read(ready, 1) != b"!":
        raise OSError(errno.ECHILD, "no daemon")
    os.close(ready)


def _be_daemon(given: Settings, tell: int) -> None:
    try:
        lock = os.open(given.own("daemon"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, b"%d\n" % os.getpid())
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        os.write(tell, b"!")
        os.close(tell)
        time.sleep(DAEMON_LIVES_S)
    finally:
        os._exit(0)


def _read_own(given: Settings) -> None:
    os.close(os.open(f"{given['package']}/settings", os.O_RDONLY))


def _write_own(given: Settings) -> None:
    os.mkdir(given.own("here"))
    with open(given.own("here/file"), "w", encoding="ascii") as file:
        file.write("x")
    os.truncate(given.own("here/file"), 0)
    os.unlink(given.own("here/file"))


def _move_own(given: Settings) -> None:
    for name in ("from", "to"):
        os.mkdir(given.own(name))
    os.close(os.open(given.own("from/file"), os.O_WRONLY | os.O_CREAT, 0o600))
    os.rename(given.own("from/file"), given.own("to/file"))


def _run_child(_given: Settings) -> None:
    _in_child(lambda: os.execv(sys.executable, [sys.executable, "-ISc", ""]))  # noqa: S606


def _ignore(_result: int) -> None:
    pass


# In this order: the signal ends the process that earlier attempts need.
ATTEMPTS: dict[str, Callable[[Settings], None]] = {
    "read-own": _read_own,
    "write-own": _write_own,
    "move-own": _move_own,
    "run-child": _run_child,
    "file-read": _read_file,
    "key-read": _read_key,
    "folder-list": _list_folder,
    "file-write": _write_file,
    "file-make": _make_file,
    "file-truncate": _truncate_file,
    "file-move": _move_file,
    "file-link": _link_file,
    "file-remove": _remove_file,
    "file-mode": _change_mode,
    "file-dates": _change_dates,
    "file-stat": _see_file,
    "program-run": _run_program,
    "memory-run": _run_memory,
    "device-command": _command_device,
    "tcp-connect": _connect_tcp,
    "tcp-listen": _listen,
    "tcp-fast-open": _open_fast,
    "mptcp": _connect_mptcp,
    "udp": _send_udp,
    "unix-path": _connect_path,
    "unix-abstract": _connect_abstract,
    "netlink": _ask_kernel,
    "process-trace": _trace,
    "process-memory": _read_memory,
    "process-environ": _read_environment,
    "supervisor-memory": _read_parent,
    "process-signal": _signal,
    "io-uring": _set_up_ring,
    "user-namespace": _make_namespace,
    "mount": _mount,
    "keyring": _add_key,
    "inotify": _watch,
    "descriptor": _read_descriptor,
    "variable": _read_variable,
    "terminal-open": _open_terminal,
    "terminal-type": _type,
    "directive": _steer_compiler,
    "link": _leave_link,
    "daemon": _leave_daemon,
}


def main() -> None:
    """Make every attempt, and write down the outcome of each."""
    given = Settings(os.environ["CARGO_MANIFEST_DIR"] + "/settings")
    with open(given.own("attempts"), "w", encoding="ascii", buffering=1) as file:
        for name, attempt in ATTEMPTS.items():
            code = 0
            try:
                attempt(given)
            except OSError as error:
                code = error.errno or _OTHER
            file.write(f"{name} {code}\n")
        file.write("done 0\n")


if __name__ == "__main__":
    main()
