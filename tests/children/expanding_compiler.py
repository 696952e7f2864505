"""In place of a compiler with the shim: has hosts expand what arguments say, and prints answers.

After `--` comes the library, then an argument for each step: `host` starts one more host, `wait
PATH` waits until a file is there, `end` ends the newest host, `all` has each host do nothing; all
else is input for the newest host.
"""

import array
import os
import socket
import struct
import sys
import time

LOAD, TABLE, RUN, CALL, ANSWER, DONE, FAILED = range(1, 8)
SYMBOL = b"__rustc_proc_macro_decls_obeying"
POINTER = 1
NOTHING_FORESEEN = bytes(18)  # bridge.h, struct foreseen
control = socket.socket(fileno=int(os.environ["BUILDPERM_SHIM"].split()[0]))


def rights(*handles):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", handles))]


class Host:
    def __init__(self, library):
        self.read, theirs_out = os.pipe()
        theirs_in, self.write = os.pipe()
        mine, its = socket.socketpair()
        control.sendmsg([b"host\0" + os.fsencode(library) + b"\0"], rights(its.fileno()))
        head = struct.pack("=IIQ", LOAD, len(NOTHING_FORESEEN + SYMBOL), POINTER)
        mine.sendmsg([head + NOTHING_FORESEEN + SYMBOL], rights(theirs_in, theirs_out))
        for handle in (theirs_in, theirs_out):
            os.close(handle)
        its.close()
        mine.close()

    def hear(self):
        head = self.take(16)
        if len(head) < 16:
            return 0, b""
        kind, size, _ = struct.unpack("=IIQ", head)
        return kind, self.take(size)

    def take(self, size):
        got = b""
        while len(got) < size:
            piece = os.read(self.read, size - len(got))
            if not piece:
                break
            got += piece
        return got

    def expand(self, text):
        try:
            os.write(self.write, struct.pack("=IIQ", RUN, len(text), 0xFFFF << 48) + text)
        except BrokenPipeError:
            return "gone"
        kind, answer = self.hear()
        return answer.decode() if kind == DONE else "gone"

    def end(self):
        os.close(self.write)
        os.close(self.read)


control.sendmsg([b"ready\0"])
library, *steps = sys.argv[sys.argv.index("--") + 1 :]
hosts = []
for step in steps:
    if step == "host":
        hosts.append(Host(library))
        kind, said = hosts[-1].hear()
        print("host:", "ready" if kind == TABLE else said.decode() or "gone", flush=True)
    elif step.startswith("wait "):
        while not os.path.exists(step[5:]):
            time.sleep(0.01)
    elif step == "end":
        hosts.pop().end()
    elif step == "all":
        print("all:", *(each.expand(b"nothing") for each in hosts), flush=True)
    else:
        print(f"{step.split(' ')[0]}:", hosts[-1].expand(step.encode()), flush=True)
