"""Looks in a store for a result that a run may be spared for, and for what may become one.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.cache.input_comparison import GONE, THERE_NOW, compare
from buildperm.cache.kept_result import CANDIDATE, CONFIRMED, UNSTABLE
from buildperm.cache.moved_inputs import goes_by, is_as_deep, is_as_plain
from buildperm.cache.near_result import NearResult
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.cache.input_comparison import InputComparison
    from buildperm.cache.kept_result import KeptResult
    from buildperm.cache.path_tokens import PathTokens
    from buildperm.cache.result_store import ResultStore

NOTHING_LIKE_IT = "nothing is kept of a run that began like this one"


class ResultSearch:
    """What a store has of runs that began like this one."""

    __slots__ = (
        *("_distance", "_places", "_tokens"),
        *("exact", "is_unstable", "known", "names", "near", "why"),
    )

    def __init__(
        self,
        store: ResultStore,
        key: str,
        places: Mapping[str, bytes],
        tokens: PathTokens,
        *,
        restores: bool,
    ) -> None:
        """Look for it.

        Args:
            store: Where to look.
            key: The static key of the run.
            places: Where the run is.
            tokens: The same, for paths in results.
            restores: Whether a result may be restored.

        Raises:
            OSError: The store cannot be read.
            StoreError: It is none.
        """
        self._places, self._tokens = places, tokens
        self._distance = 0  # Of the inputs of `known` from what there is now.
        self.exact: NearResult | None = None  # To be restored.
        self.near: list[NearResult] = []  # To be compared with what comes of the run.
        self.known: KeptResult | None = None  # The latest that began like this run, if any.
        self.why: list[str] = []  # Nothing is restored.
        self.is_unstable = False  # Two such runs were not the same: none is kept.
        every = store.results(key)
        self.names = [name for name, _ in every]  # The latest first.
        for name, result in every:
            near = self._near(name, result)
            if self.is_unstable:
                self.known = None
                return
            if near is None:
                continue
            if result.state == CONFIRMED and near.is_exact() and restores:
                self.exact = near
                return
            self.near.append(near)
            if not near.is_exact() or result.state == CANDIDATE:
                self.why.append(near.why())
        if not self.why and not self.near:
            self.why.append(NOTHING_LIKE_IT)

    def _near(self, name: str, result: KeptResult) -> NearResult | None:
        """Return a result whose inputs are what there is now; None, and why, for others."""
        try:
            compared = compare(result.inputs, self._tokens)
        except ValueError as error:
            self.why.append(f"a result of {result.day()} is damaged: {error}")
            return None
        self._note_known(result, compared)
        if compared.difference:
            self.why.append(compared.difference)
            return None
        if result.state == UNSTABLE:
            self.why = [f"not cacheable: two runs differed in {result.why}"]
            self.is_unstable = True
            return None
        elsewhere = [
            place
            for place in sorted({*self._places, *result.places})
            if result.places.get(place) != encode(self._places.get(place, b""))
            and not self._is_free(result, place)
        ]
        held = [place for place in result.bound if place in elsewhere]
        if held:
            self.why.append(f"its binaries hold ${held[0]}, which is elsewhere")
            return None
        odd = [place for place in elsewhere if not self._is_as_plain(result, place)]
        if odd:
            self.why.append(f"${odd[0]} has other characters than where it was made")
            return None
        return NearResult(name, result, compared, elsewhere)

    def _is_free(self, result: KeptResult, place: str) -> bool:
        """Tell whether the same came of it wherever a place was."""
        if place not in result.free or not self._is_as_plain(result, place):
            return False
        then, here = decode(result.places.get(place, "")), self._places.get(place, b"")
        return is_as_deep(then, here) or not goes_by(result.inputs, place)

    def _is_as_plain(self, result: KeptResult, place: str) -> bool:
        then, here = decode(result.places.get(place, "")), self._places.get(place, b"")
        return is_as_plain(then, here)

    def _note_known(self, result: KeptResult, compared: InputComparison) -> None:
        """Note the latest of those results whose inputs are most like what there is now."""
        is_otherwise_named = compared.difference.endswith((GONE, THERE_NOW))
        distance = (2 if is_otherwise_named else 1) if compared.difference else 0
        if result.state != UNSTABLE and (self.known is None or distance < self._distance):
            self.known, self._distance = result, distance
