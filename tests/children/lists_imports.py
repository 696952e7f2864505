# Runs the supervisor, and prints which modules it had imported when it ended.
import os
import runpy
import sys


def leave(status):
    print(*sorted(sys.modules))
    sys.stdout.flush()
    leave_now(status)


leave_now, os._exit = os._exit, leave
sys.argv = ["supervisor", "__PLACED__"]
__file__ = "__SUPERVISOR__"
exec(compile(open("__SUPERVISOR__").read(), "__SUPERVISOR__", "exec"))
