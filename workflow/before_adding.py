"""What `info` does: resolves a crate, and looks up or records what it and its dependencies ask."""

from __future__ import annotations

import os
from pathlib import Path

from buildperm.cargo import toolchain
from buildperm.cargo.trial_workspace import WantedCrate
from buildperm.errors import BuildpermError
from buildperm.presentation import console
from buildperm.presentation.build_viewer import BuildViewer
from buildperm.workflow.brought_package import described
from buildperm.workflow.crate_information import CrateInformation
from buildperm.workflow.crate_trial import CrateTrial, open_trial
from buildperm.workflow.index_source import PermissionIndex, open_index
from buildperm.workflow.own_packages import OwnPackages, open_own


def inform(request: WantedCrate, index: str | None, viewer: BuildViewer) -> CrateInformation:
    """Find out what `cargo add` would bring.

    Args:
        request: The crate.
        index: Where permissions are looked up, and nothing is built; None to build.
        viewer: Shows the build.

    Raises:
        BuildpermError: There is no such crate, the index is not as it should be, or nothing can
            be built or held.
    """
    known = open_index(index) if index is not None else None
    try:
        own = open_own()
    except BuildpermError as error:
        why = str(error.args[0]).partition("\n")[0]
        console.print_warning(
            f"the workspace here is not compared with, nor asked what it requires: {why}"
        )
        own = None
    if own is not None and own.replacements:
        tables = " and ".join(f"`[{each}]`" for each in own.replacements)
        console.print_warning(
            f"{tables} of Cargo.toml is left out: what is told is of the published crates"
        )
    chain = toolchain.resolve(Path.cwd(), os.environ)
    lock, stricter = (own.lock, own.policy) if own else (None, None)
    with open_trial(request, chain, lock, stricter) as trial:
        if known is not None:
            return _looked_up(request, trial, known, own)
        return _recorded(request, trial, own, viewer)


def _looked_up(
    request: WantedCrate, trial: CrateTrial, index: PermissionIndex, own: OwnPackages | None
) -> CrateInformation:
    root = trial.root(request.name)
    found = []
    for package in trial.packages():
        checksum = trial.checksum(package)
        entry = index.find(package.name, package.version, checksum) if checksum else None
        found.append((package, checksum, entry))
    rivals = own.rivals(trial.project.metadata.packages) if own else []
    return CrateInformation(root, described(root, found, own), index, None, None, rivals)


def _recorded(
    request: WantedCrate, trial: CrateTrial, own: OwnPackages | None, viewer: BuildViewer
) -> CrateInformation:
    root = trial.root(request.name)
    packages = trial.packages()
    built = trial.build(viewer, f"info  {request.name}")
    known = {each.id for each in packages}
    everything = trial.project.metadata.packages
    packages += [  # Compiling the others may reach for something, too.
        everything[each]
        for each, entry in sorted(built.entries.items())
        if each not in known and entry.asks
    ]
    found = [(each, trial.checksum(each), built.entries.get(each.id)) for each in packages]
    rivals = own.rivals(everything) if own else []
    return CrateInformation(
        root,
        described(root, found, own),
        None,
        built.origin,
        built.failure,
        rivals,
        built.interrupted,
        trial.project.replaced,
    )
