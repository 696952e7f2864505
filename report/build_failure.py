"""Why Cargo failed: at which packages, whose failure that is, and what was not seen for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from buildperm.errors import ExitCode
from buildperm.printable import printable

MAY_BE_WHY = "What was refused may be why."

_ITS_OWN = "That is its own failure: buildperm refused it nothing."
_NAMED_MOST = 8  # Of the packages that are listed in one line.
_LISTED_MOST = 20  # Of those that have a line each.


class BrokenStep(StrEnum):
    """What failed of a package."""

    COMPILE_SCRIPT = "compiling its build script failed"
    COMPILE = "compiling it failed"
    RUN_SCRIPT = "its build script failed"


_WORDS = {
    BrokenStep.COMPILE_SCRIPT: "compile-script",
    BrokenStep.COMPILE: "compile",
    BrokenStep.RUN_SCRIPT: "run-script",
}
"""What JSON documents call the steps."""


@dataclass(frozen=True, slots=True, order=True)
class BrokenPackage:
    """A package that Cargo could not build."""

    crate: str  # Key in Cargo.toml.
    version: str
    step: BrokenStep
    was_refused: bool  # Something was refused to it, or to what it depends on.

    @property
    def why(self) -> str:
        """Say whose failure it is."""
        return MAY_BE_WHY if self.was_refused else _ITS_OWN

    def __str__(self) -> str:
        return f"{self.crate} {self.version}: {self.step}"


@dataclass(frozen=True, slots=True)
class MissingThing:
    """Something of the system that a build looked for in vain, and what to install."""

    crate: str  # Of the script that did, as Cargo calls it; empty where it was the build itself.
    version: str
    kind: str  # What kind of thing it is: `pkg-config`, `headers`, `programs`.
    name: str  # Of letters, digits and `._+/-` alone.
    distribution: str  # Whose packages are named: a key of `system_packages.toml`.
    packages: tuple[str, ...]  # None where it is not known which have it.
    command: str  # What installs them; empty where there are none.
    sentence: str  # All of that for people.

    def __str__(self) -> str:
        who = f"{self.crate} {self.version}" if self.crate else "the build"
        return f"{who} failed: {self.sentence}"


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """Cargo ended with an exit code that is not 0."""

    exit_code: int  # Cargo's own.
    packages: tuple[BrokenPackage, ...]  # Sorted; empty where it is not known what failed.
    not_run: tuple[str, ...]  # Crates with versions that have a script or macros; none of it ran.
    was_refused: bool = False  # Something was refused to somebody.
    missing: tuple[MissingThing, ...] = ()  # What of the system it may have failed for.

    @property
    def why(self) -> str:
        """Say whose failure it is where no package is known."""
        return MAY_BE_WHY if self.was_refused else "buildperm refused nothing."

    @property
    def unseen(self) -> str:
        """Say what was not seen for it; empty where nothing is missing."""
        if not self.not_run:
            return ""
        return f"Not run in this build, and so not seen: {_listed(self.not_run)}."


def lines(failure: BuildFailure, exit_code: int, command: str) -> Iterator[str]:
    """Yield the last words of a command whose build failed.

    Args:
        failure: What failed.
        exit_code: Of the command.
        command: What shows the rest once it builds.
    """
    own = [str(each) for each in failure.packages if not each.was_refused]
    is_told = bool(failure.packages) and not own and not failure.unseen
    if is_told and exit_code != failure.exit_code:
        return  # Nothing but what was refused, which is told at length.
    yield "buildperm: the build failed. The messages of Cargo above say why."
    for package in own[:_LISTED_MOST]:
        yield printable(f"  {package}. {_ITS_OWN}")
    if len(own) > _LISTED_MOST:
        yield f"  and {len(own) - _LISTED_MOST:,} more packages of their own"
    refused = [f"{each.crate} {each.version}" for each in failure.packages if each.was_refused]
    if refused:  # The report tells of these at length.
        yield printable(
            f"  Failed, perhaps for what was refused: {_listed(dict.fromkeys(refused))}."
        )
    if not failure.packages:
        yield f"  {failure.why}"
    if failure.unseen:
        yield printable(failure.unseen)
        yield printable(f"Once it builds, `{command}` shows the rest.")
    if exit_code == failure.exit_code:
        yield f"Exit code {exit_code}: Cargo's own."
    elif exit_code == ExitCode.UNDECIDED:
        yield f"Exit code {exit_code:d}: something is left undecided or unwritten."


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    left = len(every) - _NAMED_MOST
    return ", ".join(every[:_NAMED_MOST]) + (f" and {left:,} more" if left > 0 else "")


def document(failure: BuildFailure) -> dict[str, object]:
    """Write a failure as a part of a JSON document."""
    return {
        "cargo_exit": failure.exit_code,
        "packages": [
            {
                "crate": each.crate,
                "version": each.version,
                "step": _WORDS[each.step],
                "was_refused": each.was_refused,
            }
            for each in failure.packages
        ],
        "not_run": list(failure.not_run),
        "missing": missing_document(failure),
    }


def missing_document(failure: BuildFailure | None) -> list[dict[str, object]]:
    """Write what of the system a build lacked as a part of a JSON document."""
    return [
        {
            "crate": each.crate,
            "version": each.version,
            "kind": each.kind,
            "name": each.name,
            "distribution": each.distribution,
            "packages": list(each.packages),
            "install": each.command,
            "sentence": each.sentence,
        }
        for each in (failure.missing if failure else ())
    ]
