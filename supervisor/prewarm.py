"""Does the first steps of a run once in the fork server, so that later runs do them faster.

Python specialises code as it runs, and keeps compiled patterns; workers inherit both. The results
are thrown away: each run asks the machine anew. What only some scripts need is imported, too.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.supervisor import (
    environment,
    landlock,
    launch,
    library_names,  # noqa: F401  # For the workers: see the docstring.
    linker_inputs,  # noqa: F401
    metadata_change,  # noqa: F401
    session,
)
from buildperm.supervisor.metadata_guard import MetadataGuard
from buildperm.supervisor.run import Run
from buildperm.supervisor.subject import Subject
from buildperm.tracer.recorder.loop import Recorder
from buildperm.tracer.recorder.writer import Writer

_ROUNDS = 3  # The interpreter specialises only code that runs repeatedly.


def prewarm(path: bytes, folder: bytes) -> None:
    """Do what a supervisor does before it starts a script, without one.

    Args:
        path: The session's file.
        folder: Stands for OUT_DIR and for the private folder.
    """
    environ = dict(os.environb)
    try:
        loaded = session.load(path)
        manifest_dir, package = next(iter(loaded["packages"].items()))
        places = loaded["places"] | {"MANIFEST_DIR": manifest_dir, "OUT_DIR": folder, "TMP": folder}
        abi = loaded["landlock_abi"]
        run = Run(loaded, package, places, environ, abi, Subject(folder, b"/"))
        for _ in range(_ROUNDS):
            rights = run.rights(b"")
            variables, _ = environment.for_script(
                environ, loaded, package, places, learning=run.learning
            )
            environment.for_rerun(environ)
            if run.wrapper(rights, variables)[0] is not None:
                launch.code_within()
            Recorder(Writer(), loaded["calls"])
            MetadataGuard(rights).brokers(loaded["calls"])
            ruleset = landlock.ruleset(abi)
            for granted, allowed in rights.items():
                landlock.allow(ruleset, granted, allowed, abi)
            os.close(ruleset)
    except (OSError, ValueError, LookupError, StopIteration):
        return  # The first run meets the same problem, and reports it.
