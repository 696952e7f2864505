"""Opens one file 3000 times."""

import os

for _ in range(3000):
    os.close(os.open("/etc/hostname", os.O_RDONLY))
