"""`buildperm env-diff`: whether a build script really depends on an environment variable."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.workflow.variable_effect import Variable, compare
from buildperm.workflow.variable_effect_report import VariableEffectReport


@click.command("env-diff")
@click.option("--value", metavar="VALUE", help="Set the variable to this, rather than remove it.")
@options.format_option()
@click.argument("crate")
@click.argument("name")
@options.CARGO
@options.needs_linux()
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
    compared = compare(cargo, crate, variable)
    if compared is None:
        return ExitCode.INTERRUPTED
    options.answer(VariableEffectReport(variable, *compared), form)
    return ExitCode.OK
