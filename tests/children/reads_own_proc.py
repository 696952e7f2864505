"""Goes after warns_of_attempts.py: reads what /proc says of its own processes, and of others."""

import threading

here, there = os.pipe()
child = os.fork()
if child == 0:
    os.read(here, 1)
    os._exit(0)
PATHS = {
    "status": "/proc/self/status",
    "mounts": "/proc/mounts",
    "mountinfo": "/proc/self/mountinfo",
    "thread": "/proc/thread-self/stat",
    "number": f"/proc/{os.getpid()}/maps",
    "child": f"/proc/{child}/cmdline",
    "environ": "/proc/self/environ",
    "memory": f"/proc/{child}/mem",
    "parent": f"/proc/{os.getppid()}/cmdline",
    "init": "/proc/1/cmdline",
}


def read(path):
    with open(path, "rb") as file:
        if not file.read():
            raise OSError(0, "empty")
        file.seek(0)
        assert file.read(), path


for name, path in PATHS.items():
    attempt(name, lambda path=path: read(path))
attempt("write", lambda: open("/proc/self/comm", "w"))
threading.Thread(
    target=lambda: attempt(
        "task", lambda: read(f"/proc/self/task/{threading.get_native_id()}/comm")
    )
).start()
os.write(there, b"x")
os.waitpid(child, 0)
