"""Missing packages: what of the system a failed build lacks, crate by crate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from buildperm.policy import system_packages
from buildperm.policy.access import Outcome
from buildperm.printable import printable
from buildperm.report.build_failure import BuildFailure, MissingThing

if TYPE_CHECKING:
    from buildperm.policy.system_packages import Missing
    from buildperm.report.build_run import ScriptRun
    from buildperm.workflow.build_outcome import BuildOutcome

_SCRIPT = re.compile(
    r"^error: failed to run custom build command for `([A-Za-z0-9_-]+) v([0-9A-Za-z.+-]+)", re.M
)
_END = re.compile(r"^(?:error: |warning: build failed)", re.M)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def sentences(failure: BuildFailure | None) -> list[str]:
    """Say what a failed build did not find, and how to install it."""
    return [printable(str(each)) for each in (failure.missing if failure else ())]


def find(
    outcome: BuildOutcome, runs: Iterable[ScriptRun], distribution: str = ""
) -> tuple[MissingThing, ...]:
    """Tell what a failed build did not find, and what to install; nothing if it did not fail.

    Args:
        outcome: Of the build.
        runs: What ran in it.
        distribution: Whose packages are named; empty for that of this machine.
    """
    finished = outcome.finished
    if finished.exit_code == 0 or finished.interrupted:
        return ()
    named = distribution or system_packages.this_distribution()
    found: dict[str, list[Missing]] = {}
    for who, said in _by_script(_COLOUR.sub("", finished.said)):
        found.setdefault(who, []).extend(system_packages.of_text(said))
    links = {
        f"{each.name} {each.version}": each.links
        for each in outcome.build.project.metadata.packages.values()
    }
    for run in runs:
        who = f"{run.crate} {run.version}"
        if run.failed:
            listed = found.setdefault(who, [])
            listed += system_packages.of_accesses(run.everything)
            if not listed and not _was_refused(run):
                listed += system_packages.of_links(links.get(who, ""))
    return tuple(
        MissingThing(
            printable(who.partition(" ")[0]),
            printable(who.partition(" ")[2]),
            str(each.kind),
            each.name,
            named,
            each.packages(named),
            each.command(named),
            each.sentence(named),
        )
        for who, listed in found.items()
        for each in system_packages.distinct(listed)
    )


def _was_refused(run: ScriptRun) -> bool:
    return bool(run.failure) or any(
        access.outcome is Outcome.REFUSED for each in run.findings for access in each.evidence
    )


def _by_script(said: str) -> Iterator[tuple[str, str]]:
    """Cut what Cargo said into what each failed script said, and the rest."""
    rest, at = "", 0
    for header in _SCRIPT.finditer(said):
        if header.start() < at:
            continue
        end = _END.search(said, header.end())
        rest += said[at : header.start()]
        at = end.start() if end else len(said)
        yield f"{header[1]} {header[2]}", said[header.start() : at]
    yield "", rest + said[at:]
