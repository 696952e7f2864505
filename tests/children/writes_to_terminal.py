# Writes a control sequence to each terminal that it can find.
import os

try:
    os.write(os.open("/dev/tty", os.O_WRONLY), b"\x1b]0;owned\x07")
except OSError:
    pass
for descriptor in range(256):
    try:
        if os.isatty(descriptor):
            os.write(descriptor, b"\x1b]0;owned\x07")
    except OSError:
        pass
