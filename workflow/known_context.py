"""What was found out about a Cargo, kept for the next one with the same words.

A compiler call waits for it: nothing is imported here that takes long.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.workflow import leading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.cargo.cargo_invocation import CargoInvocation


@dataclass(frozen=True, slots=True)
class KnownContext:
    """Where Cargos with the same words are led, and how long that holds."""

    folder: str
    said: tuple[str, ...]  # What each of them is to say.
    inputs: Mapping[str, list[int] | None]  # Files that it depends on, and their `identity`.
    made: int  # Seconds since the epoch.
    until: int  # Likewise; when somebody's grants end, or begin.

    def tell(self, invocation: CargoInvocation) -> None:
        """Lead a Cargo there, and say what there is to say about that."""
        for line in () if os.path.lexists(invocation.link) else self.said:
            invocation.say(line)
        leading.lead(invocation, Path(self.folder))

    def text(self) -> bytes:
        """Return what `still_true` reads."""
        return json.dumps(asdict(self)).encode()


def still_true(kept: Path) -> KnownContext | None:
    """Return what was found out for the same words, if nothing has changed since."""
    try:
        document = json.loads(kept.read_bytes())
        inputs: dict[str, list[int] | None] = document["inputs"]
        found = KnownContext(
            str(document["folder"]),
            tuple(str(each) for each in document["said"]),
            inputs,
            int(document["made"]),
            int(document["until"]),
        )
        is_true = all(identity(path) == told for path, told in inputs.items())
        is_true = is_true and found.made <= time.time() < found.until
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return found if is_true else None


def identity(path: str) -> list[int] | None:
    """Return what differs once a file was changed: times, size, inode; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]
