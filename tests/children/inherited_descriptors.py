# Says which descriptors it was given, and takes a token from the job server.
import os

for fd in range(3, 256):
    try:
        print(fd, os.fstat(fd).st_mode & 0o170000)
    except OSError:
        pass
print("token", os.read(__READING__, 1))
print(os.fstat(0).st_rdev, os.getsid(0) == os.getpid())
