"""The words after `--`: what of Cargo's command line matters to buildperm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.policy.version import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Commands that build and can say in JSON which units took part; their own output is on standard
# error. `run`, `test` and `bench` are not among them: standard output belongs to the program.
_REPORTING = frozenset(["b", "build", "c", "check", "clippy", "d", "doc", "rustc", "rustdoc"])
# The rest of what can be held. Not `fix`, which calls rustc without its wrapper for the workspace's
# own packages, and no command from elsewhere, which may set wrappers and folders of its own.
_HELD = _REPORTING | {"bench", "expand", "r", "run", "t", "test"}
# Commands with `--keep-going`. `test` and `bench` lost it before it was stable: theirs is
# `--no-fail-fast`, which is about tests, not about what is built for them (rust-lang/cargo#12478).
_GOING_ON = _REPORTING | {"r", "run"}
_GO_ON = "--keep-going"
_GOES_ON_SINCE = "1.74.0"
_TESTING = frozenset({"bench", "t", "test"})
_RUNNING = _TESTING | {"r", "run"}
_TEST_ONLY = frozenset({"--doc", "--no-fail-fast", "--no-run"})
_SELECTING = ("--lib", "--bin", "--example", "--test", "--bench", "--all-targets")
_VALUED = {  # Short or odd spellings of the options below, and whether metadata takes them too.
    "-F": "--features",
    "--features": "--features",
    "--config": "--config",
    "-Z": "-Z",
    "--manifest-path": "--manifest-path",
    "--target": "--target",
    "--target-dir": "--target-dir",
    "--message-format": "--message-format",
    "--color": "--color",
    "--profile": "--profile",
    "-C": "-C",
}
_OTHER_VALUED = frozenset(  # Those that matter to nobody here.
    {"-p", "--package", "--exclude", "--bin", "--example", "--test", "--bench", "-j", "--jobs"}
    | {"--lockfile-path", "--artifact-dir"}
)
_PLAIN = frozenset({"--all-features", "--no-default-features", "--locked", "--offline", "--frozen"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line of Cargo, as given and as understood."""

    words: tuple[str, ...]  # For Cargo itself: without `+toolchain`.
    toolchain: str  # Of `+toolchain`; empty if there is none.
    command: str  # `build`, `check`, or whatever the first word is.
    manifest_path: Path | None
    metadata: tuple[str, ...]  # What `cargo metadata` must be told too.
    targets: tuple[str, ...]  # Of `--target`.
    configuration: tuple[str, ...]  # Of `--config`: KEY=VALUE or a file.
    message_format: str  # Empty if none is asked for.
    profiles: tuple[str, ...] = ()  # Of `--profile`.

    @property
    def can_report(self) -> bool:
        """Tell whether Cargo can report in JSON without the user noticing, or does so anyway."""
        is_json = all(each.startswith("json") for each in self.message_format.split(","))
        return self.command in _REPORTING and (is_json or not self.message_format)

    def keeps_going(self, cargo_version: str) -> bool:
        """Tell whether Cargo goes on when a build script fails, or can be told to."""
        if self.command not in _GOING_ON:
            return False
        before = _before_program(self.words)
        if _GO_ON not in before:
            return _is_known(cargo_version)
        is_unstable = any(word.startswith("-Z") for word in before)
        return is_unstable or not cargo_version or _is_known(cargo_version)

    def reporting(self, *, keeps_going: bool) -> tuple[str, ...]:
        """Return the words that also make Cargo report its units in JSON, if it can.

        `keeps_going` adds what makes Cargo build everything that does not depend on what fails.
        A Cargo that cannot, as `Arguments.keeps_going` tells, is not asked to either.
        """
        more = []
        if self.can_report and not self.message_format:
            more.append("--message-format=json-render-diagnostics")
        if keeps_going and _GO_ON not in _before_program(self.words):
            more.append(_GO_ON)
        before = _before_program(self.words)
        rest = self.words[len(before) :]
        if not keeps_going and self.command in _GOING_ON:
            before = [word for word in before if word != _GO_ON]
        at = before.index(self.command) + 1 if more else 0
        return (*before[:at], *more, *before[at:], *rest)

    @property
    def runs_programs(self) -> bool:
        """Tell whether Cargo runs what it has built, with standard input for it."""
        return self.command in _RUNNING

    @property
    def is_testing(self) -> bool:
        """Tell whether it is a command that builds tests and runs them, in no special format."""
        return self.command in _TESTING and not self.message_format

    def surveys(self, cargo_version: str, *, fails: bool) -> dict[tuple[str, ...], bool]:
        """Return commands that report the same build as these words, which are a test command.

        Unless it is known to fail, the first command builds the same and runs nothing. The last one
        keeps going, if Cargo can: it is `build`, with the options that both have. The value says
        whether a command keeps going.
        """
        before, report = _before_program(self.words), "--message-format=json-render-diagnostics"
        at = before.index(self.command) + 1
        no_run = [] if "--no-run" in before else ["--no-run"]
        found: dict[tuple[str, ...], bool] = {}
        if not fails:
            found[*before[:at], *no_run, report, *before[at:]] = False
        if not _is_known(cargo_version):
            return found
        options = [word for word in _only_options(before) if word not in _TEST_ONLY]
        if not any(word.startswith(_SELECTING) for word in options):
            options.append("--benches" if self.command == "bench" else "--tests")
        if self.command == "bench" and not any(word.startswith("--profile") for word in options):
            options.append("--profile=bench")
        found["build", _GO_ON, report, *options] = True
        return found


def parse(words: Sequence[str], *, default: Sequence[str]) -> Arguments:
    """Parse `words`; where they name no command, they follow that of `default`.

    Raises:
        BuildpermError: They ask for something that cannot be held to the grants.
    """
    given = list(words) or list(default)
    toolchain = given.pop(0)[1:] if given[0].startswith("+") else ""
    if not given:
        given = list(default)
    elif given[0].startswith("-") and _HELD.isdisjoint(_no_options(given)):
        given = [*default, *given]  # `-- --release`: options for what would be run anyway.
    values: dict[str, list[str]] = {}
    metadata: list[str] = []
    command = ""
    for option, value in _options(given):
        match option:
            case "":
                command = command or value
            case "--target-dir":
                raise BuildpermError(
                    f"`--target-dir {value}` cannot be chosen: held builds have a target directory "
                    "of their own, so that they never mix with others",
                    hint="Leave it out, or set CARGO_TARGET_DIR: its folder `buildperm` is used.",
                )
            case "-C":
                raise BuildpermError(
                    f"`-C {value}` is not supported", hint=f"Change to `{value}` first."
                )
            case "--features" | "--config" | "-Z":
                metadata += [option, value]
            case _ if option in _PLAIN:
                metadata.append(option)
            case _:
                pass
        values.setdefault(option, []).append(value)
    if (command and command not in _HELD) or "--fix" in values:
        given_command = f"{command} --fix" if command in _HELD else command
        raise BuildpermError(
            f"`cargo {given_command}` cannot be held to grants",
            hint=f"Use one of {', '.join(sorted(name for name in _HELD if len(name) > 1))}; write "
            "out what an alias stands for.",
        )
    manifest = values.get("--manifest-path")
    return Arguments(
        words=tuple(given),
        toolchain=toolchain,
        command=command,
        manifest_path=Path(manifest[-1]) if manifest else None,
        metadata=tuple(metadata),
        targets=tuple(filter(None, values.get("--target", []))),
        configuration=tuple(values.get("--config", [])),
        message_format=",".join(values.get("--message-format", [])),
        profiles=tuple(filter(None, values.get("--profile", []))),
    )


@dataclass(frozen=True, slots=True)
class ObservedArguments:
    """What a Cargo that runs was told, as far as it says what is built, and where."""

    command: str
    folder: str  # Of `-C`; empty if there is none.
    manifest_path: str  # Of `--manifest-path`, or made of the `--path` of `install`; may be empty.
    metadata: tuple[str, ...]
    targets: tuple[str, ...]
    configuration: tuple[str, ...]
    is_elsewhere: bool  # It builds a package that is in no folder of the user's: `install NAME`.


def observed(words: Sequence[str]) -> ObservedArguments:
    """Understand the words of a Cargo that runs, whatever they are; nothing is refused."""
    values: dict[str, list[str]] = {}
    metadata: list[str] = []
    command = ""
    split = [each for word in words for each in _apart(word)]
    rest = iter(split)
    for word in rest:
        if word == "--":
            break
        if word in _VALUED or word in _OTHER_VALUED or word == "--path":
            option = _VALUED.get(word, word)
            value = next(rest, "")
            values.setdefault(option, []).append(value)
            if option in ("--features", "--config", "-Z"):
                metadata += [option, value]
        elif word in _PLAIN:
            metadata.append(word)
        elif not word.startswith(("-", "+")):
            command = command or word
    path = values.get("--path", [""])[-1]
    manifest = values.get("--manifest-path", [""])[-1] or (path and f"{path}/Cargo.toml")
    return ObservedArguments(
        command=command,
        folder=values.get("-C", [""])[-1],
        manifest_path=manifest,
        metadata=tuple(metadata),
        targets=tuple(filter(None, values.get("--target", []))),
        configuration=tuple(values.get("--config", [])),
        is_elsewhere=command == "install" and not path,
    )


def _apart(word: str) -> tuple[str, ...]:
    """Take an option and its value apart."""
    name, equals, value = word.partition("=")
    if equals and name.startswith("--"):
        return name, value
    if word[:2] in _VALUED and len(word) > 2 and not word.startswith("--"):
        return word[:2], word[2:].removeprefix("=")
    return (word,)


def _is_known(cargo_version: str) -> bool:
    """Tell whether this Cargo has a stable `--keep-going`; an empty version is unknown."""
    return bool(cargo_version) and sort_key(cargo_version) >= sort_key(_GOES_ON_SINCE)


def _before_program(words: Sequence[str]) -> Sequence[str]:
    """Leave out what is meant for the program that Cargo runs."""
    return words[: words.index("--")] if "--" in words else words


def _only_options(words: Sequence[str]) -> Iterator[str]:
    """Leave out the command, and names of tests."""
    rest = iter(words)
    for word in rest:
        if word in _VALUED or word in _OTHER_VALUED:
            yield word
            yield next(rest, "")
        elif word.startswith("-"):
            yield word


def _no_options(words: Sequence[str]) -> Iterator[str]:
    """Leave out options and their values, which can look like commands: `--features doc`."""
    rest = iter(_before_program(words))
    for word in rest:
        if word in _VALUED or word in _OTHER_VALUED:
            next(rest, "")
        elif not word.startswith("-"):
            yield word


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (option, value) up to `--`; words that are no options have an empty option."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        name, equals, value = word.partition("=")
        if word in _VALUED:
            yield _VALUED[word], next(rest, "")
        elif equals and name.startswith("--"):
            yield name, value
        elif word[:2] in _VALUED and not word.startswith("--"):
            yield _VALUED[word[:2]], word[2:].removeprefix("=")
        elif word.startswith("-"):
            yield word, ""
        else:
            yield "", word
