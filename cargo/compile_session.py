"""The session of the launcher: to what the compiling of each package is held.

It is a list of entries `KEY VALUE`, each with a NUL behind it: first what is the same for every
call, then a section for each package of the graph. See `supervisor/compiling/session.c`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from buildperm.cargo import compile_flags, session_maker
from buildperm.cargo import grant_keys as keys
from buildperm.cargo.compile_rights import CompileRights, entries
from buildperm.policy.grants import HOLD, WATCH
from buildperm.rules import variables
from buildperm.rules.pattern import is_literal, matches, resolve
from buildperm.rules.script_variables import without_secrets
from buildperm.sandbox.stub import SUPERVISOR
from buildperm.tracer.notation import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from buildperm.cargo.compile_mode import CompileMode
    from buildperm.cargo.metadata import Package
    from buildperm.cargo.project import Project
    from buildperm.cargo.target_directory import TargetDirectory
    from buildperm.policy.grants import Policy
    from buildperm.supervisor.session import Session, SessionPackage

FORMAT = b"1"
UNHELD = "unheld"
"""In place of a digest: what was compiled so is compiled again before it counts as held."""
_SEARCH = "rustc-link-search"
_DECISIVE: tuple[Literal["buildperm", "profile", "landlock_abi"], ...] = (
    "buildperm",
    "profile",
    "landlock_abi",
)


@dataclass(frozen=True, slots=True)
class CompileSession:
    """What the launcher reads, and what of it decides about each package."""

    text: bytes
    packages: Mapping[bytes, SessionPackage]  # With digests, by manifest directory.
    modes: Mapping[bytes, str]  # How compiling each is held: one of COMPILING.
    lent: Mapping[bytes, tuple[str, ...]]  # What macros may read for each, by the same.
    marked: frozenset[bytes]  # Packages of whose units markers are left, by the same.
    rights: CompileRights
    secrets: Mapping[bytes, str]  # What the values of variables hold, by name.


def make(
    session: Session, project: Project, policy: Policy, mode: CompileMode, target: TargetDirectory
) -> CompileSession:
    """Collect what compiling may do in a build under `session`.

    Raises:
        BuildpermError: A package is not in the lock file as Cargo.lock should have it.
    """
    return _SessionWriter(session, project, policy, mode, target).written()


class _SessionWriter:
    def __init__(
        self,
        session: Session,
        project: Project,
        policy: Policy,
        mode: CompileMode,
        target: TargetDirectory,
    ) -> None:
        self._session = session
        self._project = project
        self._metadata = project.metadata
        self._mode = mode
        self._target = target
        self._keys = keys.GrantKeys(project.metadata, project.lock, policy, session["places"])
        self._granted: dict[str, SessionPackage] = {
            identifier: session_maker.describe(package, project.metadata, project.lock, self._keys)
            for identifier, package in project.metadata.packages.items()
        }
        configured = project.configuration
        chosen = [*configured.programs, *compile_flags.programs(configured.flags)]
        self._rights = CompileRights(
            session, project.metadata, map(os.fsencode, chosen), self._granted
        )

    def written(self) -> CompileSession:
        metadata = self._metadata
        common = self._rights.common(_denials(self._granted.values()))
        said = [*self._globals(), *entries(common)]
        said += [b"m " + path for path in sorted(self._rights.manifests)]
        searched = sorted({*self._searched()})
        packages: dict[bytes, SessionPackage] = {}
        modes: dict[bytes, str] = {}
        lent: dict[bytes, tuple[str, ...]] = {}
        for identifier, package in sorted(metadata.packages.items()):
            folder = os.fsencode(package.folder)
            _, grants = self._keys.of(package)
            mode = self._mode.of(grants)
            is_held = mode == HOLD
            macros = list(self._macros(identifier, folder))
            lent[folder] = tuple(sorted({each for found in macros for each in found["read"]}))
            granted = self._with_macros(identifier, macros)
            granted["digest"] = self._digest(package, granted, searched) if is_held else UNHELD
            packages[folder], modes[folder] = granted, mode
            # The launcher has to know whose each library of macros is, even if it holds nothing.
            told = WATCH if package.has_macros and not is_held else mode
            said += self._section(package, granted, told, common)
            said += [b"L " + path for path in searched] if is_held else []
        text = b"".join(each + b"\0" for each in said)
        marked = frozenset(
            folder
            for folder, mode in modes.items()
            if mode == HOLD or (self._mode.programs and folder in self._session.get("macros", {}))
        )
        secrets = _secrets(self._project.environment)
        return CompileSession(text, packages, modes, lent, marked, self._rights, secrets)

    def _globals(self) -> Iterator[bytes]:
        programs = self._mode.programs
        target = self._target
        values: dict[str, Path | str] = {
            "target": target.folder,
            "state": target.state,
            "profile": self._session["profile"],
            "macros": self._mode.macros,
            "layout": str(self._mode.layout),
            "foreseen": self._mode.foreseen,
            "filter": target.compile_filter,
            "session": target.session,
            "python": sys.executable,
            "supervisor": SUPERVISOR,
        }
        yield b"buildperm-compile " + FORMAT
        if programs is not None:
            yield b"shim " + os.fsencode(programs.shim)
        for key, value in values.items():
            yield key.encode() + b" " + os.fsencode(value)
        if self._session.get("standing"):
            decisive = [*(self._session[key] for key in _DECISIVE), programs and programs.digest]
            yield b"unknown " + hashlib.sha256(json.dumps(decisive).encode()).hexdigest().encode()
        yield from _variables(self._project.environment)

    def _section(
        self, package: Package, granted: SessionPackage, mode: str, common: Mapping[bytes, int]
    ) -> Iterator[bytes]:
        yield b"package " + os.fsencode(package.folder)
        for key, value in (
            ("name", package.name),
            ("version", package.version),
            ("crate", granted["crate"]),
            ("compile", mode),
            ("digest", granted.get("digest", "")),
        ):
            yield os.fsencode(f"{key} {value}")
        if mode != HOLD:
            return
        own = self._rights.of(package, granted)
        rights = own.rights
        for path, each in self._rights.common(_denials([granted])).items():
            if each & ~common.get(path, 0):
                rights[path] = rights.get(path, 0) | each
        if own.has_manifests:
            yield b"manifests yes"
        yield from entries(rights)
        denied = granted["deny"].get("env", ())
        for variable in map(os.fsencode, sorted(self._project.environment)):
            if any(matches(pattern, encode(variable)) for pattern in denied):
                yield b"hidden " + variable
        by_hand = granted.get("secrets", ())
        for name in granted["env"]:
            if is_literal(name) and (variables.looks_secret(name) or name in by_hand):
                yield b"env " + decode(name)

    def _macros(self, identifier: str, folder: bytes) -> Iterator[SessionPackage]:
        """Yield what is granted to the macros that a package may use by their grants."""
        members, macros = self._session.get("members", ()), self._session.get("macros", {})
        for each in sorted(self._metadata.below(identifier)):
            found = macros.get(os.fsencode(self._metadata.packages[each].folder))
            if found is not None and (folder in members or folder in found["for"]):
                yield found

    def _with_macros(self, identifier: str, macros: Iterable[SessionPackage]) -> SessionPackage:
        """Return what a package was granted, together with what its macros were."""
        granted = self._granted[identifier].copy()
        is_inside = self._mode.macros == "inside"
        if not is_inside:
            granted["exec"] = []
        granted["write"] = []
        lent, own = {*granted.get("imported", ())}, _own_patterns(granted)
        for found in macros:
            own |= _own_patterns(found)
            lent |= {*found.get("imported", ())}
            granted["read"] = sorted({*granted["read"], *found["read"]})
            if is_inside:
                granted["exec"] = sorted({*granted["exec"], *found["exec"]})
                granted["env"] = sorted({*granted["env"], *found["env"]})
                granted["secrets"] = [*granted.get("secrets", ()), *found.get("secrets", ())]
        if lent - own:
            granted["imported"] = sorted(lent - own)
        return granted

    def _searched(self) -> Iterator[bytes]:
        """Yield the folders that build scripts may have the linker search, by a grant."""
        places = self._session["places"]
        configured = self._project.configuration
        for folder in (*compile_flags.searched(configured.flags), *configured.searched):
            yield os.path.realpath(os.fsencode(compile_flags.without_kind(folder)))
        for identifier, package in self._metadata.packages.items():
            there = places | {"MANIFEST_DIR": os.fsencode(package.folder)}
            for directive in self._granted[identifier]["directives"]:
                key, _, value = directive.partition("=")
                path = compile_flags.without_kind(value)
                if key == _SEARCH and path.startswith(("/", "$")):
                    yield from (real for real, _ in resolve(path, there) if os.path.isdir(real))

    def _digest(self, package: Package, granted: SessionPackage, searched: list[bytes]) -> str:
        """Return a digest of all that decides about compiling a package.

        What of the machine is closed to it counts, not what is there besides.
        """
        session, programs = self._session, self._mode.programs
        folder = os.fsencode(package.folder)
        held = session["tier"]["held"] if not package.source else {}
        decisive = (
            [session[key] for key in _DECISIVE],
            programs.digest if programs else "",
            [self._mode.macros, self._mode.layout],
            [self._read_beyond(granted["read"]), granted["exec"], granted["env"]],
            granted.get("secrets", []),
            granted["deny"],
            [os.fsencode(each).hex() for each in package.outside],
            [path.hex() for path in sorted(held) if path.startswith(folder + b"/")],
            [path.hex() for path in searched],
            *([granted["young"]] if "young" in granted else ()),
            *([granted["imported"]] if "imported" in granted else ()),
        )
        text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _read_beyond(self, patterns: Iterable[str]) -> list[str]:
        """Leave out what is open anyhow: to grant what was seen must not compile all of it again.

        While learning that is the workspace, less what is sensitive in it.
        """
        if self._session["profile"] != "learning":
            return list(patterns)
        return [
            pattern
            for pattern in patterns
            if not pattern.startswith("$WORKSPACE/") or session_maker.opens_sensitive(pattern)
        ]


def _own_patterns(granted: SessionPackage) -> set[str]:
    """Return the patterns that the workspace itself has granted, of files and programs."""
    return {*granted["read"], *granted["exec"]} - {*granted.get("imported", ())}


def _denials(packages: Iterable[SessionPackage]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what some packages may not read and run, whatever everybody may."""
    denied = [each["deny"] for each in packages if each["deny"]]
    read = {pattern for each in denied for pattern in each.get("read", ())}
    run = {pattern for each in denied for pattern in each.get("exec", ())}
    return tuple(sorted(read)), tuple(sorted(run))


def _variables(environment: Mapping[str, str]) -> Iterator[bytes]:
    """Say which variables no compiler sees without a grant: by name and value, and by patterns.

    The patterns are for what is set where buildperm does not see it, such as in Cargo's own
    configuration. What was judged harmless passes whatever they say.
    """
    secrets = _secrets(environment)
    for name in sorted(map(os.fsencode, environment)):
        if variables.looks_secret(encode(name)) or name in secrets:
            yield b"hidden " + name
        else:
            yield b"plain " + name
    unset = sorted(variables.secret_names() - environment.keys())
    yield from (b"hidden " + name.encode() for name in unset)
    yield from (b"secret " + pattern.encode() for pattern in variables.secret_patterns())


def _secrets(environment: Mapping[str, str]) -> dict[bytes, str]:
    """Say which secret the value of a variable holds, of those whose names do not say so."""
    named = ((os.fsencode(name), os.fsencode(value)) for name, value in environment.items())
    found = {
        name: without_secrets(name, value)[1]
        for name, value in named
        if not variables.looks_secret(encode(name))
    }
    return {name: why for name, why in found.items() if why}
