# Prints its limits, and makes a large file where it is told to.
import ctypes
import os
import resource

core, file, files = map(
    resource.getrlimit, (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
)
print(core, file[0], files[0])
libc = ctypes.CDLL(None)
print(libc.prctl(39, 0, 0, 0, 0))  # PR_GET_NO_NEW_PRIVS
if "DEP_BIG" in os.environ:
    open(os.environ["OUT_DIR"] + "/big", "wb").truncate(2 << 20)
