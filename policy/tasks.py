"""Tasks: which of the many things that it can do a program was told to do: `git log`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from buildperm.policy.access import Access
from buildperm.policy.presets import Preset
from buildperm.rules.pattern import matches

_WITH_VALUE = {  # Options before the task whose value is the next word.
    "git": frozenset(
        ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--exec-path")
    ),
    "cargo": frozenset(("-C", "-Z", "--color", "--config")),
}
_TOOL_FOLDERS = ("$SYSROOT/bin/", "$CARGO_HOME/bin/")  # Programs in there are what they are called.
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
    misuses = preset.misuses.get(name, ())
    if any(word in misuses and not _is_generated(preset, then) for word, then in _pairs(words)):
        return False
    tasks = preset.purposes.get(name)
    return tasks is None or _task(name, words) in tasks


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
