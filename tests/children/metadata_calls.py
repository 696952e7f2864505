# Begins a build script: `make` changes metadata by the call of a name.
import ctypes
import json
import os
import stat
import struct
import sys
import time

N = __NUMBERS__
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
CWD, NOFOLLOW, EMPTY, NOW, OMIT = -100, 0x100, 0x1000, (1 << 30) - 1, (1 << 30) - 2
out, pkg = os.environ["OUT_DIR"], os.environ["CARGO_MANIFEST_DIR"]
ws = os.path.dirname(pkg)
top = os.path.dirname(ws)
found = {}


def call(name, *arguments):
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if libc.syscall(ctypes.c_long(N[name]), *wide) == -1:
        return ctypes.get_errno()
    return 0


def text(path):
    return None if path is None else os.fsencode(path)


def specs(*numbers):
    return struct.pack("=4q", *numbers)


TIMES = specs(1000, 0, 2000, 5000)
VALUE = ctypes.create_string_buffer(b"value")
ARGS = struct.pack("=QII", ctypes.addressof(VALUE), 5, 0)
MODE = 0o640


def make(name, start, path, flags=0):
    # One call by name: on `path` from `start`, or on the descriptor `start` where there is no path.
    p = text(path)
    if name in ("setxattr", "lsetxattr"):
        return call(name, p, b"user.x", b"value", 5, 0)
    if name in ("removexattr", "lremovexattr"):
        return call(name, p, b"user.x")
    return {
        "chmod": lambda: call(name, p, MODE),
        "fchmod": lambda: call(name, start, MODE),
        "fchmodat": lambda: call(name, start, p, MODE),
        "fchmodat2": lambda: call(name, start, p, MODE, flags),
        "chown": lambda: call(name, p, os.getuid(), os.getgid()),
        "lchown": lambda: call(name, p, os.getuid(), os.getgid()),
        "fchown": lambda: call(name, start, os.getuid(), os.getgid()),
        "fchownat": lambda: call(name, start, p, os.getuid(), os.getgid(), flags),
        "utime": lambda: call(name, p, struct.pack("=2q", 1000, 2000)),
        "utimes": lambda: call(name, p, specs(1000, 0, 2000, 5)),
        "futimesat": lambda: call(name, start, p, specs(1000, 0, 2000, 5)),
        "utimensat": lambda: call(name, start, p, TIMES, flags),
        "fsetxattr": lambda: call(name, start, b"user.x", b"value", 5, 0),
        "setxattrat": lambda: call(name, start, p, flags, b"user.x", ARGS, 16),
        "fremovexattr": lambda: call(name, start, b"user.x"),
        "removexattrat": lambda: call(name, start, p, flags, b"user.x"),
        "file_setattr": lambda: call(name, start, p, bytes(32), 32, 0),
    }[name]()


def look(path):
    about = os.lstat(path)
    kept = os.listxattr(path, follow_symlinks=False)
    return [about.st_mode & 0o7777, about.st_uid, about.st_gid, about.st_mtime_ns, sorted(kept)]


def fresh(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    with open(path, "w") as file:
        file.write("x")
    call("fchmod", os.open(path, os.O_RDONLY), 0o600)
    os.setxattr(path, "user.x", b"old")
    os.utime(path, (5, 5))
    return path
