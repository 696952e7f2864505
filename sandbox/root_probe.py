"""Tries, before a build, whether a supervisor can enter a root on this machine."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from buildperm.errors import CannotEnforceError
from buildperm.printable import printable
from buildperm.sandbox.machine import run_lean

_TIMEOUT_S = 30


@functools.cache
def check(root: Path) -> None:
    """Let a process enter `root`; nothing of it is run.

    Raises:
        CannotEnforceError: It cannot, for the reason that it says.
    """
    command = run_lean(
        "from buildperm.supervisor.system_root import probe; probe(sys.argv[1])", str(root)
    )
    try:
        ended = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
        said = (ended.stdout or ended.stderr).decode(errors="replace").strip()
        why = "" if ended.returncode == 0 else said.rpartition("\n")[2] or "the attempt failed"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why:
        raise CannotEnforceError(
            f"build scripts cannot be put into the root `{printable(str(root))}`: {printable(why)}",
            hint="This user has to be allowed to make user namespaces with mounts: "
            "`buildperm doctor`.",
        )
