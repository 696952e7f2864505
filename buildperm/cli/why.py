"""`buildperm why`: whether a crate may do something when it is built, and why."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.workflow.preset_report import PresetReport, is_preset
from buildperm.workflow.query_report import QueryReport


@click.command("why")
@options.format_option()
@click.argument("crate")
@click.argument("access")
@options.CARGO
def command(*, form: str, crate: str, access: str, cargo: tuple[str, ...]) -> int:
    """Tell whether a crate may do something when it is built, and why, or why not.

    That is by its build script, its macros, or when its code is compiled.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table.
    ACCESS is `exec:perl`, `read:/etc/ssl/openssl.cnf`, `write:PATH`, `env:NAME`, `net:HOST:PORT`,
    `directives:rustc-env=NAME`, or `system:unshare`, a call of the kernel; a path alone means
    reading it, and a single word is looked for among what was recorded. `preset:cc` is about a
    preset: its rules, who granted it, and why.
    Nothing is built and nothing is written.

    Exit code: 0 it is allowed, 20 it is refused.
    """
    report: QueryReport | PresetReport
    if is_preset(access):
        report = PresetReport.of(cargo, crate, access)
    else:
        report = QueryReport.of(cargo, crate, access, Path.cwd())
    options.answer(report, form)
    return ExitCode.OK if report.is_allowed else ExitCode.REFUSED
