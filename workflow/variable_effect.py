"""What `env-diff` does: runs a build script with and without a variable, and compares."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from buildperm.cargo import rerun, units
from buildperm.cargo.run_effects import RunEffects, observe
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.units import Unit
from buildperm.errors import BuildpermError
from buildperm.policy import effect
from buildperm.policy.access import Access
from buildperm.policy.effect import Effect
from buildperm.policy.kinds import Kind
from buildperm.policy.role import SubjectKind
from buildperm.presentation import console
from buildperm.presentation.wording import outcome_word
from buildperm.report import next_command
from buildperm.rules import variables
from buildperm.rules.script_variables import is_replaced, without_secrets
from buildperm.sandbox import selftest
from buildperm.tracer.notation import encode
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView, find_script, open_view

_CONTROLS = 2
_NEEDED = (
    "OUT_DIR",
    "CARGO_MANIFEST_DIR",
)  # By the supervisor, to find out which package the script belongs to.
_PRIVATE = ("$TMP", "$TMP/")  # Removed after the run, and full of random names.


@dataclass(frozen=True, slots=True)
class Variable:
    """The variable that is changed, and how."""

    name: str
    value: str | None  # None: it is removed.

    @property
    def how(self) -> str:
        """Say how the run differs from the recorded one."""
        if self.value is None:
            return f"without `{self.shown}`"
        return f"with `{self.shown}={encode(os.fsencode(self.value))}`"

    @property
    def shown(self) -> str:
        """Return the name in notation."""
        return encode(os.fsencode(self.name))


@dataclass(frozen=True, slots=True)
class RunComparison:
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
        """Return what is compared besides the exit code, by name."""
        return (
            ("output folder", self.files),
            ("told Cargo", self.directives),
            ("did", self.accesses),
        )

    @property
    def exit_differs(self) -> bool:
        """Tell whether the exit code differs."""
        return self.exit_is_stable and self.control.exit_code != self.changed.exit_code

    @property
    def differs(self) -> bool:
        """Tell whether the change makes any difference."""
        return self.exit_differs or any(each.differences for _, each in self.aspects)

    @property
    def is_stable(self) -> bool:
        """Tell whether the script does the same twice without the change."""
        return self.exit_is_stable and not any(each.unstable for _, each in self.aspects)


def _check(variable: Variable) -> None:
    """Refuse a change that would have no effect, or break the run.

    Raises:
        BuildpermError: The variable cannot be changed.
    """
    name = variable.name
    if not name or "=" in name or "\0" in name or "\0" in (variable.value or ""):
        raise BuildpermError(
            f"`{variable.shown}` is not the name of a variable",
            hint="Write its name alone: `MY_DIR`.",
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


def compare(
    words: Sequence[str], crate: str, variable: Variable
) -> tuple[FoundScript, list[RunComparison]] | None:
    """Run a build script with and without a change; None if a person interrupts it.

    Args:
        words: For Cargo.
        crate: Whose build script is meant.
        variable: The change.

    Raises:
        BuildpermError: Nothing was recorded, or the variable never reaches the script.
    """
    _check(variable)
    view = open_view(words)
    script = find_script(view, crate)
    if SubjectKind.SCRIPT not in script.subjects:
        raise BuildpermError(
            f"`{script.title}` has no build script, and `env-diff` runs nothing else",
            hint="Macros run in compilers only: `buildperm why` tells what they asked for.",
        )
    selftest.check(view.workspace.runtime)
    compared = _compare(view, script, variable, words)
    return None if compared is None else (script, compared)


def _compare(
    view: WorkspaceView, script: FoundScript, variable: Variable, words: Sequence[str]
) -> list[RunComparison] | None:
    workspace = view.workspace
    build = SupervisedBuild(workspace.project, workspace.policy, "learning")
    with build.target.locked():
        session = build.other_session(workspace.policy, "learning", "env-diff")
        package = os.fsencode(script.package.folder)
        found = [
            unit
            for unit in units.kept(build.target.folder, build.session)
            if unit.package == package
        ]
        if not found:
            learn = next_command.again("buildperm learn", words)
            raise BuildpermError(
                f"no run of the build script of `{script.title}` is recorded here",
                hint=f"Run `{learn}` first: it records what runs in that.",
            )
        _check_visible(build, script, package, variable)
        compared = []
        for unit in found:
            before = rerun.recorded_environment(unit.folder, workspace.project.environment).get(
                variable.name
            )
            if before is None and variable.value is None:
                continue
            _check_values(build, script, package, variable, before)
            console.print_message(
                f"Running the build script of {script.title} {_CONTROLS + 1} times "
                f"({context_of(unit)})."
            )
            runs = []
            for changes in (*({},) * _CONTROLS, {variable.name: variable.value}):
                runs.append(observe(build.rerun(unit, session, changes)))
                if runs[-1].interrupted:
                    return None
            compared.append(_compared(unit, before, runs, variable))
    if not compared:
        raise BuildpermError(
            f"`{variable.shown}` was not set when the build script of `{script.title}` was "
            "recorded, so there is nothing to remove",
            hint="Say what to set it to: `--value VALUE`.",
        )
    return compared


def _check_visible(
    build: SupervisedBuild, script: FoundScript, package: bytes, variable: Variable
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
    build: SupervisedBuild,
    script: FoundScript,
    package: bytes,
    variable: Variable,
    before: str | None,
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
    unit: Unit, before: str | None, runs: list[RunEffects], variable: Variable
) -> RunComparison:
    first, second, changed = runs
    return RunComparison(
        unit,
        before,
        first,
        changed,
        first.exit_code == second.exit_code,
        any(_is_about(access, variable) for run in runs for access in run.accesses),
        effect.compare(first.files, second.files, changed.files, group=_folder),
        effect.compare(*(effect.counted(run.directives) for run in runs), group=_key),
        effect.compare(*(_done(run, variable) for run in runs), group=_place),
    )


def _done(run: RunEffects, variable: Variable) -> dict[str, str]:
    """Return what a run touched, and with which result, except what must differ."""
    return {
        f"{access.kind} {access.target}": outcome_word(access)
        for access in run.accesses
        if not _is_about(access, variable)
        # What was printed is compared elsewhere, line by line.
        and access.kind is not Kind.DIRECTIVE
        and not (access.target == _PRIVATE[0] or access.target.startswith(_PRIVATE[1]))
    }


def _is_about(access: Access, variable: Variable) -> bool:
    return access.kind is Kind.ENV and access.target == variable.shown


def _folder(item: str) -> str:
    return item.rpartition("/")[0]


def _place(item: str) -> str:
    """Return the kind of an access and its folder; without a folder, the whole of it."""
    return _folder(item) or item


def _key(item: str) -> str:
    """Return what distinguishes directives: the key, and for `rustc-env` the name, too."""
    key, _, value = item.partition("=")
    return f"{key}={value.partition('=')[0]}" if key == "rustc-env" else key


def context_of(unit: Unit) -> str:
    """Say what a recorded run was for."""
    features = f", features {', '.join(unit.features)}" if unit.features else ""
    return f"{unit.target} {unit.profile}{features}"
