"""Passing names: files where everybody makes some, with names that only one run gives them.

`/tmp/app-build-4711`, `/dev/shm/sem.vwg9Sz`: a rule about such a name is of no use to the next run,
and one about all that begin so would be about files of others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.stable_target import TEMPORARY, lasting
from buildperm.tracer.notation import decode

NEVER = (
    "No grant can allow it: the next run gives it another name, and others have files there. The "
    "script has a temporary folder of its own, which TMPDIR names."
)
"""Why such an access cannot be allowed."""


def is_passing(kind: Kind, target: str) -> bool:
    """Tell whether a target has a name of one run, by its looks and as there is no such file.

    What is there on this machine was there before, as a checkout in `/tmp/job-17`.
    """
    told = lasting(kind, target) if TEMPORARY.match(target) else target
    if told == target:
        return False
    parts = zip(target.split("/"), told.split("/"), strict=True)
    stable = next(at for at, (one, other) in enumerate(parts) if one != other)
    return not os.path.lexists(decode("/".join(target.split("/")[: stable + 1])))


def told(accesses: Iterable[Access]) -> list[Access]:
    """Return accesses as they are called in any run, each name once."""
    named = [replace(access, target=lasting(access.kind, access.target)) for access in accesses]
    return list({access.target: access for access in named}.values())
