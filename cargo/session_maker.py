"""Makes the session of a command: who may do what, for every supervisor of one run of Cargo."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from buildperm import __version__
from buildperm.cargo import grant_keys as keys
from buildperm.cargo import owned_folders, root_choice, settings_files, trusted_repository
from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.policy import compilation
from buildperm.policy.runtime_table import BESIDE
from buildperm.rules import baseline, keyfiles, layout, limits, root_layout, sensitive, tier
from buildperm.rules.containment import Containment
from buildperm.rules.pattern import locate, which
from buildperm.rules.variables import looks_secret
from buildperm.sandbox import native_programs, needed_libraries, stub
from buildperm.sandbox.runtime import RuntimeSetup, choose
from buildperm.supervisor import dependency_sources
from buildperm.supervisor.filled_trees import filled
from buildperm.supervisor.session import VERSION
from buildperm.tracer.notation import encode
from buildperm.tracer.recording_format import FULL, LIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from buildperm.cargo.lock import CargoLock
    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.metadata import Package as CargoPackage
    from buildperm.cargo.target_directory import TargetDirectory
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.policy.grants import Policy
    from buildperm.sandbox.runtime import Runtime
    from buildperm.supervisor.session import (
        Session,
        SessionCompile,
        SessionMacros,
        SessionPackage,
    )

RUNTIME_VARIABLE = "BUILDPERM_RUNTIME"
"""Says which runtime to use, whatever Cargo.toml says; `require` there counts all the same."""

_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib", "/etc/", "/nix/store/", "/gnu/store/")

_KNOWN_SCRIPTS = ("build-script-", "metabuild-")  # What rustc-wrapper.sh looks for.


def make(
    metadata: Metadata,
    lock: CargoLock,
    policy: Policy,
    toolchain: Toolchain,
    target: TargetDirectory,
    environment: Mapping[str, str],
    *,
    profile: Literal["learning", "enforcing"],
    rustc_wrapper: str = "",
    compiling: SessionCompile | None = None,
    observation: Literal["full", "light"] = "full",
    is_standing: bool = False,
    command: str = "",
) -> Session:
    """Collect what supervisors need to know.

    `environment` is the user's; `rustc_wrapper` is what build scripts are to see as RUSTC_WRAPPER;
    `compiling` says how compiling is held, and macros with it; `observation` is what is wanted, and
    light only where this processor can and `profile` is `enforcing`. With `is_standing` packages
    that are not in `metadata` are held to the baseline. `command` is the one of buildperm that
    builds, or `cargo`; it is for recordings, and changes nothing else.

    Raises:
        CannotEnforceError: This machine or this version cannot do what the grants require.
        BuildpermError: A package is not in the lock file as Cargo.lock should have it.
    """
    prepared = _prepared(policy, environment)
    places = keys.places(metadata, toolchain, environment)
    places["TARGET_DIR"] = os.fsencode(target.folder.resolve())
    grant_keys = keys.GrantKeys(metadata, lock, policy, places)
    session: Session = {
        "version": VERSION,
        "python": sys.hexversion,
        "buildperm": __version__,
        "profile": profile,
        "runtime": prepared.runtime,
        "left_open": list(prepared.left_open),
        "landlock_abi": prepared.landlock_abi,
        "kernel": prepared.kernel,
        "filter": prepared.filter,
        "calls": prepared.calls,
        "inner_loop": native_programs.inner_loop(),
        "places": places,
        "path": os.fsencode(toolchain.path(environment.get("PATH", os.defpath))),
        "owned": owned_folders.folders(metadata, toolchain, environment),
        "homes": owned_folders.homes(),
        "loaded": sorted(
            (stub.libraries_before_stub() if sys.platform == "linux" else frozenset())
            | _loaded_by(os.fsencode(toolchain.rustc))
            | _loaded_by(os.fsencode(rustc_wrapper), environment)
        ),
        "rustc_wrapper": os.fsencode(rustc_wrapper),
        "progress": os.fsencode(target.progress),
        "packages": {},
        "limits": {**limits.DEFAULTS, **policy.limits},
    }
    if is_standing:
        session["standing"] = True
    if command:
        session["command"] = command
    set_runtime(session, prepared, observation)
    root = None
    if sys.platform == "linux":
        root = root_choice.choose(policy, environment, places, prepared)
    if root is not None:
        session["root"] = root
        root["programs"] = os.fsencode(toolchain.rustc.parent) + b":" + root_layout.PATH
    found = trusted_repository.trusted(metadata.root, environment)
    if found:
        session["trusted"] = found
    settings = settings_files.look(toolchain.cargo_home, _folders(metadata), environment)
    settings.close(lambda real: _why_held(real, places) not in ("", keyfiles.CARGO_SETTINGS))
    if settings.open:
        session["settings"] = settings.open
    if settings.closed:
        session["settings_closed"] = settings.closed
    if settings.gits:
        session["git_settings"] = settings.gits
    for package in metadata.scripted():
        described = describe(package, metadata, lock, grant_keys)
        own = grant_keys.limits_of(package)
        if own:
            described["limits"] = dict(own)
        described["digest"] = _digest(session, described)
        session["packages"][os.fsencode(package.folder)] = described
    if compiling is not None:
        _add_macros(session, metadata, lock, grant_keys, compiling)
    session["fetched"] = sorted(
        os.fsencode(package.folder)
        for package in metadata.packages.values()
        if not package.build_scripts
        and (package.source or not package.folder.is_relative_to(metadata.root))
    )
    session["found"] = _found(session)
    if not toolchain.is_alone():
        session["found"] |= {folder: [] for folder in layout.LISTED}
    _look(session, metadata, environment)
    held = session["tier"]["held"]
    for _, real, _ in settings.open:
        if held.get(real) == keyfiles.CARGO_SETTINGS:
            del held[real]
    held |= settings.held
    return session


def set_runtime(
    session: Session, prepared: RuntimeSetup, observation: Literal["full", "light"]
) -> None:
    """Say in a session in which runtime scripts are held, and what of them is recorded.

    `observation` is what is wanted, as `make` takes it; what the session said before is replaced.
    """
    is_light = observation == "light" and session["profile"] == "enforcing"
    # Where all is there, a look tells what it tells without buildperm: it asks for nothing. What is
    # learnt, or called unused, has to hold where it is not.
    looks = bool(prepared.look_filter) and (prepared.mounts or not is_light)
    session["runtime"] = prepared.runtime
    session["sandbox_wrapper"] = list(prepared.wrapper)
    session["mounts"] = prepared.mounts
    session["starter"] = prepared.starter
    session["room"] = prepared.room
    session["calls"] = prepared.calls
    session["look_filter"] = prepared.look_filter
    session["every_look_filter"] = prepared.every_look_filter
    session["looks"] = looks
    session["filter"] = prepared.look_filter if looks else prepared.filter
    session["quiet_filter"] = prepared.filter
    light = prepared.light_look_filter if looks else prepared.light_filter
    if is_light and light:
        session["light_filter"] = light
        session["listed_filter"] = prepared.listed_filter
    else:
        session.pop("light_filter", None)
        session.pop("listed_filter", None)


def _why_held(path: bytes, places: Mapping[str, bytes]) -> str:
    return sensitive.why(locate(path, places), writing=False)


def _folders(metadata: Metadata) -> list[Path]:
    """List the folders in which scripts of the workspace may run Cargo."""
    return [metadata.root, *(metadata.packages[member].folder for member in metadata.members)]


def _add_macros(
    session: Session,
    metadata: Metadata,
    lock: CargoLock,
    grant_keys: keys.GrantKeys,
    compiling: SessionCompile,
) -> None:
    """Say what procedural macros may do, and for whom."""
    session["compile"] = compiling
    session["members"] = sorted(os.fsencode(metadata.packages[m].folder) for m in metadata.members)
    session["manifests"] = manifests(metadata)
    session["consumers"] = {}
    session["macros"] = {}
    for package in metadata.packages.values():
        folder = os.fsencode(package.folder)
        session["consumers"][folder] = {
            "crate": grant_keys.of(package)[0],
            "name": package.name,
            "version": package.version,
            "source": package.source,
        }
        if package.has_macros:
            _, grants = grant_keys.of(package)
            named = grants.consumers if grants else frozenset()
            consumers = [
                os.fsencode(each.folder)
                for each in metadata.packages.values()
                if grant_keys.is_meant(each, named)
            ]
            macros: SessionMacros = {
                **describe(package, metadata, lock, grant_keys),
                "for": sorted(consumers),
            }
            own = grant_keys.limits_of(package)
            if own:
                macros["limits"] = dict(own)
            macros["digest"] = _digest(session, macros, compiling["digest"])
            session["macros"][folder] = macros


def manifests(metadata: Metadata) -> list[bytes]:
    """List what says of which packages the workspace consists: manifests, and the lock file."""
    found = {metadata.manifest, metadata.root / "Cargo.lock"}
    found |= {each.manifest for each in metadata.packages.values() if not each.source}
    return sorted(map(os.fsencode, found))


def _loaded_by(program: bytes, environment: Mapping[str, str] | None = None) -> frozenset[bytes]:
    """Name the libraries of a program that Cargo has search folders of build scripts as well.

    Those are rustc and the user's wrapper around it; with an `environment` PATH is looked through.
    """
    if environment is not None:
        program = which(program, os.fsencode(environment.get("PATH", os.defpath))) or program
    try:
        return needed_libraries.of_program(program) if program else frozenset()
    except needed_libraries.UnknownError:
        return frozenset()  # No build script's stub, which is looked at apart, depends on it.


def _look(session: Session, metadata: Metadata, environment: Mapping[str, str]) -> None:
    """Find, once rather than once per script, what of this machine is sensitive."""
    session["tier"] = tier.find(
        session["places"],
        session["path"],
        {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
        {os.fsencode(each.folder): not each.source for each in metadata.packages.values()},
    )
    if session["tier"]["is_short"]:
        session["left_open"].append(
            f"The workspace has more than {tier.LOOKED_AT_MOST:,} files or 4,000 that may be keys: "
            "what lies deeper was not looked at."
        )


def choose_runtime(policy: Policy, environment: Mapping[str, str]) -> Runtime:
    """Return the runtime for a workspace: what BUILDPERM_RUNTIME says, else its Cargo.toml.

    Raises:
        CannotEnforceError: This machine or this version cannot do what is required.
    """
    named = environment.get(RUNTIME_VARIABLE, "")
    wanted = ("" if named in BESIDE else named) or policy.runtime  # That is for `ci` alone.
    try:
        return choose(wanted, policy.require)
    except CannotEnforceError as error:
        raise CannotEnforceError(f"{policy.manifest}: {error.args[0]}", hint=error.hint) from error


def _prepared(policy: Policy, environment: Mapping[str, str]) -> RuntimeSetup:
    """Return what the runtime contributes; elsewhere than on Linux, what suffices to ask by.

    Nothing can be run by the latter: see `SupervisedBuild.run`.
    """
    chosen = choose_runtime(policy, environment)
    if sys.platform != "linux":
        return RuntimeSetup(chosen.name, "", 0, b"", {}, ())
    return chosen.prepare()


def _found(session: Session) -> dict[str, list[tuple[bytes, bool]]]:
    """Look up once, rather than once per script, what no script can change.

    That is names of programs, and paths in folders of the system that nothing is built in. What
    links lead away from is left to each supervisor to refuse.
    """
    granted: set[str] = set()
    names: set[str] = set()
    for package in (*session["packages"].values(), *session.get("macros", {}).values()):
        denied = package["deny"]
        granted.update(package["read"], denied.get("read", ()))
        names.update(package["exec"], denied.get("exec", ()))
    places = session["places"]
    built_in = tuple(encode(place) for place in places.values())
    paths = {
        pattern
        for pattern in granted | names
        if pattern.startswith(_SYSTEM) and not pattern.startswith(built_in)
    }
    fixed = ("/", "$SYSROOT")
    paths.update(path for path in (*baseline.READ, *baseline.EXEC) if path.startswith(fixed))
    containment = Containment(places, filled(session))
    found = {
        name: containment.within("exec", name, session["path"])
        for name in sorted(names)
        if "/" not in name and not name.startswith("$")
    }
    found |= {path: containment.within("read", path) for path in sorted(paths)}
    left_out = {pattern for _, pattern in containment.left_out}
    return {pattern: paths for pattern, paths in found.items() if pattern not in left_out}


def describe(
    package: CargoPackage, metadata: Metadata, lock: CargoLock, grant_keys: keys.GrantKeys
) -> SessionPackage:
    """Say what one package is, and what it was granted.

    Raises:
        CannotEnforceError: Its build script could not be told from other programs.
        BuildpermError: It is not in the lock file as Cargo.lock should have it.
    """
    for script in package.build_scripts:
        if not script.startswith(_KNOWN_SCRIPTS):
            raise CannotEnforceError(
                f"the build script `{script}` of `{package.name}` has a name that this version of "
                "buildperm would not recognise",
                hint="Update buildperm.",
            )
    crate, grants = grant_keys.of(package)
    effective = compilation.effective(grants, package.revision)
    lists = effective.lists()
    try:
        checksum = lock.checksum(package.name, package.version, package.source)
    except BuildpermError as error:
        chain = " → ".join(step.name for step in metadata.chain(package.id))
        raise BuildpermError(f"{error.args[0]} ({chain})", hint=error.hint) from error
    described: SessionPackage = {
        "crate": crate,
        "id": package.id,
        "name": package.name,
        "version": package.version,
        "source": package.source,
        "checksum": checksum,
        "read": lists["read"],
        "write": lists["write"],
        "exec": lists["exec"],
        "net": lists["net"],
        "env": lists["env"],
        "directives": lists["directives"],
        "deny": lists["deny"],
        "withheld": {
            f"{each.rule.kind} {each.rule.pattern}": each.why for each in effective.withheld
        },
    }
    secrets = compilation.secret_variables(grants, package.revision)
    if secrets:
        described["secrets"] = secrets
    lent = compilation.only_imported(grants, package.revision)
    if lent:
        described["imported"] = sorted({rule.pattern for rule in lent})
    youth = grant_keys.youth(package)
    if youth is not None:
        described["young"] = youth.clause
        if grants is not None:
            later = compilation.effective(replace(grants, young=""), package.revision)
            described["waiting"] = [f"{rule.kind} {rule.pattern}" for rule in sorted(later.rules)]
    if package.links:
        described["handing"] = dependency_sources.variables_of(package.links)
    return described


def _digest(session: Session, package: SessionPackage, programs: str = "") -> str:
    """Return a digest that changes whenever a run could behave differently under this session."""
    held_to = package.copy()
    held_to.pop("withheld", None)
    held_to.pop("waiting", None)
    if session["profile"] == "learning":
        # The script may read, run and see nearly everything anyhow: to grant what was seen must not
        # make every script run again that it was seen in.
        held_to["read"] = _beyond_learning(package["read"])
        held_to["exec"] = _beyond_learning(package["exec"])
        held_to["env"] = [name for name in package["env"] if looks_secret(name)]
    decisive = (
        [session[key] for key in ("buildperm", "profile", "runtime", "landlock_abi")],
        LIGHT if "light_filter" in session else FULL,
        held_to,
        {name: held for name, held in session["limits"].items() if held != limits.DEFAULTS[name]},
        [name.hex() for name in session.get("loaded", ())],
        programs,
        *((session["root"]["digest"],) if "root" in session and not programs else ()),
        *session.get("trusted", ()),
        *(path for path, _, _ in session.get("settings", ())),
        *session.get("settings_closed", ()),
        *session.get("git_settings", ()),
    )
    text = json.dumps(decisive, sort_keys=True, separators=(",", ":"), default=bytes.hex)
    return hashlib.sha256(text.encode()).hexdigest()


def _beyond_learning(patterns: list[str]) -> list[str]:
    """Leave the patterns that open something which is refused even while learning."""
    return [pattern for pattern in patterns if opens_sensitive(pattern)]


@cache
def opens_sensitive(pattern: str) -> bool:
    """Tell whether to read what a pattern covers is refused even while learning.

    It takes long to find out, and presets give many packages the same patterns.
    """
    return bool(sensitive.opened_by(pattern, writing=False))
