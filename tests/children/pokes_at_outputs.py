"""In place of a compiler: tries to get at what belongs to other calls, and says what succeeded.

`NAME … --out-dir FOLDER OUTSIDE`: below OUTSIDE is what no compilation may touch.
"""

import contextlib
import ctypes
import errno
import functools
import os
import socket
import sys
from pathlib import Path

out = Path(sys.argv[sys.argv.index("--out-dir") + 1])
outside = Path(sys.argv[-1])
stem = "mine-0123456789abcdef"
own = out / f"{stem}.o"
other = out / "libother-fedcba9876543210.rlib"
libc = ctypes.CDLL(None, use_errno=True)
CREATE = os.O_WRONLY | os.O_CREAT


def write(path, flags=CREATE, **more):
    descriptor = os.open(path, flags, 0o666, **more)
    os.write(descriptor, b"planted")
    os.close(descriptor)


def make_own():
    with contextlib.suppress(OSError):
        own.unlink()
    own.write_bytes(b"own")


def link_then_write(name):
    os.link(other, name)
    write(name)


def move_own(to):
    make_own()
    os.rename(own, to)


def exchange():
    make_own()
    if libc.renameat2(-100, bytes(own), -100, bytes(other), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


def link_own(to):
    make_own()
    os.link(own, to)


def by_folder():
    folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    write(other.name, dir_fd=folder)


def in_folder():
    os.chdir(out)
    write(other.name)


def by_descriptor():
    descriptor = os.open(other, os.O_RDONLY)
    write(f"/proc/self/fd/{descriptor}", os.O_WRONLY)


def through_link():
    with contextlib.suppress(OSError):
        own.unlink()
    os.symlink(other, own)
    write(own)


def through_temporary():
    link = Path(os.environ["TMPDIR"]) / "link"
    os.symlink(out, link)
    write(link / other.name)


def through_temporary_link():
    link = Path(os.environ["TMPDIR"]) / "file"
    os.symlink(outside / "file", link)
    with contextlib.suppress(OSError):
        own.unlink()
    os.rename(link, own)
    os.lstat(own)


def swapped():
    """Replace a folder that rustc makes by a link to another one."""
    made = out / "rmetaAbCdEf"
    os.mkdir(made)
    try:
        os.rename(made, out / "rmetaGhIjKl")
        os.symlink(outside, made)
        write(made / "planted")
    finally:
        with contextlib.suppress(NotADirectoryError):
            os.rmdir(made)


def climbs():
    made = out / "rustcAbCdEf"
    os.mkdir(made)
    try:
        write(made / ".." / other.name)
    finally:
        os.rmdir(made)


def works_in_folder():
    """Do as rustc does when it makes an archive or has a program linked."""
    made = out / ".tmpAbCdEf.temp-archive"
    os.mkdir(made)
    os.mkdir(made / "inner")
    write(made / "inner" / "file")
    folder = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    write("tmp.a", dir_fd=folder)
    os.rename(made / "tmp.a", out / f"lib{stem}.rlib")
    os.unlink("inner/file", dir_fd=folder)
    os.rmdir("inner", dir_fd=folder)
    os.rmdir(made)
    os.mkdir(made)
    os.rmdir(made)


def make_setuid():
    make_own()
    own.chmod(0o4777)
    if not own.stat().st_mode & 0o4000:
        raise PermissionError(errno.EPERM, "it is not")


def read_parent():
    Path(f"/proc/{os.getppid()}/environ").read_bytes()


def reach_parent():
    text = ctypes.create_string_buffer(8)
    piece = (ctypes.c_void_p * 2)(ctypes.addressof(text), 8)
    if libc.process_vm_readv(os.getppid(), piece, 1, piece, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")


def connect():
    made = socket.socket()
    made.connect(("127.0.0.1", int(os.environ["PORT"])))


attempts = {
    "overwrites": lambda: write(other),
    "appends": lambda: write(other, os.O_WRONLY | os.O_APPEND),
    "empties": lambda: os.truncate(other, 0),
    "opens to empty": lambda: os.close(os.open(other, os.O_RDONLY | os.O_TRUNC)),
    "removes": lambda: os.unlink(other),
    "replaces": lambda: move_own(other),
    "exchanges": exchange,
    "takes": lambda: os.rename(other, own),
    "links": lambda: link_then_write(out / f"lib{stem}.rlib"),
    "links elsewhere": lambda: link_then_write(Path(os.environ["TMPDIR"]) / "linked"),
    "plants": lambda: write(out / "libplanted-fedcba9876543210.rlib"),
    "plants a longer name": lambda: write(out / f"{stem}0.o"),
    "plants a folder": lambda: os.mkdir(out / "libplanted-fedcba9876543210.rmeta"),
    "plants a link": lambda: os.symlink(outside, out / "libplanted-fedcba9876543210.rmeta"),
    "plants by a link": lambda: link_own(out / "libplanted-fedcba9876543210.rmeta"),
    "plants a fifo": lambda: os.mkfifo(own.with_suffix(".fifo")),
    "by folder": by_folder,
    "in folder": in_folder,
    "by descriptor": by_descriptor,
    "through a link": through_link,
    "through a temporary link": through_temporary,
    "moves a link": through_temporary_link,
    "swaps": swapped,
    "climbs": climbs,
    "changes a mode": lambda: os.chmod(other, 0o777),
    "changes times": lambda: os.utime(other, (1, 1)),
    "changes a mode by descriptor": lambda: os.fchmod(os.open(other, os.O_RDONLY), 0o777),
    "changes an owner": lambda: os.chown(other, 12345, 12345),
    "sets an attribute": lambda: os.setxattr(own, "user.planted", b"1"),
    "makes it setuid": make_setuid,
    "another's incremental": lambda: write(out.parent / "incremental" / "other-1" / "s" / "x.o"),
    "fingerprint": lambda: write(out.parent / ".fingerprint" / "other-1" / "lib-other"),
    "state": lambda: write(out.parents[1] / "buildperm-compile" / "planted"),
    "session": lambda: write(out.parents[1] / "buildperm-compile-session"),
    "outside": lambda: write(outside / "planted"),
    "reads outside": lambda: (outside / "file").read_bytes(),
    "lists outside": lambda: os.listdir(outside),
    "runs outside": lambda: os.posix_spawn(outside / "tool", ["tool"], {}),
    "reads the launcher": read_parent,
    "reaches the launcher": reach_parent,
    "signals the launcher": lambda: os.kill(os.getppid(), 0),
    "connects": connect,
}
own_ways = {
    "makes its own": make_own,
    "renames its own": lambda: move_own(out / f"lib{stem}.rmeta"),
    "links its own": lambda: link_own(out / f"{stem}.linked"),
    "keeps its own": lambda: link_own(Path(os.environ["TMPDIR"]) / "kept"),
    "empties its own": lambda: (make_own(), os.truncate(own, 0)),
    "sets a mode": lambda: (make_own(), own.chmod(0o755), os.fchmod(os.open(own, 0), 0o700)),
    "sets times": lambda: (make_own(), os.utime(own, (1, 1)), os.utime(os.open(own, 0))),
    "removes its own": lambda: (make_own(), own.unlink()),
    "works in a folder": works_in_folder,
    "works elsewhere": lambda: write(Path(os.environ["TMPDIR"]) / "file"),
    "links elsewhere to itself": lambda: os.symlink("a", Path(os.environ["TMPDIR"]) / "b"),
}
if sys.argv[1] == "own":
    attempts = own_ways
if sys.argv[1] == "loader":
    names = ("libc.so", "libc.so.tmp1a", "libc.so.6")
    attempts = {each: functools.partial(write, out / each) for each in names}
if sys.argv[1] == "shortened":
    names = os.environ["NAMES"].split()
    attempts = {each: functools.partial(write, out / each) for each in names}
for name in [each for each in sys.argv[1].split(",") if each in attempts] or attempts:
    try:
        attempts[name]()
    except OSError as error:
        print(f"{name}: {errno.errorcode.get(error.errno or 0, error)}")
    else:
        print(f"{name}: done")
