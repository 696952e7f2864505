"""`buildperm check`: without building, whether everything that runs is as it was reviewed."""

from __future__ import annotations

import click

from buildperm.cargo.project import LEARN
from buildperm.cli import options
from buildperm.workflow import head_start
from buildperm.workflow.report_outputs import ReportOutputs


@click.command("check")
@options.report_options
@options.comparison_options
@options.CARGO
def command(
    *,
    form: str | None,
    reports: tuple[str, ...],
    against: str | None,
    allow_wider: bool,
    cargo: tuple[str, ...],
) -> int:
    """Without building anything, say whether build scripts and macros are as they were reviewed.

    Compares Cargo.lock, Cargo.toml and the sources of the workspace with buildperm.lock: build
    scripts and macros that are new, that changed, whose dependencies or features changed, that were
    never recorded in a context which Cargo.toml declares, and what they were seen doing that is
    not granted. Nothing is built, and no file but a report is written, so it fits a pre-commit hook
    and the first step of a CI job.

    Without words after `--` it looks at all that `contexts` in Cargo.toml lists, else at
    `cargo check --keep-going`.

    A pull request can bring its own grants along, and say that they are reviewed. With --against
    the grants are compared with those of another commit, or rather with where the branch left it:
    what may be done now that might not be done there, by whom, and for what reason. What counts as
    reviewed since is listed, too, and lets nothing fail: it grants nothing.

    Exit code: 0 everything is as it was reviewed, 21 something is not, or the grants are wider
    than in the commit of --against; 2 there is no such commit, its name means
    several, or its grants cannot be read.
    """
    options.check_comparing(against, allow_wider=allow_wider)
    outputs = ReportOutputs(form, reports)
    head_start.begin(cargo, LEARN, locked=True, builds=False)
    from buildperm.workflow.review_check import check

    return check(cargo, outputs, against=against, allow_wider=allow_wider)
