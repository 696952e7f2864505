"""A runtime from outside: all of `portable`, at a lower priority."""

from __future__ import annotations

import dataclasses
import os
import shutil

from buildperm.sandbox.portable_runtime import portable
from buildperm.sandbox.runtime import RuntimeSetup


@dataclasses.dataclass(frozen=True, slots=True)
class Polite:
    """What it takes to add a runtime."""

    name: str = "polite"

    def unavailable(self) -> str | None:
        """Say why this machine cannot run it."""
        return None if shutil.which("nice") else "there is no nice(1)"

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        """Say what it does not stop."""
        return portable.left_open(landlock_abi)

    def prepare(self) -> RuntimeSetup:
        """Return its part of a session."""
        nice = os.fsencode(os.path.realpath(shutil.which("nice") or ""))
        prepared = portable.prepare()
        return dataclasses.replace(prepared, runtime=self.name, wrapper=(nice, b"-n", b"7"))


polite = Polite()
