"""Chooses the root of build scripts: where it is on this machine, and that it is the right one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import user_configuration
from buildperm.cargo.toolchain import home
from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.printable import printable
from buildperm.rules import root_layout
from buildperm.rules.pattern import covers
from buildperm.sandbox import root_digest, root_probe
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from buildperm.policy.grants import Policy
    from buildperm.sandbox.root_digest import RootState
    from buildperm.sandbox.runtime import RuntimeSetup
    from buildperm.supervisor.session import Session, SessionRoot

ROOT_VARIABLE = "BUILDPERM_ROOT"
"""Says where the root is on this machine, whatever Cargo.toml says; what it is, that says alone."""

ASKED_VARIABLE = "BUILDPERM_ROOT_ASKED"
"""Says that this command was given `--root`: the other one may stand there for other workspaces."""

_OUTSIDE = ("SYSROOT", "CARGO_HOME", "WORKSPACE", "TARGET_DIR")


def choose(
    policy: Policy,
    environment: Mapping[str, str],
    places: Mapping[str, bytes],
    prepared: RuntimeSetup,
) -> SessionRoot | None:
    """Return the root that Cargo.toml wants, proven to be that; None where it wants none.

    Args:
        policy: What Cargo.toml says.
        environment: The user's.
        places: Folders by token, without links.
        prepared: What holds the scripts.

    Raises:
        CannotEnforceError: There is none here, it is another one, or scripts cannot be put into it.
    """
    if not policy.root_digest:
        if environment.get(ASKED_VARIABLE):
            raise CannotEnforceError(
                f"{policy.manifest}: `--root` names a root, and no `root-digest` says what it has "
                "to be",
                hint="`buildperm root digest FOLDER` prints the line for Cargo.toml.",
            )
        return None
    _check_runtime(policy, prepared.runtime)
    root = _found(policy, environment, places)
    _check_places(root, places, prepared)
    found = _proven(policy, root)
    return {
        "path": os.fsencode(root),
        "digest": found.digest,
        "signature": found.signature,
        "top": found.top,
        "programs": root_layout.PATH,
    }


def check_here(
    policy: Policy, environment: Mapping[str, str], workspace: Path, runtime: str
) -> Path:
    """Return the folder of the root that Cargo.toml wants: it is here, and can be entered.

    Nothing is built for that. Whether the tool chain and the target directory lie where they can,
    only a build knows.

    Args:
        policy: What Cargo.toml says; it has `root-digest`.
        environment: The user's.
        workspace: The folder of Cargo.toml.
        runtime: The name of what holds scripts here.

    Raises:
        CannotEnforceError: There is none here, it is another one, or scripts cannot be put into it.
    """
    _check_runtime(policy, runtime)
    places = {"WORKSPACE": workspace, "HOME": home(environment)}
    real = {name: os.fsencode(os.path.realpath(place)) for name, place in places.items()}
    found = _found(policy, environment, real)
    _proven(policy, found)
    return found


def _check_runtime(policy: Policy, runtime: str) -> None:
    if runtime != "full":
        raise CannotEnforceError(
            f"{policy.manifest}: `root-digest` needs the runtime `full`, and this build is held by "
            f"`{runtime}`",
            hint='Write `require = "full"`, and install bubblewrap: `buildperm doctor`.',
        )


def _proven(policy: Policy, root: Path) -> RootState:
    """Return what the root is, if it is the right one and can be entered."""
    found = root_digest.state_of(root)
    if found.digest != policy.root_digest:
        raise CannotEnforceError(
            f"the root `{printable(str(root))}` is not the one that {policy.manifest} names: it is "
            f"{found.digest}, and `root-digest` is {policy.root_digest}",
            hint=f"{_unpack(policy)}, or, if the new one is meant, commit its digest as "
            "`root-digest` and run `buildperm learn`.",
        )
    root_probe.check(root)
    return found


def check_unchanged(session: Session) -> None:
    """Make sure that the root is what it was when the session was made.

    Raises:
        CannotEnforceError: It has been changed, and scripts may have seen that.
    """
    root = session.get("root")
    if root is None:
        return
    path = Path(os.fsdecode(root["path"]))
    if root_digest.signature_of(path) != root["signature"]:
        raise CannotEnforceError(
            f"the root `{printable(str(path))}` was changed while build scripts ran in it: nobody "
            "knows what they saw",
            hint="Find out what changes it, restore it, run `cargo clean`, and build again.",
        )


def _found(policy: Policy, environment: Mapping[str, str], places: Mapping[str, bytes]) -> Path:
    """Return the folder that somebody names: who calls, else their own file, else Cargo.toml."""
    named = environment.get(ROOT_VARIABLE, "")
    try:
        own = user_configuration.path_of(environment)
        found = "" if named else user_configuration.root_folder(policy.root_digest, environment)
    except BuildpermError as error:
        raise CannotEnforceError(
            f"where the root {policy.root_digest} lies is not known: {error.args[0]}",
            hint=error.hint,
        ) from error
    hint = f"`--root FOLDER`, {ROOT_VARIABLE}, or a line below `[roots]` in {printable(str(own))}"
    said = named or found or policy.root
    if not said:
        raise CannotEnforceError(
            f"{policy.manifest} wants the root {policy.root_digest}, and nothing says where it is",
            hint=f"Name its folder: {hint}. {_unpack(policy)}.",
        )
    token, slash, rest = said.partition("/")
    if token.startswith("$") and not named:
        said = os.fsdecode(places[token[1:]]) + slash + rest
    try:
        return Path(os.path.realpath(said, strict=True))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        by = f" of {printable(str(own))}" if found else ""
        raise CannotEnforceError(
            f"{policy.manifest} wants the root {policy.root_digest}, and "
            f"`{printable(said)}`{by} cannot be used: {why}",
            hint=f"{_unpack(policy)}, or name its folder: {hint}.",
        ) from error


def _unpack(policy: Policy) -> str:
    """Say how the root is made."""
    if not policy.root_image:
        return "Unpack the right one"
    return f"Unpack the image {policy.root_image}: `buildperm root unpack ARCHIVE FOLDER`"


def _check_places(root: Path, places: Mapping[str, bytes], prepared: RuntimeSetup) -> None:
    """Refuse what would be hidden by the root, and a root that scripts write to."""
    raw = os.fsencode(root)
    for token in _OUTSIDE:
        place = places.get(token, b"")
        if place and root_layout.covers(place):
            raise CannotEnforceError(
                f"`${token}` is `{encode(place)}`, in whose place build scripts see the root",
                hint="Keep sources, target directory and tool chain elsewhere, such as in a home "
                "folder: rustup's tool chains are.",
            )
    target = places["TARGET_DIR"]
    if covers(target, raw) or covers(raw, target):
        raise CannotEnforceError(
            f"the root `{printable(str(root))}` and the target directory lie in one another",
            hint="Keep the root where no build writes.",
        )
    if root_layout.covers(prepared.starter):
        raise CannotEnforceError(
            f"the starter `{encode(prepared.starter)}` lies where build scripts see the root",
            hint="Set XDG_CACHE_HOME to a folder in a home.",
        )
    if not prepared.starter or not prepared.room:
        raise CannotEnforceError(
            "a root needs the starter, and this machine cannot make or use it",
            hint="Install a C compiler, and see `buildperm doctor`.",
        )
