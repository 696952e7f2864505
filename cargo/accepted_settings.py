"""Which settings of a workspace's own configuration of Cargo its user has seen and let stand.

What such a setting names runs unheld, and a pull request can bring one. So a held build takes none
that was not there when the workspace was enrolled.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from buildperm.cargo import nearer_settings
from buildperm.cargo.nearer_settings import Runs
from buildperm.cargo.standing_state import digest, replace_text
from buildperm.errors import BuildpermError
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from buildperm.cargo.nearer_settings import NearerSetting


def accept(place: Path, root: Path, folder: Path, settings: Iterable[NearerSetting]) -> None:
    """Note what Cargo finds in `folder`, in place of what was noted for what lies on its way.

    Raises:
        OSError: It cannot be written.
    """
    on_the_way = {str(each) for each in (folder, *folder.parents)}
    told = {each for each in _known(place, root) if each[-1] not in on_the_way}
    told |= {(each.key, each.value, str(each.root)) for each in settings}
    kept = _kept(place, root)
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    replace_text(kept, json.dumps(sorted(told)).encode(), 0o600)


def unknown(
    place: Path, root: Path | None, settings: Iterable[NearerSetting]
) -> tuple[NearerSetting, ...]:
    """Return those of `settings` that nobody has accepted; all are where nothing is enrolled."""
    known = _known(place, root) if root is not None else set()
    return tuple(each for each in settings if (each.key, each.value, str(each.root)) not in known)


def _known(place: Path, root: Path) -> set[tuple[str, ...]]:
    try:
        return {tuple(map(str, each)) for each in json.loads(_kept(place, root).read_bytes())}
    except (OSError, ValueError, TypeError):
        return set()


def _kept(place: Path, root: Path) -> Path:
    return place / "accepted" / f"{digest(str(root))}.json"


def refuse_unknown(
    place: Path, folder: Path, cargo_home: Path, owner: Path | None, call: Iterable[str] = ()
) -> None:
    """Refuse what a configuration nearer than ours has run unheld, unless that was accepted.

    Args:
        place: The state folder of always on.
        folder: Where Cargo was started.
        cargo_home: Whose configuration is ours.
        owner: The workspace that is enrolled; None where the baseline holds.
        call: What Cargo asks a compiler, if it does.

    Raises:
        BuildpermError: Something is not accepted.
    """
    settings = [*nearer_settings.found(folder, cargo_home)]
    found = unknown(place, owner, settings)
    if found:
        if found[0].runs is Runs.LOADED:  # Whoever enrolls asks Cargo, which would have it loaded.
            hint = "Look at what that names. If you want it, set RUSTFLAGS in your own environment."
        else:
            hint = (
                "Look at what that names. If you want it, run `buildperm enable` in this "
                "workspace; if not, remove it."
            )
        was = "was not there when always on was enabled here" if owner else "was not accepted"
        raise BuildpermError(
            f"{found[0].name} {found[0].outcome}, and {was}",
            hint=hint,
        )
    loaded = nearer_settings.named_by_call(call, settings)
    if loaded:
        raise BuildpermError(
            f"rustc would load a code generator that the file of a target names: "
            f"`{encode(os.fsencode(loaded[0]))}`",
            hint="Look at that file. If you want it, name it as `build.target` in Cargo's "
            "configuration, and run `buildperm enable` in this workspace.",
        )
