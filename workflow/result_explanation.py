"""`buildperm cache explain`: what came of looking for the result of a run, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from buildperm.cache import static_key
from buildperm.cache.result_search import NOTHING_LIKE_IT
from buildperm.cache.result_store import FolderStore
from buildperm.cargo import result_folder
from buildperm.cargo.metadata import Package
from buildperm.errors import BuildpermError
from buildperm.presentation import console
from buildperm.workflow import result_inventory
from buildperm.workflow.evidence import recordings_of
from buildperm.workflow.result_listing import VERSION, package_entry
from buildperm.workflow.script_lookup import find_script, open_view

_NAMED = 8  # More reasons than this are counted on a screen, and not listed.

_OUTCOMES = {
    "restored": "restored, and not run",
    "kept": "it ran, and what it did is kept",
    "not kept": "it ran, and what it did is not kept",
    "run": "it ran",
    "same": "it ran again, and did what was restored before",
    "different": "it ran again, and did not do what was restored before",
}


@dataclass(frozen=True, slots=True)
class _LookedFor:
    """What came of one run."""

    name: str  # One of the above.
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultExplanation:
    """What came of the last runs of a script, one for each way in which it is built."""

    package: Package
    title: str
    runs: tuple[_LookedFor, ...]

    @classmethod
    def of(cls, words: Sequence[str], crate: str) -> ResultExplanation:
        """Look for the last runs of a crate.

        Raises:
            BuildpermError: There is no such crate, or it has not run with `--cache`.
        """
        view = open_view(words)
        script = find_script(view, crate)
        shared = view.workspace.policy.cache_store
        store = result_inventory.opened(result_folder.name(shared.keys if shared else ()))
        runs = []
        for path, _ in sorted(recordings_of(script, view.targets, console.print_warning)):
            said = _said_of(os.fsencode(path.with_name("result.json")))
            if said is None:
                continue
            why = [str(each) for each in said["why"]]
            if NOTHING_LIKE_IT in why:
                why += _nearest(store, script.package.name, said["parts"])
            known = str(said["outcome"])
            runs.append(_LookedFor(known if known in _OUTCOMES else "run", tuple(why)))
        if not runs:
            raise BuildpermError(
                f"no run of `{script.title}` looked for a result here",
                hint="Build with `buildperm ci --cache`.",
            )
        return cls(script.package, script.title, tuple(runs))

    def lines(self) -> Iterator[str]:
        """Return a line a run, and below it the first reasons."""
        for run in self.runs:
            yield f"{self.title}: {_OUTCOMES[run.name]}"
            for reason in run.why[:_NAMED]:
                yield f"  {reason}"
            if len(run.why) > _NAMED:
                yield f"  and {len(run.why) - _NAMED} more"

    def document(self) -> Mapping[str, object]:
        """Return all of it for machines."""
        return {
            "version": VERSION,
            "package": package_entry(self.package.name, self.package.version, self.package.source),
            "runs": [{"outcome": run.name, "why": list(run.why)} for run in self.runs],
        }


def _said_of(path: bytes) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            said = json.load(file)
    except (OSError, ValueError):
        return None
    fits = (
        isinstance(said, dict)
        and isinstance(said.get("outcome"), str)
        and isinstance(said.get("why"), list)
        and isinstance(said.get("parts"), dict)
    )
    return said if fits else None


def _nearest(store: FolderStore, name: str, parts: dict[str, str]) -> list[str]:
    """Say in what the last run began otherwise than the run of this crate that is most like it."""
    differences = [
        static_key.difference(result.key, parts)
        for _, _, result in store.every()
        if result.name == name
    ]
    # Of the run itself there may be a result by now.
    nearest = min(filter(None, differences), key=len, default=[])
    return [f"{each} is another one than in the run most like it" for each in nearest]
