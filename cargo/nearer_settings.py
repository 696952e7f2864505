"""What a workspace's own configuration of Cargo has run before, or beside, what is held.

Always on cannot prevent it: Cargo does what that says before it calls anything of ours.
"""

from __future__ import annotations

import enum
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cargo import asked_flags, configuration
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_RUSTDOC = "outranks it: documentation and what is tested in it are not held"
_ASKED = ("rustc", "rustc-workspace-wrapper")
_LOADED = "has the compiler load a program when Cargo asks it about a target, unheld"
_WRITTEN = "has the compiler write a file when Cargo asks it about a target, unheld"
_TOKEN = "names a program that Cargo runs for a registry's token, unheld"  # noqa: S105
_BROWSER = "names a program that `cargo doc --open` runs, unheld"
_ALIAS = "brings a configuration along, which may name programs that run unheld"
_BESIDE = (_TOKEN, _BROWSER, _ALIAS)
_RUNS_COMMAND = "cargo:token-from-stdout"
_FLAGS = ("rustflags", "rustdocflags")
_LOADERS = ("LD_", "GCONV_PATH")  # ld.so(8), ENVIRONMENT; iconv(1)
_SHELLS = ("BASH_FUNC_", "SHELLOPTS")  # bash(1): sh is bash on many machines.
_SEARCH = "PATH"  # In which a compiler is looked for that is named by a word.
_PROXIED = ("RUSTUP_HOME", "RUSTUP_TOOLCHAIN")  # What a proxy of rustup starts, the rustup book.
_LOG = "RUSTC_LOG_OUTPUT_TARGET"  # The file that rustc empties and logs to, rustc_log.
_DESCRIBED = "RUST_TARGET_PATH"  # Where rustc looks for NAME.json of a target, rustc_target.


class Runs(enum.Enum):
    """What has something run."""

    COMPILER = enum.auto()  # A program in place of a compiler, or around it.
    LOADED = enum.auto()  # A code generator, which the compiler loads when it is asked; or a file.
    BY_VARIABLE = enum.auto()  # A variable of what Cargo calls.
    FOR_TOKEN = enum.auto()  # A registry that is downloaded from.
    BY_COMMAND = enum.auto()  # A command that the user gives: an alias, a browser.


@dataclass(frozen=True, slots=True)
class NearerSetting:
    """One thing that a configuration nearer than that of CARGO_HOME says."""

    key: str  # `build.rustc`, or `env.LD_PRELOAD`
    value: str
    root: Path  # What the `.cargo` lies in that says it.
    outcome: str  # What comes of it.
    is_table: bool = False  # Its value is one.

    @property
    def runs(self) -> Runs:
        """Return by what something runs."""
        if self.key.startswith("env."):
            return Runs.BY_VARIABLE
        known = {_LOADED: Runs.LOADED, _WRITTEN: Runs.LOADED, _TOKEN: Runs.FOR_TOKEN}
        known |= dict.fromkeys((_BROWSER, _ALIAS), Runs.BY_COMMAND)
        return known.get(self.outcome, Runs.COMPILER)

    @property
    def name(self) -> str:
        """Return what it is and where it stands, for people."""
        where = f"Cargo's configuration in `{encode(os.fsencode(self.root))}`"
        table, _, key = self.key.partition(".")
        spelt = encode(os.fsencode(key))
        return f"`{spelt}` in `[env]` of {where}" if table == "env" else f"`{self.key}` of {where}"


def unheld(folder: Path, cargo_home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Say what Cargo runs unheld in `folder` although always on is called.

    Raises:
        BuildpermError: A file is broken.
    """
    for name in ("RUSTDOC", "CARGO_BUILD_RUSTDOC"):
        if environment.get(name) and configuration.wrapped_by(environment[name]) is None:
            yield f"{name} in the environment {_RUSTDOC}"
    for setting in found(folder, cargo_home):
        # The wrapper has a sentence of its own, and so have aliases that name one; whoever gives
        # Cargo a token compiles nothing.
        if setting.key != "build.rustc-wrapper" and setting.outcome not in _BESIDE:
            yield f"{setting.name} {setting.outcome}"


def found(folder: Path, cargo_home: Path) -> Iterator[NearerSetting]:
    """Yield what has Cargo run something before, or beside, what is held.

    Raises:
        BuildpermError: A file is broken.
    """
    for root, settings in configuration.nearer(folder, cargo_home):
        build, variables = (_table(settings, name) for name in ("build", "env"))
        outcomes = {"rustc-wrapper": "outranks it, or runs beside it, unheld", "rustdoc": _RUSTDOC}
        outcomes |= dict.fromkeys(_ASKED, "names a program that Cargo asks for its version, unheld")
        for key, outcome in outcomes.items():
            value = build.get(key)
            if key in build and not (isinstance(value, str) and _is_ours(value)):
                yield NearerSetting(f"build.{key}", repr(value), root, outcome)
        for key, value in _backends((root, folder), settings):
            yield NearerSetting(key, value, root, _LOADED)
        for key, told in _told(settings):
            if written := asked_flags.written(told):
                yield NearerSetting(key, repr(written), root, _WRITTEN)
        for name, value in _table(settings, "alias").items():
            words = _words(value)
            if any(word == "--config" or word.startswith("--config=") for word in words):
                yield NearerSetting(f"alias.{name}", repr(value), root, _ALIAS)
        for key, value in _providers(settings):
            yield NearerSetting(key, value, root, _TOKEN)
        if "browser" in (table := _table(settings, "doc")):
            yield NearerSetting("doc.browser", repr(table["browser"]), root, _BROWSER)
        for name in sorted(variables):
            if outcome := _of_variable(name):
                value = variables[name]
                is_table = isinstance(value, dict)
                yield NearerSetting(f"env.{name}", repr(value), root, outcome, is_table)


def _of_variable(name: str) -> str:
    """Say what comes of a variable that Cargo sets for what it calls; mostly nothing, empty."""
    if name.startswith(_LOADERS):
        return "has programs loaded before anything is held"
    if name.startswith(_SHELLS):
        return "has a shell run it before anything is held"
    if name in _PROXIED:
        return "leads rustup to another compiler before anything is held"
    if name == _LOG:
        return "has the compiler empty a file before anything is held"
    if name == _DESCRIBED:
        return "leads the compiler to targets that may name code generators, loaded unheld"
    if name == _SEARCH:
        return "leads to other programs of the same names before anything is held"
    return ""


def named_by_call(call: Iterable[str], settings: Iterable[NearerSetting]) -> list[str]:
    """Return code generators of a target that a command line names, and no setting does.

    Args:
        call: What Cargo asks a compiler.
        settings: What was found where Cargo runs.
    """
    told = [each.value for each in settings if each.outcome == _LOADED]
    targets = asked_flags.targets([*call])
    others = (each for each in targets if not any(os.path.basename(each) in text for text in told))
    return _of_descriptions((Path(),), others)


def _backends(roots: Iterable[Path], settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and value of what names a code generator that rustc loads by its path.

    Flags do, and so does a file that describes a target: `default-codegen-backend`, rustc_target.
    """
    roots = [*roots]
    for key, told in _told(settings):
        described = _of_descriptions(roots, asked_flags.targets(told))
        if loaded := [*asked_flags.loaded(told), *described]:
            yield key, repr(loaded)
    build = _table(settings, "build")
    named = build.get("target")
    loaded = _of_descriptions(roots, [named] if isinstance(named, str) else _words(named))
    if loaded:
        yield "build.target", repr(loaded)


def _told(settings: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the keys that name flags of compilers, with these."""
    tables = {name: settings.get(name) for name in ("build", "host")}
    tables |= {f"target.{name}": table for name, table in _table(settings, "target").items()}
    for name, table in tables.items():
        if isinstance(table, dict):
            yield from ((f"{name}.{key}", _words(table.get(key))) for key in _FLAGS)


def _providers(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and value of each program that Cargo asks for tokens.

    Its own are none, but for the one that runs a command: Cargo book, "Registry Authentication".
    """
    registry, registries = _table(settings, "registry"), _table(settings, "registries")
    told = {
        f"credential-alias.{name}": each
        for name, each in _table(settings, "credential-alias").items()
    }
    told["registry.credential-provider"] = registry.get("credential-provider")
    for name, table in registries.items():
        if isinstance(table, dict):
            told[f"registries.{name}.credential-provider"] = table.get("credential-provider")
    several = registry.get("global-credential-providers")
    if isinstance(several, list) and not all(map(_is_cargos, several)):
        yield "registry.global-credential-providers", repr(several)
    for key, value in told.items():
        first = value[0] if isinstance(value, list) and value else value
        if value is not None and not _is_cargos(first):
            yield key, repr(value)


def _is_cargos(provider: object) -> bool:
    words = provider.split() if isinstance(provider, str) else []
    return bool(words) and words[0].startswith("cargo:") and words[0] != _RUNS_COMMAND


def _of_descriptions(roots: Iterable[Path], targets: Iterable[str]) -> list[str]:
    """Return the code generators that files which describe targets name by their paths."""
    found: dict[str, None] = {}
    for target in targets:
        for root in roots if target.endswith(".json") else ():
            try:
                backend = json.loads((root / target).read_bytes())["default-codegen-backend"]
            except (OSError, ValueError, LookupError, TypeError, RecursionError):
                continue  # Then rustc cannot read it either.
            if "." in str(backend):
                found[f"{target}: {backend}"] = None
    return [*found]


def _words(value: object) -> list[str]:
    """Return words that may be given in one text or in a list; none of anything else."""
    if isinstance(value, str):
        return value.split()
    return [*map(str, value)] if isinstance(value, list) else []


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name)
    return table if isinstance(table, dict) else {}


def _is_ours(program: str) -> bool:
    return configuration.wrapped_by(program) is not None
