"""The `buildperm` command: one module for each subcommand, loaded only when it is called."""

from __future__ import annotations

import importlib
import io
import keyword
import sys
from typing import NoReturn

import click

from buildperm import __version__
from buildperm.cli import process_setup
from buildperm.cli.suggestions import unknown_command, unknown_option
from buildperm.errors import BuildpermError, ExitCode
from buildperm.printable import log_text

_COMMANDS = {
    "learn": "Build once, see what build scripts and macros do, decide, write the grants.",
    "review": "After an update, look at the build scripts and macros that behave differently.",
    "pending": "List what is left to decide, for people and for editors; builds nothing.",
    "decide": "Answer what `pending` lists.",
    "undo": "Take back what the last learn, review or decide wrote.",
    "info": "Before you add a crate: what it and its dependencies would run and ask.",
    "check": "Without building, say whether build scripts and macros are as they were reviewed.",
    "ci": "Build, holding scripts, macros and compilers to their grants. Never asks.",
    "enable": "Always on: hold plain Cargo, editors and tests that build, to the grants.",
    "disable": "Switch that off, and leave everything as it was.",
    "status": "Say whether plain Cargo is held here, proven by trying.",
    "watch": "Wait for Cargo.lock or Cargo.toml to change, then offer the review.",
    "show": "Say in plain words what each crate is granted, by whom and since when.",
    "why": "Say whether a crate may do something when it is built, and why, or why not.",
    "report": "Write one HTML file: what ran, who touches what, which grants there are and why.",
    "simulate": "Say what a change of the grants would refuse, without building.",
    "trace": "Look through what was recorded of a crate: processes and every event.",
    "cache": "Look at the results of build scripts that `ci --cache` keeps, and clear them.",
    "root": "Make a root of an image, or say its digest: the system that build scripts see.",
    "env-diff": "Run a build script without a variable, and say whether anything differs.",
    "import": "Take in grants that an organisation has reviewed, as a file in the workspace.",
    "export": "Write reviewed grants for others: for buildperm, cargo-deny, cargo-vet, crev.",
    "config": "Say where the configuration file is, and what it changes: colours, signs, keys.",
    "index": "Make an index of permissions, which `info` reads without building.",
    "doctor": "Say what this machine enforces, proven by trying.",
    "demo": "See it at work: a bundled workspace with one crate that misbehaves.",
}


class _LazyGroup(click.Group):
    """Imports a subcommand only when it is called, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a name that there is not, suggest what was meant."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            raise click.UsageError(unknown_command(name, _COMMANDS), ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_") + ("_" if keyword.iskeyword(cmd_name) else "")
        module = importlib.import_module(f"buildperm.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `buildperm demo`, then `buildperm learn` in a Cargo workspace of your own.",
)
@click.version_option(__version__, message="buildperm %(version)s")
def _group() -> None:
    """Hold the code of other people that a Cargo build runs to what you granted it.

    Build scripts and procedural macros can do anything that you can: read your keys, call home,
    rewrite your sources. buildperm runs each in a sandbox, compilers as well, records what they do,
    asks you about what is out of the ordinary, keeps your answers in Cargo.toml, and holds the
    builds that you run under it to them. What is left open is listed in SECURITY.md, and by
    `buildperm doctor` for this machine.
    """


_DOCTOR = "`buildperm doctor`"


def main() -> NoReturn:
    """Run the command line; the only place where errors become messages and exit codes."""
    process_setup.prepare_process()
    try:
        process_setup.prepare_terminal()
        status = _group.main(standalone_mode=False)
    except BuildpermError as error:
        _print_message(f"buildperm: {error}\n{_pointer(error)}")
        status = error.exit_code
    except click.exceptions.Abort:
        sys.stderr.write("buildperm: interrupted\n")
        status = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        sys.stderr.write("buildperm: interrupted\n")
        status = ExitCode.INTERRUPTED
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        if isinstance(error, click.NoSuchOption):
            said.write(unknown_option(error, sys.argv[1:]))
        _print_message(said.getvalue())
        status = ExitCode.USAGE
    except BrokenPipeError:
        # Nobody reads our standard output any more.
        sys.stderr.close()
        status = ExitCode.OK
    sys.exit(int(status or 0))


def _pointer(error: BuildpermError) -> str:
    """Point to the command that tries out what is missing, unless that is where it comes from."""
    is_pointed = _DOCTOR in str(error) or sys.argv[1:2] in (["doctor"], ["root"])
    is_here = sys.platform == "linux"
    if error.exit_code is not ExitCode.CANNOT_ENFORCE or is_pointed or not is_here:
        return ""
    return f"{_DOCTOR} tells what this machine can hold, and what it lacks.\n"


def _print_message(message: str) -> None:
    """Write a message that may repeat what others have named or said: nothing raw gets through."""
    from buildperm.presentation.line_layout import columns_of, laid_out

    columns = columns_of(sys.stderr)
    lines = log_text(message.expandtabs(4)).split("\n")
    sys.stderr.write("\n".join(laid_out(line, columns) for line in lines))
