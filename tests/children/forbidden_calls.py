# Begins a build script: functions that make a call and run a program.
import ctypes
import os
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
out, pkg = os.environ["OUT_DIR"], os.environ["CARGO_MANIFEST_DIR"]
ws = os.path.dirname(pkg)
top = os.path.dirname(ws)
home, planted = top + "/home/u", os.path.basename(top) + "-planted"
victim = int(open(pkg + "/victim").read())


def call(name, *arguments):
    if libc.syscall(numbers[name], *arguments) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def run(*command):
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(command[0], command)
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
