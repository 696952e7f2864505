"""The seam to whoever shows a build while it runs: what it hears, and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from buildperm.cargo.script_progress import Progress, ScriptEnded
from buildperm.policy.proposal import Proposal
from buildperm.presentation.build_tally import CrateVersion, EndedScript
from buildperm.presentation.wording import plural
from buildperm.printable import shown

Outcome = TypeVar("Outcome", covariant=True)
Result = TypeVar("Result")
Appraise = Callable[[ScriptEnded], tuple[Proposal, ...]]
"""Says what a recording will ask for; called on the thread that runs Cargo."""


class BuildListener(Protocol):
    """Hears of a build while it runs; every method is called on the thread that runs Cargo."""

    def on_begin(self, scripts: list[CrateVersion], interrupt: Callable[[], None]) -> None:
        """Hear which build scripts may run, and what ends the build from any thread."""

    def on_progress(self, step: Progress) -> None:
        """Hear of a script that has started or ended."""

    def on_output(self, piece: bytes) -> None:
        """Hear what Cargo wrote."""


class Build(Protocol[Outcome]):
    """Something that builds, and tells a listener."""

    def __call__(self, listener: BuildListener, /) -> Outcome:
        """Block until it is built.

        Raises:
            BuildpermError: It cannot be built.
        """


class BuildViewer(Protocol):
    """Shows a build while it runs."""

    def watch(self, heading: str, appraise: Appraise, build: Build[Result], /) -> Result:
        """Run `build`, and return what it returns; its errors pass through."""

    def close(self) -> None:
        """Give the terminal back, if it was taken; can be called again."""


def refusal_text(ended: EndedScript) -> str:
    """Say that a script was refused something and then failed; empty where it was not so."""
    refused = ended.refused
    if not refused:
        return ""
    first = max(refused, key=lambda each: each.risk)
    more = f" and {plural(len(refused) - 1, 'other thing')}" if len(refused) > 1 else ""
    who = f"{shown(ended.crate)} {shown(ended.version)}"
    told = f"{who} failed; refused by buildperm: {shown(first.title)}{more}"
    if not first.locked:
        return f"{told}; decide about it next"
    rest = "" if all(each.locked for each in refused) else "; decide about the rest next"
    return f"{told}; no decision can allow that{rest}"
