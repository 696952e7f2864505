"""Compiles the C programs that start build scripts: see `supervisor/starting`.

They only save time. Where there is no C compiler, or what it makes does not run, Python does their
work.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from buildperm.errors import CannotEnforceError
from buildperm.sandbox.native_programs import ProgramRecipe, made

_SOURCES = Path(os.path.realpath(__file__)).parent.parent / "supervisor" / "starting"
# Without libc: there is nothing to load, and no static libc is needed. Nothing of a stack protector
# or of relocations works without it either.
FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-ffreestanding", "-fno-stack-protector"),
    *("-fno-asynchronous-unwind-tables", "-fno-pie", "-static", "-nostdlib", "-nostartfiles"),
    *("-Wl,-z,noexecstack", "-Wl,--build-id=none"),
)
_TIMEOUT_S = 10
_STARTER = "starter"


@cache
def starter(folder: Path | None = None) -> bytes:
    """Return the path of the program that becomes a build script; empty where there can be none.

    Args:
        folder: Where folders of programs are kept; by default in the user's cache.
    """
    try:
        kept = made([_recipe(_STARTER)], _SOURCES, " ".join(FLAGS), folder)
        # The folder may be one from which nothing is executed: mount(8), `noexec`.
        command = [kept / _STARTER]
        done = subprocess.run(command, env={}, timeout=_TIMEOUT_S, check=False)
    except (CannotEnforceError, OSError, subprocess.TimeoutExpired):
        return b""
    return b"" if done.returncode else bytes(kept / _STARTER)


def _recipe(name: str) -> ProgramRecipe:
    return ProgramRecipe(name, (_SOURCES / f"{name}.c",), (), common=FLAGS, linked=())
