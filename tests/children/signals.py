# Begins a build script: `attempt` says what came of a signal.
import ctypes
import errno
import os
import signal
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
of_machine = {"x86_64": (200, 234, 129, 297, 72), "aarch64": (130, 131, 138, 240, 25)}
TKILL, TGKILL, SIGQUEUE, TGSIGQUEUE, FCNTL = of_machine[os.uname().machine]
victim, group = int(os.environ["CARGO_FEATURE_VICTIM"]), int(os.environ["CARGO_FEATURE_GROUP"])
information = ctypes.create_string_buffer(128)
ctypes.c_int.from_buffer(information, 8).value = -1  # si_code: SI_QUEUE


def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def attempt(name, do):
    try:
        do()
        print(name, 0, file=sys.stderr, flush=True)
    except OSError as error:
        print(name, error.errno, file=sys.stderr, flush=True)
