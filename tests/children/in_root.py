"""Enters the root `argv[1]` as a supervisor does, and tells as JSON what it finds there."""

import json
import os
import sys

from buildperm.supervisor import outside_lookup, system_root

system_root.load_all()
lookup = outside_lookup.OutsideLookup()
before = set(sys.modules)
system_root.change(os.fsencode(sys.argv[1]))
system_root.close_to_code(b"/nowhere/starter")


def tried(attempt):
    try:
        return str(attempt())
    except BaseException as error:
        return type(error).__name__


def mounts():
    with open("/proc/self/mountinfo") as file:
        lines = [line.split() for line in file]
    return {words[4]: words[5].split(",") for words in lines}


def written(path):
    with open(path, "w") as file:
        file.write("x")


def run(program):
    child = os.posix_spawn(program, [program], {})
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


told = {
    "top": sorted(os.listdir("/")),
    "release": tried(lambda: open("/etc/os-release").read()),
    "folder": os.getcwd(),
    "user": [os.getuid(), os.geteuid(), os.getgid()],
    "mounts": {name: mounts()[name] for name in ("/usr", "/etc", "/")},
    "write": {path: tried(lambda p=path: written(p)) for path in ("/usr/x", "/etc/x", "/x")},
    "import": {name: tried(lambda n=name: __import__(n)) for name in ("evil", "json.tool")},
    "spawn": tried(lambda: run("/usr/bin/evil")),
    "exec": tried(lambda: os.execv("/usr/bin/evil", ["evil"])),
    "shell": tried(lambda: os.system("evil")),
    "load": tried(lambda: __import__("ctypes").CDLL("/usr/lib/evil.so")),
    "own lookup": tried(lambda: __import__("_socket").getaddrinfo(b"localhost", 1)),
    "lookup": tried(lambda: lookup.resolve("localhost", 1)),
    "no such name": tried(lambda: lookup.resolve("nowhere.invalid", 1)),
}
print(json.dumps(told))
