"""`buildperm simulate`: what a change of the grants would refuse, without building."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.presentation import console
from buildperm.workflow.simulation import simulate
from buildperm.workflow.simulation_report import SimulationReport


@click.command("simulate")
@click.option(
    "--remove",
    multiple=True,
    metavar="RULE",
    help="Take a grant away: `exec:perl`, `preset:cc`, or `all`. May be given several times.",
)
@click.option(
    "--replace",
    "replaced",
    multiple=True,
    metavar="OLD=NEW",
    help="Put one grant in the place of another: `read:$WORKSPACE/**=read:$WORKSPACE/proto/**`.",
)
@click.option("--deny", multiple=True, metavar="RULE", help="Add a denial: `env:GITHUB_TOKEN`.")
@options.format_option()
@click.argument("crate")
@options.CARGO
def command(
    *,
    remove: tuple[str, ...],
    replaced: tuple[str, ...],
    deny: tuple[str, ...],
    form: str,
    crate: str,
    cargo: tuple[str, ...],
) -> int:
    """Say what a change of the grants would refuse, without building.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table.
    What it was seen doing is held against the changed grants: the recordings on this
    machine, and what buildperm.lock keeps of contexts that are not recorded on it. Nothing is built
    and nothing is written.

    Exit code: 0 nothing would be refused that is allowed today, 20 something would.
    """
    simulation = simulate(cargo, crate, remove=remove, replaced=replaced, deny=deny)
    for warning in simulation.warnings:
        console.print_warning(warning)
    options.answer(SimulationReport(simulation), form)
    return ExitCode.REFUSED if simulation.refuses else ExitCode.OK
