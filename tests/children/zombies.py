# Has 200 children that have ended and that it never waits for.
import os
import signal

for _ in range(200):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
signal.pause()
