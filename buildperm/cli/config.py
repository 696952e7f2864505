"""`buildperm config`: where the configuration file is, and what is in force."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.presentation import console
from buildperm.presentation.preference_text import KeyRow, PreferencesResult, example
from buildperm.presentation.preferences import PreferencesFile, started_environment


@click.command("config")
@options.format_option()
@click.option(
    "--example",
    "is_example",
    is_flag=True,
    help="Print a configuration file with every setting and every key, commented out.",
)
def command(*, form: str, is_example: bool) -> int:
    """Say where the configuration file is, and what it changes: colours, signs, keys.

    It is for you alone and for this machine: nothing in it changes what a build may do. The file is
    `$XDG_CONFIG_HOME/buildperm/config.toml`, else `~/.config/buildperm/config.toml`. To begin one:

    \b
        buildperm config --example > ~/.config/buildperm/config.toml

    Exit code: 0 it is in force, or there is none; 2 something in it is wrong.
    """  # noqa: D301 - click's mark is the character, not how it is written
    from buildperm.tui.appearance import Appearance
    from buildperm.tui.key_bindings import ACTIONS, ActionGroup

    screens = [*dict.fromkeys(each.screen for each in ACTIONS)]
    groups = [*ActionGroup]
    rows = [
        KeyRow(each.id, f"{each.screen}: {each.group}", tuple(each.keys.split(",")), each.told)
        for each in sorted(
            ACTIONS, key=lambda each: (screens.index(each.screen), groups.index(each.group))
        )
        if each.told
    ]
    if is_example:
        console.write(example(rows))
        return ExitCode.OK
    file = PreferencesFile.load()
    is_ascii_only = file.preferences.is_ascii_only(started_environment())
    Appearance.of(file, is_ascii_only=is_ascii_only)
    options.answer(PreferencesResult(file, rows, is_ascii_only), form)
    return ExitCode.OK
