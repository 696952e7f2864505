"""Compiles the C programs that start build scripts: see `supervisor/starting`.

They only save time. Where there is no C compiler, or what it makes does not run, Python and a shell
do their work.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path, PurePath

from buildperm.errors import CannotEnforceError
from buildperm.sandbox.native_programs import ProgramRecipe, made

_SOURCES = PurePath(os.path.realpath(__file__)).parent.parent / "supervisor" / "starting"
# Without libc: there is nothing to load, and no static libc is needed. Nothing of a stack protector
# or of relocations works without it either.
FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-ffreestanding", "-fno-stack-protector"),
    *("-fno-asynchronous-unwind-tables", "-fno-pie", "-static", "-nostdlib", "-nostartfiles"),
    *("-Wl,-z,noexecstack", "-Wl,--build-id=none"),
)
_TIMEOUT_S = 10
_TRIED = 77  # What they exit with where they are told nothing.
SOURCES_OF = {"starter": ("starter.c", "room.c"), "stub": ("stub.c",), "entry": ("entry.c",)}


def starter(folder: Path | None = None) -> bytes:
    """Return the path of the program that becomes a build script; empty where there can be none.

    Args:
        folder: Where folders of programs are kept; by default in the user's cache.
    """
    kept = _kept(folder)
    return bytes(kept / "starter") if kept else b""


def stub_program(folder: Path | None = None) -> bytes:
    """Return the program that stands in place of a build script; empty where there can be none.

    Args:
        folder: Where folders of programs are kept; by default in the user's cache.
    """
    kept = _kept(folder)
    return (kept / "stub").read_bytes() if kept else b""


def entry_program(folder: Path | None = None) -> bytes:
    """Return the program that Cargo calls in place of a script; empty where there can be none.

    Args:
        folder: Where folders of programs are kept; by default in the user's cache.
    """
    kept = _kept(folder)
    return (kept / "entry").read_bytes() if kept else b""


def neutral(folder: Path | None = None) -> str:
    """Return the path of a program that becomes what it is given; empty where there can be none.

    Without the variables that a loader obeys and that its parent was not started with.

    Args:
        folder: Where folders of programs are kept; by default in the user's cache.
    """
    kept = _kept(folder)
    return str(kept / "entry") if kept else ""


@cache
def _kept(folder: Path | None) -> Path | None:
    """Return the folder with all of them; None where they cannot be made, or do not run."""
    sources = Path(_SOURCES)
    recipes = [
        ProgramRecipe(name, tuple(sources / part for part in parts), (), common=FLAGS, linked=())
        for name, parts in SOURCES_OF.items()
    ]
    try:
        kept = made(recipes, sources, " ".join(FLAGS), folder)
        # The folder may be one from which nothing is executed: mount(8), `noexec`.
        is_fit = all(map(_runs, (kept / name for name in SOURCES_OF)))
    except (CannotEnforceError, OSError, subprocess.TimeoutExpired):
        return None
    return kept if is_fit else None


def _runs(program: Path) -> bool:
    done = subprocess.run([program], env={}, timeout=_TIMEOUT_S, check=False)
    return done.returncode == _TRIED
