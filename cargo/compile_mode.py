"""How compiling is held in one build: what Cargo.toml asks for, and what this machine can do."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.policy.grants import HOLD, OFF, WATCH
from buildperm.printable import printable
from buildperm.sandbox import foreseen_calls, macro_interface, native_programs
from buildperm.sandbox.machine import probe

if TYPE_CHECKING:
    from buildperm.cargo.project import Project
    from buildperm.policy.grants import CrateGrants, Policy
    from buildperm.sandbox.native_programs import NativePrograms
    from buildperm.supervisor.session import SessionCompile


@dataclass(frozen=True, slots=True)
class CompileMode:
    """What is held, and with which programs."""

    default: Literal["hold", "watch", "off"]  # Of packages of which nothing else is said.
    programs: NativePrograms | None = None  # None: nothing is held.
    macros: Literal["outside", "inside"] = "outside"  # The compiler, or of their own processes.
    layout: int = 0  # Of the tables in macro libraries.
    foreseen: str = foreseen_calls.NONE  # Calls of macros whose answers nobody waits for.
    why: tuple[str, ...] = ()  # What is not held as it could be, in sentences.
    lacking: str = ""  # A clause: for want of what nothing is held, though nobody said so.

    def of(self, grants: CrateGrants | None) -> str:
        """Return how the compiling of one package is held, which was granted `grants`."""
        said = (grants.compile if grants and not grants.young else "") or self.default
        return WATCH if said == HOLD and self.programs is None else said

    def told(self) -> SessionCompile:
        """Return what supervisors need to know of it."""
        programs = self.programs
        return {
            "mode": self.default,
            "macros": self.macros,
            "host": bytes(programs.host) if programs else b"",
            "digest": programs.digest if programs else "",
            "lacking": self.lacking,
        }


def choose(project: Project, policy: Policy) -> CompileMode:
    """Find out how compiling is held.

    Where nobody has asked for it in so many words, a machine without a C compiler, or with a kernel
    that asks nobody about calls, does without; whoever wrote `compile = "hold"` is not to find out
    later that nothing was held.

    Raises:
        CannotEnforceError: This machine cannot hold it.
    """
    asked = [policy.compile, *(grants.compile for grants in policy.crates.values())]
    default = policy.compile or HOLD
    if sys.platform != "linux":
        return CompileMode(_mode(default))  # Nothing is compiled there.
    if default != HOLD and HOLD not in asked:
        return CompileMode(_mode(default), why=_not_held(default))
    try:
        _require_kernel()
        programs = native_programs.programs()
    except BuildpermError as error:
        if HOLD in asked:
            raise CannotEnforceError(
                f'`compile = "hold"` cannot be done here: {error.args[0]}',
                hint=error.hint or 'Install a C compiler, or write `compile = "watch"`.',
            ) from error
        lacking = printable(error.args[0])
        return CompileMode("watch", why=(f"Compiling is not held: {lacking}.",), lacking=lacking)
    toolchain = project.toolchain
    found = macro_interface.layout(toolchain.rustc, programs, toolchain.described)
    why = () if found.is_outside else (f"Macros run within the compiler: {found.why}.",)
    return CompileMode(
        _mode(default),
        programs,
        "outside" if found.is_outside else "inside",
        found.layout,
        found.foreseen,
        (*why, *_not_held(default)),
    )


def _mode(word: str) -> Literal["hold", "watch", "off"]:
    modes: dict[str, Literal["hold", "watch", "off"]] = {HOLD: "hold", WATCH: "watch", OFF: "off"}
    return modes[word]


def _not_held(default: str) -> tuple[str, ...]:
    if default == HOLD:
        return ()
    return (f'Compiling is not held: Cargo.toml says `compile = "{default}"`.',)


def _require_kernel() -> None:
    facts = probe()
    if facts.notify_errno:
        raise CannotEnforceError(
            f"Linux {facts.kernel} lets nobody answer system calls for others here: "
            f"{os.strerror(facts.notify_errno)}",
            hint="Use Linux 5.14 or newer, outside of containers and tracers that answer system "
            'calls themselves, or write `compile = "watch"` into Cargo.toml.',
        )
