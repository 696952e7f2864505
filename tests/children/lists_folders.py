# Lists folders, and says the names in each, or why it could not.
import errno
import os
import sys

for path in __PATHS__:
    try:
        told = sorted(os.listdir(path))
    except OSError as error:
        told = [errno.errorcode[error.errno]]
    sys.stderr.write(" ".join(["listed", *told]) + "\n")
os._exit(0)
