"""`buildperm env-diff`: whether a build script really depends on an environment variable."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import click

from buildperm.cargo import rerun, units
from buildperm.cargo.held_build import HeldBuild
from buildperm.cargo.run_effects import RunEffects, attempt
from buildperm.cargo.units import Unit
from buildperm.cli import options
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import effect
from buildperm.policy.access import Access
from buildperm.policy.effect import Effect, EffectDifference
from buildperm.policy.kinds import Kind
from buildperm.presentation.wording import outcome_word, printable, shown
from buildperm.report.text import count
from buildperm.rules import variables
from buildperm.sandbox import selftest
from buildperm.supervisor.environment import is_replaced, without_secrets
from buildperm.tracer.notation import encode
from buildperm.workflow.script_lookup import FoundScript, View, look, one

VERSION = 1
"""Of the JSON document."""

_CONTROLS = 2
_MOST_TOLD = 20  # Differences of one aspect; of more the text only tells the number.
_HEAD, _TAIL = 3, 4  # Lines of a failed run that are told.
_NEEDED = ("OUT_DIR", "CARGO_MANIFEST_DIR")  # By the supervisor, to find out whose script it is.
_PRIVATE = ("$TMP", "$TMP/")  # Removed after the run, and full of names made up on the way.


@dataclass(frozen=True, slots=True)
class Variable:
    """What is changed about the environment."""

    name: str
    value: str | None  # None: it is taken away.

    @property
    def how(self) -> str:
        """Say how a run is changed."""
        if self.value is None:
            return f"without `{self.shown}`"
        return f"with `{self.shown}={encode(os.fsencode(self.value))}`"

    @property
    def shown(self) -> str:
        """Return the name in notation."""
        return encode(os.fsencode(self.name))


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """One recorded run of the script, run again with and without the change."""

    unit: Unit
    before: str | None  # The variable's value in the recorded run; None where it had none.
    control: RunEffects
    changed: RunEffects
    exit_is_stable: bool
    is_asked_for: bool  # The script asked libc for the variable.
    files: Effect
    directives: Effect
    accesses: Effect

    @property
    def aspects(self) -> tuple[tuple[str, Effect], ...]:
        """Return what is compared besides the exit code, with how it is called."""
        return (
            ("output folder", self.files),
            ("told Cargo", self.directives),
            ("did", self.accesses),
        )

    @property
    def exit_differs(self) -> bool:
        """Tell whether it ends otherwise."""
        return self.exit_is_stable and self.control.exit_code != self.changed.exit_code

    @property
    def differs(self) -> bool:
        """Tell whether the change makes any difference."""
        return self.exit_differs or any(each.differences for _, each in self.aspects)

    @property
    def is_stable(self) -> bool:
        """Tell whether the script does the same twice if nothing is changed."""
        return self.exit_is_stable and not any(each.unstable for _, each in self.aspects)


@click.command("env-diff")
@click.option("--value", metavar="VALUE", help="Set the variable to this, rather than remove it.")
@options.answering
@click.argument("crate")
@click.argument("name")
@options.CARGO
def command(*, value: str | None, form: str, crate: str, name: str, cargo: tuple[str, ...]) -> int:
    """Run a build script without a variable, and say whether anything differs.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table.
    Each run of its build script that `buildperm learn` has recorded is repeated three times, in
    the same sandbox and into a folder of its own: twice as it was, once with the environment
    variable NAME removed. What it leaves in OUT_DIR, prints for Cargo, exits with and touches is
    compared. What is not the same in the first two is not compared, and is told.

    Exit code: 0 whatever the answer is, 23 this machine cannot hold a build script, 130
    interrupted.
    """
    variable = Variable(name, value)
    _check(variable)
    view = look(cargo)
    script = one(view, crate)
    selftest.check(view.workspace.runtime)
    compared = _compare(view, script, variable)
    if compared is None:
        return ExitCode.INTERRUPTED
    if form == "json":
        click.echo(json.dumps(_document(script, variable, compared), indent=2))
    else:
        for line in _text(script, variable, compared):
            click.echo(printable(line))
    return ExitCode.OK


def _check(variable: Variable) -> None:
    """Object to what would change nothing, or everything.

    Raises:
        BuildpermError: The variable cannot be changed.
    """
    name = variable.name
    if not name or "=" in name or "\0" in name or "\0" in (variable.value or ""):
        raise BuildpermError(
            f"`{variable.shown}` is no name of a variable", hint="Write its name alone: `MY_DIR`."
        )
    if name in _NEEDED:
        raise BuildpermError(
            f"without `{name}` as Cargo has set it no build script can be held",
            hint="Ask about a variable that is the script's own affair.",
        )
    if is_replaced(os.fsencode(name)):
        raise BuildpermError(
            f"`{variable.shown}` is set by buildperm itself, the same for every build script",
            hint="Ask about a variable that Cargo or you have set.",
        )


def _compare(view: View, script: FoundScript, variable: Variable) -> list[ComparedRuns] | None:
    """Run everything; None where a person has interrupted it.

    Raises:
        BuildpermError: Nothing was recorded, or the variable never reaches the script.
    """
    workspace = view.workspace
    build = HeldBuild(workspace.project, workspace.policy, "learning")
    with build.target.locked():
        session = build.other_session(workspace.policy, "learning", "env-diff")
        package = os.fsencode(script.package.folder)
        found = [
            unit
            for unit in units.recorded(build.target.folder, build.session)
            if unit.package == package
        ]
        if not found:
            raise BuildpermError(
                f"no run of the build script of `{script.title}` is recorded under the grants of "
                "today",
                hint="Run `buildperm learn` first.",
            )
        _check_visible(build, script, package, variable)
        compared = []
        for unit in found:
            before = rerun.given(unit.folder, workspace.project.environment).get(variable.name)
            if before is None and variable.value is None:
                continue
            _check_values(build, script, package, variable, before)
            _tell(
                f"Running the build script of {script.title} {_CONTROLS + 1} times ({_of(unit)})."
            )
            trials = []
            for changes in (*({},) * _CONTROLS, {variable.name: variable.value}):
                trials.append(attempt(build.rerun(unit, session, changes)))
                if trials[-1].interrupted:
                    return None
            compared.append(_compared(unit, before, trials, variable))
    if not compared:
        raise BuildpermError(
            f"`{variable.shown}` was not set when the build script of `{script.title}` was "
            "recorded, so that there is nothing to remove",
            hint="Say what to set it to: `--value VALUE`.",
        )
    return compared


def _check_visible(
    build: HeldBuild, script: FoundScript, package: bytes, variable: Variable
) -> None:
    held = build.session["packages"][package]
    if variables.passes(
        variable.shown, learning=True, granted=held["env"], denied=held["deny"].get("env", [])
    ):
        return
    why = variables.withheld_because(variable.shown)
    raise BuildpermError(
        f"`{variable.shown}` never reaches the build script of `{script.title}`: "
        f"{why or 'it is denied'}",
        hint=f"See `buildperm why {script.key} env:{variable.shown}`.",
    )


def _check_values(
    build: HeldBuild, script: FoundScript, package: bytes, variable: Variable, before: str | None
) -> None:
    if variable.name in build.session["packages"][package].get("secrets", ()):
        return
    name = os.fsencode(variable.name)
    for value in (before, variable.value):
        kept = None if value is None else without_secrets(name, os.fsencode(value))
        if kept is not None and kept[0] is None:
            raise BuildpermError(
                f"`{variable.shown}` never reaches the build script of `{script.title}`: {kept[1]}",
                hint=f"See `buildperm why {script.key} env:{variable.shown}`.",
            )


def _compared(
    unit: Unit, before: str | None, trials: list[RunEffects], variable: Variable
) -> ComparedRuns:
    first, second, changed = trials
    return ComparedRuns(
        unit,
        before,
        first,
        changed,
        first.exit_code == second.exit_code,
        any(_is_about(access, variable) for trial in trials for access in trial.accesses),
        effect.compare(first.files, second.files, changed.files, group=_folder),
        effect.compare(*(effect.counted(trial.directives) for trial in trials), group=_key),
        effect.compare(*(_done(trial, variable) for trial in trials), group=_place),
    )


def _done(trial: RunEffects, variable: Variable) -> dict[str, str]:
    """Return what a run touched and how that went, but for what has to be otherwise."""
    return {
        f"{access.kind} {access.target}": outcome_word(access)
        for access in trial.accesses
        if not _is_about(access, variable)
        # What was printed is compared line by line.
        and access.kind is not Kind.DIRECTIVE
        and not (access.target == _PRIVATE[0] or access.target.startswith(_PRIVATE[1]))
    }


def _is_about(access: Access, variable: Variable) -> bool:
    return access.kind is Kind.ENV and access.target == variable.shown


def _folder(item: str) -> str:
    return item.rpartition("/")[0]


def _place(item: str) -> str:
    """Return the kind of an access and the folder it is about; a name is told apart by itself."""
    return _folder(item) or item


def _key(item: str) -> str:
    """Return what directives are told apart by: the key, and for `rustc-env` the name."""
    key, _, value = item.partition("=")
    return f"{key}={value.partition('=')[0]}" if key == "rustc-env" else key


def _of(unit: Unit) -> str:
    features = f", features {', '.join(unit.features)}" if unit.features else ""
    return f"{unit.target} {unit.profile}{features}"


def _text(script: FoundScript, variable: Variable, compared: list[ComparedRuns]) -> Iterator[str]:
    """Answer in plain lines, the verdict first."""
    differs = any(each.differs for each in compared)
    if differs:
        yield f"{script.title} depends on `{variable.shown}`: {variable.how} it goes another way."
    elif all(each.is_stable for each in compared):
        yield f"{script.title} does the same {variable.how}: nothing differs."
    else:
        yield f"{script.title} does the same {variable.how}, as far as can be told: see below."
    asked = "asks" if any(each.is_asked_for for each in compared) else "was not seen to ask"
    yield f"It {asked} libc for the variable."
    for each in compared:
        yield ""
        yield f"{_of(each.unit)}:"
        yield from _told(each)


def _told(compared: ComparedRuns) -> Iterator[str]:
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
    for trial, who in ((control, "as it was"), (changed, "with the change")):
        if not trial.is_recorded:
            yield f"  no recording of the run {who}: what it did and told Cargo is not known"


def _line(difference: EffectDifference) -> str:
    if not difference.before:
        return f"new: {difference.item} ({difference.after})"
    if not difference.after:
        return f"gone: {difference.item} ({difference.before})"
    return f"changed: {difference.item} ({difference.before}; with the change {difference.after})"


def _last_words(trial: RunEffects) -> list[str]:
    """Return what a failed run said: its beginning, where a panic tells why, and its end."""
    if not trial.exit_code:
        return []
    said = [line for line in trial.output.splitlines() if line.strip()]
    said = [line for line in said if not line.lstrip().startswith("cargo:")]
    if len(said) <= _HEAD + _TAIL:
        return said
    return [*said[:_HEAD], f"({len(said) - _HEAD - _TAIL} lines left out)", *said[-_TAIL:]]


def _document(
    script: FoundScript, variable: Variable, compared: list[ComparedRuns]
) -> dict[str, object]:
    """Answer in one JSON document."""
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


def _aspect(found: Effect) -> dict[str, object]:
    return {
        "differences": [
            {"item": each.item, "before": each.before or None, "after": each.after or None}
            for each in found.differences
        ],
        "unstable": list(found.unstable),
    }


def _tell(line: str) -> None:
    click.echo(printable(line), err=True)
