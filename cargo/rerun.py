"""Runs one recorded build script again, under another session and without Cargo.

This proves grants that a person has just made within a second or two: only the scripts concerned
run, with what Cargo gave them before. They write into a folder of their own, so nothing that the
last build made is touched.
"""

from __future__ import annotations

import marshal
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from buildperm.cargo.cargo_process import CargoProcess
from buildperm.errors import BuildpermError
from buildperm.rules import profile_output
from buildperm.rules.script_variables import is_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.script import ScriptContext

_UNIT = "profile/build/rerun"  # As Cargo has it: what lies beside programs goes to `profile`.
# The jobserver of a Cargo that has ended: make and cc would wait for its tokens, or complain.
_JOBSERVER = frozenset({b"CARGO_MAKEFLAGS", b"MAKEFLAGS", b"MFLAGS", b"MAKELEVEL"})


@dataclass(frozen=True, slots=True)
class RerunResult:
    """How running a script again went."""

    recording: Path | None  # None where the supervisor came to write none.
    exit_code: int  # What Cargo would have been told; 128 and the number of a signal; 130.
    interrupted: bool
    output: str  # All that was said, directives included.


def recording(scratch: Path) -> Path:
    """Return what a run in the folder `scratch` records, or has recorded."""
    return scratch / _UNIT / "buildperm" / "recording.jsonl"


class Rerun:
    """One script that is run again; `interrupt` may be called from anywhere while `run` blocks."""

    def __init__(
        self,
        unit: Path,
        scratch: Path,
        session: Path,
        environment: Mapping[str, str],
        changes: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        """Make everything ready.

        Args:
            unit: The folder of the recorded run; see `cargo.units`.
            scratch: A folder in the same target directory for OUT_DIR and the recording; what is
                in it is lost.
            session: The file that says what to hold the script to.
            environment: Today's. Variables that look like secrets are never stored, but they have
                to be there for the supervisor to decide about.
            changes: Variables to set, or with None to leave out, beside what Cargo gave.

        Raises:
            BuildpermError: The run was not recorded, or there is no room for another.
        """
        context = _context(unit / "buildperm" / "context")
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            self.out_dir = scratch / _UNIT / "out"
            self.out_dir.mkdir(parents=True)
            profile = profile_output.folder(os.fsencode(unit / "out"))
            if profile:
                os.symlink(profile, os.fsencode(scratch / profile_output.RERUN_OF))
        except OSError as error:
            raise BuildpermError(f"cannot make `{scratch}`: {error.strerror}") from error
        variables = recorded_environment(unit, environment)
        for name, value in changes.items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value
        variables["OUT_DIR"] = str(self.out_dir)
        variables["BUILDPERM_SESSION"] = str(session)
        self._recording = recording(scratch)
        self._said = bytearray()
        self._build = CargoProcess(
            [os.fsdecode(word) for word in context["argv"]],
            Path(os.fsdecode(context["cwd"])),
            variables,
            scratch / "progress",
            on_output=self._said.extend,
        )

    def run(self) -> RerunResult:
        """Run the script to its end.

        Raises:
            BuildpermError: It cannot be started.
        """
        finished = self._build.run()
        return RerunResult(
            recording=self._recording if self._recording.is_file() else None,
            exit_code=finished.exit_code,
            interrupted=finished.interrupted,
            output=self._said.decode("utf-8", "replace"),
        )

    def interrupt(self) -> None:
        """End the script; see `CargoProcess.interrupt`."""
        self._build.interrupt()


def recorded_environment(unit: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Cargo gave to a recorded run; secrets as they are today.

    Raises:
        BuildpermError: The run was not recorded.
    """
    context = _context(unit / "buildperm" / "context")
    found = {
        os.fsdecode(name): os.fsdecode(value)
        for name, value in context["env"].items()
        if name not in _JOBSERVER
    }
    for name, value in environment.items():
        if is_secret(os.fsencode(name), os.fsencode(value)):
            found.setdefault(name, value)
    return found


def _context(path: Path) -> ScriptContext:
    try:
        context: ScriptContext = marshal.loads(path.read_bytes())  # noqa: S302 - our own file
        fits = context["argv"] and context["cwd"] and isinstance(context["env"], dict)
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        fits = False
    if not fits:
        raise BuildpermError(
            f"nothing is kept of the run in `{path.parent.parent}`",
            hint="Run `buildperm learn` again.",
        )
    return context
