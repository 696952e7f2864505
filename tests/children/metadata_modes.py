# Goes after metadata_calls.py: set-user-ID and set-group-ID, by change and at birth.
def born(name, *arguments):
    path = out + "/born"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    code = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return [ctypes.get_errno() if code == -1 else 0, os.path.exists(path)]


f, d = fresh(out + "/f"), out + "/d"
os.mkdir(d)
for mode in (0o4755, 0o2755, 0o6755, 0o1644):
    MODE = mode
    found[f"file {mode:o}"] = [make("fchmodat", CWD, f), stat.S_IMODE(os.stat(f).st_mode)]
    found[f"folder {mode:o}"] = [make("fchmodat", CWD, d), stat.S_IMODE(os.stat(d).st_mode)]
    found[f"descriptor {mode:o}"] = [
        make("fchmod", os.open(f, os.O_RDONLY), None),
        stat.S_IMODE(os.stat(f).st_mode),
    ]
p = text(out + "/born")
numbers = OPENAT, MKNODAT
found["openat"] = born("openat", OPENAT, CWD, p, os.O_CREAT | os.O_WRONLY, 0o4755)
found["openat 0755"] = born("openat", OPENAT, CWD, p, os.O_CREAT | os.O_WRONLY, 0o755)
found["no creation"] = born("openat", OPENAT, CWD, text(f), os.O_RDONLY, 0o4755)
found["temporary"] = born("openat", OPENAT, CWD, text(out), os.O_TMPFILE | os.O_RDWR, 0o2755)
found["mknodat"] = born("mknodat", MKNODAT, CWD, p, stat.S_IFREG | 0o4755, 0)
found["mknodat 0755"] = born("mknodat", MKNODAT, CWD, p, stat.S_IFREG | 0o755, 0)
s = ws + "/gen/setgid"
MODE = 0o2750
found["setgid folder"] = [make("fchmodat", CWD, s), stat.S_IMODE(os.stat(s).st_mode)]
MODE = 0o750
found["no longer"] = [make("fchmodat", CWD, s), stat.S_IMODE(os.stat(s).st_mode)]
