"""Runtimes: ways to hold the process tree of a build script to its grants.

The table of them is `policy.runtime_table`; CONTRIBUTING.md says how to add one.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Protocol

from buildperm.errors import CannotEnforceError
from buildperm.policy.grants import AUTO
from buildperm.policy.runtime_table import RUNTIMES, strength


@dataclass(frozen=True, slots=True)
class RuntimeSetup:
    """What a runtime contributes to a session: the fields of the same names."""

    runtime: str
    kernel: str
    landlock_abi: int
    filter: bytes
    calls: dict[int, str]
    left_open: tuple[str, ...]
    light_filter: bytes = b""
    """`filter` for light observation; empty where this processor has none."""
    look_filter: bytes = b""
    """`filter` that stops looks, too: to record them, or to move them to a script's own /tmp."""
    every_look_filter: bytes = b""
    """`filter` that stops all of them, for runs that may be kept."""
    light_look_filter: bytes = b""
    """`light_filter` likewise."""
    listed_filter: bytes = b""
    """`every_look_filter` where tools list what they ask for; empty on other processors."""
    wrapper: tuple[bytes, ...] = ()
    """The command around each build script before it is confined, by its absolute path.

    It has to execute the words appended to it in a descendant of its own, leave descriptors open,
    and end when that descendant ends. It runs unconfined, with an empty environment; what it starts
    confines itself.
    """
    starter: bytes = b""
    """The program that starts scripts; empty where Python does it."""
    room: bool = False
    """It makes namespaces and mounts by itself, and `wrapper` is for where it is gone."""
    mounts: bool = False
    """`wrapper` is bubblewrap, and gets arguments for what the script finds in the file system."""


class Runtime(Protocol):
    """A way to hold a process tree to what it was granted."""

    @property
    def name(self) -> str:
        """The word for it in `require`, in `runtime` and in recordings."""
        ...

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it, with the way out, or None where it can."""
        ...

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop with this Landlock ABI, a sentence each."""
        ...

    def prepare(self) -> RuntimeSetup:
        """Return its part of a session.

        Raises:
            CannotEnforceError: This machine cannot run it.
        """
        ...


def runtime(name: str) -> Runtime:
    """Return the runtime called `name`.

    Raises:
        CannotEnforceError: This version has none of that name.
    """
    if name not in RUNTIMES:
        raise CannotEnforceError(
            f"there is no runtime `{name}` in this version",
            hint=f"Use one of: {', '.join(sorted(RUNTIMES))}.",
        )
    module, _, attribute = RUNTIMES[name].partition(":")
    found: Runtime = getattr(importlib.import_module(module), attribute)
    return found


def runtimes() -> dict[str, Runtime]:
    """Return all runtimes by name, the weakest first."""
    return {name: runtime(name) for name in RUNTIMES}


def choose(wanted: str, require: str) -> Runtime:
    """Return the runtime to use: `wanted`, which has to be at least as strong as `require`.

    Args:
        wanted: A name, or `auto` for the strongest that this machine can run.
        require: The weakest that will do.

    Raises:
        CannotEnforceError: This machine or this version has none such.
    """
    least = strength(runtime(require).name)
    if wanted != AUTO:
        chosen = runtime(wanted)
        if strength(chosen.name) < least:
            raise CannotEnforceError(
                f'`require = "{require}"` asks for more than the runtime `{wanted}`',
                hint=f'Use `runtime = "{require}"`, or lower `require`.',
            )
        return chosen
    for name in reversed(list(RUNTIMES)[least:]):
        found = runtime(name)
        if name == require or found.unavailable() is None:
            return found  # The last one itself says what it lacks.
    raise AssertionError(require)
