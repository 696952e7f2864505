"""A result whose inputs are what there is now, and what keeps it from being restored, if anything.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import time

from buildperm.cache.kept_result import CANDIDATE, TIMES_OF_FILES, TIMES_OF_FOLDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.cache.input_comparison import InputComparison
    from buildperm.cache.kept_result import KeptResult


class NearResult:
    """A result that only has to be found once more, or somewhere else."""

    __slots__ = ("compared", "dated", "elsewhere", "name", "result")

    def __init__(
        self, name: str, result: KeptResult, compared: InputComparison, elsewhere: list[str]
    ) -> None:
        self.name = name  # In the store.
        self.result = result
        self.compared = compared
        self.elsewhere = elsewhere  # Places that are others here.
        self.dated = result.is_dated(int(time.time()))  # What of today's date is new to it.

    def is_exact(self) -> bool:
        """Tell whether nothing is new to it, not even a place or a time."""
        is_near = self.elsewhere or self.dated or self.times() & ~self.result.times_free
        return not is_near

    def times(self) -> int:
        """Say of what nothing but times differ, in bits of `KeptResult.times_free`."""
        files, folders = self.compared.times, self.compared.folder_times
        return TIMES_OF_FILES * bool(files) | TIMES_OF_FOLDERS * bool(folders)

    def why(self) -> str:
        """Say why it has to be made once more."""
        if self.result.state == CANDIDATE:
            return "it was seen once, and has to be seen to do the same later"
        if self.elsewhere:
            return f"${self.elsewhere[0]} is elsewhere than in any run that did the same"
        if self.dated:
            return f"it has been seen on one {self.dated} only, and may depend on the date"
        named = self.compared.times or self.compared.folder_times
        return f"{named} was written at another time"
