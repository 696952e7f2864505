"""Why Cargo failed: at which packages, whose failure that is, and what was not seen for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from buildperm.errors import ExitCode
from buildperm.printable import printable

MAY_BE_WHY = "What was refused may be why."

_NEEDED = "If it does not do without, that is why:"
_UNEXPLAINED = "If the messages of Cargo do not explain it,"
_ITS_OWN = "That is its own failure: buildperm refused it nothing."
_HABITS_MOST = 3  # Of the refusals that are named.
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
class HabitRefusal:
    """A refusal that nobody is asked about, as most programs do without."""

    crate: str  # Key in Cargo.toml.
    access: str  # As `why` takes it: `system:unshare`.

    @property
    def question(self) -> str:
        """Return the command that says what can be done about it."""
        return f"buildperm why {shlex.quote(self.crate)} {shlex.quote(self.access)}"


@dataclass(frozen=True, slots=True, order=True)
class BrokenPackage:
    """A package that Cargo could not build."""

    crate: str  # Key in Cargo.toml.
    version: str
    step: BrokenStep
    was_refused: bool  # Something was refused to it, or to what it depends on.
    habits: tuple[HabitRefusal, ...] = ()  # Refused to it; sorted.
    by_system: tuple[str, ...] = ()  # What the system itself refused it; sorted.

    @property
    def why(self) -> str:
        """Say whose failure it is, in sentences."""
        if self.was_refused:
            return MAY_BE_WHY
        if self.habits and self.step is BrokenStep.RUN_SCRIPT:
            return f"buildperm refused it only {_habits_text(self.habits, _NEEDED)}"
        if self.habits:  # Mostly to its build script, which went on.
            return f"buildperm refused it only {_habits_text(self.habits, _UNEXPLAINED)}"
        if self.by_system:
            return f"buildperm refused it nothing; {_system_text(self.by_system)}"
        return _ITS_OWN

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
    habits: tuple[HabitRefusal, ...] = ()  # Refused to somebody; sorted.

    @property
    def why(self) -> str:
        """Say whose failure it is where no package is known, in sentences."""
        if self.was_refused:
            return MAY_BE_WHY
        if self.habits:
            return f"buildperm refused only {_habits_text(self.habits, _UNEXPLAINED)}"
        return "buildperm refused nothing."

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
    own = [each for each in failure.packages if not each.was_refused]
    is_told = bool(failure.packages) and not own and not failure.unseen
    if is_told and exit_code != failure.exit_code:
        return  # Nothing but what was refused, which is told at length.
    yield "buildperm: the build failed. The messages of Cargo above say why."
    for package in own[:_LISTED_MOST]:
        yield printable(f"  {package}. {package.why}")
    if len(own) > _LISTED_MOST:
        left = len(own) - _LISTED_MOST
        yield f"  and {left:,} more package{'' if left == 1 else 's'}"
    refused = [f"{each.crate} {each.version}" for each in failure.packages if each.was_refused]
    if refused:  # The report tells of these at length.
        yield printable(
            f"  Failed, perhaps for what was refused: {_listed(dict.fromkeys(refused))}."
        )
    if not failure.packages:
        yield printable(f"  {failure.why}")
    if failure.unseen:
        yield printable(failure.unseen)
        yield printable(f"Once it builds, `{command}` shows the rest.")
    if exit_code == failure.exit_code:
        yield f"Exit code {exit_code}: Cargo's own."
    elif exit_code == ExitCode.UNDECIDED:
        yield f"Exit code {exit_code:d}: something is left undecided or unwritten."


def _habits_text(habits: tuple[HabitRefusal, ...], condition: str) -> str:
    named = ", ".join(f"`{each.access}`" for each in habits[:_HABITS_MOST])
    left = len(habits) - _HABITS_MOST
    more = f" and {left:,} more" if left > 0 else ""
    return (
        f"what programs try out of habit and mostly do without: {named}{more}. "
        f"{condition} `{habits[0].question}` says what can be done."
    )


def _system_text(refused: tuple[str, ...]) -> str:
    named = ", ".join(refused[:_HABITS_MOST])
    left = len(refused) - _HABITS_MOST
    more = f" and {left:,} more" if left > 0 else ""
    return f"the system itself did: {named}{more}. No grant changes that."


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    left = len(every) - _NAMED_MOST
    return ", ".join(every[:_NAMED_MOST]) + (f" and {left:,} more" if left > 0 else "")


def _habits_document(package: BrokenPackage) -> list[object]:
    return [{"crate": each.crate, "access": each.access} for each in package.habits]


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
                **({"habits": _habits_document(each)} if each.habits else {}),
                **({"refused_by_system": list(each.by_system)} if each.by_system else {}),
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
