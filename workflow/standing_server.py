"""Finds the server for macros that an editor starts: `standing_server.py STATE`, in a workspace.

Editors start it before they build anything, so it prepares what Cargo would be held to there. It
prints the path of the server; nothing where the workspace is not held.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # As in `standing_hold.py`: where it was imported from counts.
    _own = Path(os.path.abspath(__file__)).parents[1]
    sys.path.insert(0, str(_own.parent if (_own / "__init__.py").exists() else _own))

from buildperm.cargo import claim
from buildperm.cargo.cargo_invocation import CargoInvocation

if TYPE_CHECKING:
    from buildperm.cargo.standing_state import StandingState

_BUILT = ("check",)  # What editors have Cargo do.
_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by cargo.
# For information about cache directory tags see https://bford.info/cachedir/
"""  # As Cargo does for a folder that it makes, and not for one that is there.


def main(state: str) -> int:
    """Print the server for the current folder, and say what is wrong; return what to exit with."""
    from buildperm.workflow import standing_hold

    place = Path(state)
    return standing_hold.told(place, lambda: print(_found(place, Path.cwd()) or ""))


def _found(place: Path, folder: Path) -> Path | None:
    """Return the server for what is built in a folder; None where that is not held.

    Raises:
        BuildpermError: It cannot be held.
    """
    from buildperm.cargo import standing_state
    from buildperm.errors import BuildpermError
    from buildperm.workflow.standing_preparation import StandingPreparation

    os.environ["XDG_STATE_HOME"] = str(place.parent)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("BUILDPERM_")
    }
    with standing_state.locked(place):
        state = standing_state.read(place)
        within = _workspace(folder, state)
        if within is None:
            raise BuildpermError(
                f"an editor has started its server for macros in `{folder}`, which is in no "
                "workspace",
                hint="Open the folder of the workspace, or start the editor there.",
            )
        link = place / "run" / "editor"
        invocation = CargoInvocation(os.getpid(), _BUILT, within, environment, link)
        store = Path(StandingPreparation(place, invocation, "").context().folder)
    if store.name == "unheld":
        return None
    target = Path(os.fsdecode((store / "target").read_bytes()).rstrip("\n"))
    if target.is_dir():
        _open(target)
    server = store / "buildperm-proc-macro-srv"
    if not server.exists():
        raise BuildpermError(f"macros of `{within}` are not held in processes of their own")
    return server


def _open(target: Path) -> None:
    """Make the folder in which Cargo will build: the server reads those that are there."""
    if not any(each.name != claim.STATE for each in target.iterdir()):  # Else Cargo has made it.
        (target / "CACHEDIR.TAG").write_text(_TAG)
    (target / "debug").mkdir(exist_ok=True)


def _workspace(folder: Path, state: StandingState) -> Path | None:
    """Return where Cargo is to be asked: the folder, or the only enrolled one below or at all."""
    if any((each / "Cargo.toml").exists() for each in (folder, *folder.parents)):
        return folder
    enrolled = [Path(each) for each in state.workspaces]
    below = [each for each in enrolled if each.is_relative_to(folder)]
    found = below or ([] if state.holds_others else enrolled)
    return found[0] if len(found) == 1 else None


if __name__ == "__main__":
    _status = main(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)
