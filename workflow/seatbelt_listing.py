"""The grants of one build script as a profile for macOS: `buildperm show --seatbelt`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.errors import BuildpermError
from buildperm.sandbox import seatbelt_profile
from buildperm.workflow.script_lookup import find_scripts, open_view

if TYPE_CHECKING:
    from collections.abc import Sequence


def seatbelt(words: Sequence[str], crates: Sequence[str]) -> str:
    """Return the profile; `words` are for Cargo.

    Raises:
        BuildpermError: Not one crate is named, it has no build script, or something is broken.
    """
    if len(crates) != 1:
        raise BuildpermError(
            "`--seatbelt` is for one build script",
            hint="Name one crate, with its version if need be.",
        )
    view = open_view(words)
    found = find_scripts(view, crates[0])
    workspace = view.workspace
    session = SupervisedBuild(workspace.project, workspace.policy, "enforcing").session
    folders = [os.fsencode(each.package.folder) for each in found]
    scripts = [each for each in folders if each in session["packages"]]
    if len(scripts) != 1:
        raise BuildpermError(
            f"`{crates[0]}` has {len(scripts)} build scripts here",
            hint="Name one crate with its version.",
        )
    return seatbelt_profile.of_package(session, session["packages"][scripts[0]], scripts[0])
