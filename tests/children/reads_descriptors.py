# Reads whatever descriptors it was given, and says whether the secret was there.
import os

found = b""
for descriptor in range(3, 256):
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        found += os.read(descriptor, 4096)
    except OSError:
        pass
print("SECRET" if b"inherited-secret" in found else "nothing", flush=True)
