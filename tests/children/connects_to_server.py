"""Asks the fork server for a host of macros, in a way that it does not understand."""

import os
import socket

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("__SERVER__/macros")
    try:
        connection.sendall(bytes(100))
        os.write(1, connection.recv(100))
    except (BrokenPipeError, ConnectionResetError):
        pass  # It has been hung up on.
