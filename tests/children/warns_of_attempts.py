# Begins a build script: `attempt` tells Cargo what came of a call.
import os
import sys


def attempt(name, do):
    try:
        do()
    except OSError as error:
        print(f"cargo:warning={name} {os.strerror(error.errno)}")
    else:
        print(f"cargo:warning={name} done")


ws = os.environ["CARGO_MANIFEST_DIR"] + "/.."
