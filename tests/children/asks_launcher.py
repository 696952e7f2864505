"""In place of a compiler with the shim: says to the launcher what its arguments are, one each.

A word `host=PATH` asks for a process for macros, and says what comes over the bridge. `,` parts the
words of a message.
"""

import array
import os
import signal
import socket
import sys

control = socket.socket(fileno=int(os.environ["BUILDPERM_SHIM"].split()[0]))
bridges = []


def say(words, *handles):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", handles))] if handles else []
    control.sendmsg([b"".join(os.fsencode(each) + b"\0" for each in words)], rights)


say(["ready"])
for argument in sys.argv[sys.argv.index("--") + 1 :]:
    what, *words = argument.split(",")
    if what == "host":
        mine, its = socket.socketpair()
        say([what, *words], its.fileno())
        its.close()
        try:
            mine.sendall(b"expand")
            print("host:", mine.recv(100).decode() or "gone")
        except OSError:
            print("host: gone")
        bridges.append(mine)
    elif what == "table?":
        say([what, *words])
        print("table:", control.recv(1 << 18).replace(b"\0", b" ").decode())
    elif what == "environment":
        print("environment:", " ".join(sorted(os.environ)))
        print("shim:", os.environ["BUILDPERM_SHIM"].partition(" ")[2])
    elif what == "raw":
        control.send(bytes.fromhex(words[0]))
    elif what == "exit":
        sys.exit(int(words[0]))
    elif what == "kill":
        os.kill(os.getpid(), int(words[0]))
    elif what == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.close(1)
                os.close(2)
                signal.pause()
            os._exit(0)
        os.wait()
    else:
        say([what, *words])
