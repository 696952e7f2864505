"""Files a new result in a store, with those that are like it.

A result is restored when the same came of two runs, of which the second was later, under another
number of processors, and by all else that a recording holds the same.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import time

from buildperm.cache.kept_result import CONFIRMED, UNSTABLE
from buildperm.cache.moved_inputs import MovedInputs
from buildperm.tracer.notation import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildperm.cache.kept_result import KeptResult
    from buildperm.cache.near_result import NearResult
    from buildperm.cache.result_store import FolderStore

_MOST_RESULTS = 64  # Below one key: all are read each time. A script may read what always changes.
_APART_S = 1.0  # So long after a run another one can tell whether the clock matters.


def file_result(
    store: FolderStore,
    key: str,
    made: KeptResult,
    every: Iterable[NearResult],
    names: Sequence[str],
    places: Mapping[str, bytes],
) -> str:
    """File a new result; return why it is not, or nothing.

    Args:
        store: Where to.
        key: Its static key.
        made: The result.
        every: The results to which it is compared.
        names: Of all results below the key, the latest first.
        places: Where it was made.

    Raises:
        OSError: The store cannot take it.
    """
    is_filed, why = False, ""
    for near in every:
        known = near.result
        if made.made_s - known.made_s < _APART_S + made.took_ns / 1e9:
            why = "it ran a moment ago, and has to be seen to do the same later"
        elif known.content() == made.content():
            joined = MovedInputs(known.inputs, made.inputs, _moved(known, places))
            if near.elsewhere and joined.unexplained:
                continue  # It does something else elsewhere, though the same came of it.
            known.state = CONFIRMED
            known.times_free |= joined.times
            known.times_free |= near.times()
            if near.dated:
                known.seen_s.append(made.made_s)
            known.free = sorted({*known.free, *near.elsewhere})
            known.bound = sorted({*known.bound, *made.bound})
            known.inputs = joined.inputs
            store.put(key, near.name, known)
            is_filed = True
        elif not near.elsewhere:  # The time of a file may be why, or the clock, or chance.
            known.state, known.why = UNSTABLE, known.difference(made)
            store.put(key, near.name, known)
            why = f"two runs differed in {known.why}"
    if not is_filed and not why:
        for name in names[_MOST_RESULTS - 1 :]:
            store.remove(key, name)
        store.put(key, f"{time.time_ns():x}-{os.getpid():x}", made)
    return "" if is_filed else why


def _moved(known: KeptResult, places: Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
    """Return the places that are others than those of a result: where each was, and is."""
    both = {
        name: (decode(known.places[name]), here)
        for name, here in places.items()
        if name in known.places
    }
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}
