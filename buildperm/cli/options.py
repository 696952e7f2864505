"""Options that several commands share, in the same words, and what they choose."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from click.core import ParameterSource

from buildperm.policy.grants import AUTO
from buildperm.policy.proposal import Risk
from buildperm.policy.runtime_table import BESIDE, RUNTIMES
from buildperm.presentation import console
from buildperm.presentation.preferences import PreferencesFile, started_environment
from buildperm.report.answer_formats import ANSWER_FORMATS, CommandResult

if TYPE_CHECKING:
    from buildperm.presentation.build_viewer import Appraise, Build, BuildViewer, Result
    from buildperm.presentation.front_end import FrontEnd, ReviewEnd, ReviewSession
    from buildperm.presentation.traced_run import TracedRun
    from buildperm.tui.app import Screens
    from buildperm.tui.appearance import Appearance

Command = TypeVar("Command", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")

CARGO = click.argument("cargo", nargs=-1, type=click.UNPROCESSED, metavar="[-- CARGO ARGS]")
"""All words behind `--`."""

RISKS = {"none": None, "low": Risk.LOW, "medium": Risk.MEDIUM}
"""Up to which risk something may be allowed without asking."""


def review_options(command: Command) -> Command:
    """Add the options of the commands that let a person decide."""
    return _all(
        command,
        click.option("--no-tui", is_flag=True, help="Decide with plain text, not on screens."),
        click.option(
            "--accept",
            type=click.Choice(list(RISKS)),
            default="none",
            show_default=True,
            help="Allow what is up to this risk without asking; high and critical are never "
            "allowed so.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Print the diff of Cargo.toml, write nothing."
        ),
        click.option(
            "--runs",
            type=click.IntRange(1, 20),
            default=1,
            show_default=True,
            help="Run each script this many times, and mark what is not the same every time.",
        ),
    )


class _LazyScreens:
    """The screens, imported when they are needed: textual takes 0.2 s."""

    def __init__(self, file: PreferencesFile, *, is_ascii_only: bool) -> None:
        """Take what a person prefers.

        Raises:
            BuildpermError: There is no such theme, action or key, or one key would do two things.
        """
        self._file = file
        self._is_ascii_only = is_ascii_only
        if file.preferences.theme or file.preferences.keys:
            self._appearance()  # What is wrong is said before anything is built.

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        return self._screens.conduct(session)

    def watch(self, heading: str, appraise: Appraise, build: Build[Result], /) -> Result:
        from buildperm.presentation.build_thread import BuildThread

        thread = BuildThread(appraise, build)
        thread.start()  # It needs no screen, and the screens need a while.
        try:
            screens = self._screens
        except BaseException:
            thread.interrupt()
            raise
        return screens.show(heading, thread)

    def close(self) -> None:
        if "_screens" in self.__dict__:
            self._screens.close()

    @cached_property
    def _screens(self) -> Screens:
        from buildperm.tui.app import Screens

        return Screens(self._appearance())

    def _appearance(self) -> Appearance:
        from buildperm.tui.appearance import Appearance

        return Appearance.of(self._file, is_ascii_only=self._is_ascii_only)


def front_end(*, no_tui: bool) -> FrontEnd | None:
    """Choose how to ask a person; None if there is nobody to answer.

    The screens need a terminal on all three streams, one that can move its cursor. Without that,
    with `--no-tui`, or where the configuration file says so, the questions are plain text.

    Raises:
        BuildpermError: Something in the configuration file is wrong.
    """
    if not sys.stdin.isatty():
        return None
    if not no_tui and sys.stdout.isatty() and sys.stderr.isatty() and not console.is_dumb():
        file = PreferencesFile.load()
        if file.preferences.screens:
            is_ascii_only = file.preferences.is_ascii_only(started_environment())
            return _LazyScreens(file, is_ascii_only=is_ascii_only)
    from buildperm.presentation.plain_prompt import PlainPrompt

    return PlainPrompt()


def trace_screen() -> Callable[[str, Sequence[TracedRun], str, Sequence[str]], None] | None:
    """Return what shows a trace on the screen; None where that is not possible, or not wanted.

    Raises:
        BuildpermError: Something in the configuration file is wrong.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or console.is_dumb():
        return None
    file = PreferencesFile.load()
    if not file.preferences.screens:
        return None

    def show(title: str, runs: Sequence[TracedRun], words: str, problems: Sequence[str]) -> None:
        from buildperm.tui.appearance import Appearance
        from buildperm.tui.trace_app import TraceApp

        is_ascii_only = file.preferences.is_ascii_only(started_environment())
        appearance = Appearance.of(file, is_ascii_only=is_ascii_only)
        TraceApp(title, runs, words, problems, appearance).present()

    return show


@contextmanager
def conversation(*, no_tui: bool) -> Iterator[tuple[FrontEnd | None, BuildViewer]]:
    """Choose how to ask a person, and how to show builds; give the terminal back at the end.

    Raises:
        BuildpermError: Something in the configuration file is wrong.
    """
    chosen = front_end(no_tui=no_tui)
    viewer: BuildViewer
    if isinstance(chosen, _LazyScreens):
        viewer = chosen
    else:
        from buildperm.presentation.build_progress import LineViewer

        viewer = LineViewer(is_linear=chosen is not None)
    try:
        yield chosen, viewer
    finally:
        viewer.close()


def needs_linux(*, unless: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a decorator for what runs build scripts: elsewhere it refuses, before it does anything.

    Args:
        unless: The parameter of the command with which nothing is run, if there is one.
    """

    def decorate(command: Callable[P, R]) -> Callable[P, R]:
        @wraps(command)
        def checked(*positional: P.args, **given: P.kwargs) -> R:
            if not given.get(unless):
                from buildperm.sandbox.linux_requirement import require_linux

                require_linux()
            return command(*positional, **given)

        return checked

    return decorate


class _RuntimeHere(click.Option):
    """Takes no notice of a variable that has `ci` run scripts elsewhere: others run them here."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        named = super().resolve_envvar_value(ctx)
        return None if named in BESIDE else named


def runtime_option(command: Command) -> Command:
    """Add the option of the commands that run build scripts."""
    return _all(
        command,
        click.option(
            "--runtime",
            cls=_RuntimeHere,
            type=click.Choice([AUTO, *RUNTIMES]),
            envvar="BUILDPERM_RUNTIME",
            expose_value=False,
            callback=_use_runtime,
            help="What confines scripts and macros; `auto` is the strongest that works here.  "
            "[default: `runtime` in Cargo.toml, else what `require` says]",
        ),
        _root_option(),
    )


def beside_options(command: Command) -> Command:
    """Add the options of a command that can also run build scripts otherwise; it gets `beside`."""
    return _all(
        command,
        click.option(
            "--runtime",
            "beside",
            type=click.Choice([AUTO, *RUNTIMES, *BESIDE]),
            envvar="BUILDPERM_RUNTIME",
            callback=_use_runtime_or_other,
            help="What confines scripts and macros; `auto` is the strongest that works here. "
            "`remote`: scripts whose inputs are known run on an engine. `wasi`, an experiment: "
            "scripts also run as WASI, and only as that where the same came of it.  [default: "
            "`runtime` in Cargo.toml, else what `require` says]",
        ),
        click.option(
            "--remote",
            metavar="ADDRESS",
            envvar="BUILDPERM_REMOTE",
            expose_value=False,
            callback=_use_remote,
            help="The engine for `--runtime remote`: grpcs://HOST:PORT/INSTANCE. docs/remote.md "
            "says what leaves this machine.",
        ),
        _root_option(),
    )


def _root_option() -> Callable[[Command], Command]:
    return click.option(
        "--root",
        metavar="FOLDER",
        envvar="BUILDPERM_ROOT",
        expose_value=False,
        callback=_use_root,
        help="Where the root is here that `root-digest` in Cargo.toml wants.",
    )


def _use_runtime_or_other(context: click.Context, option: click.Parameter, name: str | None) -> str:
    if name not in BESIDE:
        _use_runtime(context, option, name)
        return ""
    os.environ.pop("BUILDPERM_RUNTIME", None)  # What else has to run runs as it always does.
    return name


def _use_remote(_context: click.Context, _option: click.Parameter, address: str | None) -> None:
    # That is where all the rest looks it up: workflow.remote_settings.ADDRESS.
    if address is not None:
        os.environ["BUILDPERM_REMOTE"] = address


def _use_runtime(_context: click.Context, _option: click.Parameter, name: str | None) -> None:
    # That is where all the rest looks it up: cargo.session_maker.RUNTIME_VARIABLE.
    if name is not None:
        os.environ["BUILDPERM_RUNTIME"] = name


def _use_root(context: click.Context, option: click.Parameter, folder: str | None) -> None:
    # That is where all the rest looks it up: cargo.root_choice.ROOT_VARIABLE, ASKED_VARIABLE.
    if folder:
        os.environ["BUILDPERM_ROOT"] = os.path.abspath(folder)
    is_asked = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    if is_asked:
        os.environ["BUILDPERM_ROOT_ASKED"] = "1"


def report_options(command: Command) -> Command:
    """Add the options of the commands that write reports."""
    from buildperm.report.formats import FORMATS  # Most commands write none.

    remarks = (f" {each.help}" for each in FORMATS.values() if each.help)
    return _all(
        command,
        click.option(
            "--format",
            "form",
            type=click.Choice(list(FORMATS)),
            help=f"The report on standard output.  [default: {next(iter(FORMATS))}]",
        ),
        click.option(
            "--report",
            "reports",
            multiple=True,
            metavar="FORMAT=PATH",
            help="Also write this report; can be given again. PATH `-`, or no PATH, is standard "
            f"output.{''.join(remarks)}",
        ),
    )


def comparison_options(command: Command) -> Command:
    """Add the options of the commands that compare grants with those of another commit."""
    return _all(
        command,
        click.option(
            "--against",
            metavar="COMMIT",
            help="Also compare the grants with those of another commit, such as origin/main, and "
            "fail where they have become wider.",
        ),
        click.option(
            "--allow-wider",
            is_flag=True,
            help="With --against: only warn of what has become wider.",
        ),
    )


def check_comparing(against: str | None, *, allow_wider: bool) -> None:
    """Refuse `--allow-wider` on its own.

    Raises:
        UsageError: There is no commit to compare with.
    """
    if allow_wider and against is None:
        raise click.UsageError("--allow-wider needs --against COMMIT")


UNASKED = next(iter(ANSWER_FORMATS))
"""How an answer is written where nothing else is asked for."""


def format_option(what: str = "The answer on standard output.") -> Callable[[Command], Command]:
    """Add the option of the commands that only answer a question."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(list(ANSWER_FORMATS)),
        default=UNASKED,
        show_default=True,
        help=what,
    )


def answer(result: CommandResult, form: str) -> None:
    """Write what a command has found out to standard output."""
    console.write(ANSWER_FORMATS[form](result))


def _all(command: Command, *decorators: Callable[[Command], Command]) -> Command:
    # Click lists the option first that is applied last.
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
