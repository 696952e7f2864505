# Confines itself by Landlock, and says what it can still do.
import os
import socket
import sys

from buildperm.supervisor import landlock, syscalls

abi, folder = int(sys.argv[1]), os.fsencode(sys.argv[2])
rules = landlock.ruleset(abi)
landlock.allow(rules, folder + b"/in", landlock.file_rights(landlock.NEWEST), abi)
landlock.allow(rules, folder + b"/file", landlock.file_rights(landlock.NEWEST), abi)
print("idle:", not landlock.allow(rules, folder + b"/missing", landlock.READ_FILE, abi))
syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
landlock.restrict(rules)


def attempt(name, what):
    try:
        what()
    except OSError as error:
        print(name + ":", error.strerror)
    else:
        print(name + ": works")


attempt("read granted", lambda: os.close(os.open(folder + b"/in/a", os.O_RDONLY)))
attempt("read file", lambda: os.close(os.open(folder + b"/file", os.O_RDWR)))
attempt("read other", lambda: os.close(os.open(folder + b"/out/a", os.O_RDONLY)))
attempt("make", lambda: os.close(os.open(folder + b"/in/new", os.O_CREAT | os.O_WRONLY)))
attempt("make other", lambda: os.mkdir(folder + b"/out/new"))
attempt("move", lambda: os.rename(folder + b"/in/new", folder + b"/in/d/new"))
attempt("truncate other", lambda: os.truncate(folder + b"/out/a", 0))
attempt("bind", lambda: socket.socket().bind(("127.0.0.1", 0)))
attempt("signal", lambda: os.kill(os.getppid(), 0))
