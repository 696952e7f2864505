"""The program that a stub starts: `python -IS supervisor/main.py STUB [ARGUMENT ...]`.

With `--serve FOLDER SESSION` it is the fork server: see `supervisor.fork_server`. With `--macro`
it runs macros for the launcher on standard input: see `supervisor.launcher_connection`. With
`--on STATE` it comes from a stub of always on: see `supervisor.standing_session`. With `--executor
FOLDER` it is on an executor: see `supervisor.executor_run`.

It only finds its package. This file is compiled anew at each start, unlike the modules that it
imports, so it stays short. `-I` and `-S` leave nothing on the path but the standard library, which
keeps looking first.
"""

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import gc
import os
import sys


def _beside(path: str, levels: int) -> str:
    for _ in range(levels):
        path = path.rpartition("/")[0]
    return path


if __name__ == "__main__":
    # The signal's own end, not a traceback, until there is something to clean up.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # Importing makes much that stays; looking through it for garbage costs 2 ms.
    gc.set_threshold(100_000)

    # Installed, this is buildperm/supervisor/main.py. In a checkout buildperm/sandbox is a link,
    # and the path may be either that or the real one, beside the folder buildperm.
    own = __file__ if __file__.startswith("/") else "./" + __file__
    levels = 3 if os.path.exists(_beside(own, 2) + "/__init__.py") else 2
    sys.path.append(_beside(own, levels) or "/")

    if sys.argv[1:2] == ["--serve"]:
        from buildperm.supervisor import fork_server

        fork_server.main(sys.argv[2:])
    elif sys.argv[1:2] == ["--macro"]:
        from buildperm.supervisor import launcher_connection

        launcher_connection.main()
    elif sys.argv[1:2] == ["--on"]:
        from buildperm.supervisor import standing_session

        standing_session.main(sys.argv[2], sys.argv[3:])
    elif sys.argv[1:2] == ["--executor"]:
        from buildperm.supervisor import executor_run

        executor_run.main(sys.argv[2])
    else:
        from buildperm.supervisor import supervision

        supervision.main(sys.argv[1:])
