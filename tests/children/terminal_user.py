"""Runs `sh -c TEXT` as Cargo is run, says how it ended, then reads a line of its own.

`terminal_user.py shell TEXT` does the same as a job of a small shell, which continues what stops.
"""

import os
import signal
import sys
from pathlib import Path

from buildperm.cargo.cargo_process import CargoProcess


def use(text: str) -> None:
    program = CargoProcess(
        ["/bin/sh", "-c", text], Path.cwd(), dict(os.environ), Path("progress"), has_input=True
    )
    ended = program.run()
    print(f"ended {ended.exit_code} {ended.interrupted}", flush=True)
    print(f"then {sys.stdin.readline().strip()}", flush=True)


def shell(text: str) -> None:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        use(text)
        os._exit(0)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if not os.WIFSTOPPED(status):
            return
        print("stopped", flush=True)
        print(f"shell {sys.stdin.readline().strip()}", flush=True)
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)


if __name__ == "__main__":
    shell(sys.argv[2]) if sys.argv[1] == "shell" else use(sys.argv[1])
