"""What `--runtime wasi` takes: wasmtime, and the target's standard library in the tool chain."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import toolchain as toolchains
from buildperm.cargo.script_module import TARGET
from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.policy.runtime_table import WEAKEST, strength
from buildperm.sandbox import confined_command, private_cache

if TYPE_CHECKING:
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.supervisor.session import SessionWasi

_TIMEOUT_S = 60
_ASK_S = 60
PLACE = "wasi"
"""The folder of the cache where modules are believed."""


def described(toolchain: Toolchain, variables: Mapping[str, str]) -> SessionWasi:
    """Return what supervisors have to know to run modules.

    Raises:
        CannotEnforceError: Something is missing; the message says what, and how to go on.
    """
    if why := missing(toolchain):
        raise CannotEnforceError(why[0], hint=why[1])
    folder = private_cache.folder(PLACE)
    if folder is None:
        raise CannotEnforceError(
            f"`{private_cache.place(PLACE)}` cannot be made, or others may write there",
            hint="Build without `--runtime wasi`, or set XDG_CACHE_HOME to a folder of your own.",
        )
    passed = confined_command.own_variables(variables)
    words = [os.path.abspath(sys.executable), "-P", "-m", "buildperm.workflow.wasi_action"]
    return {
        "folder": os.fsencode(folder),
        "command": [os.fsencode(word) for word in words],
        "environ": {os.fsencode(name): os.fsencode(value) for name, value in passed.items()},
        "timeout_s": _TIMEOUT_S,
    }


def check_required(require: str) -> None:
    """Make sure that what holds a module is as much as a workspace asks for.

    Raises:
        CannotEnforceError: It is less: Landlock and a filter hold it, and no bubblewrap.
    """
    if strength(require) > strength(WEAKEST):
        raise CannotEnforceError(
            f'`require = "{require}"` asks for more than the runtime `wasi`',
            hint=f"Build without `--runtime wasi`, or lower `require` to `{WEAKEST}`.",
        )


def lacking_in(folder: Path, variables: Mapping[str, str]) -> str:
    """Say, for `doctor`, what a build in a folder lacks, and how to go on; empty if nothing."""
    try:
        why = missing(toolchains.resolve(folder, variables))
    except BuildpermError as error:
        return str(error.args[0])
    return f"{why[0]}. {why[1]}" if why else ""


def missing(toolchain: Toolchain) -> tuple[str, str] | None:
    """Say what this machine lacks to run scripts as WASI, and how to go on; None if nothing."""
    if importlib.util.find_spec("wasmtime") is None:
        return "`wasmtime` is needed to run scripts as WASI", (
            "Install it: pip install 'buildperm[wasi]'; or build without `--runtime wasi`."
        )
    asked = [str(toolchain.rustc), "--print", "target-libdir", "--target", TARGET]
    try:
        told = subprocess.run(
            asked, capture_output=True, text=True, check=True, cwd="/", timeout=_ASK_S
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        told = ""
    if not told or not list(Path(told).glob("libstd-*.rlib")):
        return f"the tool chain has no standard library for {TARGET}", (
            f"Add it: rustup target add {TARGET}; or build without `--runtime wasi`."
        )
    return None
