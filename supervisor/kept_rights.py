"""Keeps the rights of one host for the other hosts of the same compilation.

They are found out anew for each run, since files come and go. The hosts of one compilation get the
same, as if all had been started with the first: most crates use several libraries of macros, and to
find out takes longer than to start a host.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import time

from buildperm.supervisor.run import TOOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from buildperm.supervisor.run import Run

_GOOD_FOR_S = 30.0  # A server of macros lives for days.
_MOST = 64


class KeptRights:
    """The rights of hosts by compilation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, _Found]] = {}

    def of(self, compilation: Hashable, run: Run) -> dict[bytes, int]:
        """Return the Landlock rights of `run` by path, and note in it what else `rights` notes.

        Args:
            compilation: Tells one from another.
            run: One of its runs of macros.
        """
        key = (compilation, *_depends_on(run))
        now = self._clock()
        at, found = self._kept.get(key, (0.0, None))
        if found is None or now - at > _GOOD_FOR_S:
            found = _Found(run)
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = now, found
        return found.given_to(run)


class _Found:
    """What was found for one run, without what is its own: its library and its scratch folder."""

    __slots__ = (
        "_covered",
        "_exclusions",
        "_foreign",
        "_left_out",
        "_library",
        "_rights",
        "_scratch",
    )

    def __init__(self, run: Run) -> None:
        self._rights = run.rights(b"")
        self._library = self._rights.pop(run.subject.handed_over[0], 0)
        self._scratch = self._rights.pop(run.places["TMP"], 0)
        self._exclusions, self._covered = run.with_exclusions, run.covered
        self._foreign, self._left_out = run.foreign, run.left_out

    def given_to(self, run: Run) -> dict[bytes, int]:
        run.with_exclusions, run.covered = self._exclusions, self._covered
        run.foreign, run.left_out = self._foreign, self._left_out
        own = {run.subject.handed_over[0]: self._library, run.places["TMP"]: self._scratch}
        return self._rights | own


def _depends_on(run: Run) -> tuple[Hashable, ...]:
    """Return what, but for the machine, decides about rights: see `Run.rights`."""
    package, places = run.package, dict(run.places)
    del places["TMP"]
    grants = tuple(tuple(package[kind]) for kind in ("read", "write", "exec"))
    denials = tuple(sorted((kind, tuple(each)) for kind, each in package["deny"].items()))
    tools = tuple(map(run.environ.get, TOOLS))
    return run.learning, grants, denials, tools, tuple(sorted(places.items()))
