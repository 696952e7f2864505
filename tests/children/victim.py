# Holds a secret in its memory, in a deleted file and in a key; says what was done to it.
import ctypes
import os
import signal
import sys
import time

libc = ctypes.CDLL(None)
libc.prctl(0x59616D61, ctypes.c_ulong(-1 & (2**64 - 1)), 0, 0, 0)  # PR_SET_PTRACER_ANY
effects, secret = sys.argv[1], sys.argv[2].encode()


def take(number, _):
    open(f"{effects}/signal-{number}", "w").close()


for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG):
    signal.signal(number, take)
held = ctypes.create_string_buffer(secret, 128)
writable = ctypes.create_string_buffer(128)
file = os.open(f"{effects}/held-{secret.decode()}", os.O_RDWR | os.O_CREAT, 0o600)
os.write(file, secret)
os.unlink(f"{effects}/held-{secret.decode()}")
add_key, keyctl, machine = 248, 250, os.uname().machine
if machine == "aarch64":
    add_key, keyctl = 217, 219
name = sys.argv[3].encode()
key = libc.syscall(add_key, b"user", name, secret, len(secret), -4)
libc.syscall(keyctl, 5, key, 0x3F3F0000)  # KEYCTL_SETPERM: everything for the user
libc.syscall(keyctl, 15, key, 300)  # KEYCTL_SET_TIMEOUT
print(ctypes.addressof(held), ctypes.addressof(writable), file, flush=True)
sys.stdin.read()
written = writable.raw
print(int(b"REDTEAM-WRITTEN" in written[:64]), int(b"REDTEAM-WRITTEN" in written[64:]), flush=True)
libc.syscall(keyctl, 3, key)  # KEYCTL_REVOKE
