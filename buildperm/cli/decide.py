"""`buildperm decide`: answers what `pending` lists; for editors and other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from buildperm.cli import options
from buildperm.errors import BuildpermError, ExitCode
from buildperm.presentation.prompt_terminal import PromptTerminal
from buildperm.workflow.answering import AnswerOptions, Unanswered, Wanted, answer

_CARGO, _DOCUMENT = "buildperm.cargo", "buildperm.document"
_JSON = "json"
_LACKING = (
    "a question and an answer are needed: `buildperm decide ID... ANSWER`. An ID is what "
    "`buildperm pending` lists with each question, 12 hexadecimal digits; ANSWER is allow, deny "
    "or later."
)


class _AnswerCommand(click.Command):
    """Takes any number of ids before the answer, and words for Cargo behind `--`.

    Where a document is wanted, an error is one, too; the message on standard error stays.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_CARGO] = tuple(args[at + 1 :])
        mine = args[:at]
        ctx.meta[_DOCUMENT] = "--json" in mine or "json" in _values(mine, "--format")
        with _written_errors(ctx):
            try:
                return super().parse_args(ctx, mine)
            except click.MissingParameter as error:
                raise click.UsageError(_LACKING, ctx) from error

    def invoke(self, ctx: click.Context) -> object:
        with _written_errors(ctx):
            return super().invoke(ctx)


def _values(words: Sequence[str], option: str) -> Iterator[str]:
    """Yield the values of an option among words that may not be right."""
    for number, word in enumerate(words):
        if word == option:
            yield from words[number + 1 : number + 2]
        elif word.startswith(f"{option}="):
            yield word.removeprefix(f"{option}=")


@contextmanager
def _written_errors(context: click.Context) -> Iterator[None]:
    """Write an error that passes as a document, if one is wanted."""
    try:
        yield
    except BuildpermError as error:
        if context.meta[_DOCUMENT]:
            options.answer(Unanswered.because(error), _JSON)
        raise
    except click.UsageError as error:
        if context.meta[_DOCUMENT]:
            options.answer(Unanswered(error.format_message(), "", ExitCode.USAGE), _JSON)
        raise


@click.command("decide", cls=_AnswerCommand)
@click.option(
    "--rung",
    type=click.IntRange(min=0),
    help="Which way to allow it, by its place in the list of `pending`, the narrowest first.  "
    "[default: the one that is suggested there]",
)
@click.option(
    "--reason",
    default="",
    help="Why the crate needs it; written into Cargo.toml. A program that allows gives none.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="Of the list that is answered: nothing is decided if that has changed since.",
)
@click.option(
    "--robot",
    is_flag=True,
    help="A program answers, even on a terminal: it may allow up to medium risk.",
)
@click.option(
    "--no-verify",
    is_flag=True,
    help="Do not run under the new grants what they concern; only for a person at a terminal.",
)
@options.format_option("What came of it, on standard output.")
@click.option("--json", "is_json", is_flag=True, help="The same as `--format json`.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.argument("wanted", type=click.Choice([str(each) for each in Wanted]), metavar="ANSWER")
@options.needs_linux(unless="no_verify")
@click.pass_context
def command(
    context: click.Context,
    *,
    rung: int | None,
    reason: str,
    token: str | None,
    robot: bool,
    no_verify: bool,
    form: str,
    is_json: bool,
    ids: tuple[str, ...],
    wanted: str,
) -> int:
    """Answer questions that `buildperm pending` lists: ANSWER is allow, deny or later.

    What is concerned runs once more under the new grants, and these are written to Cargo.toml.
    `later` leaves a question open, and only buildperm's journal notes it. Words for Cargo stand
    behind `--`, as for `pending`.

    A program, or whoever has no terminal, may deny and leave anything, but allow nothing of high
    or critical risk, and nothing without --token or with --reason. A person at a terminal confirms
    what is of high or critical risk by typing the crate's name. What is locked can only be granted
    by hand in Cargo.toml, if at all.

    Exit code: 0 it is done, 3 nothing is written, as what was allowed does not work, 20 whoever
    answers may not allow it, 24 the token is of another list. With --json an error is a document,
    too: it has a member `error`.
    """
    if rung is not None and len(ids) > 1:
        raise click.UsageError("--rung is about one question: name one ID")
    terminal = None if robot else _terminal()
    if no_verify and terminal is None:
        raise click.UsageError("--no-verify is only for a person at a terminal")
    asked = AnswerOptions(Wanted(wanted), rung, reason, token, verifies=not no_verify)
    done = answer(context.meta[_CARGO], ids, asked, terminal)
    options.answer(done, _JSON if is_json else form)
    return done.exit_code


def _terminal() -> PromptTerminal | None:
    """Return the terminal of a person who can be asked, if there is one."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        return PromptTerminal(sys.stdin, sys.stderr)
    return None
