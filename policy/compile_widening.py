"""Which changes of the grants let compilers be held less, or macros act for others than before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from buildperm.policy.grants import COMPILING, HOLD, CrateGrants, Policy


class Widening(NamedTuple):
    """One thing that is wider than it was."""

    key: str  # Of the table; empty where it is about all crates.
    item: str
    what: str  # A clause that follows the key.
    place: tuple[str, ...]  # Keys from the grant table on.


def of_everybody(before: Policy, after: Policy) -> Iterator[Widening]:
    """Yield it where less is held of compiling in general."""
    was, now = before.compile or HOLD, after.compile or HOLD
    if COMPILING.index(now) > COMPILING.index(was):
        what = f"and macros and compilers are held by less: `compile` was `{was}` and is `{now}`"
        yield Widening("", "compile", what, ("compile",))


def of_table(
    was: CrateGrants | None, now: CrateGrants | None, before: Policy, after: Policy
) -> Iterator[Widening]:
    """Yield what one package's table lets others do, and how compiling it is held by less.

    What follows from the workspace's setting alone is told of everybody.
    """
    key = (now or was or CrateGrants("")).key
    own = was.compile if was else "", now.compile if now else ""
    old, new = own[0] or before.compile or HOLD, own[1] or after.compile or HOLD
    if any(own) and COMPILING.index(new) > COMPILING.index(old):
        what = f"may be compiled held by less: `compile` was `{old}` and is `{new}`"
        yield Widening(key, "compile", what, ("crates", key, "compile"))
    known = was.consumers if was else frozenset[str]()
    for consumer in sorted((now.consumers if now else frozenset[str]()) - known):
        what = f"lets its macros use its grants where `{consumer}` uses them"
        yield Widening(key, f"for {consumer}", what, ("crates", key, "for"))
