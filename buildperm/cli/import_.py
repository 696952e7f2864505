"""`buildperm import`: grants that somebody else has reviewed, as a file in the workspace."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.workflow.importing import DEFAULT_FILE, ImportSource, import_grants


@click.command("import")
@options.format_option()
@click.option("--git", metavar="URL", default="", help="Take it from this Git repository.")
@click.option("--rev", metavar="HASH", default="", help="The commit in it, by its full hash.")
@click.option("--sha256", metavar="HASH", default="", help="What the file has to have.")
@click.option("--as", "place", metavar="FILE", default="", help="Where it is put; grants/NAME.")
@click.option("--dry-run", is_flag=True, help="Print the diff of Cargo.toml, write nothing.")
@click.argument("source", default="", metavar="[FILE | https://ADDRESS]")
def command(
    *, form: str, git: str, rev: str, sha256: str, place: str, dry_run: bool, source: str
) -> int:
    """Take in grants that an organisation has reviewed, as `buildperm export` writes them.

    FILE is a path; with --git it is one in the repository, else `buildperm-grants.toml`. What comes
    from an https address needs --sha256. The file is put into the workspace, and Cargo.toml notes
    its hash and where it is from: commit both. Builds fetch nothing, and fail where the file is
    another one.

    Imported grants count beside those in Cargo.toml: a narrower one there wins, denials of either
    count, and nothing of the sensitive tier is opened, nor any file to be written. A file that
    tries is refused. `buildperm show` and `buildperm why` say where a grant is from. To update it,
    import it again; to be rid of it, remove its line in `import` of Cargo.toml, and the file.

    Exit code: 0 it is imported, or was already; 2 it cannot be.
    """
    if not (source or git):
        raise click.UsageError("Say which FILE is meant, or which repository: --git URL --rev HASH")
    wanted = ImportSource(source or DEFAULT_FILE, git, rev, sha256)
    options.answer(import_grants(wanted, place, dry_run=dry_run), form)
    return ExitCode.OK
