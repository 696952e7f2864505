"""Prepares what plain Cargo is held to while buildperm is always on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from buildperm.cargo import compile_mode, compile_session, session_maker
from buildperm.cargo.lock import CargoLock
from buildperm.cargo.metadata import Metadata
from buildperm.cargo.target_directory import CompileFiles, TargetDirectory
from buildperm.policy.grants import Policy
from buildperm.policy.runtime_table import WEAKEST
from buildperm.sandbox import compile_filter
from buildperm.tracer import recording_format, syscall_numbers

if TYPE_CHECKING:
    from buildperm.cargo.compile_mode import CompileMode
    from buildperm.cargo.project import Project
    from buildperm.supervisor.session import Session

_PACKS = ("package", "publish")

SERVES = "serves"
"""A file in the store of a session with macros: a fork server saves an interpreter for each."""


def baseline(manifest: Path) -> Policy:
    """Return a policy that grants nothing."""
    return Policy(WEAKEST, MappingProxyType({}), manifest)


def nothing_known(root: Path, target: Path) -> tuple[Metadata, CargoLock]:
    """Describe a build of which nobody can say what it consists of: `cargo install NAME`."""
    return Metadata(root, target, {}, (), {}), CargoLock(())


def below(project: Project, enrolled: Path) -> Project:
    """Return a project as one that lies below an enrolled workspace, whose grants count for it.

    Its own packages are no members: one that is called like a member must not get what that was
    granted. What it takes from the workspace by a path is a member there.
    """
    metadata = project.metadata
    members = tuple(
        sorted(
            each.id
            for each in metadata.packages.values()
            if not each.source
            and each.folder.is_relative_to(enrolled)
            and not each.folder.is_relative_to(metadata.root)
        )
    )
    return replace(project, metadata=replace(metadata, root=enrolled, members=members))


def session_of(
    project: Project,
    policy: Policy,
    target: TargetDirectory,
    mode: CompileMode,
    *,
    ask_s: int,
) -> Session:
    """Return what the build scripts and macros of a Cargo are held to; parameters as of `prepare`.

    Raises:
        BuildpermError: They cannot be held.
    """
    session = session_maker.make(
        project.metadata,
        project.lock,
        policy,
        project.toolchain,
        target,
        project.environment,
        profile="enforcing",
        rustc_wrapper=project.configuration.rustc_wrapper,
        compiling=mode.told(),
        observation="light",
        is_standing=True,
        command=recording_format.CARGO,
    )
    if project.arguments.command in _PACKS:
        _name_unpacked(session, project.metadata)
    session["left_open"] = [*session.get("left_open", ()), *mode.why]
    # Macros within a compiler that is held write what they like to Cargo's terminal.
    is_forgeable = mode.programs is not None and mode.macros == "inside"
    if ask_s and target.on is not None and not is_forgeable:
        session["ask"] = os.fsencode(target.on)
        session["ask_timeout_s"] = ask_s
    return session


def _name_unpacked(session: Session, metadata: Metadata) -> None:
    """Have grants of members hold for their copies: Cargo builds what it has packed.

    These lie in a folder of the target directory that no script is granted: cargo-package(1).
    """
    packages, consumers = session["packages"], session.get("consumers", {})
    for each in map(metadata.packages.__getitem__, metadata.members):
        own = os.fsencode(each.folder)
        copy = metadata.target_directory / "package" / f"{each.name}-{each.version}"
        unpacked = os.fsencode(copy)
        if own in packages:
            packages[unpacked] = packages[own]
        if own in consumers:
            consumers[unpacked] = consumers[own]
        if own in session.get("members", ()):
            session["members"] = [*session["members"], unpacked]


def prepare(
    project: Project, policy: Policy, target: TargetDirectory, *, spelt: str, ask_s: int = 0
) -> tuple[Session, tuple[Path, ...]]:
    """Write all that a Cargo is held to into the store of `target`.

    Also return the programs that are needed, which lie in a cache and may be gone some day.

    Args:
        project: What it builds.
        policy: What is granted.
        target: The user's target directory.
        spelt: How Cargo spells it.
        ask_s: How long a person has for one question about a refusal; 0: nobody is asked.

    Raises:
        BuildpermError: It cannot be held, or not be written.
    """
    mode = compile_mode.choose(project, policy)
    session = session_of(project, policy, target, mode, ask_s=ask_s)
    compiling = compile_session.make(session, project, policy, mode, target)
    files = None
    rustdoc = project.configuration.rustdoc or str(project.toolchain.rustc.with_name("rustdoc"))
    if mode.programs is not None:
        files = CompileFiles(
            os.fsencode(mode.programs.launcher),
            compiling.text,
            compile_filter.build(
                os.uname().machine, syscall_numbers.table(), session["landlock_abi"]
            ),
            rustdoc,
            str(project.toolchain.macro_server),
            (
                str(project.toolchain.rustc),
                str(project.toolchain.rustc.with_name("clippy-driver")),
            ),
            project.toolchain.proxies(project.environment),
        )
    target.write(session, compiling=files)
    if files is None:
        target.write_rustdoc(rustdoc)
    target.write_spelling(spelt)
    if session.get("macros") and target.store is not None:
        (target.store / SERVES).touch(mode=0o600)
    needed = mode.programs and (mode.programs.launcher, mode.programs.shim, mode.programs.host)
    return session, tuple(Path(os.fsdecode(each)) for each in needed or ())
