"""Passing names: files where everybody makes some, with names that only one run gives them.

`/tmp/app-build-4711`, `/dev/shm/sem.vwg9Sz`: a rule about such a name is of no use to the next run,
and one about all that begin so would be about files of others.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace

from buildperm.policy import ladder
from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.stable_target import in_any_run
from buildperm.rules import own_temporaries
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
    named = in_any_run(target) if kind.is_file else target
    if named == target:
        return False
    parts = target.split("/")
    varying = next(at for at, name in enumerate(named.split("/")) if name != parts[at])
    return not os.path.lexists(decode("/".join(parts[: varying + 1])))


def own_folder(access: Access) -> str:
    """Return the pattern that gives a script a folder of its own for such a file; empty if none.

    What is there on this machine is the machine's, and a question of its own.
    """
    if own_temporaries.is_own(access.target):
        return access.target
    folder = own_temporaries.around(access.target)
    if access.sensitive or access.kind not in (Kind.READ, Kind.WRITE) or not folder:
        return ""
    top = folder.removesuffix("**")
    name = access.target[len(top) :].partition("/")[0]
    return "" if os.path.lexists(decode(top + name)) else folder


def told(accesses: Iterable[Access]) -> list[Access]:
    """Return accesses as they are called in any run, each name once."""
    named = [replace(access, target=in_any_run(access.target)) for access in accesses]
    return list({access.target: access for access in named}.values())


def is_made(access: Access, written: Collection[str]) -> bool:
    """Tell whether a file was to be made, not only read: somebody else's may be there again."""
    if access.kind is not Kind.READ:
        return True
    return not ladder.above([access.target]).union([access.target]).isdisjoint(written)
