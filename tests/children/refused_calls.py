"""Prints what each of three calls returns, or its errno."""

import os

for call in (lambda: os.mkdir("made"), lambda: os.rename("old", "new"), os.getppid):
    try:
        print(call())
    except OSError as error:
        print(error.errno)
