"""Tries, before a build, whether a supervisor can enter a root on this machine."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from buildperm.errors import CannotEnforceError
from buildperm.printable import printable
from buildperm.sandbox.machine import run_lean

_TIMEOUT_S = 30
_SETTINGS = "/proc/sys"
_OF_ADMINISTRATOR = "an administrator has to allow user namespaces by another value of it"
_FORBIDDING = (  # user_namespaces(7); the second is Ubuntu's since 23.10, the third Debian's.
    ("user.max_user_namespaces", "0", _OF_ADMINISTRATOR),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor lets only programs with a profile make user namespaces with mounts, and a "
        "profile of bubblewrap alone is not enough. Set it to 0 by `sysctl`, or build in a "
        "virtual machine",
    ),
    ("kernel.unprivileged_userns_clone", "0", _OF_ADMINISTRATOR),
)


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
            hint=_remedy(),
        )


def _remedy() -> str:
    """Say what forbids user namespaces here, as far as the kernel tells it, and the way out."""
    for name, forbidding, remedy in _FORBIDDING:
        try:
            said = Path(_SETTINGS, name.replace(".", "/")).read_text().strip()
        except OSError:
            continue  # This kernel does not have it.
        if said == forbidding:
            return f"`{name}` is {said}: {remedy}."
    return "This user has to be allowed to make user namespaces with mounts."
