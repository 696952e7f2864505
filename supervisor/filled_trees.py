"""Which trees are filled by others than the user, who may put links into them.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules.containment import Containment
from buildperm.rules.pattern import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.supervisor.session import Session


def filled(session: Session) -> list[bytes]:
    """List these trees, as paths without links.

    They are packages outside of the workspace, what Cargo has fetched, and what build scripts and
    macros may write by a grant.
    """
    workspace, cargo_home = session["places"]["WORKSPACE"], session["places"]["CARGO_HOME"]
    found = [os.path.realpath(cargo_home + below) for below in (b"/registry/src", b"/git")]
    found += session.get("fetched", ())
    members = session.get("members", [])
    # Grants of macros are about the folders of those for whom they hold.
    writers = [
        *session["packages"].items(),
        *(
            (folder, macros)
            for macros in session.get("macros", {}).values()
            for folder in (*members, *macros["for"])
            if macros["write"]
        ),
    ]
    for folder, package in (*session["packages"].items(), *session.get("macros", {}).items()):
        if package["source"] or not covers(workspace, folder):
            found.append(folder)
    written: list[bytes] = []
    for folder, package in writers:
        if not package["write"]:
            continue
        # It leaves out what a link leads to that is not followed.
        containment = Containment(session["places"] | {"MANIFEST_DIR": folder}, found)
        for pattern in package["write"]:
            trees = containment.within("write", pattern)
            written += [tree for tree, below in trees if below]
    return [*found, *written]
