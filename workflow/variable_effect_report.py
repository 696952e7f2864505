"""The answer of `env-diff`, for people and for machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from buildperm.cargo.run_effects import RunEffects
from buildperm.policy.effect import Effect, EffectDifference
from buildperm.printable import shown
from buildperm.report.text import count
from buildperm.tracer.notation import encode
from buildperm.workflow.script_lookup import FoundScript
from buildperm.workflow.variable_effect import RunComparison, Variable, context_of

VERSION = 1
"""Of the JSON document."""

_MOST_TOLD = 20  # Differences of one aspect; the text only gives the number of the rest.
_HEAD, _TAIL = 3, 4  # Lines of a failed run that are shown.


@dataclass(frozen=True, slots=True)
class VariableEffectReport:
    """Whether a change of a variable makes any difference to a build script."""

    variable: Variable
    script: FoundScript
    compared: list[RunComparison]

    def lines(self) -> Iterator[str]:
        """Return plain lines, the verdict first."""
        script, variable, compared = self.script, self.variable, self.compared
        differs = any(each.differs for each in compared)
        if differs:
            how = f"{variable.how} it goes another way"
            yield f"{script.title} depends on `{variable.shown}`: {how}."
        elif all(each.is_stable for each in compared):
            yield f"{script.title} does the same {variable.how}: nothing differs."
        else:
            yield f"{script.title} does the same {variable.how}, as far as can be told: see below."
        asked = "asks" if any(each.is_asked_for for each in compared) else "was not seen to ask"
        yield f"It {asked} libc for the variable."
        for each in compared:
            yield ""
            yield f"{context_of(each.unit)}:"
            yield from _difference_lines(each)

    def document(self) -> dict[str, object]:
        """Return one JSON document."""
        script, variable, compared = self.script, self.variable, self.compared
        package = script.package
        return {
            "version": VERSION,
            "crate": script.key,
            "name": package.name,
            "package_version": package.version,
            "source": package.source,
            "variable": variable.shown,
            "value": None if variable.value is None else encode(os.fsencode(variable.value)),
            "differs": any(each.differs for each in compared),
            "stable": all(each.is_stable for each in compared),
            "runs": [
                {
                    "target": each.unit.target,
                    "profile": each.unit.profile,
                    "features": list(each.unit.features),
                    "before": None if each.before is None else encode(os.fsencode(each.before)),
                    "asked_for": each.is_asked_for,
                    "differs": each.differs,
                    "stable": each.is_stable,
                    "exit": {
                        "before": each.control.exit_code,
                        "after": each.changed.exit_code,
                        "stable": each.exit_is_stable,
                    },
                    "failure": each.changed.failure,
                    "recorded": each.control.is_recorded and each.changed.is_recorded,
                    "files": _aspect(each.files),
                    "directives": _aspect(each.directives),
                    "accesses": _aspect(each.accesses),
                }
                for each in compared
            ],
        }


def _difference_lines(compared: RunComparison) -> Iterator[str]:
    control, changed = compared.control, compared.changed
    if compared.exit_differs:
        yield f"  exit code: {control.exit_code}, with the change {changed.exit_code}"
        if changed.failure and changed.failure not in changed.output:
            yield f"    failed by buildperm: {shown(changed.failure)}"
        for line in _last_words(changed):
            yield f"    {shown(line)}"
    for title, found in compared.aspects:
        number = len(found.differences)
        if number:
            yield f"  {title}: {count(number, 'difference')}"
            for difference in found.differences[:_MOST_TOLD]:
                yield f"    {shown(_line(difference))}"
            if number > _MOST_TOLD:
                yield f"    and {number - _MOST_TOLD} more"
    if not compared.differs:
        yield "  nothing differs"
    if not compared.exit_is_stable:
        yield "  not compared: the exit code, which is not even the same twice without the change"
    for title, found in compared.aspects:
        if found.unstable:
            yield (
                f"  not compared ({title}), as it is not even the same twice without the change:"
            )
            for item in found.unstable[:_MOST_TOLD]:
                yield f"    {shown(item)}"
            if len(found.unstable) > _MOST_TOLD:
                yield f"    and {len(found.unstable) - _MOST_TOLD} more"
    for run, who in ((control, "as it was"), (changed, "with the change")):
        if not run.is_recorded:
            yield f"  no recording of the run {who}: what it did and told Cargo is not known"


def _line(difference: EffectDifference) -> str:
    if not difference.before:
        return f"new: {difference.item} ({difference.after})"
    if not difference.after:
        return f"gone: {difference.item} ({difference.before})"
    return f"changed: {difference.item} ({difference.before}; with the change {difference.after})"


def _last_words(run: RunEffects) -> list[str]:
    """Return the beginning of what a failed run printed, where a panic tells why, and its end."""
    if not run.exit_code:
        return []
    said = [line for line in run.output.splitlines() if line.strip()]
    said = [line for line in said if not line.lstrip().startswith("cargo:")]
    if len(said) <= _HEAD + _TAIL:
        return said
    return [*said[:_HEAD], f"({len(said) - _HEAD - _TAIL} lines left out)", *said[-_TAIL:]]


def _aspect(found: Effect) -> dict[str, object]:
    return {
        "differences": [
            {"item": each.item, "before": each.before or None, "after": each.after or None}
            for each in found.differences
        ],
        "unstable": list(found.unstable),
    }
