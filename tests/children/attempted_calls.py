# Begins a build script: `tries` says what came of a call.
import fcntl
import os
import resource
import socket
import struct
import sys


def tries(name, call):
    try:
        call()
        print(name, "done")
    except OSError as error:
        print(name, error.errno)
