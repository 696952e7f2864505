"""Settings that programs have looked for in the empty home folder that scripts see.

Nothing is refused by that, but what they make may differ from a build without buildperm.
"""

from __future__ import annotations

from collections.abc import Iterable

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.rules.script_variables import PRIVATE_HOME

_HABITS = (
    # Looked for by whatever asks a terminal, a name server, or git, and hardly ever there.
    *(".terminfo", ".netrc", ".hushlogin", ".inputrc", ".config/git", ".gitconfig", ".cache"),
    *(".local/state", ".local/lib/python", ".pydistutils.cfg", ".pythonrc"),
)
_NAMED_MOST = 3


def looked_for(accesses: Iterable[Access]) -> list[str]:
    """Return what was looked for in the home folder and was not there, as `~/…`, sorted.

    What ordinary programs look for by habit is left out, and what they have made there themselves.
    """
    found, made = set(), set()
    for access in accesses:
        if not access.target.startswith(PRIVATE_HOME):
            continue
        below = access.target.removeprefix(PRIVATE_HOME)
        if access.kind is Kind.WRITE:
            made.add(below)
        elif access.kind is Kind.READ and access.outcome is Outcome.FAILED:
            found.add(below)
    return sorted(f"~/{below}" for below in found - made if below and not below.startswith(_HABITS))


def note(who: str, accesses: Iterable[Access]) -> str:
    """Say what was looked for, in a sentence; empty if nothing was."""
    names = looked_for(accesses)
    if not names:
        return ""
    more = f" and {len(names) - _NAMED_MOST:,} more" if len(names) > _NAMED_MOST else ""
    return (
        f"note: {who} looked for {', '.join(names[:_NAMED_MOST])}{more} and saw an empty home "
        "folder: without buildperm it may do something else"
    )
