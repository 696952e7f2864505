"""What was meant by a command or an option that there is not."""

from __future__ import annotations

import shlex
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import click

_OF_CARGO: Final = {"bench", "build", "check", "clippy", "doc", "run", "rustc", "test"}
"""Commands that compile; `check` is one of ours, too, and never comes here."""


def unknown_command(name: str, known: Iterable[str]) -> str:
    """Say that there is no such command, and which one is close."""
    told = f"No such command '{name}'."
    if name in _OF_CARGO:
        return f"{told} To hold that build to its grants: buildperm ci -- {name}"
    if name == "help":
        return f"{told} Did you mean `buildperm --help`?"
    near = get_close_matches(name, known, 1, cutoff=0.5)
    return f"{told} Did you mean `buildperm {near[0]}`?" if near else told


def unknown_option(error: click.NoSuchOption, words: Sequence[str]) -> str:
    """Say where options of Cargo go, for a command that passes words on to it; else nothing.

    Args:
        error: What click says.
        words: The whole command line, without the program.
    """
    command = error.ctx.command if error.ctx is not None else None
    if (
        error.possibilities
        or command is None
        or all(each.name != "cargo" for each in command.params)
    ):
        return ""
    at = next((i for i, word in enumerate(words) if word.startswith(error.option_name)), None)
    if at is None:
        return ""
    meant = shlex.join(["buildperm", *words[:at], "--", *words[at:]])
    return f"Cargo's own arguments go after `--`: {meant}\n"
