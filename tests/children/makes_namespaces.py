# Goes after warns_of_attempts.py: makes a namespace, and renames the machine.
import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def user():
    if libc.unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), "")


attempt("user", user)
attempt("hostname", lambda: __import__("socket").sethostname("x"))
