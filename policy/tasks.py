"""Tasks: which of the many things that it can do a program was told to do: `git log`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildperm.policy.access import Access
from buildperm.policy.presets import Preset
from buildperm.rules.pattern import matches
from buildperm.tracer.notation import decode

_WITH_VALUE = {  # Options before the task whose value is the next word.
    "git": frozenset(
        ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--exec-path")
    ),
    "cargo": frozenset(("-C", "-Z", "--color", "--config")),
}
_TOOL_FOLDERS = ("$SYSROOT/bin/", "$CARGO_HOME/bin/")  # Programs in there are what they are called.
# A command of a shell without anything that only a shell understands but for quotes.
_PLAIN = re.compile(r"""(?:[A-Za-z0-9_./=:@,+% -]|'[^'\n]*'|"[^"$`\\!\n]*")+""")
_FAMILIES = {  # Tasks that are told apart by one more word.
    "git": frozenset(
        ("bisect", "bundle", "lfs", "notes", "remote", "stash", "submodule", "worktree")
    ),
}


def told(access: Access) -> tuple[str, ...]:
    """Return the tasks of a program that does many things, each with its name: `git log`.

    None for other programs, and for one without a task, as in `git --version`.
    """
    name = access.target
    if name not in _WITH_VALUE:
        return ()
    found = dict.fromkeys(_task(name, words) for words in _lines(access))
    return tuple(f"{name} {task}" for task in found if task)


def fits(preset: Preset, accesses: Iterable[Access]) -> bool:
    """Tell whether all command lines of programs serve the purpose of a preset."""
    return all(
        _fits(preset, _name(access.target), words)
        for access in accesses
        for words in _lines(access)
    )


def is_marked(preset: Preset, accesses: Iterable[Access]) -> bool:
    """Tell whether a program was given one of the tasks that a preset is offered for."""
    return any(
        _task(name, words) in preset.marks.get(name, ())
        for access in accesses
        for name in (_name(access.target),)
        for words in _lines(access)
    )


def _name(program: str) -> str:
    """Return the name of a program of Rust's tool chain, and what others are called."""
    return program.rpartition("/")[2] if program.startswith(_TOOL_FOLDERS) else program


def _fits(preset: Preset, name: str, words: Sequence[str]) -> bool:
    misuses = _of(preset.misuses, name)
    if any(word in misuses and not _is_generated(preset, then) for word, then in _pairs(words)):
        return False
    tasks = _of(preset.purposes, name)
    return not tasks or _task(name, words) in tasks


def hands_code(preset: Preset, access: Access) -> bool:
    """Tell whether the script itself may have given a program code on its command line.

    As in `python -c …`; where no command line is known, it may.
    """
    options = _of(preset.codes, access.target)
    lines = _own_lines(access)
    return bool(options) and (not lines or any(_has_option(words, options) for words in lines))


def is_told(preset: Preset, access: Access) -> bool:
    """Tell whether a script has a shell run nothing but programs that the preset is for."""
    programs = preset.shells.get(access.target, ())
    lines = _own_lines(access)
    return bool(lines) and all(
        _told_shell(words, is_file=preset.has_scripts) in programs for words in lines
    )


def _of(table: Mapping[str, tuple[str, ...]], program: str) -> tuple[str, ...]:
    """Return what a table has for a program, by its name or by a pattern; nothing if it has not."""
    if program in table:
        return table[program]
    return next((said for pattern, said in table.items() if matches(pattern, program)), ())


def _has_option(words: Sequence[str], options: Sequence[str]) -> bool:
    """Tell whether one of some options is given before the first word that is none: `-c`, `-Ic`."""
    letters = {option[1] for option in options if len(option) == 2}
    for word in words[1:]:
        if not word.startswith("-") or word in ("-", "--"):
            return False
        if word.partition("=")[0] in options or (
            word[1] != "-" and not letters.isdisjoint(word[1:])
        ):
            return True
    return False


def _told_shell(words: Sequence[str], *, is_file: bool) -> str:
    """Return the name of the program that a shell is to run, and nothing else; empty if unclear.

    With `is_file` that may be a file that it is given, too.
    """
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith("-"):
            return word.rpartition("/")[2] if is_file else ""
        if "c" in word and not word.startswith("--"):
            command = _decoded(next(rest, ""))
            if not _PLAIN.fullmatch(command):
                return ""
            program = next(
                (each for each in _words(command) if each != "exec" and "=" not in each), ""
            )
            return program.rpartition("/")[2]
    return ""


def _decoded(word: str) -> str:
    """Return a word of a command line as it was passed; empty where that is no text."""
    try:
        return decode(word).decode()
    except ValueError:
        return ""


def _own_lines(access: Access) -> list[list[str]]:
    """Return the command lines by which a script itself ran a program; all, if it is not told."""
    if access.own_lines:
        return [_words(line) for line in access.own_lines]
    return _lines(access) if access.is_direct else []


def _is_generated(preset: Preset, file: str) -> bool:
    """Tell whether a file, as a command line names it, is one that the preset's tools make."""
    is_plain = ".." not in file.split("/")
    return is_plain and any(matches(pattern, file) for pattern in preset.generated)


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(words, (*words[1:], ""), strict=False)


def _task(name: str, words: Sequence[str]) -> str:
    """Return the first word that is no option, with the next one where it has such; or nothing."""
    rest = iter(words[1:])
    for word in rest:
        if word in _WITH_VALUE.get(name, ()):
            next(rest, None)
        elif not word.startswith(("-", "+")):
            if word not in _FAMILIES.get(name, ()):
                return word
            kind = next((each for each in rest if each == "-v" or not each.startswith("-")), "")
            return f"{word} {kind}".rstrip()
    return ""


def _lines(access: Access) -> list[list[str]]:
    lines = [line for line, _ in access.commands] or [access.example]
    return [_words(line) for line in lines if line]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # One that was cut short.
        return line.split()
