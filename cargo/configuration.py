"""Cargo's own configuration, as far as a supervised build needs it.

The rules are those of the Cargo book, chapter "Configuration": `--config` before the environment
before the files, the files from the current folder upwards and $CARGO_HOME last, a program's path
with a slash relative to the folder that holds `.cargo`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MARK = b"buildperm: rustc wrapper"  # In the second line of our own wrappers.
_DEEPEST_INCLUDE = 16
SCRIPT = ".sh"
"""What the name of a wrapper's script ends with, where the wrapper itself is a program."""

_NO_LIBRARIES = frozenset(("ar", "linker", "runner", "rustflags", "rustdocflags"))

CARGOS_OWN = ("CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_TARGET_TMPDIR", "CARGO_MANIFEST_DIR")
"""Variables that must mean what Cargo means by them.

Our wrapper tells build scripts by them, and a supervisor whose script it runs.
"""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One place that configures Cargo."""

    root: Path  # What relative program paths in it are relative to.
    settings: Mapping[str, Any]

    def build(self, key: str) -> object:
        table = self.settings.get("build")
        return table.get(key) if isinstance(table, dict) else None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Cargo's own configuration, as far as it matters here."""

    rustc_wrapper: str  # Program that Cargo would call rustc through; empty for none.
    targets: tuple[str, ...]  # `build.target`: what is built for where no `--target` is given.
    aliases: frozenset[str] = frozenset()  # Words that Cargo takes for others.
    rustdoc: str = ""  # Program that Cargo would call as rustdoc; empty for the tool chain's.
    programs: tuple[str, ...] = ()  # Linkers and other programs around rustc, by absolute paths.
    flags: tuple[str, ...] = ()  # Words for rustc and rustdoc, for whatever target.
    searched: tuple[str, ...] = ()  # Where `[target.TRIPLE.LIBRARY]` says that libraries are.
    replaced: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By triple, `links` of the packages whose build scripts `[target.TRIPLE.LINKS]` replaces."""
    profiles: frozenset[str] = frozenset()  # Names of those that are set or defined.
    builds_std: bool = False  # The standard library is built anew, in a Cargo that can.
    chosen: frozenset[str] = frozenset()  # Names of variables that `[env]` sets.
    unclear: tuple[str, ...] = ()  # Values of `--config` that only Cargo understands, if anybody.


def read(
    folder: Path,
    cargo_home: Path,
    environment: Mapping[str, str],
    arguments: Sequence[str] = (),
    *,
    is_standing: bool = False,
) -> Configuration:
    """Read the configuration for a command run in `folder`.

    Args:
        folder: Where Cargo is called.
        cargo_home: CARGO_HOME.
        environment: Cargo's.
        arguments: Those of `--config`.
        is_standing: Always on is what is called. What outranks it has called it, and is not to be
            called once more; only what comes behind it is.

    Raises:
        BuildpermError: A file is broken, or sets a variable that is ours.
    """
    folder = folder.resolve()
    understood = {argument: _given(argument, folder) for argument in arguments}
    given = [layer for argument in reversed(arguments) for layer in understood[argument] or ()]
    files = [layer for path in _files(folder, cargo_home) for layer in _load(path)]
    for layer in (*given, *files):
        _refuse_reserved_variables(layer)
    return Configuration(
        rustc_wrapper=_wrapper(given, files, folder, environment, is_standing=is_standing),
        targets=_targets(given, files, environment),
        aliases=_aliases([*given, *files], environment),
        rustdoc=_rustdoc(given, files, folder, environment, is_standing=is_standing),
        programs=tuple(_programs([*given, *files], folder, environment)),
        flags=tuple(_flags([*given, *files], environment)),
        searched=tuple(_searched([*given, *files])),
        replaced=_replaced([*given, *files]),
        profiles=_profiles([*given, *files]),
        builds_std=_builds_std([*given, *files], environment),
        chosen=_chosen([*given, *files]),
        unclear=tuple(argument for argument, layers in understood.items() if layers is None),
    )


def _refuse_reserved_variables(layer: _Layer) -> None:
    """Refuse an `[env]` that would make our wrapper skip the stub, or a stub enforce less."""
    table = layer.settings.get("env")
    for name in table if isinstance(table, dict) else ():
        if name in CARGOS_OWN or name.startswith("BUILDPERM_"):
            raise BuildpermError(
                f"Cargo's configuration in `{layer.root}` sets `{name}` for build scripts",
                hint="Remove it from `[env]`: scripts could run without being held.",
            )


def _wrapper(
    given: Sequence[_Layer],
    files: Sequence[_Layer],
    folder: Path,
    environment: Mapping[str, str],
    *,
    is_standing: bool,
) -> str:
    named = (program for program, _ in _wrappers(given, files, folder, environment))
    return _behind(named, environment, "BUILDPERM_RUSTC_WRAPPER", is_standing=is_standing)


def _behind(
    named: Iterable[str], environment: Mapping[str, str], variable: str, *, is_standing: bool
) -> str:
    """Return the first of these programs that is not ours: with `is_standing`, behind ours."""
    kept, counts = "", not is_standing
    for program in named:
        standing = wrapped_by(program)
        if standing is not None:
            kept, counts = kept or standing, True  # What it would be without always on.
        elif counts:
            return _foreign(program, environment, variable)
    return kept


def _wrappers(
    given: Sequence[_Layer], files: Sequence[_Layer], folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each wrapper that is named, and by what: the one that counts first."""
    variable = environment.get("RUSTC_WRAPPER")  # Comes before everything, even when empty.
    if variable is not None:
        yield _program(variable, folder), "RUSTC_WRAPPER in the environment"
    for layer in given:
        configured = layer.build("rustc-wrapper")
        if isinstance(configured, str):
            yield _program(configured, layer.root), "--config"
    value = environment.get("CARGO_BUILD_RUSTC_WRAPPER")
    if value is not None:
        yield _program(value, folder), "CARGO_BUILD_RUSTC_WRAPPER in the environment"
    for layer in files:
        configured = layer.build("rustc-wrapper")
        if isinstance(configured, str):
            yield _program(configured, layer.root), f"Cargo's configuration in `{layer.root}`"


def effective_wrapper(
    folder: Path, cargo_home: Path, environment: Mapping[str, str]
) -> tuple[str, str]:
    """Return what plain Cargo calls rustc through in `folder`, and what says so; empty for nothing.

    Raises:
        BuildpermError: A file is broken.
    """
    folder = folder.resolve()
    files = [layer for path in _files(folder, cargo_home) for layer in _load(path)]
    return next(_wrappers((), files, folder, environment), ("", ""))


def nearer(folder: Path, cargo_home: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield what is configured nearer than in CARGO_HOME: what paths are relative to, and the rest.

    Raises:
        BuildpermError: A file is broken.
    """
    own = cargo_home.resolve()
    for path in _files(folder.resolve(), cargo_home):
        if path.parent.resolve() != own:
            yield from ((layer.root, layer.settings) for layer in _load(path))


def sources(folder: Path, cargo_home: Path) -> Iterator[Path]:
    """Yield the files that configure a command run in `folder`, and those that may come to.

    Raises:
        BuildpermError: A file is broken.
    """
    found = [*_files(folder.resolve(), cargo_home)]
    for depth in range(_DEEPEST_INCLUDE):
        yield from found
        loaded = [(path.parent, _load(path, depth)[0]) for path in found if path.exists()]
        found = [other for parent, layer in loaded for other in _named(layer.settings, parent)]


def alias_words(folder: Path, cargo_home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what aliases stand for, by name.

    Raises:
        BuildpermError: A file is broken.
    """
    found: dict[str, str] = {}
    for layer in (each for path in _files(folder.resolve(), cargo_home) for each in _load(path)):
        table = layer.settings.get("alias")
        for name, words in table.items() if isinstance(table, dict) else ():
            text = words if isinstance(words, str) else " ".join(map(str, words or ()))
            found.setdefault(name, text)
    mark = "CARGO_ALIAS_"
    return found | {
        name[len(mark) :].lower(): words
        for name, words in environment.items()
        if name.startswith(mark)
    }


def wrapped_by(program: str) -> str | None:
    """Return what a wrapper of always on calls in its turn; None where it is no such wrapper."""
    try:
        with open(program, "rb") as file:
            head = file.read(1 << 14)
        if head.startswith(b"\x7fELF"):
            with open(program + SCRIPT, "rb") as file:
                head = file.read(1 << 14)
    except (OSError, ValueError):
        return None
    if _MARK not in head[:256] or b"\nBUILDPERM_ON=" not in head:
        return None
    _, _, rest = head.partition(b"\nBUILDPERM_WRAPPED=")
    words = shlex.split(os.fsdecode(rest.partition(b"\n")[0]))
    return words[0] if words else ""


def _rustdoc(
    given: Sequence[_Layer],
    files: Sequence[_Layer],
    folder: Path,
    environment: Mapping[str, str],
    *,
    is_standing: bool,
) -> str:
    named = [
        _program(environment[name], folder)
        for name in ("RUSTDOC", "CARGO_BUILD_RUSTDOC")
        if environment.get(name)
    ]
    for layer in (*given, *files):
        configured = layer.build("rustdoc")
        if isinstance(configured, str):
            named.append(_program(configured, layer.root))
    return _behind(named, environment, "BUILDPERM_RUSTDOC", is_standing=is_standing)


def _programs(
    layers: Sequence[_Layer], folder: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield the linkers, and what rustc is wrapped into for the workspace alone."""
    found: list[tuple[Path, object]] = [
        (folder, value)
        for name, value in environment.items()
        if name in ("RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER")
        or (name.startswith("CARGO_TARGET_") and name.endswith("_LINKER"))
    ]
    for layer in layers:
        found += [(layer.root, table.get("linker")) for table in _of_targets(layer)]
        found.append((layer.root, layer.build("rustc-workspace-wrapper")))
    for root, value in found:
        if isinstance(value, str) and value:
            program = shutil.which(_program(value, root), path=environment.get("PATH"))
            if program is not None:
                yield os.path.join(folder, program)


def _flags(layers: Sequence[_Layer], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the flags of every place: which of them Cargo uses does not matter here."""
    for name, value in environment.items():
        if name in ("CARGO_ENCODED_RUSTFLAGS", "CARGO_ENCODED_RUSTDOCFLAGS"):
            yield from value.split("\x1f")
        elif name.endswith(("RUSTFLAGS", "RUSTDOCFLAGS")) and not name.startswith("BUILDPERM_"):
            yield from value.split()
    for layer in layers:
        tables = [layer.settings.get("build"), *_of_targets(layer)]
        for table in tables:
            for key in ("rustflags", "rustdocflags"):
                words = table.get(key) if isinstance(table, dict) else None
                yield from words.split() if isinstance(words, str) else map(str, words or ())


def _searched(layers: Sequence[_Layer]) -> Iterator[str]:
    """Yield the folders in what replaces the output of build scripts."""
    for layer in layers:
        for table in _of_targets(layer):
            for said in table.values():
                paths = said.get("rustc-link-search", ()) if isinstance(said, dict) else ()
                yield from map(str, [paths] if isinstance(paths, str) else paths)


def _replaced(layers: Sequence[_Layer]) -> dict[str, frozenset[str]]:
    """Return what takes the place of build scripts: by triple, names of libraries."""
    found: dict[str, frozenset[str]] = {}
    for layer in layers:
        targets = layer.settings.get("target")
        for triple, table in targets.items() if isinstance(targets, dict) else ():
            said = table.items() if isinstance(table, dict) else ()
            names = {name for name, value in said if isinstance(value, dict)} - _NO_LIBRARIES
            if names:
                found[triple] = found.get(triple, frozenset()) | names
    return found


def _builds_std(layers: Sequence[_Layer], environment: Mapping[str, str]) -> bool:
    """Tell whether anything says so: Cargo book, "Unstable Features", `build-std`."""
    tables = (layer.settings.get("unstable") for layer in layers)
    said = [table.get("build-std") for table in tables if isinstance(table, dict)]
    return any(map(bool, (*said, environment.get("CARGO_UNSTABLE_BUILD_STD"))))


def _of_targets(layer: _Layer) -> list[Mapping[str, Any]]:
    """Return the tables about one target each."""
    tables = layer.settings.get("target")
    listed = list(tables.values()) if isinstance(tables, dict) else []
    return [each for each in (*listed, layer.settings.get("host")) if isinstance(each, dict)]


def _targets(
    given: Sequence[_Layer], files: Sequence[_Layer], environment: Mapping[str, str]
) -> tuple[str, ...]:
    layers = list(given)
    if environment.get("CARGO_BUILD_TARGET"):
        layers.append(_Layer(Path(), {"build": {"target": environment["CARGO_BUILD_TARGET"]}}))
    for layer in (*layers, *files):
        match layer.build("target"):
            case str(target):
                return (target,)
            case [*targets]:
                return tuple(str(target) for target in targets)
            case _:
                pass
    return ()


def _aliases(layers: Sequence[_Layer], environment: Mapping[str, str]) -> frozenset[str]:
    """Return the names in `[alias]`, in lower case where they come from the environment."""
    tables = (layer.settings.get("alias") for layer in layers)
    named = {name for table in tables if isinstance(table, dict) for name in table}
    mark = "CARGO_ALIAS_"
    named |= {name[len(mark) :].lower() for name in environment if name.startswith(mark)}
    return frozenset(named)


def _chosen(layers: Sequence[_Layer]) -> frozenset[str]:
    tables = (layer.settings.get("env") for layer in layers)
    return frozenset(name for table in tables if isinstance(table, dict) for name in table)


def _profiles(layers: Sequence[_Layer]) -> frozenset[str]:
    tables = (layer.settings.get("profile") for layer in layers)
    return frozenset(name for table in tables if isinstance(table, dict) for name in table)


def _program(value: str, root: Path) -> str:
    """Make a path with a slash absolute; a bare name is for PATH."""
    return str(root / value) if "/" in value else value


def _foreign(program: str, environment: Mapping[str, str], variable: str) -> str:
    """Return `program`, or what it wraps where it is a wrapper of our own."""
    try:
        with open(program, "rb") as file:
            ours = _MARK in file.read(256)
    except OSError:
        ours = False
    if not ours:
        return program
    wrapped = environment.get(variable, "")
    return wrapped if wrapped != program else ""


def _files(folder: Path, cargo_home: Path) -> Iterator[Path]:
    """Yield the configuration files, the one with the highest precedence first."""
    seen = set()
    for place in (*(parent / ".cargo" for parent in (folder, *folder.parents)), cargo_home):
        for name in ("config", "config.toml"):  # Where both exist Cargo reads the older name.
            path = place / name
            if path.is_file():
                if path not in seen:
                    seen.add(path)
                    yield path
                break


def _given(argument: str, folder: Path) -> list[_Layer] | None:
    """Read one `--config`: a file, or KEY=VALUE; None if it is neither, or newer TOML."""
    if (folder / argument).is_file():
        return _load(folder / argument)
    try:
        settings = tomllib.loads(argument)
    except tomllib.TOMLDecodeError:
        return None
    return [_Layer(folder, settings), *_included(settings, folder)]


def _load(path: Path, depth: int = 0) -> list[_Layer]:
    """Read one file and what it includes; it comes before what it includes."""
    try:
        settings = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error
    except ValueError as error:
        raise BuildpermError(f"`{path}` is broken: {error}") from error
    return [_Layer(path.parent.parent, settings), *_included(settings, path.parent, depth)]


def _included(settings: Mapping[str, Any], folder: Path, depth: int = 0) -> list[_Layer]:
    """Read what settings include; paths are relative to `folder`, the last one counts most."""
    layers = []
    for other in _named(settings, folder):
        if depth >= _DEEPEST_INCLUDE:
            raise BuildpermError(
                f"`{folder}` has files of Cargo's configuration that include each other more than "
                f"{_DEEPEST_INCLUDE} times",
                hint="Put what they say into fewer files.",
            )
        if other.exists():
            layers += _load(other, depth + 1)
    return layers


def _named(settings: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Yield the files that settings include, the one that counts most first."""
    included = settings.get("include", [])
    for item in reversed(included if isinstance(included, list) else [included]):
        name = item.get("path") if isinstance(item, dict) else item
        if isinstance(name, str):  # Else Cargo itself will say what is wrong with it.
            yield Path(os.path.normpath(folder / name))
